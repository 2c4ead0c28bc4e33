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
	const quantizer = quantizerOf(product.inputs[0]);
	const step = quantizer?.outputs[1];
	if (step === undefined) return;
	define(ops, cast, quantizer?.inputs[0], { product, weights: 1, zero: 3, factor: (near) => near.reciprocal(step) });
}

/** What the engine makes of the whole chain: y ≈ x (W − zero) · scale + bias; dx = G (W − zero)ᵀ · scale. */
function passFused(ops: Ops, product: Node): void {
	if (product.is("DynamicQuantizeMatMul", "com.microsoft")) {
		define(ops, product, product.inputs[0], { product, weights: 1, zero: 3, factor: () => product.inputs[2] });
	} else if (product.is("MatMulIntegerToFloat", "com.microsoft")) {
		define(ops, product, quantizerOf(product.inputs[0])?.inputs[0], { product, weights: 1, zero: 5, factor: () => product.inputs[3] });
	}
}

function quantizerOf(value: Value | undefined): Node | undefined {
	return value?.producer?.is("DynamicQuantizeLinear") === true ? value.producer : undefined;
}

interface Product {
	readonly product: Node;
	/** Which input of the product holds W, [k, n]. */
	readonly weights: number;
	/** Which input holds its zero point, a scalar or [n]. */
	readonly zero: number;
	/** What G is multiplied with: a scalar or [n]. */
	readonly factor: (ops: Ops) => Value | undefined;
}

function define(ops: Ops, node: Node, original: Value | undefined, { product, weights: weightsAt, zero: zeroAt, factor }: Product): void {
	const [output] = node.outputs;
	const stored = product.inputs[weightsAt];
	if (original === undefined || output === undefined || stored === undefined || ops.rank(stored) !== 2) return;
	const backward = (gradient: Value) => {
		const near = ops.at(`${output.name}_grad`);
		const dtype = ops.dtype(original);
		// Read now: constants may have become parameters since.
		const [weights = stored, zero, scale] = [product.inputs[weightsAt], product.inputs[zeroAt], factor(near)];
		const whole = near.cast(weights, dtype);
		const centred = zero === undefined ? whole : near.sub(whole, near.cast(zero, dtype));
		const rows = near.reshape(gradient, [sizeOf(ops.dims(gradient), 0, -1), ops.dims(gradient).at(-1) ?? 1]);
		const scaled = scale === undefined ? rows : near.mul(rows, scale);
		return [near.reshape(near.gemm(scaled, centred, { transB: true }), ops.dims(original))];
	};
	ops.gradientByHand(output, { inputs: [original], backward });
}
