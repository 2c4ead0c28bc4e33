// Rules of products with quantized weights: the gradient of the activations; the weights stay as they are.
import { int, intOf } from "../../ir/attributes.js";
import { sizeOf } from "../facts.js";
import { type Rule, rule } from "../rule.js";

/**
 * Y = A · dequantized(B)ᵀ + bias: dA = G · dequantized(B). The operator makes that matrix itself when it is given the unit matrix,
 * so no format of blocks is written down twice; the engine computes it once, at load. `stored`: how many inputs hold B.
 */
function product(stored: number, biasAt?: number): Rule {
	return rule(({ ops, g, has, node, dims }) => {
		const [size, columns] = [intOf(node, "K", 1), intOf(node, "N", 1)];
		const dtype = ops.dtype(g);
		const weights = () => {
			const unit = ops.one("EyeLike", [ops.filled([size, size], dtype)], { dtype, dims: [size, size] });
			const attributes = Object.fromEntries(node.attributes);
			// The faster accuracy levels round the activations.
			if (node.attributes.has("accuracy_level")) attributes.accuracy_level = int(0);
			return ops.one(node.opType, [unit, ...node.inputs.slice(1, 1 + stored)], { dtype, dims: [size, columns] }, attributes, node.domain);
		};
		const rows = ops.reshape(g, [sizeOf(ops.dims(g), 0, -1), columns]);
		const lazies = node.inputs.map((_, index) => (index === biasAt && has(index) ? () => g : undefined));
		return [() => ops.reshape(ops.gemm(rows, weights(), { transB: true }), dims(0)), ...lazies.slice(1)];
	});
}

export const quantized = {
	"com.microsoft.MatMulNBits": product(4, 5),
	"com.microsoft.MatMulBnb4": product(2),
};
