// Gradients whose rows have a factor each, as losses with weights make them: the factor is applied where it costs least.
import type { Value } from "../ir/graph.js";
import { type Dims, sameDims, sizeOf } from "./facts.js";
import type { Ops } from "./ops.js";

/** value · scale, with one factor for each vector along the last axis. */
export interface RowScaled {
	readonly value: Value;
	/** The sizes of `value`, but 1 along the last axis. */
	readonly scale: Value;
}

/** The parts of a product that is row-scaled; undefined for every other value. */
export function rowScaledOf(ops: Ops, product: Value): RowScaled | undefined {
	const [value, scale] = product.producer?.is("Mul") === true ? product.producer.inputs : [];
	if (value === undefined || scale === undefined) return undefined;
	const dims = ops.dims(product);
	const isScaled = dims.length > 1 && sameDims(ops.dims(value), dims) && sameDims(ops.dims(scale), [...dims.slice(0, -1), 1]);
	return isScaled ? { value, scale } : undefined;
}

/** The product in other sizes; it stays row-scaled if the last axis does. */
export function reshaped(ops: Ops, value: Value, dims: Dims): Value {
	const parts = dims.at(-1) === ops.dims(value).at(-1) ? rowScaledOf(ops, value) : undefined;
	if (parts === undefined || sameDims(ops.dims(value), dims)) return ops.reshape(value, dims);
	return ops.mul(ops.reshape(parts.value, dims), ops.reshape(parts.scale, [...dims.slice(0, -1), 1]));
}

/** The sum over all axes but the last as a product with a vector, faster than ReduceSum; of a row-scaled value, the vector is its scale. */
export function sumOfRows(ops: Ops, product: Value): Value {
	const parts = rowScaledOf(ops, product);
	const dims = ops.dims(product);
	const [rows, width] = [sizeOf(dims, 0, -1), dims.at(-1) ?? 1];
	const scale = parts === undefined ? ops.filled([1, rows], ops.dtype(product), 1) : ops.reshape(parts.scale, [1, rows]);
	return ops.reshape(ops.gemm(scale, ops.reshape(parts?.value ?? product, [rows, width])), [width]);
}
