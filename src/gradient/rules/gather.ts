// Rules of operators that read or write at indices. Repeated indices add up (ScatterND and ScatterElements with reduction "add").
import { intOf, stringOf } from "../../ir/attributes.js";
import type { Value } from "../../ir/graph.js";
import { axesFrom, frontAxis, inverse, sizeOf } from "../facts.js";
import type { Ops } from "../ops.js";
import { type Lazy, type RowGradient, type RuleContext, rule } from "../rule.js";

/** Zeros of `size` along `axis`, with slice i of `g` added at `places[i]`; `places` is int64 [n]. */
export function addedAlong(ops: Ops, g: Value, places: Value, axis: number, size: number): Value {
	const perm = [axis, ...axesFrom(0, ops.rank(g)).filter((other) => other !== axis)];
	const rows = ops.transpose(g, perm);
	const zeros = ops.filled([size, ...ops.dims(rows).slice(1)], ops.dtype(g));
	const column = ops.reshape(places, [sizeOf(ops.dims(places)), 1]);
	return ops.transpose(ops.scatterND(zeros, column, rows), inverse(perm));
}

/** y = x[ids] along an axis: row ids[i] of dx gets g[i] added. Along axis 0 the rows are handed on as they are. */
function gather({ ops, g, x, node, rank, dims }: RuleContext): Lazy[] {
	const axis = frontAxis(intOf(node, "axis", 0), rank());
	const count = sizeOf(ops.dims(x(1)));
	const ids = () => ops.reshape(ops.cast(x(1), "int64"), [count]);
	const [before, after] = [dims().slice(0, axis), dims().slice(axis + 1)];
	const flat = () => ops.reshape(g, [...before, count, ...after]);
	if (axis === 0) return [(): RowGradient => ({ kind: "rows", ids: ids(), rows: flat() })];
	return [() => addedAlong(ops, flat(), ids(), axis, dims()[axis] ?? 1)];
}

/** Zeros of input 0's shape. */
function zerosOf({ ops, x }: RuleContext): Value {
	return ops.filled(ops.dims(x()), ops.dtype(x()));
}

/** y = x with updates at indices: what was overwritten gets no gradient; updates get theirs from where they went. */
function scatterND({ ops, g, x, node, unsupported }: RuleContext): (Lazy | undefined)[] {
	const reduction = stringOf(node, "reduction", "none");
	if (reduction !== "none" && reduction !== "add") unsupported(`ScatterND with reduction "${reduction}"`);
	const cleared = () => ops.scatterND(g, x(1), ops.filled(ops.dims(x(2)), ops.dtype(g)), "none");
	return [() => (reduction === "add" ? g : cleared()), undefined, () => ops.gatherND(g, x(1))];
}

function scatterElements({ ops, g, x, node, rank, unsupported }: RuleContext): (Lazy | undefined)[] {
	const reduction = stringOf(node, "reduction", "none");
	if (reduction !== "none" && reduction !== "add") unsupported(`ScatterElements with reduction "${reduction}"`);
	const axis = frontAxis(intOf(node, "axis", 0), rank());
	const cleared = () => ops.scatterElements(g, x(1), ops.filled(ops.dims(x(2)), ops.dtype(g)), axis, "none");
	return [() => (reduction === "add" ? g : cleared()), undefined, () => ops.gatherElements(g, x(1), axis)];
}

export const gathers = {
	Gather: rule(gather),
	// y = x at indices along an axis: dx = zeros with g added there
	GatherElements: rule((context) => {
		const { ops, g, x, node, rank } = context;
		return [() => ops.scatterElements(zerosOf(context), x(1), g, frontAxis(intOf(node, "axis", 0), rank()))];
	}),
	// y = x at index tuples: dx = zeros with g added there
	GatherND: rule((context) => {
		const { ops, g, x, node, unsupported } = context;
		if (intOf(node, "batch_dims", 0) !== 0) unsupported("GatherND with batch_dims");
		return [() => ops.scatterND(zerosOf(context), x(1), g)];
	}),
	ScatterND: rule(scatterND),
	ScatterElements: rule(scatterElements),
	// The k largest: dx = zeros with g at their places. The places themselves have no gradient.
	TopK: rule((context) => {
		const { ops, g, y, node, rank } = context;
		return [() => ops.scatterElements(zerosOf(context), y(1), g, frontAxis(intOf(node, "axis", -1), rank()))];
	}),
};
