// The cases of every rule: a rule without one does not compile.
import type { DECOMPOSITIONS } from "../../src/gradient/decompose.js";
import type { Rule } from "../../src/gradient/rule.js";
import type { OperatorName, RULES } from "../../src/gradient/rules.js";
import { activation } from "./cases/activation.js";
import { composite } from "./cases/composite.js";
import { elementwise } from "./cases/elementwise.js";
import { gather } from "./cases/gather.js";
import { normalization } from "./cases/normalization.js";
import { products } from "./cases/products.js";
import { reduction } from "./cases/reduction.js";
import { shape } from "./cases/shape.js";
import type { GradientCase } from "./check.js";

/** Operators that have a rule, not a stop. */
type RuleName = { [P in OperatorName]: (typeof RULES)[P] extends Rule ? P : never }[OperatorName];

/** Cases of rules and of decompositions. */
export const CASES: Readonly<Record<RuleName | keyof typeof DECOMPOSITIONS, readonly GradientCase[]>> = {
	...elementwise,
	...activation,
	...products,
	...reduction,
	...shape,
	...gather,
	...normalization,
	...composite,
};
