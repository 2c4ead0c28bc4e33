// The files of one model: a single .onnx file, or a folder of them with everything that lies beside.
import { readdirSync, statSync } from "node:fs";
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
	const names = [...filesBelow(root, "")].sort();
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

/** Regular files below a folder, relative; links to folders are not followed. */
function* filesBelow(root: string, folder: string): Generator<string> {
	for (const entry of readdirSync(path.join(root, folder), { withFileTypes: true })) {
		const name = path.posix.join(folder, entry.name);
		if (entry.isDirectory()) yield* filesBelow(root, name);
		else if (entry.isFile() || (entry.isSymbolicLink() && statSync(path.join(root, name), { throwIfNoEntry: false })?.isFile())) yield name;
	}
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
