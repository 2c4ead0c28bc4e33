// Rules of activation functions and of the softmax.
import { floatOf, intOf, stringOf } from "../../ir/attributes.js";
import type { Value } from "../../ir/graph.js";
import type { Ops } from "../ops.js";
import { type RuleContext, rule } from "../rule.js";

/** Gelu(x) = x Φ(x): g (Φ(x) + x φ(x)), Φ(x) = ½ (1 + erf(x / √2)), φ(x) = e^(−x²/2) / √2π. */
export function geluGradient(ops: Ops, g: Value, x: Value): Value {
	const distribution = ops.mul(ops.add(ops.erf(ops.mul(x, Math.SQRT1_2)), 1), 0.5);
	const density = ops.mul(ops.exp(ops.mul(ops.square(x), -0.5)), 1 / Math.sqrt(2 * Math.PI));
	return ops.mul(g, ops.add(distribution, ops.mul(x, density)));
}

/**
 * y = ½ x (1 + tanh ½v) = x s with s = σ(v), v = 2c (x + a x³), c = √(2/π), a = 0.044715: g (s + y (1 − s) v′), v′ = 2c (1 + 3 a x²).
 * Memory is what these cost: the sigmoid has a pass less than the tanh, and y is there.
 */
export function tanhGeluGradient(ops: Ops, g: Value, x: Value, y: Value): Value {
	const [linear, cubic] = [2 * Math.sqrt(2 / Math.PI), 2 * 0.044715 * Math.sqrt(2 / Math.PI)];
	const square = ops.square(x);
	const sigmoid = ops.sigmoid(ops.mul(x, ops.add(ops.mul(square, cubic), linear)));
	const slope = ops.add(ops.mul(square, 3 * cubic), linear);
	return ops.mul(g, ops.add(sigmoid, ops.mul(ops.mul(y, ops.sub(1, sigmoid)), slope)));
}

/** x σ(αx): g (s + α x s (1 − s)), s = σ(αx). */
function swishGradient(ops: Ops, g: Value, x: Value, alpha: number): Value {
	const scaled = alpha === 1 ? x : ops.mul(x, alpha);
	const sigmoid = ops.sigmoid(scaled);
	return ops.mul(g, ops.mul(sigmoid, ops.add(ops.mul(scaled, ops.sub(1, sigmoid)), 1)));
}

/** Element-wise function of x + bias (bias optional, input 1, on the last axis). */
function biased({ ops, g, x, y, has }: RuleContext, gradient: (ops: Ops, g: Value, x: Value, y: Value) => Value) {
	const sum = has(1) ? ops.add(x(0), x(1)) : x(0);
	const result = gradient(ops, g, sum, y());
	return [() => result, () => result];
}

export const activation = {
	// y = tanh x: dx = g (1 − y²)
	Tanh: rule(({ ops, g, y }) => [() => ops.mul(g, ops.sub(1, ops.square(y())))]),
	// y = σ(x): dx = g y (1 − y)
	Sigmoid: rule(({ ops, g, y }) => [() => ops.mul(g, ops.mul(y(), ops.sub(1, y())))]),
	// y = max(x, 0): dx = g where y > 0, as a product: a Where takes three times as long
	Relu: rule(({ ops, g, y }) => [() => ops.mul(g, ops.cast(ops.greater(y(), 0), ops.dtype(g)))]),
	// y = x > 0 ? x : αx: dx = x > 0 ? g : αg
	LeakyRelu: rule(({ ops, g, x, node }) => [() => ops.where(ops.greater(x(), 0), g, ops.mul(g, floatOf(node, "alpha", 0.01)))]),
	// y = x > 0 ? x : α (eˣ − 1): dx = x > 0 ? g : g (y + α)
	Elu: rule(({ ops, g, x, y, node }) => [() => ops.where(ops.greater(x(), 0), g, ops.mul(g, ops.add(y(), floatOf(node, "alpha", 1))))]),
	// y = x > α ? x : 0: dx = x > α ? g : 0
	ThresholdedRelu: rule(({ ops, g, x, node }) => [() => ops.where(ops.greater(x(), floatOf(node, "alpha", 1)), g, 0)]),
	// y = max(0, min(1, αx + β)): dx = αg where 0 < y < 1
	HardSigmoid: rule(({ ops, g, y, node }) => [
		() => ops.where(ops.and(ops.greater(y(), 0), ops.less(y(), 1)), ops.mul(g, floatOf(node, "alpha", 0.2)), 0),
	]),
	// y = x / (1 + |x|): dx = g / (1 + |x|)² = g (1 − |y|)²
	Softsign: rule(({ ops, g, y }) => [() => ops.mul(g, ops.square(ops.sub(1, ops.abs(y()))))]),
	// y = ln(1 + eˣ): dx = g σ(x)
	Softplus: rule(({ ops, g, x }) => [() => ops.mul(g, ops.sigmoid(x()))]),
	Gelu: rule(({ ops, g, x, y, node }) => [
		() => (stringOf(node, "approximate", "none") === "tanh" ? tanhGeluGradient(ops, g, x(), y()) : geluGradient(ops, g, x())),
	]),
	"com.microsoft.Gelu": rule(({ ops, g, x }) => [() => geluGradient(ops, g, x())]),
	"com.microsoft.BiasGelu": rule((context) => biased(context, geluGradient)),
	"com.microsoft.FastGelu": rule((context) => biased(context, tanhGeluGradient)),
	// y = x σ(αx), α = 1.702 unless given
	"com.microsoft.QuickGelu": rule(({ ops, g, x, node }) => [() => swishGradient(ops, g, x(), floatOf(node, "alpha", 1.702))]),
	// y = x σ(αx), α = 1 unless given
	Swish: rule(({ ops, g, x, node }) => [() => swishGradient(ops, g, x(), floatOf(node, "alpha", 1))]),
	// y = softmax x: dx = y (g − Σ g y), the sum over the softmax' axis
	Softmax: rule(({ ops, g, y, node }) => [() => ops.mul(y(), ops.sub(g, ops.sum(ops.mul(g, y()), [intOf(node, "axis", -1)], true)))]),
	// y = log softmax x: dx = g − e^y Σ g
	LogSoftmax: rule(({ ops, g, y, node }) => [() => ops.sub(g, ops.mul(ops.exp(y()), ops.sum(g, [intOf(node, "axis", -1)], true)))]),
};
