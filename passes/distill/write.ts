// Trained values back into the files: every copy of a factor, and every tensor that a trained weight is shared by.
import { setTensor } from "../../src/ir/edit.js";
import { readElements, writeElements } from "../../src/ir/elements.js";
import type { Value } from "../../src/ir/graph.js";
import { dataOf, Tensor, type TensorData } from "../../src/ir/tensor.js";
import type { FactorGroup, FactorValue } from "../../src/state.js";
import type { Parameter } from "./parameters.js";
import type { Sharing } from "./sharing.js";

/** Stores `values` (row-major, not copied) under all tensors that `parameter` stands for; `relu`: what is stored is ReLU of them. */
export function writeBack(parameter: Parameter, values: Float32Array, sharing: Sharing, relu: boolean): void {
	const { stored } = parameter;
	if ("group" in stored) {
		const folded = relu && stored.factor === "left" ? values.map((value) => Math.max(0, value)) : values;
		writeFactor(stored.group, stored.factor, stored.stored.role, folded);
	} else {
		const data = new Map<string, TensorData>();
		for (const value of sharing.copiesOf(stored)) {
			const { dtype } = value.tensor ?? {};
			if (dtype === undefined) continue;
			const encoded = data.get(dtype) ?? dataOf(dtype === "float32" ? bytesOf(values) : writeElements(dtype, values));
			data.set(dtype, encoded);
			put(value, encoded);
		}
	}
}

/** Stores one factor, given as its copies of the role `trained` have it, in all of them. */
export function writeFactor(
	{ values, vocabulary, rank }: FactorGroup,
	factor: "left" | "right",
	trained: FactorValue["role"],
	array: Float32Array,
): void {
	const { rows, cols } = vocabulary.table;
	const [height, width] = factor === "left" ? [rows, rank] : [rank, cols];
	const turned = trained.endsWith("T");
	const own = dataOf(bytesOf(array));
	let other: TensorData | undefined;
	for (const { role, value } of values) {
		if (!role.startsWith(factor)) continue;
		if (role !== trained) other ??= dataOf(bytesOf(turned ? transposed(array, width, height) : transposed(array, height, width)));
		put(value, role === trained ? own : (other ?? own));
	}
}

/** The width×height transpose of a height×width matrix. */
export function transposed(matrix: Float32Array, height: number, width: number): Float32Array {
	const result = new Float32Array(matrix.length);
	for (let row = 0; row < height; row++)
		for (let column = 0; column < width; column++) result[column * height + row] = matrix[row * width + column] as number;
	return result;
}

function put(value: Value, data: TensorData): void {
	const { tensor } = value;
	if (tensor !== undefined) setTensor(value, new Tensor(tensor.dtype, tensor.dims, data, tensor.placement));
}

function bytesOf({ buffer, byteOffset, byteLength }: Float32Array): Uint8Array {
	return new Uint8Array(buffer, byteOffset, byteLength);
}

/** Elements of a stored float tensor; its own array. */
export function floatsOf({ tensor }: Value): Float32Array {
	if (tensor === undefined) return new Float32Array(0);
	const bytes = tensor.bytes();
	if (tensor.dtype === "float32") return new Float32Array(bytes.slice().buffer);
	return Float32Array.from(readElements(tensor.dtype, bytes, tensor.size), Number);
}
