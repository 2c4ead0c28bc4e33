// Operators through which no gradient flows, on purpose.
import { stop } from "../rule.js";

const size = stop("depends on sizes, not on elements");
const truth = stop("a truth value is no smooth function");
const index = stop("an index is no smooth function");
const step = stop("constant between its steps: the derivative is zero wherever it exists");
const rounded = stop("rounds to steps; straight-through.ts leads gradients past it where its use is known");
const made = stop("does not depend on trainable elements");

export const stops = {
	Shape: size,
	Size: size,
	ConstantOfShape: size,
	EyeLike: size,
	Range: made,
	OneHot: index,
	ArgMax: index,
	ArgMin: index,
	NonZero: index,
	Equal: truth,
	Less: truth,
	LessOrEqual: truth,
	Greater: truth,
	GreaterOrEqual: truth,
	Not: truth,
	And: truth,
	Or: truth,
	Xor: truth,
	IsNaN: truth,
	IsInf: truth,
	QuantizeLinear: rounded,
	DynamicQuantizeLinear: rounded,
	Sign: step,
	Floor: step,
	Ceil: step,
	Round: step,
};
