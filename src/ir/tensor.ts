// A tensor whose bytes are read on demand: a range of a file, or bytes in memory.
import { byteLengthOf, type DType } from "./dtype.js";

/** Opaque baggage of the file format that the IR carries without looking at it. */
export interface Carried {
	readonly format: "onnx";
}

/** The elements of a tensor as raw_data would hold them: little-endian, row-major, 4-bit types packed low nibble first. */
export interface TensorData {
	readonly byteLength: number;
	/** Names the stored bytes: equal for the same range of the same file. Absent for bytes in memory. */
	readonly identity?: string;
	/** Bytes [start, end). The array may be a view; do not write to it, and copy what must outlive the next read. */
	read(start: number, end: number): Uint8Array;
	/** Fills `target` with the bytes from `start` on; present where that saves a copy. */
	readInto?(target: Uint8Array, start: number): void;
}

/** Where a tensor lives in the file set: inside the model file, or in an external data file. */
export type Placement = { readonly kind: "inline" } | { readonly kind: "external"; readonly location: string };

export const INLINE: Placement = { kind: "inline" };

export class Tensor {
	readonly dtype: DType;
	/** Sizes, outermost first; an empty list is a scalar. */
	readonly dims: readonly number[];
	/** Undefined while a factor waits for its values. */
	readonly data: TensorData | undefined;
	readonly placement: Placement;
	readonly carried: Carried | undefined;

	constructor(dtype: DType, dims: readonly number[], data: TensorData | undefined, placement: Placement = INLINE, carried?: Carried) {
		this.dtype = dtype;
		this.dims = dims;
		this.data = data;
		this.placement = placement;
		this.carried = carried;
	}

	/** Number of elements. */
	get size(): number {
		return elementCount(this.dims);
	}

	/** Stored bytes (as raw_data). */
	get byteLength(): number {
		return this.data?.byteLength ?? byteLengthOf(this.dtype, this.size);
	}

	/** All bytes at once; for small tensors only. */
	bytes(): Uint8Array {
		return this.data === undefined ? new Uint8Array(0) : this.data.read(0, this.data.byteLength);
	}
}

/** Stored bytes of `tensors`; what several models share in one data file counts once. */
export function distinctBytes(tensors: Iterable<Tensor>): number {
	const counted = new Set<unknown>();
	let bytes = 0;
	for (const tensor of tensors) {
		const key = tensor.placement.kind === "external" ? (tensor.data?.identity ?? tensor.data ?? tensor) : tensor;
		if (!counted.has(key)) bytes += tensor.byteLength;
		counted.add(key);
	}
	return bytes;
}

/** Product of the dims; 1 for a scalar. */
export function elementCount(dims: readonly number[]): number {
	let count = 1;
	for (const dim of dims) count *= dim;
	return count;
}

/** Bytes in memory as tensor data. */
export function dataOf(bytes: Uint8Array): TensorData {
	return { byteLength: bytes.byteLength, read: (start, end) => bytes.subarray(start, end) };
}

function bytesOf(view: ArrayBufferView): Uint8Array {
	return new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
}

/** A float32 tensor on `values` (not copied). */
export function float32Tensor(values: Float32Array, dims: readonly number[], placement: Placement = INLINE): Tensor {
	return new Tensor("float32", dims, dataOf(bytesOf(values)), placement);
}

/** An int64 tensor, for shapes, axes and permutations. */
export function int64Tensor(values: readonly (number | bigint)[], dims: readonly number[] = [values.length]): Tensor {
	return new Tensor("int64", dims, dataOf(bytesOf(BigInt64Array.from(values, BigInt))));
}
