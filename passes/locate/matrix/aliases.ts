// Operators through which a stored constant stays the same numbers: each rule turns the view of an input into that of the output.
import { intOf, intsOf } from "../../../src/ir/attributes.js";
import { type DType, dtypeOfCode, isFloat } from "../../../src/ir/dtype.js";
import type { Node, Value } from "../../../src/ir/graph.js";
import { elementCount, float32Tensor, int64Tensor, type Tensor } from "../../../src/ir/tensor.js";
import { isReadable, readStored } from "./decode.js";
import type { Facts } from "./facts.js";
import { isPlain } from "./facts.js";
import { type Matrix, type Patch, type Scaling, transpose } from "./matrix.js";
import { scalingOf } from "./scaling.js";

/** A constant of any rank as some value shows it. */
export interface View {
	/** The initializer, or the output of the Constant node. */
	readonly stored: Value;
	readonly tensor: Tensor;
	readonly shape: readonly number[];
	/** The elements are stored in the order of the transpose; then the shape has two axes longer than 1. */
	readonly transposed: boolean;
	/** Element type where the value is read; the stored one may be another. */
	readonly dtype: DType;
	readonly scaling: Scaling | undefined;
	readonly patch: Patch | undefined;
}

/** The view of an initializer or of a Constant node's output. */
export function storedView(value: Value): View | undefined {
	const tensor = value.tensor ?? (value.producer === undefined ? undefined : constantOf(value.producer));
	if (tensor === undefined || tensor.data === undefined || tensor.dtype === "string") return undefined;
	return { stored: value, tensor, shape: tensor.dims, transposed: false, dtype: tensor.dtype, scaling: undefined, patch: undefined };
}

function constantOf(node: Node): Tensor | undefined {
	for (const [name, held] of node.attributes) {
		if (name === "value" && held.kind === "tensor") return held.value;
		if (name === "value_ints" && held.kind === "ints") return int64Tensor(held.value);
		if (name === "value_int" && held.kind === "int") return int64Tensor([held.value], []);
		if (name === "value_floats" && held.kind === "floats") return float32Tensor(Float32Array.from(held.value), [held.value.length]);
		if (name === "value_float" && held.kind === "float") return float32Tensor(Float32Array.of(held.value), []);
	}
	return undefined;
}

/** The matrix that a value of rank 2 shows, if its elements can be read. */
export function matrixOf(view: View | undefined): Matrix | undefined {
	const [rows, cols] = view?.shape ?? [];
	if (view === undefined || view.shape.length !== 2 || rows === undefined || cols === undefined) return undefined;
	if (!isReadable(view.tensor.dtype) || rows * cols === 0) return undefined;
	const { stored, tensor, transposed, dtype, scaling, patch } = view;
	const stride = transposed ? rows : cols;
	return { stored, tensor, encoding: { kind: "plain", dtype: tensor.dtype }, rows, cols, transposed, stride, dtype, scaling, patch };
}

type Rule = (node: Node, view: View, facts: Facts) => View | undefined;

/** Operators of the default domain by name; input 0 is the constant. */
const RULES: Readonly<Record<string, Rule>> = {
	Identity: (_, view) => view,
	Cast: castView,
	Transpose: (node, view) => transposeView(view, intsOf(node, "perm")),
	Reshape: (node, view, facts) => reshapeView(view, reshapeTarget(node, view, facts)),
	Flatten: (node, view) => reshapeView(view, flattened(view.shape, intOf(node, "axis", 1))),
	Squeeze: (node, view, facts) => reshapeView(view, squeezed(view.shape, axesOf(node, facts))),
	Unsqueeze: (node, view, facts) => reshapeView(view, unsqueezed(view.shape, axesOf(node, facts))),
	DequantizeLinear: dequantizeView,
	Mul: multiplyView,
	ScatterND: scatterView,
};

/** The view of `node`'s first output, if it is a constant in another form. */
export function aliasOf(node: Node, facts: Facts): View | undefined {
	if (node.domain !== "" && !(node.domain === "com.microsoft" && node.opType === "DequantizeLinear")) return undefined;
	const rule = RULES[node.opType];
	const view = facts.view(node.inputs[0]);
	if (rule === undefined || view === undefined) return undefined;
	return rule(node, view, facts);
}

function castView(node: Node, view: View): View | undefined {
	const dtype = dtypeOfCode(intOf(node, "to", 0));
	if (dtype === undefined || !isFloat(dtype) || !isFloat(view.dtype)) return undefined;
	return { ...view, dtype };
}

/** Axes longer than 1. */
function long(shape: readonly number[]): number[] {
	return shape.filter((size) => size !== 1);
}

function transposeView(view: View, perm: readonly number[] | undefined): View | undefined {
	const order = perm ?? view.shape.map((_, axis) => view.shape.length - 1 - axis);
	const shape = order.map((axis) => view.shape[axis] ?? 0);
	const moved = order.filter((axis) => view.shape[axis] !== 1);
	if (moved.every((axis, index) => index === 0 || axis > (moved[index - 1] ?? 0))) return { ...view, shape };
	if (moved.length !== 2) return undefined;
	const { patch } = view;
	const turned = patch?.kind === "product" ? { ...patch, other: transpose(patch.other) } : patch;
	return { ...view, shape, transposed: !view.transposed, patch: turned };
}

