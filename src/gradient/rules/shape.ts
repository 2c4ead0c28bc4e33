// Rules of operators that only move elements: shapes, slices, repetition, padding.
import { intOf, intsOf, stringOf } from "../../ir/attributes.js";
import type { Value } from "../../ir/graph.js";
import { axesFrom, frontAxis, inverse } from "../facts.js";
import { reshaped } from "../row-scaled.js";
import { type RuleContext, rule } from "../rule.js";
import { addedAlong } from "./gather.js";

/** The elements stay in order: dx = g in x's shape. */
const inOrder = rule(({ ops, g, dims }) => [() => reshaped(ops, g, dims())]);

/** y = x[start : end : step]: dx = zeros with g at the same places. */
function slice({ ops, g, dims, rank, integers }: RuleContext) {
	const starts = integers(1) ?? [];
	const axes = (integers(3) ?? starts.map((_, index) => index)).map((axis) => frontAxis(axis, rank()));
	const steps = integers(4) ?? starts.map(() => 1);
	const whole = () => {
		let gradient = g;
		const [begin, after] = [dims().map(() => 0), dims().map(() => 0)];
		for (const [index, axis] of axes.entries()) {
			const size = dims()[axis] ?? 0;
			const step = steps[index] ?? 1;
			const start = sliceStart(starts[index] ?? 0, size, step);
			const count = ops.dims(g)[axis] ?? 0;
			if (step === 1) {
				begin[axis] = start;
				after[axis] = size - start - count;
			} else {
				const places = ops.integers(Array.from({ length: count }, (_, at) => start + at * step));
				gradient = addedAlong(ops, gradient, places, axis, size);
			}
		}
		return ops.pad(gradient, begin, after);
	};
	return [whole];
}

/** The first element that a slice takes, as ONNX clamps it. */
function sliceStart(start: number, size: number, step: number): number {
	const front = start < 0 ? start + size : start;
	return Math.min(Math.max(front, 0), step < 0 ? size - 1 : size);
}

/** The parts of g that came from each input of a Concat. */
function concat({ ops, g, node, rank }: RuleContext) {
	const axis = frontAxis(intOf(node, "axis", 0), rank());
	const inputs = node.inputs.filter((value) => value !== undefined);
	let start = 0;
	return inputs.map((input) => {
		const begin = start;
		start += ops.dims(input)[axis] ?? 0;
		const end = start;
		return () => ops.slice(g, [{ axis, start: begin, end }]);
	});
}

/** dx = the parts' gradients side by side; a part that nobody used has zeros. */
function split({ ops, gradients, node, rank }: RuleContext) {
	const axis = frontAxis(intOf(node, "axis", 0), rank());
	const parts = () =>
		node.outputs.flatMap((output, index) => {
			if (output === undefined) return [];
			return [gradients[index] ?? ops.filled(ops.dims(output), ops.dtype(output))];
		});
	return [() => ops.concat(parts(), axis)];
}

/** y = x with k₀, k₁, … copies along the axes: dx = Σ over the copies. */
function tile({ ops, g, dims, integers }: RuleContext) {
	const repeats = integers(1) ?? [];
	const copies = dims().flatMap((size, axis) => [repeats[axis] ?? 1, size]);
	const axes = dims().map((_, axis) => 2 * axis);
	return [() => ops.sum(ops.reshape(g, copies), axes)];
}

/** Padding with a constant: dx = g without the padding. */
function pad({ ops, g, node, rank, integers, unsupported }: RuleContext) {
	const mode = stringOf(node, "mode", "constant");
	if (mode !== "constant") unsupported(`Pad with mode "${mode}"`);
	const pads = integers(1) ?? [];
	const axes = (integers(3) ?? axesFrom(0, rank())).map((axis) => frontAxis(axis, rank()));
	const [begin, end] = [new Array<number>(rank()).fill(0), new Array<number>(rank()).fill(0)];
	for (const [index, axis] of axes.entries()) {
		begin[axis] = -(pads[index] ?? 0);
		end[axis] = -(pads[index + axes.length] ?? 0);
	}
	return [() => ops.pad(g, begin, end)];
}

/** y = x with the axes in another order: dx = g with the order undone. */
function transpose({ ops, g, node, rank }: RuleContext): (() => Value)[] {
	const perm = intsOf(node, "perm") ?? axesFrom(0, rank()).reverse();
	return [() => ops.transpose(g, inverse(perm))];
}

/** The triangle that y keeps of x; g keeps the same one. */
function trilu({ ops, g, node, has, x }: RuleContext) {
	const diagonal = has(1) ? x(1) : undefined;
	return [() => ops.trilu(g, diagonal, intOf(node, "upper", 1) !== 0)];
}

export const shapes = {
	Reshape: inOrder,
	Flatten: inOrder,
	Squeeze: inOrder,
	Unsqueeze: inOrder,
	Transpose: rule(transpose),
	// y = x repeated along axes of size one: the sweep sums over them
	Expand: rule(({ g }) => [() => g]),
	Concat: rule(concat),
	Split: rule(split, "all"),
	Slice: rule(slice),
	Pad: rule(pad),
	Tile: rule(tile),
	Trilu: rule(trilu),
};
