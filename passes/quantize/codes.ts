// Rows of U as they are stored: halves, bytes with a scale per row, or bytes in blocks with a scale per block.
import type { DType } from "../../src/ir/dtype.js";
import { fromHalves, toHalves } from "../../src/ir/halves.js";
import { blocksOf, isBlockQuantized, type Operators, type Storage } from "../../src/storage.js";

export type Codes = Float32Array | Uint16Array | Int8Array | Uint8Array;
export type Scales = Float32Array | Uint16Array;

/** How one row of numbers is stored. */
export interface RowCoder {
	readonly dtype: DType;
	/** Stored columns, padding included. */
	readonly width: number;
	readonly scales: { readonly dtype: "float32" | "float16"; readonly perRow: number } | undefined;
	/** Room for `rows` rows. */
	room(rows: number): Codes;
	/** Encodes `values`, some whole rows of r numbers. */
	encode(values: Float32Array): { readonly codes: Codes; readonly scales: Scales | undefined };
	/** What a runtime reads from these codes: rows of r numbers. */
	decode(codes: Codes, scales: Scales | undefined): Float32Array;
}

export function roomForScales(dtype: "float32" | "float16", count: number): Scales {
	return dtype === "float32" ? new Float32Array(count) : new Uint16Array(count);
}

/** The coder for rows of `rank` numbers; `compute` is the type in which they are multiplied. */
export function rowCoder(rank: number, storage: Storage, ops: Operators, compute: "float32" | "float16"): RowCoder {
	if (isBlockQuantized(storage, ops)) {
		const { size, count, padded } = blocksOf(rank, compute === "float16" ? 2 : 4);
		return scaledCoder({ rank, size, count, width: padded, zero: 128, scaleType: compute });
	}
	if (storage === "int8") return scaledCoder({ rank, size: rank, count: 1, width: rank, zero: 0, scaleType: "float32" });
	return floatCoder(rank, storage);
}

function floatCoder(rank: number, storage: "float32" | "float16" | "bfloat16"): RowCoder {
	return {
		dtype: storage,
		width: rank,
		scales: undefined,
		room: (rows) => (storage === "float32" ? new Float32Array(rows * rank) : new Uint16Array(rows * rank)),
		encode: (values) => ({ codes: storage === "float32" ? values : toHalves(values, storage), scales: undefined }),
		decode: (codes) => (codes instanceof Uint16Array ? fromHalves(codes, storage) : Float32Array.from(codes)),
	};
}

interface Scaling {
	readonly rank: number;
	/** Numbers that share a scale, and how many such blocks a row has. */
	readonly size: number;
	readonly count: number;
	readonly width: number;
	/** The code of 0: 0 for int8, 128 for uint8. */
	readonly zero: 0 | 128;
	readonly scaleType: "float32" | "float16";
}

const LARGEST_CODE = 127;

/** value ≈ scale · (code − zero), symmetric around 0; a block of zeros has scale 1. */
function scaledCoder({ rank, size, count, width, zero, scaleType }: Scaling): RowCoder {
	const room = (rows: number) => (zero === 0 ? new Int8Array(rows * width) : new Uint8Array(rows * width).fill(zero));
	const read = (scales: Scales) => (scales instanceof Uint16Array ? fromHalves(scales, "float16") : scales);
	const encode = (values: Float32Array) => {
		const rows = values.length / rank;
		const codes = room(rows);
		const wanted = Float32Array.from({ length: rows * count }, (_, block) => {
			const start = Math.floor(block / count) * rank + (block % count) * size;
			return largest(values, start, Math.min(start + size, (Math.floor(block / count) + 1) * rank)) / LARGEST_CODE;
		});
		const scales = scaleType === "float32" ? wanted : toHalves(wanted, "float16");
		const stored = read(scales);
		for (let block = 0; block < stored.length; block++) if (stored[block] === 0) setOne(scales, stored, block);
		for (let row = 0; row < rows; row++) {
			for (let column = 0; column < rank; column++) {
				const scale = stored[row * count + Math.floor(column / size)] ?? 1;
				const code = Math.round((values[row * rank + column] ?? 0) / scale);
				codes[row * width + column] = Math.max(-LARGEST_CODE, Math.min(LARGEST_CODE, code)) + zero;
			}
		}
		return { codes, scales };
	};
	const decode = (codes: Codes, scales: Scales | undefined) => {
		const stored = scales === undefined ? new Float32Array(0) : read(scales);
		const rows = codes.length / width;
		const values = new Float32Array(rows * rank);
		for (let row = 0; row < rows; row++) {
			for (let column = 0; column < rank; column++) {
				const scale = stored[row * count + Math.floor(column / size)] ?? 1;
				values[row * rank + column] = ((codes[row * width + column] ?? zero) - zero) * scale;
			}
		}
		return values;
	};
	return { dtype: zero === 0 ? "int8" : "uint8", width, scales: { dtype: scaleType, perRow: count }, room, encode, decode };
}

const HALF_ONE = 0x3c00;

function setOne(scales: Scales, stored: Float32Array, index: number): void {
	scales[index] = scales instanceof Uint16Array ? HALF_ONE : 1;
	stored[index] = 1;
}

/** max |value| over [start, end). */
export function largest(values: Float32Array, start = 0, end = values.length): number {
	let most = 0;
	for (let index = start; index < end; index++) most = Math.max(most, Math.abs(values[index] ?? 0));
	return most;
}
