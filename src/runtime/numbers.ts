// Elements of the engine's tensors as JavaScript numbers, and back.
import { DistembError } from "../errors.js";
import { fromFloat16, toFloat16 } from "../ir/elements.js";
import type { EngineData, EngineTensor, EngineType } from "./session.js";

/** True for float types: differences between them are measured, those of others are counted. */
export function isFloatType(dtype: EngineType): boolean {
	return dtype.startsWith("float");
}

/**
 * Reads single elements as numbers (64-bit integers beyond 2^53 are rounded).
 * @throws DistembError `internal` for strings.
 */
export function reader({ dtype, data }: EngineTensor): (index: number) => number {
	if (isText(data)) throw new DistembError("internal", "elements of a string tensor are no numbers");
	if (dtype === "float16") return (index) => fromFloat16(Number(data[index]));
	return (index) => Number(data[index]);
}

/** True for the elements of a string tensor. */
export function isText(data: EngineData): data is readonly string[] {
	return Array.isArray(data);
}

type Fill = (count: number, element: (index: number) => number) => EngineData;

/** Element number `index` of an array of `count`, for each element type; whole numbers where the type is whole. */
const FILL: Readonly<Record<EngineType, Fill>> = {
	float32: (length, element) => Float32Array.from({ length }, (_, index) => element(index)),
	float64: (length, element) => Float64Array.from({ length }, (_, index) => element(index)),
	float16: (length, element) => Uint16Array.from({ length }, (_, index) => toFloat16(element(index))),
	int64: (length, element) => BigInt64Array.from({ length }, (_, index) => BigInt(element(index))),
	uint64: (length, element) => BigUint64Array.from({ length }, (_, index) => BigInt(element(index))),
	int32: (length, element) => Int32Array.from({ length }, (_, index) => element(index)),
	uint32: (length, element) => Uint32Array.from({ length }, (_, index) => element(index)),
	int16: (length, element) => Int16Array.from({ length }, (_, index) => element(index)),
	uint16: (length, element) => Uint16Array.from({ length }, (_, index) => element(index)),
	int8: (length, element) => Int8Array.from({ length }, (_, index) => element(index)),
	uint8: (length, element) => Uint8Array.from({ length }, (_, index) => element(index)),
	bool: (length, element) => Uint8Array.from({ length }, (_, index) => Number(element(index) !== 0)),
	int4: (length, element) => packed(length, element),
	uint4: (length, element) => packed(length, element),
	string: (length, element) => Array.from({ length }, (_, index) => String(element(index))),
};

function packed(length: number, element: (index: number) => number): Uint8Array {
	const bytes = new Uint8Array(Math.ceil(length / 2));
	for (let index = 0; index < length; index++) bytes[index >> 1] = (bytes[index >> 1] ?? 0) | ((element(index) & 15) << (4 * (index & 1)));
	return bytes;
}

/** A tensor whose element number `index` (row-major) is `element(index)`. */
export function tensorOf(dtype: EngineType, dims: readonly number[], element: (index: number) => number): EngineTensor {
	const count = dims.reduce((product, size) => product * size, 1);
	return { dtype, dims, data: FILL[dtype](count, element) };
}
