// The projection onto the vocabulary as a model of its own: from the hidden states to the logits.
import { cloneNode } from "../../src/ir/clone.js";
import { addInitializer, addInput, addOutput, createModel } from "../../src/ir/edit.js";
import type { Graph, Model, Node, Value } from "../../src/ir/graph.js";
import type { Projection } from "../../src/state.js";

export interface ProjectionPlace {
	/** Names of the values with hidden states and logits; they are the same in a compiled model. */
	readonly hidden: string;
	readonly output: string;
	/** Width of the hidden states, d. */
	readonly width: number;
	/** Axes of the hidden states. */
	readonly rank: number;
	readonly dtype: Projection["dtype"];
}

/** Name of the only input of {@link projectionAlone}. */
export const HIDDEN = "hidden_states";

export interface LoneProjection {
	readonly model: Model;
	/** Numbers in the tensors that it reads; undefined if some are packed into bytes. */
	readonly numbers: number | undefined;
	/** Stored bytes of these tensors. */
	readonly bytes: number;
}

/**
 * A model with the nodes of `model` between the two values, for one token. The tensors are shared with the original: encode it while that is open.
 * @throws Error if the values are not in the main graph
 */
export function projectionAlone(model: Model, place: ProjectionPlace): LoneProjection {
	const from = named(model.graph, place.hidden);
	const to = named(model.graph, place.output);
	const slice = nodesBetween(from, to);
	const { graph } = createModel(model.irVersion, model.opsets);
	const shape = [...Array<number>(place.rank - 1).fill(1), place.width];
	const values = new Map<Value, Value | undefined>();
	values.set(from, addInput(graph, HIDDEN, { type: { dtype: place.dtype, shape }, carried: undefined }));
	let [numbers, bytes, isPacked] = [0, 0, false];
	for (const value of new Set([...slice].flatMap((node) => [...node.inputs]))) {
		const tensor = value?.tensor;
		if (value === undefined || tensor === undefined) continue;
		values.set(value, addInitializer(graph, value.name, tensor, value.info));
		if (tensor.dtype === "int64") continue; // shapes and axes
		numbers += tensor.size;
		bytes += tensor.byteLength;
		isPacked ||= tensor.dtype === "uint8";
	}
	const context = { values, attributes: new Map(), rename: (name: string) => name, nameOf: ({ name }: Value) => name };
	for (const node of model.graph.nodes) if (slice.has(node)) cloneNode(node, graph, context);
	const logits = values.get(to);
	if (logits === undefined) throw new Error(`"${place.output}" is not computed from "${place.hidden}"`);
	addOutput(graph, logits, { type: { dtype: place.dtype, shape: undefined }, carried: undefined });
	return { model: graph.model, numbers: isPacked ? undefined : numbers, bytes };
}

function named(graph: Graph, name: string): Value {
	const outputs = graph.nodes.flatMap((node) => [...node.outputs]);
	const found = [...graph.inputs, ...outputs].find((value) => value?.name === name);
	if (found === undefined) throw new Error(`no value of the main graph is called "${name}"`);
	return found;
}

/** Nodes that `to` needs, without those that `from` needs. */
function nodesBetween(from: Value, to: Value): Set<Node> {
	const found = new Set<Node>();
	const pending = [to];
	for (let value = pending.pop(); value !== undefined; value = pending.pop()) {
		const node = value === from ? undefined : value.producer;
		if (node === undefined || found.has(node)) continue;
		found.add(node);
		pending.push(...node.inputs.filter((input) => input !== undefined));
	}
	return found;
}
