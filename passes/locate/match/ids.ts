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

/**
 * Ids reach a graph input that holds numbers, through value-preserving operators only; of an If, in every branch.
 * Step by step, not by recursion: a file may hold a chain of any length.
 */
export function traceIds(ids: Value, facts: Facts): IdSource {
	const seen = new Set<Value>();
	const pending = [ids];
	let bounded = false;
	let input = ids;
	for (let value = pending.pop(); value !== undefined; value = pending.pop()) {
		if (facts.view(value) !== undefined) return { kind: "computed", by: `the constant "${value.name}"` };
		if (seen.has(value)) continue;
		seen.add(value);
		const step = stepBack(value, facts, seen);
		if ("kind" in step) {
			if (step.kind === "computed") return step;
			input = step.value;
		} else {
			bounded ||= step.bounded === true;
			pending.push(...step.from.toReversed());
		}
	}
	return { kind: "input", value: input, bounded };
}

/** Where `value` comes from, or the values that it is made of. */
function stepBack(value: Value, facts: Facts, seen: ReadonlySet<Value>): IdSource | { from: readonly Value[]; bounded?: boolean } {
	const { producer } = value;
	if (producer === undefined) return value.source.kind === "input" ? fromInput(value, seen) : computed(value);
	const data = producer.inputs[0];
	if (producer.domain !== "" || data === undefined) return computed(value);
	if (KEEPING.has(producer.opType)) return { from: [data] };
	if (BOUNDING.has(producer.opType)) {
		const open = producer.inputs.filter((input) => input !== undefined && facts.view(input) === undefined);
		return open.length === 1 && open[0] !== undefined ? { from: [open[0]], bounded: true } : computed(value);
	}
	if (!producer.is("If")) return computed(value);
	const index = producer.outputs.indexOf(value);
	const results = [...subgraphs(producer)].map(({ graph }) => graph.outputs[index]?.value);
	const from = results.filter((result) => result !== undefined);
	return from.length === 0 || from.length < results.length ? computed(value) : { from };
}

function computed(value: Value): IdSource {
	const node = value.producer;
	return { kind: "computed", by: node === undefined ? `"${value.name}"` : nodeLabel(node), node };
}

/** A graph input holds ids if it holds numbers; a body's formal input if what is passed to it does. */
function fromInput(value: Value, seen: ReadonlySet<Value>): IdSource | { from: readonly Value[] } {
	const dtype = value.type?.dtype;
	const { owner } = value.graph;
	if (owner === undefined) {
		const numeric = dtype === undefined || isFloat(dtype) || /^u?int\d+$/.test(dtype);
		return numeric ? { kind: "input", value, bounded: false } : { kind: "computed", by: `input "${value.name}"` };
	}
	const index = value.graph.inputs.indexOf(value);
	if (owner.is("Loop")) return fromLoop(owner, value, index, seen);
	if (owner.is("Scan")) {
		const outer = owner.inputs[index];
		return outer === undefined ? computed(value) : { from: [outer] };
	}
	return { kind: "input", value, bounded: false };
}

/** A loop's counter and condition are no ids; a carried value is one unless the body calculates the next one from it. */
function fromLoop(loop: Node, value: Value, index: number, seen: ReadonlySet<Value>): IdSource {
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
