// Token ids from NumPy's .npy files: a stream (one dimension) or a list of equally long sequences (two).
import { readFileSync } from "node:fs";
import { DistembError, throwIfAborted } from "../errors.js";
import { checkedIds, type Piece } from "./data.js";
import { withRanges } from "./files.js";

const MAGIC = "\x93NUMPY";

/** Tokens per piece of a stream. */
const PIECE = 65_536;

/** How to read one element of a type of whole numbers. */
export interface ElementReader {
	/** Bytes. */
	readonly width: number;
	readonly at: (bytes: Buffer, position: number) => number;
}

/** By NumPy's name; all little-endian. 64-bit values beyond 2^53 are rounded, and are no token ids anyway. */
export const ELEMENTS: Readonly<Record<string, ElementReader>> = {
	u1: { width: 1, at: (bytes, position) => bytes.readUInt8(position) },
	u2: { width: 2, at: (bytes, position) => bytes.readUInt16LE(position) },
	i2: { width: 2, at: (bytes, position) => bytes.readInt16LE(position) },
	i4: { width: 4, at: (bytes, position) => bytes.readInt32LE(position) },
	u4: { width: 4, at: (bytes, position) => bytes.readUInt32LE(position) },
	i8: { width: 8, at: (bytes, position) => Number(bytes.readBigInt64LE(position)) },
	u8: { width: 8, at: (bytes, position) => Number(bytes.readBigUInt64LE(position)) },
};

/** `count` elements from the beginning of `bytes`. */
export function elements(bytes: Buffer, { width, at }: ElementReader, count: number): number[] {
	return Array.from({ length: count }, (_, index) => at(bytes, index * width));
}

interface Header {
	readonly reader: ElementReader;
	/** One or two sizes. */
	readonly shape: readonly number[];
	/** Position of the first element, in bytes. */
	readonly start: number;
}

/** `bytes` may be the beginning of the file only. */
function parseHeader(bytes: Buffer, file: string): Header {
	const fail = (reason: string) =>
		new DistembError("input", reason, { at: file, hint: "save token ids with numpy.save, as uint16, int32 or int64" });
	if (bytes.byteLength < 12 || bytes.toString("latin1", 0, 6) !== MAGIC) throw fail("is no .npy file");
	const wide = (bytes[6] ?? 1) >= 2;
	const start = wide ? 12 : 10;
	const length = wide ? bytes.readUInt32LE(8) : bytes.readUInt16LE(8);
	const header = bytes.toString("latin1", start, start + length);
	const type = /'descr':\s*'([<|>=]?)(\w+)'/.exec(header);
	const sizes = /'shape':\s*\(([\d,\s]*)\)/.exec(header)?.[1]?.match(/\d+/g) ?? [];
	if (sizes.length !== 1 && sizes.length !== 2) throw fail(`has ${sizes.length} dimensions, not one (a stream) or two (sequences)`);
	if (sizes.length === 2 && /'fortran_order':\s*True/.test(header)) throw fail("is stored by columns");
	const reader = type === null || type[1] === ">" ? undefined : ELEMENTS[type[2] ?? ""];
	if (reader === undefined) throw fail(`holds ${type === null ? "values" : `${type[1]}${type[2]}`} that are no token ids`);
	return { reader, shape: sizes.map(Number), start: start + length };
}

/**
 * Reads a stream of token ids at once.
 * @throws DistembError `input` if the file is missing, no .npy file, of another type, or not one-dimensional
 */
export function readNpyTokens(file: string): Int32Array {
	let bytes: Buffer;
	try {
		bytes = readFileSync(file);
	} catch (cause) {
		throw new DistembError("input", "cannot be read", { at: file, cause });
	}
	const { reader, shape, start } = parseHeader(bytes, file);
	const [count = 0, columns] = shape;
	const hint = "save token ids with numpy.save, one-dimensional";
	if (columns !== undefined) throw new DistembError("input", "is not one-dimensional", { at: file, hint });
	const body = bytes.subarray(start);
	if (body.byteLength < count * reader.width) throw new DistembError("input", "ends before its last token", { at: file, hint });
	return Int32Array.from({ length: count }, (_, index) => reader.at(body, index * reader.width));
}

/** The tokens of a file in pieces: of a stream, or one for each sequence (row). */
export function npyPieces(file: string, rows: number | undefined, signal?: AbortSignal): AsyncGenerator<Piece> {
	return withRanges(file, async function* ({ size, range }) {
		const { reader, shape, start } = parseHeader(await range(0, Math.min(size, 65_536)), file);
		const [first = 0, columns] = shape;
		const count = first * (columns ?? 1);
		if (columns === 0) return;
		const step = columns ?? PIECE;
		for (let position = 0; position < count; position += step) {
			throwIfAborted(signal);
			const length = Math.min(step, count - position);
			const bytes = await range(start + position * reader.width, length * reader.width);
			yield {
				ids: checkedIds(elements(bytes, reader, length), { rows, at: file, position }),
				starts: position === 0 || columns !== undefined,
			};
		}
	});
}
