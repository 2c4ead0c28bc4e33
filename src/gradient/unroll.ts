// Puts the steps of a Loop or Scan, one after another, in its place, where it is known how many there are.
import { int, intOf, ints, intsOf } from "../ir/attributes.js";
import { addConstant, smallTensor } from "../ir/build.js";
import { addInt64, addNode, freshName, outputOf, removeNode } from "../ir/edit.js";
import { hasNumbers, readElements } from "../ir/elements.js";
import type { Attribute, Graph, Model, Node, Value } from "../ir/graph.js";
import { graphsBelow, subgraphs } from "../ir/walk.js";
import { readBy } from "./accumulate.js";
import { become, type Placed, placeConstants, placeNodes, placeOf } from "./body.js";
import { type Facts, frontAxis } from "./facts.js";

/** What is known of a value; undefined: nothing. */
export type Known = (value: Value) => Facts | undefined;

/** Nodes that loops may add to a training graph: it loads in some seconds then; the time grows faster than the graph. */
export const MOST_UNROLLED = 4_000;

/** What a Loop and a Scan have in common: states that go from step to step, and slices that come in or go out at each. */
interface Steps {
	readonly body: Graph;
	readonly count: number;
	/** The first states. */
	readonly states: readonly Value[];
	/** What the body's inputs before and behind the states are in a step. */
	readonly before: (step: number) => readonly Value[];
	readonly behind: (step: number) => readonly Value[];
	/** The body's first state among its outputs. */
	readonly firstState: number;
	/** For each output of slices: its axis, and if later steps come first. */
	readonly stacks: readonly Slices[];
}

interface Slices {
	readonly axis: number;
	readonly isReverse: boolean;
}

/** Why a Loop or Scan stays. */
class Kept extends Error {}

export interface UnrollOptions {
	readonly known: Known;
	/** Nodes that the main graph may have in the end. */
	readonly most: number;
	/** Gets the values that are the same in all steps → what stands for them now. */
	readonly moved: Map<Value, Value>;
	/** Gets the first output of each Loop or Scan that stays → why. */
	readonly kept: Map<Value, string>;
}

/**
 * Unrolls every Loop and Scan of the main graph whose number of steps depends on sizes and constants only. The results keep their names.
 * Returns how many went; loops in their bodies are there for the next round.
 */
export function unrollLoops(model: Model, { known, most, moved, kept }: UnrollOptions): number {
	let count = 0;
	for (const node of [...model.graph.nodes]) {
		if (!node.is("Loop") && !node.is("Scan")) continue;
		try {
			unroll(node, node.is("Loop") ? loopSteps(node, known, most) : scanSteps(node, known, most), moved);
			count++;
		} catch (error) {
			if (!(error instanceof Kept)) throw error;
			const first = node.outputs.find((value) => value !== undefined);
			if (first !== undefined) kept.set(first, error.message);
		}
	}
	return count;
}

function bodyOf(node: Node): Graph {
	const held = node.attributes.get("body");
	if (held?.kind !== "graph") throw new Kept(`${node.opType} without a body`);
	return held.value;
}

/** Refuses numbers of steps that make too many nodes (loops in loops multiply) or, where slices are stacked, no slice at all. */
function fits(node: Node, body: Graph, count: number, stacks: number, most: number): void {
	const nodes = [...graphsBelow(body)].reduce((sum, graph) => sum + graph.nodes.length, 0);
	if (node.graph.nodes.length + count * nodes > most) throw new Kept(`${node.opType} of ${count} steps, ${nodes} nodes each`);
	if (count === 0 && stacks > 0) throw new Kept(`${node.opType} without a step`);
}

