// Rules of layer normalizations, with the standard operators that recompute what they need.
import { float, floatOf, int, intOf } from "../../ir/attributes.js";
import type { Value } from "../../ir/graph.js";
import { axesFrom, frontAxis, reduced } from "../facts.js";
import type { Ops } from "../ops.js";
import { type Lazy, type RuleContext, rule } from "../rule.js";

interface Normalized {
	/** x̂, of mean 0 (unless RMS) and variance 1. */
	readonly value: Value;
	/** 1 / deviation, with axes of size one. */
	readonly inverse: Value;
}

interface Norm {
	readonly x: Value;
	readonly axes: readonly number[];
	readonly epsilon: number;
	/** False: divided by the root mean square, without centring. */
	readonly centred: boolean;
}

function normalize(ops: Ops, { x, axes, epsilon, centred }: Norm): Normalized {
	if (centred && ops.dtype(x) === "float32") return normalizeFused(ops, x, axes, epsilon);
	const centre = centred ? ops.sub(x, ops.mean(x, axes, true)) : x;
	const variance = ops.mean(ops.square(centre), axes, true);
	const inverse = ops.reciprocal(ops.sqrt(ops.add(variance, epsilon)));
	return { value: ops.mul(centre, inverse), inverse };
}

/** x̂ and 1 / deviation by the operator itself, with a scale of one: a single pass. In double precision it returns no deviations. */
function normalizeFused(ops: Ops, x: Value, axes: readonly number[], epsilon: number): Normalized {
	const dtype = ops.dtype(x);
	const [first = 0] = axes;
	const dims = ops.dims(x);
	const statistics = { dtype, dims: reduced(dims, axes, true) };
	const attributes = { axis: int(first), epsilon: float(epsilon) };
	const ones = ops.filled(dims.slice(first), dtype, 1);
	const outputs = [{ dtype, dims }, statistics, statistics];
	const [value, , inverse] = ops.node("LayerNormalization", [x, ones], outputs, attributes) as [Value, Value, Value];
	return { value, inverse };
}

/**
 * y = x̂ s + b: ĝ = g s; dx = r (ĝ − mean ĝ − x̂ mean(ĝ x̂)), without mean ĝ where x is not centred;
 * ds = g x̂ and db = g, summed by the sweep.
 */
function backward(ops: Ops, g: Value, norm: Norm, scale: Value | undefined) {
	let made: Normalized | undefined;
	const hat = () => {
		made ??= normalize(ops, norm);
		return made;
	};
	return {
		x: () => {
			const { value, inverse } = hat();
			const scaled = scale === undefined ? g : ops.mul(g, scale);
			const along = ops.mul(value, ops.mean(ops.mul(scaled, value), norm.axes, true));
			const centred = norm.centred ? ops.sub(scaled, ops.mean(scaled, norm.axes, true)) : scaled;
			return ops.mul(inverse, ops.sub(centred, along));
		},
		scale: () => ops.mul(g, hat().value),
		bias: () => g,
	};
}

/** Inputs x, scale, bias; normalized over the axes from `axis` on. */
function layerNorm({ ops, g, x, node, rank }: RuleContext, centred: boolean): Lazy[] {
	const first = frontAxis(intOf(node, "axis", -1), rank());
	const axes = axesFrom(first, rank() - first);
	const gradients = backward(ops, g, { x: x(0), axes, epsilon: floatOf(node, "epsilon", 1e-5), centred }, x(1));
	return [gradients.x, gradients.scale, gradients.bias];
}

/** Sum of input, skip and bias, then a layer normalization over the last axis; output 3 is the sum. */
function skipNorm(context: RuleContext, centred: boolean): (Lazy | undefined)[] {
	const { ops, g, gradients: arrived, node, x, has, rank } = context;
	const biasAt = centred ? 4 : 3;
	const summed = () => {
		const sum = ops.add(x(0), x(1));
		return has(biasAt) ? ops.add(sum, x(biasAt)) : sum;
	};
	const norm = { x: node.outputs[3] ?? summed(), axes: [rank() - 1], epsilon: floatOf(node, "epsilon", 1e-12), centred };
	const gradients = backward(ops, g, norm, x(2));
	const through = arrived[3];
	let made: Value | undefined;
	const sum = () => {
		made ??= through === undefined ? gradients.x() : arrived[0] === undefined ? through : ops.add(gradients.x(), through);
		return made;
	};
	return centred ? [sum, sum, gradients.scale, gradients.bias, sum] : [sum, sum, gradients.scale, sum];
}

export const normalizations = {
	LayerNormalization: rule((context) => layerNorm(context, true)),
	/** What onnxruntime saves for x / rms(x) · scale; it stands in the default domain. */
	SimplifiedLayerNormalization: rule((context) => layerNorm(context, false)),
	RMSNormalization: rule((context) => layerNorm(context, false)),
	"com.microsoft.SkipLayerNormalization": rule((context) => skipNorm(context, true), [0, 3]),
	"com.microsoft.SkipSimplifiedLayerNormalization": rule((context) => skipNorm(context, false), [0, 3]),
};
