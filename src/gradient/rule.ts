// What a rule of differentiation is. The rules themselves stand in `rules/`, the table in `rules.ts`.
import { DistembError } from "../errors.js";
import type { Node, Value } from "../ir/graph.js";
import { nodeLabel } from "../ir/walk.js";
import type { Dims } from "./facts.js";
import type { Ops } from "./ops.js";

/**
 * Gradient of a table of which only some rows were read: row `ids[i]` of the table gets `rows[i]` added, and ids may repeat.
 * `ids` is int64 [n] (negative ids count from the end), `rows` [n, …the table's other sizes].
 */
export interface RowGradient {
	readonly kind: "rows";
	readonly ids: Value;
	readonly rows: Value;
}

/** A gradient: a value of the input's sizes, or of sizes that its broadcasting gave it (the sweep sums them), or rows. */
export type Gradient = Value | RowGradient;

/** Computes the gradient of one input; only called for inputs whose gradient is wanted. */
export type Lazy = () => Gradient;

/**
 * One entry per input of the node, in order. Undefined, or nothing at the end of the list: the rule has no gradient of this input
 * (fine for shapes, indices and axes; reported if the input depends on a parameter). "none": it gets none, on purpose.
 */
export type Backward = (context: RuleContext) => readonly (Lazy | "none" | undefined)[];

/** A rule, and the outputs that it takes gradients of (the first only, unless said otherwise). */
export interface Rule {
	readonly kind: "rule";
	readonly outputs: readonly number[] | "all";
	readonly backward: Backward;
}

/** No gradient flows through this operator, on purpose: its result is no smooth function of its inputs. */
export interface Stop {
	readonly kind: "stop";
	readonly why: string;
}

/** A rule for an operator of which only the first output (or those given) takes part in the loss. */
export function rule(backward: Backward, outputs: readonly number[] | "all" = [0]): Rule {
	return { kind: "rule", outputs, backward };
}

export function stop(why: string): Stop {
	return { kind: "stop", why };
}

/** What a rule sees of its node. Members are properties, so that rules can take what they need apart. */
export class RuleContext {
	constructor(
		readonly node: Node,
		/** Adds the nodes of the gradient. */
		readonly ops: Ops,
		/** Gradient of each output; undefined where none arrived. */
		readonly gradients: readonly (Value | undefined)[],
	) {}

	/** Gradient of the first output; zeros if none arrived there. */
	get g(): Value {
		const [gradient] = this.gradients;
		return gradient ?? this.ops.filled(this.ops.dims(this.y()), this.ops.dtype(this.y()));
	}

	/** Input `index`. */
	readonly x = (index = 0): Value => {
		const value = this.node.inputs[index];
		if (value === undefined) throw new DistembError("internal", `${nodeLabel(this.node)} lacks input ${index}`);
		return value;
	};

	readonly has = (index: number): boolean => this.node.inputs[index] !== undefined;

	/** Output `index`. */
	readonly y = (index = 0): Value => {
		const value = this.node.outputs[index];
		if (value === undefined) throw new DistembError("internal", `${nodeLabel(this.node)} lacks output ${index}`);
		return value;
	};

	/** Sizes of input `index`. */
	readonly dims = (index = 0): Dims => this.ops.dims(this.x(index));

	readonly rank = (index = 0): number => this.dims(index).length;

	/** Elements of input `index`, which must depend on constants and shapes only; undefined if it is left out. */
	readonly integers = (index: number): readonly number[] | undefined => {
		const value = this.node.inputs[index];
		if (value === undefined) return undefined;
		const { values } = this.ops.facts(value);
		return values ?? this.unsupported(`input ${index} ("${value.name}") depends on data`);
	};

	/** Says that this use of the operator has no rule; the sweep treats it like an operator without one. */
	readonly unsupported = (why: string): never => {
		throw new Unsupported(why);
	};
}

/** A use of a known operator that its rule does not cover. Caught by the sweep, never seen outside. */
export class Unsupported extends Error {}