/** Loop: trip count, condition, states. */
function loopSteps(node: Node, known: Known, most: number): Steps {
	const body = bodyOf(node);
	const [trips, condition, ...states] = node.inputs;
	const isOn = condition === undefined ? true : truth(known(condition)?.values?.[0]);
	if (isOn === undefined || !staysOn(body, known)) throw new Kept("Loop with a condition that is computed");
	const count = trips === undefined ? undefined : known(trips)?.values?.[0];
	if (count === undefined) throw new Kept("Loop whose number of steps depends on data");
	const [iteration, on] = body.inputs;
	const stacks = body.outputs.length - 1 - states.length;
	const steps = isOn ? Math.max(0, count) : 0;
	fits(node, body, steps, stacks, most);
	const first = defined(node, states);
	// The engine gives vectors of one element where the body asks for them.
	const shape = (value: Value | undefined) => (value?.type?.shape?.length === 1 ? [1] : []);
	const always = addConstant(node.graph, labelled(node, "on"), smallTensor("bool", [1], shape(on)));
	return {
		body,
		count: steps,
		states: first,
		before: (step) => [addInt64(node.graph, labelled(node, "step"), [step], shape(iteration)), always],
		behind: () => [],
		firstState: 1,
		stacks: Array.from({ length: stacks }, () => ({ axis: 0, isReverse: false })),
	};
}

/** True if the condition that the body returns is the one that it got, or a constant that holds. */
function staysOn(body: Graph, known: Known): boolean {
	let value = body.outputs[0]?.value;
	while (value?.producer?.is("Identity") === true || value?.producer?.is("Cast") === true) value = value.producer.inputs[0];
	if (value === undefined || value === body.inputs[1]) return value !== undefined;
	const stored = value.producer?.is("Constant") === true ? value.producer.attributes.get("value") : undefined;
	const tensor = stored?.kind === "tensor" ? stored.value : value.tensor;
	if (tensor === undefined) return truth(known(value)?.values?.[0]) === true;
	return hasNumbers(tensor.dtype) && Number(readElements(tensor.dtype, tensor.bytes(), 1)[0]) !== 0;
}

function truth(value: number | undefined): boolean | undefined {
	return value === undefined ? undefined : value !== 0;
}

/** Scan as it is since opset 9: states, then tensors that are read slice by slice. */
function scanSteps(node: Node, known: Known, most: number): Steps {
	if (node.graph.model.opset < 9) throw new Kept("Scan of opset 8");
	const body = bodyOf(node);
	const inputs = defined(node, node.inputs);
	const scanned = inputs.slice(inputs.length - intOf(node, "num_scan_inputs", 1));
	const states = inputs.slice(0, inputs.length - scanned.length);
	const reads = scanned.map((value, index) => slicesOf(node, "scan_input", index, known(value)));
	const outputs = body.outputs.length - states.length;
	const stacks = Array.from({ length: outputs }, (_, index) => {
		const output = node.outputs[states.length + index];
		return slicesOf(node, "scan_output", index, output === undefined ? undefined : known(output));
	});
	const [first] = scanned;
	const count = first === undefined ? undefined : known(first)?.dims[reads[0]?.axis ?? 0];
	if (count === undefined) throw new Kept("Scan over something of unknown sizes");
	fits(node, body, count, 1, most);
	const slices = scanned.map((value, index) => {
		const { axis = 0, isReverse = false } = reads[index] ?? {};
		const parts = cut(node, value, axis, count);
		return isReverse ? parts.toReversed() : parts;
	});
	return {
		body,
		count,
		states,
		before: () => [],
		behind: (step) => slices.flatMap((parts) => parts[step] ?? []),
		firstState: 0,
		stacks,
	};
}

function slicesOf(node: Node, kind: string, index: number, facts: Facts | undefined): Slices {
	const axis = intsOf(node, `${kind}_axes`)?.[index] ?? 0;
	if (axis < 0 && facts === undefined) throw new Kept("Scan along an axis of something of unknown sizes");
	return { axis: frontAxis(axis, facts?.dims.length ?? 0), isReverse: intsOf(node, `${kind}_directions`)?.[index] === 1 };
}

