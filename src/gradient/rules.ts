// The one table of differentiation: operator → rule or stop. An operator that is not in it is missing, and the sweep says so.
import type { Node } from "../ir/graph.js";
import type { Rule, Stop } from "./rule.js";
import { activation } from "./rules/activation.js";
import { convolutions } from "./rules/convolution.js";
import { einsums } from "./rules/einsum.js";
import { elementwise } from "./rules/elementwise.js";
import { gathers } from "./rules/gather.js";
import { normalizations } from "./rules/normalization.js";
import { products } from "./rules/products.js";
import { quantized } from "./rules/quantized.js";
import { reductions } from "./rules/reduction.js";
import { shapes } from "./rules/shape.js";
import { stops } from "./rules/stops.js";

/**
 * Rules are written for operators as opset 18 defines them; `raise.ts` brings older graphs there.
 * Operators of other domains are called `domain.Operator`.
 */
export const RULES = {
	...elementwise,
	...activation,
	...products,
	...einsums,
	...quantized,
	...convolutions,
	...reductions,
	...shapes,
	...gathers,
	...normalizations,
	...stops,
} satisfies Readonly<Record<string, Rule | Stop>>;

export type OperatorName = keyof typeof RULES;

/** The table's type, for tests that put another rule in the place of one. */
export type Rules = Readonly<Record<string, Rule | Stop>>;

/** Name of an operator in the table. */
export function operatorOf(node: Node): string {
	return node.domain === "" ? node.opType : `${node.domain}.${node.opType}`;
}
