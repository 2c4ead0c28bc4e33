// Where a lookup's ids come from: traced back through operators that keep values, never by name.
import { isFloat } from "../../../src/ir/dtype.js";
import type { Node, Value } from "../../../src/ir/graph.js";
import { nodeLabel, subgraphs } from "../../../src/ir/walk.js";
import type { Facts } from "../matrix/facts.js";

/** Ids given from outside (the graph input or a body's formal input), or computed, with what computes them. */
export type IdSource =
	/** `bounded`: they pass through a Clip, which may turn many ids into one. */
	| { readonly kind: "input"; readonly value: Value; readonly bounded: boolean }
	| { readonly kind: "computed"; readonly by: string; readonly node?: Node | undefined };

/** Operators whose first output holds values of their first input, no others. */
const KEEPING: ReadonlySet<string> = new Set("Identity Cast Reshape Squeeze Unsqueeze Flatten Transpose Slice Expand".split(" "));
/** The same, if the other inputs are constants. */
const BOUNDING: ReadonlySet<string> = new Set(["Clip", "Min", "Max"]);

/** Ids reach a graph input that holds numbers, through value-preserving operators only. */
export function traceIds(ids: Value, facts: Facts): IdSource {
	return trace(ids, facts, new Set());
}

function trace(value: Value, facts: Facts, seen: Set<Value>): IdSource {
	if (facts.view(value) !== undefined) return { kind: "computed", by: `the constant "${value.name}"` };
	if (seen.has(value)) return { kind: "input", value, bounded: false };
	seen.add(value);
	const { producer } = value;
	if (producer === undefined) return value.source.kind === "input" ? traceInput(value, facts, seen) : computed(value);
	const data = producer.inputs[0];
	if (producer.domain !== "" || data === undefined) return computed(value);
	if (KEEPING.has(producer.opType)) return trace(data, facts, seen);
	if (BOUNDING.has(producer.opType)) {
		const open = producer.inputs.filter((input) => input !== undefined && facts.view(input) === undefined);
		const found = open.length === 1 && open[0] !== undefined ? trace(open[0], facts, seen) : computed(value);
		return found.kind === "input" ? { ...found, bounded: true } : found;
	}
	if (producer.is("If")) return traceBranches(producer, value, facts, seen);
	return computed(value);
}

function computed(value: Value): IdSource {
	const node = value.producer;
	return { kind: "computed", by: node === undefined ? `"${value.name}"` : nodeLabel(node), node };
}

/** Every branch must pass ids on. */
function traceBranches(node: Node, value: Value, facts: Facts, seen: Set<Value>): IdSource {
	let found: IdSource = computed(value);
	for (const { graph } of subgraphs(node)) {
		const result = graph.outputs[node.outputs.indexOf(value)]?.value;
		found = result === undefined ? computed(value) : trace(result, facts, seen);
		if (found.kind === "computed") return found;
	}
	return found;
}

/** A graph input holds ids if it holds numbers; a body's formal input if what is passed to it does. */
function traceInput(value: Value, facts: Facts, seen: Set<Value>): IdSource {
	const dtype = value.type?.dtype;
	const { owner } = value.graph;
	if (owner === undefined) {
		const numeric = dtype === undefined || isFloat(dtype) || /^u?int\d+$/.test(dtype);
		return numeric ? { kind: "input", value, bounded: false } : { kind: "computed", by: `input "${value.name}"` };
	}
	const index = value.graph.inputs.indexOf(value);
	if (owner.is("Loop")) return traceLoop(owner, value, index, seen);
	if (owner.is("Scan")) {
		const outer = owner.inputs[index];
		return outer === undefined ? computed(value) : trace(outer, facts, seen);
	}
	return { kind: "input", value, bounded: false };
}

/** A loop's counter and condition are no ids; a carried value is one unless the body calculates the next one from it. */
function traceLoop(loop: Node, value: Value, index: number, seen: Set<Value>): IdSource {
	if (index < 2) return { kind: "computed", by: `the counter of ${nodeLabel(loop)}` };
	const next = value.graph.outputs[index - 1]?.value;
	if (next !== undefined && isArithmetic(next, seen)) return computed(next);
	return { kind: "input", value, bounded: false };
}

function isArithmetic(value: Value, seen: ReadonlySet<Value>): boolean {
	let node = value.producer;
	while (node !== undefined && KEEPING.has(node.opType) && !seen.has(value)) node = node.inputs[0]?.producer;
	return node !== undefined && /^(Add|Sub|Mul|Div|CumSum|Range|Neg)$/.test(node.opType);
}