function unroll(node: Node, { body, count, states: first, before, behind, firstState, stacks }: Steps, moved: Map<Value, Value>): void {
	const shared = placeConstants(node, body);
	const varying = varyingOf(body);
	const isSame = (inner: Node) => !varying.has(inner);
	const label = labelled(node, "");
	placeNodes(node, body.nodes.filter(isSame), shared, (name) => `${label}${name}`);
	const slices = stacks.map((): Value[] => []);
	let states = first;
	for (let step = 0; step < count; step++) {
		const placed: Placed = new Map(shared);
		const given = [...before(step), ...states, ...behind(step)];
		for (const [index, input] of body.inputs.entries()) placed.set(input, given[index]);
		placeNodes(
			node,
			body.nodes.filter((inner) => varying.has(inner)),
			placed,
			(name) => `${label}${step}/${name}`,
		);
		const results = body.outputs.map(({ value }) => placeOf(value, placed)).slice(firstState);
		states = results.slice(0, states.length);
		for (const [index, parts] of slices.entries()) {
			const result = results[states.length + index];
			if (result !== undefined) parts.push(result);
		}
	}
	for (const [index, state] of states.entries()) become(node, index, state);
	for (const [index, { axis, isReverse }] of stacks.entries()) {
		const parts = slices[index] ?? [];
		if (node.outputs[states.length + index]?.uses.size)
			become(node, states.length + index, stack(node, isReverse ? parts.toReversed() : parts, axis));
	}
	removeNode(node);
	for (const [from, to] of shared) if (to !== undefined) moved.set(from, to);
}

/** Nodes of a body that are not the same in all steps: they depend on its inputs, or on chance. */
function varyingOf(body: Graph): ReadonlySet<Node> {
	const values = new Set<Value>(body.inputs);
	const found = new Set<Node>();
	for (const node of body.nodes) {
		const isChance = [node, ...nodesBelow(node)].some((inner) => /^(Random|Bernoulli|Multinomial|Dropout)/.test(inner.opType));
		if (!isChance && !readBy(node).some((value) => values.has(value))) continue;
		found.add(node);
		for (const output of node.outputs) if (output !== undefined) values.add(output);
	}
	return found;
}

function nodesBelow(node: Node): Node[] {
	return [...subgraphs(node)].flatMap(({ graph }) => [...graphsBelow(graph)].flatMap(({ nodes }) => nodes));
}

function defined(node: Node, values: readonly (Value | undefined)[]): Value[] {
	return values.map((value) => {
		if (value === undefined) throw new Kept(`${node.opType} that leaves a state out`);
		return value;
	});
}

/** Names start with the node's, or with its first output's. */
function labelled(node: Node, what: string): string {
	return `${node.name === "" ? (node.outputs.find((value) => value !== undefined)?.name ?? node.opType) : node.name}/${what}`;
}

/** `value` in `count` parts along `axis`, without that axis. */
function cut(node: Node, value: Value, axis: number, count: number): Value[] {
	const { graph } = node;
	const outputs = Array.from({ length: count }, () => freshName(graph.model, labelled(node, "slice")));
	const attributes = { axis: int(axis), ...(graph.model.opset < 18 ? {} : { num_outputs: int(count) }) };
	const split = addNode(graph, { opType: "Split", name: outputs[0] ?? "", inputs: [value], outputs, attributes }, node);
	return outputs.map((_, index) => withAxis(node, "Squeeze", outputOf(split, index), axis));
}

/** `parts` one after another along a new axis. */
function stack(node: Node, parts: readonly Value[], axis: number): Value {
	const inputs = parts.map((part) => withAxis(node, "Unsqueeze", part, axis));
	const name = freshName(node.graph.model, labelled(node, "stack"));
	return outputOf(addNode(node.graph, { opType: "Concat", name, inputs, outputs: [name], attributes: { axis: int(axis) } }, node));
}

/** Squeeze and Unsqueeze: the axis is an attribute before opset 13. */
function withAxis(node: Node, opType: string, value: Value, axis: number): Value {
	const { graph } = node;
	const name = freshName(graph.model, labelled(node, opType));
	const isInput = graph.model.opset >= 13;
	const inputs = isInput ? [value, addInt64(graph, labelled(node, "axis"), [axis])] : [value];
	const attributes: Record<string, Attribute> = isInput ? {} : { axes: ints([axis]) };
	return outputOf(addNode(graph, { opType, name, inputs, outputs: [name], attributes }, node));
}
