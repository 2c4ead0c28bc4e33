// The files of one model: a single .onnx file, or a folder of them with everything that lies beside.
import { readdirSync, realpathSync, statSync } from "node:fs";
import path from "node:path";
import { DistembError } from "../errors.js";
import { type OpenModel, openModel } from "./open.js";
import { inputError } from "./source.js";

export interface Bundle {
	readonly kind: "file" | "directory";
	/** Absolute path of the input. */
	readonly path: string;
	/** Models, with their paths relative to the folder. */
	readonly models: readonly { readonly name: string; readonly open: OpenModel }[];
	/** Files that are neither models nor data files of one, relative to the folder; they are copied. */
	readonly others: readonly string[];
	close(): void;
}

/**
 * Opens an .onnx file, or every .onnx file in a folder and the folders below it.
 * @throws DistembError `input` if the path is missing, or a folder holds no model
 */
export function openBundle(input: string): Bundle {
	const root = path.resolve(input);
	let kind: Bundle["kind"];
	try {
		kind = statSync(root).isDirectory() ? "directory" : "file";
	} catch (cause) {
		throw inputError(input, cause);
	}
	if (kind === "file") {
		const open = openModel(root);
		return { kind, path: root, models: [{ name: path.basename(root), open }], others: [], close: () => open.close() };
	}
	const names = namesBelow(root);
	const models: { name: string; open: OpenModel }[] = [];
	const close = () => {
		for (const { open } of models) open.close();
	};
	try {
		for (const name of names) if (name.endsWith(".onnx")) models.push({ name, open: openModel(path.join(root, name)) });
		if (models.length === 0) throw new DistembError("input", "holds no .onnx file", { at: input, hint: "name the model's file or folder" });
	} catch (error) {
		close();
		throw error;
	}
	const data = new Set<string>();
	for (const { name, open } of models) {
		for (const location of open.external.files.keys()) data.add(path.posix.join(path.posix.dirname(name), location));
	}
	return { kind, path: root, models, others: names.filter((name) => !name.endsWith(".onnx") && !data.has(name)), close };
}

function namesBelow(root: string): string[] {
	try {
		return [...filesBelow(root, "")].sort();
	} catch (cause) {
		throw cause instanceof DistembError ? cause : inputError(root, cause);
	}
}

/** Regular files below a folder, relative; links to folders are not followed. */
function* filesBelow(root: string, folder: string): Generator<string> {
	for (const entry of readdirSync(path.join(root, folder), { withFileTypes: true })) {
		const name = path.posix.join(folder, entry.name);
		if (entry.isDirectory()) yield* filesBelow(root, name);
		else if (entry.isFile() || (entry.isSymbolicLink() && linksToFile(root, name))) yield name;
	}
}

/**
 * False for links to folders, to nothing and in circles: they are left out.
 * @throws DistembError `refused` for a link out of the folder: its file would be copied into the result
 */
function linksToFile(root: string, name: string): boolean {
	const link = path.join(root, name);
	try {
		if (!statSync(link).isFile()) return false;
	} catch {
		return false;
	}
	const real = path.relative(realpathSync(root), realpathSync(link));
	if (!real.startsWith("..") && !path.isAbsolute(real)) return true;
	const why = `"${name}" is a link that leads out of the folder`;
	throw new DistembError("refused", why, { at: root, hint: "put the file itself there" });
}

/** Paths of the models and of the data files that belong to them, each once. */
export function filesOfBundle(bundle: Bundle): string[] {
	return [...sizesOf(bundle).keys()];
}

/** Bytes of a model's file and of the data files that belong to it, each once. */
export function bytesOfBundle(bundle: Bundle): number {
	return [...sizesOf(bundle).values()].reduce((sum, size) => sum + size, 0);
}

/** @throws DistembError `input` if one of the files is not what it was when it was opened */
export function requireUnchanged({ models }: Bundle): void {
	for (const { open } of models) {
		for (const file of [open.source, ...open.external.files.values()]) {
			const change = file.change();
			if (change === undefined) continue;
			throw new DistembError("input", `was ${change} while it was converted`, { at: file.path, hint: "run the conversion again" });
		}
	}
}

function sizesOf(bundle: Bundle): Map<string, number> {
	const sizes = new Map<string, number>();
	for (const { open } of bundle.models) {
		sizes.set(open.source.path, open.source.size);
		for (const file of open.external.files.values()) sizes.set(file.path, file.size);
	}
	return sizes;
}
