// A product with an activation behind it, in two nodes.
import { float, floatOf, stringOf } from "../../ir/attributes.js";
import type { Attribute, Value } from "../../ir/graph.js";
import type { RuleContext } from "../rule.js";

/** com.microsoft.FusedGemm: Gemm, then the activation that it names. */
export function fusedGemm({ ops, y, node, unsupported }: RuleContext): readonly Value[] {
	const activation = stringOf(node, "activation", "");
	if (!["Relu", "Tanh", "Sigmoid", "LeakyRelu", "Elu"].includes(activation)) unsupported(`FusedGemm with activation "${activation}"`);
	const facts = { dtype: ops.dtype(y()), dims: ops.dims(y()) };
	const own: [string, Attribute][] = [...node.attributes].filter(([name]) => !name.startsWith("activation"));
	const product = ops.one("Gemm", node.inputs, facts, Object.fromEntries(own));
	const hasAlpha = node.attributes.has("activation_alpha");
	const attributes = hasAlpha ? { alpha: float(floatOf(node, "activation_alpha", 0)) } : {};
	return [ops.one(activation, [product], facts, attributes)];
}
