// From graph outputs back to the projections that compute them.
import { intOf, intsOf } from "../../../src/ir/attributes.js";
import { isFloat } from "../../../src/ir/dtype.js";
import type { Graph, Model, Node, Value } from "../../../src/ir/graph.js";
import { allGraphs, subgraphs } from "../../../src/ir/walk.js";
import type { Facts } from "../matrix/facts.js";

/** A node whose result reaches an output through operators that keep the vocabulary axis. */
export interface Reached {
	readonly value: Value;
	/** Number of axes of the output, the vocabulary's included; undefined if it is not declared. */
	readonly rank: number | undefined;
	/** Size of the output's last axis, if it is declared and nothing on the way changes it. */
	readonly width: number | undefined;
	readonly output: string;
}

/** Operators whose data is input 0; the others only tell them how. */
const UNARY: ReadonlySet<string> = new Set(
	"Identity Cast Reshape Squeeze Unsqueeze Flatten Tanh LogSoftmax Softmax Dropout Transpose Expand Slice Gather Clip ArgMax TopK".split(
		" ",
	),
);
/** Operators with constants beside the data, in either order. */
const WITH_CONSTANTS: ReadonlySet<string> = new Set("Add Sub Mul Div Where Max Min Concat".split(" "));

/** Every value from which a graph output is made by operators that keep the last axis a vocabulary. */
export function reachedFromOutputs(model: Model, facts: Facts): Reached[] {
	const found = new Map<Value, Reached>();
	for (const { value, info } of model.graph.outputs) {
		const shape = info.type?.shape;
		const dtype = info.type?.dtype;
		const last = shape?.at(-1);
		const width = dtype === undefined || isFloat(dtype) ? (typeof last === "number" && last > 0 ? last : undefined) : undefined;
		walk(value, { rank: shape?.length, width, output: value.name }, found, facts);
	}
	for (const graph of decoders(model)) {
		for (const { value, info } of graph.outputs) {
			walk(value, { rank: info.type?.shape?.length, width: undefined, output: value.name }, found, facts);
		}
	}
	return [...found.values()];
}

/** Bodies whose results their node works on, such as the decoder of a GreedySearch. */
function* decoders(model: Model): Generator<Graph> {
	for (const graph of allGraphs(model)) {
		const { owner } = graph;
		if (owner !== undefined && !["If", "Loop", "Scan"].includes(owner.opType)) yield graph;
	}
}

/** Step by step, not by recursion: a file may hold a chain of any length. */
function walk(start: Value, from: Omit<Reached, "value">, found: Map<Value, Reached>, facts: Facts): void {
	const pending: Reached[] = [{ value: start, ...from }];
	for (let step = pending.pop(); step !== undefined; step = pending.pop()) {
		const { value } = step;
		if (found.has(value) || facts.view(value) !== undefined) continue;
		found.set(value, step);
		const node = value.producer;
		if (node === undefined) continue;
		for (const [next, change] of stepsBack(node, value, facts).toReversed()) pending.push({ ...step, ...change, value: next });
	}
}

type Step = readonly [Value, Partial<Omit<Reached, "value">>];

function stepsBack(node: Node, value: Value, facts: Facts): Step[] {
	if (node.is("If")) return bodyResults(node, node.outputs.indexOf(value));
	if (node.is("Loop")) return bodyResults(node, node.outputs.indexOf(value) + 1);
	if (node.is("Scan")) return bodyResults(node, node.outputs.indexOf(value));
	if (node.domain !== "") return [];
	const [data] = node.inputs;
	if (UNARY.has(node.opType)) return data === undefined || !keepsLastAxis(node, facts) ? [] : [[data, changeOf(node, facts)]];
	if (!WITH_CONSTANTS.has(node.opType)) return [];
	const open = node.inputs.filter((input) => input !== undefined && facts.view(input) === undefined);
	if (node.is("Concat")) {
		const along = axisFromEnd(intOf(node, "axis", 0), facts.rank(value));
		const change = along === undefined || along === -1 ? { width: undefined } : {};
		return open.flatMap((input) => (input === undefined ? [] : [[input, change] as const]));
	}
	return open.length === 1 && open[0] !== undefined ? [[open[0], {}]] : [];
}

/** The results of all bodies of a control-flow node that become its output. */
function bodyResults(node: Node, index: number): Step[] {
	return [...subgraphs(node)].flatMap(({ graph }) => {
		const result = graph.outputs[index]?.value;
		return result === undefined ? [] : [[result, {}] as const];
	});
}

function keepsLastAxis(node: Node, facts: Facts): boolean {
	if (node.is("Gather")) return intOf(node, "axis", 0) !== -1;
	if (node.is("ArgMax")) return [-1, undefined].includes(axisFromEnd(intOf(node, "axis", 0), facts.rank(node.inputs[0])));
	if (node.is("Transpose")) {
		const perm = intsOf(node, "perm");
		return perm !== undefined && perm.at(-1) === perm.length - 1;
	}
	return true;
}

function axisFromEnd(axis: number, rank: number | undefined): number | undefined {
	return axis < 0 ? axis : rank === undefined ? undefined : axis - rank;
}

/** What an operator tells about the width, seen from its output. */
function changeOf(node: Node, facts: Facts): Partial<Omit<Reached, "value">> {
	if (node.is("Reshape")) {
		const last = lastSize(node.inputs[1], facts);
		return last === undefined || last <= 0 ? {} : { width: last };
	}
	return ["ArgMax", "TopK", "Slice", "Expand", "Flatten"].includes(node.opType) ? { width: undefined } : {};
}

/** The last number of a shape given as a value, where it is a constant. */
function lastSize(shape: Value | undefined, facts: Facts): number | undefined {
	const known = facts.numbers(shape)?.at(-1);
	if (known !== undefined) return known;
	const node = shape?.producer;
	return node?.is("Concat") === true ? facts.numbers(node.inputs.at(-1))?.at(-1) : undefined;
}
