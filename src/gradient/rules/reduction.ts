// Rules of reductions along axes, and of running sums.
import { intOf } from "../../ir/attributes.js";
import type { Value } from "../../ir/graph.js";
import { axesFrom, frontAxis, reduced, sizeOf } from "../facts.js";
import { type Lazy, type RuleContext, rule } from "../rule.js";

/** Axes summed over: input 1 since opset 18 (ReduceSum: 13); none given: all, unless told to do nothing. */
function axesOf({ node, has, integers, rank }: RuleContext): number[] {
	const given = has(1) ? integers(1) : undefined;
	if (given !== undefined && given.length > 0) return given.map((axis) => frontAxis(axis, rank()));
	return intOf(node, "noop_with_empty_axes", 0) !== 0 ? [] : axesFrom(0, rank());
}

/** A reduction whose gradient is written with g and y kept as axes of size one. */
function reduction(gradient: (context: RuleContext, g: Value, y: Value, count: number) => Value) {
	return rule((context): Lazy[] => {
		const { ops, g, y, dims } = context;
		const axes = axesOf(context);
		const kept = reduced(dims(), axes, true);
		const count = sizeOf(dims()) / Math.max(sizeOf(kept), 1);
		return [() => gradient(context, ops.reshape(g, kept), ops.reshape(y(), kept), count)];
	});
}

/** ReduceMax, ReduceMin: to the elements that are equal to the result, in equal shares. */
const extreme = reduction((context, g, y) => {
	const { ops, x } = context;
	const chosen = ops.cast(ops.equal(x(), y), ops.dtype(x()));
	return ops.mul(chosen, ops.div(g, ops.sum(chosen, axesOf(context), true)));
});

export const reductions = {
	// y = Σ x: dx = g
	ReduceSum: reduction((_, g) => g),
	// y = Σ x / n: dx = g / n
	ReduceMean: reduction(({ ops }, g, _, count) => ops.div(g, count)),
	ReduceMax: extreme,
	ReduceMin: extreme,
	// y = Σ |x|: dx = g sign x
	ReduceL1: reduction(({ ops, x }, g) => ops.mul(g, ops.sign(x()))),
	// y = √Σ x²: dx = g x / y
	ReduceL2: reduction(({ ops, x }, g, y) => ops.mul(x(), ops.div(g, y))),
	// y = Σ x²: dx = 2 g x
	ReduceSumSquare: reduction(({ ops, x }, g) => ops.mul(x(), ops.mul(g, 2))),
	// y = ln Σ eˣ: dx = g e^(x − y)
	ReduceLogSumExp: reduction(({ ops, x }, g, y) => ops.mul(g, ops.exp(ops.sub(x(), y)))),
	// yᵢ = Σⱼ≤ᵢ xⱼ: dxⱼ = Σᵢ≥ⱼ gᵢ
	CumSum: rule(({ ops, g, node, integers }) => {
		const [exclusive, reverse] = [intOf(node, "exclusive", 0) !== 0, intOf(node, "reverse", 0) !== 0];
		return [() => ops.cumsum(g, integers(1)?.[0] ?? 0, { exclusive, reverse: !reverse })];
	}),
};
