// Rules of element-wise arithmetic. g is the gradient of the result y; the sweep sums over broadcast axes.
import type { Value } from "../../ir/graph.js";
import { type Rule, type RuleContext, rule } from "../rule.js";

/** d|x| = sign x, and so on: y = f(x), dx = g · f′(x). */
function unary(derivative: (context: RuleContext) => Value): Rule {
	return rule((context) => [() => context.ops.mul(context.g, derivative(context))]);
}

/** Max, Min: the gradient goes to the operands that are equal to the result, in equal shares. */
const selected = rule(({ ops, g, node, y }) => {
	const inputs = node.inputs.filter((value) => value !== undefined);
	const chosen = inputs.map((input) => ops.cast(ops.equal(input, y()), ops.dtype(y())));
	const share = once(() => ops.div(g, ops.addAll(chosen)));
	return chosen.map((mask) => () => ops.mul(share(), mask));
});

function once<T>(make: () => T): () => T {
	let made: { readonly value: T } | undefined;
	return () => {
		made ??= { value: make() };
		return made.value;
	};
}

/**
 * Whether b in c ? a : b is a softmax and c says where it is not a number, as exported attention has it. Where it is not, the softmax'
 * own gradient is no number either, whatever arrives.
 */
function isGuard(condition: Value, other: Value): boolean {
	const { producer } = condition;
	return producer?.is("IsNaN") === true && producer.inputs[0] === other && other.producer?.is("Softmax") === true;
}

/** The constant that a scalar exponent is, if it is one. */
function exponentOf({ ops, x }: RuleContext): number | undefined {
	const { values } = ops.facts(x(1));
	return values?.length === 1 ? values[0] : undefined;
}

/** p · x^(p − 1), without a Pow for squares and cubes. */
function powerDerivative(context: RuleContext): Value {
	const { ops, x } = context;
	const exponent = exponentOf(context);
	if (exponent === 2) return ops.mul(x(), 2);
	if (exponent === 3) return ops.mul(ops.square(x()), 3);
	const power = ops.cast(x(1), ops.dtype(x()));
	return ops.mul(power, ops.pow(x(), ops.sub(power, 1)));
}

export const elementwise = {
	// y = a + b: da = g, db = g
	Add: rule(({ g }) => [() => g, () => g]),
	// y = a − b: da = g, db = −g
	Sub: rule(({ ops, g }) => [() => g, () => ops.neg(g)]),
	// y = a b: da = g b, db = g a
	Mul: rule(({ ops, g, x }) => [() => ops.mul(g, x(1)), () => ops.mul(g, x(0))]),
	// y = a / b: da = g / b, db = −g y / b
	Div: rule(({ ops, g, x, y }) => [() => ops.div(g, x(1)), () => ops.neg(ops.div(ops.mul(g, y()), x(1)))]),
	// y = −x: dx = −g
	Neg: rule(({ ops, g }) => [() => ops.neg(g)]),
	// y = x^p: dx = g p x^(p − 1), dp = g y ln x
	Pow: rule((context) => {
		const { ops, g, x, y } = context;
		return [() => ops.mul(g, powerDerivative(context)), () => ops.cast(ops.mul(ops.mul(g, y()), ops.log(x())), ops.dtype(x(1)))];
	}),
	// y = √x: dx = g / 2y
	Sqrt: rule(({ ops, g, y }) => [() => ops.div(ops.mul(g, 0.5), y())]),
	// y = 1 / x: dx = −g y²
	Reciprocal: unary(({ ops, y }) => ops.neg(ops.square(y()))),
	// y = eˣ: dx = g y
	Exp: unary(({ y }) => y()),
	// y = ln x: dx = g / x
	Log: rule(({ ops, g, x }) => [() => ops.div(g, x())]),
	// y = erf x: dx = g · 2/√π · e^(−x²)
	Erf: unary(({ ops, x }) => ops.mul(ops.exp(ops.neg(ops.square(x()))), 2 / Math.sqrt(Math.PI))),
	// y = sin x: dx = g cos x
	Sin: unary(({ ops, x }) => ops.unary("Cos", x())),
	// y = cos x: dx = −g sin x
	Cos: unary(({ ops, x }) => ops.neg(ops.unary("Sin", x()))),
	// y = |x|: dx = g sign x
	Abs: unary(({ ops, x }) => ops.sign(x())),
	Max: selected,
	Min: selected,
	// y = Σ xᵢ: dxᵢ = g
	Sum: rule(({ g, node }) => node.inputs.map(() => () => g)),
	// y = Σ xᵢ / n: dxᵢ = g / n
	Mean: rule(({ ops, g, node }) => {
		const share = once(() => ops.div(g, node.inputs.length));
		return node.inputs.map(() => share);
	}),
	// y = c ? a : b: da = c ? g : 0, db = c ? 0 : g
	Where: rule(({ ops, g, x }) => [undefined, () => ops.where(x(0), g, 0), () => (isGuard(x(0), x(2)) ? g : ops.where(x(0), 0, g))]),
	// y = min(max(x, low), high): dx = g where y = x
	Clip: rule(({ ops, g, x, y }) => [() => ops.where(ops.equal(x(), y()), g, 0)]),
	// y = x: dx = g
	Identity: rule(({ g }) => [() => g]),
	// Inference: y = x. The mask takes no part.
	Dropout: rule(({ g }) => [() => g]),
	// y = x as another type: dx = g as x's type
	Cast: rule(({ ops, g, x }) => [() => ops.cast(g, ops.dtype(x()))]),
	CastLike: rule(({ ops, g, x }) => [() => ops.cast(g, ops.dtype(x())), "none"]),
};
