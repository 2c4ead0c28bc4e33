// Quantized activations: rounding has no gradient, so gradients pass it as if it were not there (Bengio et al. 2013).
import type { Node, Value } from "../ir/graph.js";
import { sizeOf } from "./facts.js";
import type { Ops } from "./ops.js";

/**
 * Defines by hand the gradients of what quantizers write: DynamicQuantizeLinear → MatMulInteger → Cast, and
 * QuantizeLinear → DequantizeLinear. The forward pass stays as it is.
 */
export function passQuantizers(ops: Ops): void {
	for (const node of ops.graph.nodes) {
		if (node.is("DequantizeLinear")) passPair(ops, node);
		else if (node.is("Cast")) passProduct(ops, node);
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
	const [output] = cast.outputs;
	if (product?.is("MatMulInteger") !== true || output === undefined) return;
	const [quantized, weights, , zero] = product.inputs;
	const quantizer = quantized?.producer;
	const original = quantizer?.is("DynamicQuantizeLinear") === true ? quantizer.inputs[0] : undefined;
	const step = quantizer?.outputs[1];
	if (original === undefined || step === undefined || weights === undefined || ops.rank(weights) !== 2) return;
	const backward = (gradient: Value) => {
		const dtype = ops.dtype(original);
		const near = ops.at(`${output.name}_grad`);
		const whole = near.cast(weights, dtype);
		const centred = zero === undefined ? whole : near.sub(whole, near.cast(zero, dtype));
		const rows = near.reshape(gradient, [sizeOf(ops.dims(gradient), 0, -1), ops.dims(gradient).at(-1) ?? 1]);
		const result = near.gemm(near.div(rows, step), centred, { transB: true });
		return [near.reshape(result, ops.dims(original))];
	};
	ops.gradientByHand(output, { inputs: [original], backward });
}
