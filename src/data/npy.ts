// Token ids from NumPy's .npy files: one-dimensional, uint16, int32, uint32 or int64.
import { readFileSync } from "node:fs";
import { DistembError } from "../errors.js";

const MAGIC = "\x93NUMPY";

/**
 * Reads a stream of token ids.
 * @throws DistembError `input` if the file is missing, no .npy file, of another type, or not one-dimensional
 */
export function readNpyTokens(file: string): Int32Array {
	const fail = (reason: string) => new DistembError("input", reason, { at: file, hint: "save token ids with numpy.save, one-dimensional" });
	let bytes: Buffer;
	try {
		bytes = readFileSync(file);
	} catch (cause) {
		throw new DistembError("input", "cannot be read", { at: file, cause });
	}
	if (bytes.byteLength < 12 || bytes.toString("latin1", 0, 6) !== MAGIC) throw fail("is no .npy file");
	const wide = (bytes[6] ?? 1) >= 2;
	const start = wide ? 12 : 10;
	const length = wide ? bytes.readUInt32LE(8) : bytes.readUInt16LE(8);
	const header = bytes.toString("latin1", start, start + length);
	const type = /'descr':\s*'([<|>=]?)(\w+)'/.exec(header);
	const shape = /'shape':\s*\(\s*(\d+)\s*,?\s*\)/.exec(header);
	if (shape === null) throw fail("is not one-dimensional");
	const count = Number(shape[1]);
	const body = bytes.subarray(start + length);
	const read = type === null || type[1] === ">" ? undefined : READERS[type[2] ?? ""];
	if (read === undefined) throw fail(`holds ${type?.[2] ?? "values"} that are no token ids`);
	if (body.byteLength < count * read.width) throw fail("ends before its last token");
	return Int32Array.from({ length: count }, (_, index) => read.at(body, index * read.width));
}

interface Reader {
	readonly width: number;
	readonly at: (bytes: Buffer, position: number) => number;
}

const READERS: Readonly<Record<string, Reader>> = {
	u2: { width: 2, at: (bytes, position) => bytes.readUInt16LE(position) },
	i4: { width: 4, at: (bytes, position) => bytes.readInt32LE(position) },
	u4: { width: 4, at: (bytes, position) => bytes.readUInt32LE(position) },
	i8: { width: 8, at: (bytes, position) => Number(bytes.readBigInt64LE(position)) },
};
