// Quantized activations: rounding has no gradient, so gradients pass it as if it were not there (Bengio et al. 2013).
import type { Node, Value } from "../ir/graph.js";
import { sizeOf } from "./facts.js";
import type { Ops } from "./ops.js";

/**
 * Defines by hand the gradients of what quantizers write: DynamicQuantizeLinear → MatMulInteger → Cast, the engine's fused forms
 * of it, and QuantizeLinear → DequantizeLinear. The forward pass stays as it is.
 */
export function passQuantizers(ops: Ops): void {
	for (const node of ops.graph.nodes) {
		if (node.is("DequantizeLinear")) passPair(ops, node);
		else if (node.is("Cast")) passProduct(ops, node);
		else passFused(ops, node);
	}
}

/** y = dequantized(quantized(x)) ≈ x: dx = g. */
function passPair(ops: Ops, node: Node): void {
	const [source, output] = [node.inputs[0]?.producer, node.outputs[0]];
	const original = source?.is("QuantizeLinear") === true ? source.inputs[0] : undefined;
	if (original === undefined || output === undefined || !ops.knows(output) || ops.dtype(original) !== ops.dtype(output)) return;
	ops.gradientByHand(output, { inputs: [original], backward: (gradient) => [gradient] });
}

/** y = quantized(x) (W − zero) ≈ x / s · (W − zero), with the quantizer's step s held fixed: dx = G (W − zero)ᵀ / s. */
function passProduct(ops: Ops, cast: Node): void {
	const product = cast.inputs[0]?.producer;
	if (product?.is("MatMulInteger") !== true) return;
	const [quantized, weights, , zero] = product.inputs;
	const quantizer = quantizerOf(quantized);
	const step = quantizer?.outputs[1];
	if (step !== undefined) define(ops, cast, quantizer?.inputs[0], { weights, zero, factor: (near) => near.reciprocal(step) });
}

/** What the engine makes of the whole chain: y ≈ x (W − zero) · scale + bias; dx = G (W − zero)ᵀ · scale. */
function passFused(ops: Ops, node: Node): void {
	if (node.is("DynamicQuantizeMatMul", "com.microsoft")) {
		const [original, weights, scale, zero] = node.inputs;
		define(ops, node, original, { weights, zero, factor: () => scale });
	} else if (node.is("MatMulIntegerToFloat", "com.microsoft")) {
		const [quantized, weights, , scale, , zero] = node.inputs;
		define(ops, node, quantizerOf(quantized)?.inputs[0], { weights, zero, factor: () => scale });
	}
}

function quantizerOf(value: Value | undefined): Node | undefined {
	return value?.producer?.is("DynamicQuantizeLinear") === true ? value.producer : undefined;
}

interface Product {
	/** [k, n]. */
	readonly weights: Value | undefined;
	/** A scalar or [n]. */
	readonly zero: Value | undefined;
	/** What G is multiplied with: a scalar or [n]. */
	readonly factor: (ops: Ops) => Value | undefined;
}

function define(ops: Ops, node: Node, original: Value | undefined, { weights, zero, factor }: Product): void {
	const [output] = node.outputs;
	if (original === undefined || output === undefined || weights === undefined || ops.rank(weights) !== 2) return;
	const backward = (gradient: Value) => {
		const near = ops.at(`${output.name}_grad`);
		const dtype = ops.dtype(original);
		const whole = near.cast(weights, dtype);
		const centred = zero === undefined ? whole : near.sub(whole, near.cast(zero, dtype));
		const rows = near.reshape(gradient, [sizeOf(ops.dims(gradient), 0, -1), ops.dims(gradient).at(-1) ?? 1]);
		const scale = factor(near);
		const scaled = scale === undefined ? rows : near.mul(rows, scale);
		return [near.reshape(near.gemm(scaled, centred, { transB: true }), ops.dims(original))];
	};
	ops.gradientByHand(output, { inputs: [original], backward });
}
