// A model without its large payloads: each is external data at its place in the files it came from, for an engine that maps files.
import { realpathSync } from "node:fs";
import path from "node:path";
import type { Tensor } from "../ir/tensor.js";
import { type ExternalPlace, encodeModel, joined } from "./encode.js";
import { openModel } from "./open.js";
import { FileRange } from "./payload.js";

/** Smaller payloads stay inside: shapes, axes and scales are read while a graph is being loaded. */
const SMALLEST = 4096;

/** An encoded model, and the folder that the locations of its external data start from. */
export interface Skeleton {
	readonly bytes: Uint8Array;
	readonly folder: string;
}

/**
 * The model in `file` as a few bytes that refer to the weights where they lie, inside the .onnx file too.
 * @throws DistembError `input` if the file is missing or broken
 */
export function skeletonOf(file: string): Skeleton {
	const { model, source, external, close } = openModel(file);
	try {
		const reals = new Map([source, ...external.files.values()].map((one) => [one, realpathSync(one.path)]));
		const folder = commonFolder([...reals.values()]);
		const place = ({ data, byteLength }: Tensor): ExternalPlace | undefined => {
			const real = data instanceof FileRange && byteLength >= SMALLEST ? reals.get(data.file) : undefined;
			if (real === undefined || !(data instanceof FileRange)) return undefined;
			return { location: path.relative(folder, real).split(path.sep).join("/"), offset: data.start };
		};
		return { bytes: joined(encodeModel(model, { source, place })), folder };
	} finally {
		close();
	}
}

/** The deepest folder that all `files` (absolute) lie in. */
function commonFolder(files: readonly string[]): string {
	let folder = path.dirname(files[0] ?? path.sep);
	const holds = (file: string) => !path.relative(folder, file).startsWith("..");
	while (!files.every(holds)) folder = path.dirname(folder);
	return folder;
}
