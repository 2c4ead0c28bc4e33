// Between the command's paths and the pipeline: what is read, what is written, and under which names.
import path from "node:path";
import { DistembError } from "./errors.js";
import { distinctBytes } from "./ir/tensor.js";
import {
	type Bundle,
	bytesOfBundle,
	configWithPieces,
	locationsOf,
	type Pieces,
	pathKind,
	renumbered,
	requireUnchanged,
	type StagedOutput,
	tensorsOf,
} from "./onnx/index.js";
import type { CommonOptions, CompileOptions } from "./options.js";
import type { InputFacts } from "./report/report.js";
import type { Loaded } from "./state.js";

/**
 * What can be said about the two paths before anything is read.
 * @throws DistembError `usage` or `input`
 */
export function checkPaths(input: string, output: string, options: CompileOptions): void {
	const kind = pathKind(input);
	if (kind === undefined) throw new DistembError("input", "no such file", { at: input, hint: "check the path" });
	if (path.resolve(input) === path.resolve(output)) {
		throw new DistembError("usage", "input and output are the same", { at: output, hint: "name another output" });
	}
	if (kind === "directory" && isInside(output, input)) {
		throw new DistembError("usage", "the output lies inside the input folder", { at: output, hint: "name a folder elsewhere" });
	}
	const existing = pathKind(output);
	if (existing !== undefined && existing !== kind) {
		const [is, due] = existing === "directory" ? ["a directory", "a file"] : ["a file", "a directory"];
		throw new DistembError("output", `is ${is} where ${due} is due`, { at: output, hint: `the input is ${due} too; name another output` });
	}
	if (existing !== undefined && options.overwrite !== true) {
		throw new DistembError("output", "already exists", { at: output, hint: "use --overwrite to replace it" });
	}
}

function isInside(inner: string, outer: string): boolean {
	const relative = path.relative(path.resolve(outer), path.resolve(inner));
	return relative !== "" && !relative.startsWith("..") && !path.isAbsolute(relative);
}

export function loadedFrom(bundle: Bundle): Loaded {
	const files = bundle.models.map(({ name, open }) => ({ name, path: open.path, model: open.model, bytes: open.source.size }));
	return { kind: bundle.kind, path: bundle.path, files };
}

/** Name of a model in the output folder: the output's own for a single file, the input's in a directory. */
export function outputName(bundle: Bundle, name: string, output: string): string {
	return bundle.kind === "file" ? path.basename(output) : name;
}

/** Where the whole result can be opened before it is committed: a file, or a folder. */
export function stagedPath(staged: StagedOutput, bundle: Bundle, output: string): string {
	return bundle.kind === "file" ? staged.pathOf(path.basename(output)) : staged.folder;
}

/** Writes every model and copies what is no model; returns the bytes of models and data files. */
export async function writeBundle(staged: StagedOutput, bundle: Bundle, output: string, options: CommonOptions): Promise<number> {
	const models = bundle.models.map(({ name, open }) => ({ open, name: outputName(bundle, name, output) }));
	const onProgress = (fraction: number) => options.onProgress?.({ pass: "write", fraction });
	await staged.write(models, { signal: options.signal, onProgress });
	const { bytes } = staged;
	const pieces = bundle.models.map(piecesOf);
	for (const name of bundle.others) {
		const edit = path.basename(name) === "config.json" ? (text: string) => configWithPieces(text, pieces) : undefined;
		await staged.copy(path.join(bundle.path, name), name, edit);
	}
	requireUnchanged(bundle);
	return bytes;
}

function piecesOf({ name, open }: Bundle["models"][number]): Pieces {
	const count = (locations: Iterable<string>) => renumbered(locations, name).size;
	return { model: path.basename(name), before: count(open.external.files.keys()), after: count(locationsOf(open.model)) };
}

export function factsOf(bundle: Bundle, input: string): InputFacts {
	return { path: input, bytes: bytesOfBundle(bundle), weightBytes: weightBytesOf(bundle) };
}

/** Stored bytes of the weights. int64 tensors hold shapes, axes and positions; they are not counted. */
export function weightBytesOf(bundle: Bundle): number {
	return distinctBytes(bundle.models.flatMap(({ open }) => [...tensorsOf(open.model)].filter(({ dtype }) => dtype !== "int64")));
}