/** Another shape for the same elements in the same order. */
function reshapeView(view: View, shape: readonly number[] | undefined): View | undefined {
	if (shape === undefined || elementCount(shape) !== elementCount(view.shape)) return undefined;
	const sameMatrix = long(shape).join() === long(view.shape).join();
	if (!sameMatrix && (view.transposed || view.patch !== undefined || (view.scaling !== undefined && !isUniform(view.scaling))))
		return undefined;
	return { ...view, shape };
}

/** One scale for the whole tensor. */
function isUniform({ rowStride, colStride }: Scaling): boolean {
	return rowStride === 0 && colStride === 0;
}

function reshapeTarget(node: Node, view: View, facts: Facts): number[] | undefined {
	const target = intsOf(node, "shape") ?? facts.numbers(node.inputs[1]);
	if (target === undefined) return undefined;
	const keepZero = intOf(node, "allowzero", 0) === 1;
	const shape = target.map((size, axis) => (size === 0 && !keepZero ? (view.shape[axis] ?? 0) : size));
	const open = shape.indexOf(-1);
	if (open < 0) return shape;
	const known = elementCount(shape.filter((size) => size !== -1));
	return shape.with(open, known === 0 ? 0 : elementCount(view.shape) / known);
}

function flattened(shape: readonly number[], axis: number): number[] {
	const at = axis < 0 ? axis + shape.length : axis;
	return [elementCount(shape.slice(0, at)), elementCount(shape.slice(at))];
}

function axesOf(node: Node, facts: Facts): number[] | undefined {
	return intsOf(node, "axes") ?? facts.numbers(node.inputs[1]);
}

function squeezed(shape: readonly number[], axes: readonly number[] | undefined): number[] {
	if (axes === undefined) return long(shape);
	const dropped = new Set(axes.map((axis) => (axis < 0 ? axis + shape.length : axis)));
	return shape.filter((_, axis) => !dropped.has(axis));
}

function unsqueezed(shape: readonly number[], axes: readonly number[] | undefined): number[] | undefined {
	if (axes === undefined) return undefined;
	const rank = shape.length + axes.length;
	const added = new Set(axes.map((axis) => (axis < 0 ? axis + rank : axis)));
	const rest = [...shape];
	return Array.from({ length: rank }, (_, axis) => (added.has(axis) ? 1 : (rest.shift() ?? 1)));
}

function dequantizeView(node: Node, view: View, facts: Facts): View | undefined {
	if (view.scaling !== undefined || view.patch !== undefined) return undefined;
	const scale = facts.view(node.inputs[1]);
	const scaling = scalingOf(node, { shape: view.shape, transposed: view.transposed }, facts);
	if (scale === undefined || scaling === undefined) return undefined;
	return { ...view, dtype: dtypeOfCode(intOf(node, "output_dtype", 0)) ?? scale.dtype, scaling };
}

/** A table times a mask of its own shape, or of one row or column. */
function multiplyView(node: Node, first: View, facts: Facts): View | undefined {
	const second = facts.view(node.inputs[1]);
	const output = node.outputs[0];
	if (second === undefined || output === undefined) return undefined;
	const [view, mask] = elementCount(first.shape) < elementCount(second.shape) || isMask(first) ? [second, first] : [first, second];
	if (!isFloat(view.dtype) || view.patch !== undefined || view.shape.length !== 2) return undefined;
	const other = matrixOf({ ...mask, shape: [...Array<number>(Math.max(0, 2 - mask.shape.length)).fill(1), ...mask.shape] });
	if (other === undefined || !isPlain(mask)) return undefined;
	const fits = [1, view.shape[0]].includes(other.rows) && [1, view.shape[1]].includes(other.cols);
	return fits ? { ...view, patch: { kind: "product", other, by: output } } : undefined;
}

/** Its first numbers are zeros and ones only. */
function isMask(view: View): boolean {
	const matrix = isPlain(view) ? matrixOf(view) : undefined;
	if (matrix === undefined) return false;
	const sample = new Float32Array(Math.min(matrix.rows, 64) * matrix.cols);
	readStored(matrix, 0, Math.min(matrix.rows, 64), 0, matrix.cols, sample);
	return sample.every((value) => value === 0 || value === 1);
}

/** A table with some rows replaced by constants. */
function scatterView(node: Node, view: View, facts: Facts): View | undefined {
	const indices = facts.view(node.inputs[1]);
	const updates = matrixOf(facts.view(node.inputs[2]));
	const at = facts.numbers(node.inputs[1]);
	const output = node.outputs[0];
	const reduction = node.attributes.get("reduction");
	if (indices === undefined || updates === undefined || at === undefined || output === undefined) return undefined;
	if (reduction?.kind === "string" && reduction.value !== "none") return undefined;
	if (!isFloat(view.dtype) || !isPlain(view) || view.shape.length !== 2) return undefined;
	const [count, width] = indices.shape;
	if (indices.shape.length !== 2 || width !== 1 || updates.rows !== count || updates.cols !== view.shape[1] || updates.rows > 1024)
		return undefined;
	const rows = new Map<number, Float32Array>();
	for (const [index, position] of at.entries()) {
		const values = new Float32Array(updates.cols);
		readStored(updates, index, index + 1, 0, updates.cols, values);
		rows.set(position < 0 ? position + (view.shape[0] ?? 0) : position, values);
	}
	return { ...view, patch: { kind: "rows", rows, by: output } };
}
