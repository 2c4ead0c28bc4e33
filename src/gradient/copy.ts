// A model of its own for training: same graph, other operator sets; tensors are shared, nothing else is.
import { cloneNode } from "../ir/clone.js";
import { addFunction, addInitializer, addInput, addOutput, addSparse, createModel, setAttribute, setTensor } from "../ir/edit.js";
import type { Model, Value } from "../ir/graph.js";
import { Tensor } from "../ir/tensor.js";
import { allGraphs } from "../ir/walk.js";

export interface ModelCopy {
	readonly model: Model;
	/** Values of the original's main graph → values of the copy. */
	readonly values: ReadonlyMap<Value, Value>;
}

/** Training graphs are read by the engine only: initializers need not be inputs (IR 4), and bodies may hold bfloat16 (IR 10). */
const IR_VERSION = 10;

/** A copy of `model` whose operator sets are replaced by those of `opsets`; domains that it does not name stay. */
export function copyModel(model: Model, opsets: ReadonlyMap<string, number> = new Map()): ModelCopy {
	const merged = new Map([...model.opsets, ...opsets]);
	const copy = createModel(Math.max(model.irVersion, IR_VERSION), merged, model.graph.name);
	const values = new Map<Value, Value | undefined>();
	const { graph } = copy;
	for (const input of model.graph.inputs) if (input.tensor === undefined) values.set(input, addInput(graph, input.name, input.info));
	for (const value of model.graph.initializers) {
		if (value.tensor !== undefined) values.set(value, addInitializer(graph, value.name, value.tensor, value.info));
	}
	for (const value of model.graph.sparse) {
		values.set(value, addSparse(graph, value.name, value.source.kind === "sparse" ? value.source.carried : undefined));
	}
	const context = { values, attributes: new Map(), rename: (name: string) => name, nameOf: ({ name }: Value) => name };
	for (const node of model.graph.nodes) cloneNode(node, graph, context);
	for (const { value } of model.graph.outputs) {
		const result = values.get(value);
		// Without the declared type: the training graph is fixed to other sizes, and may compute in another precision.
		if (result !== undefined) addOutput(graph, result);
	}
	for (const definition of model.functions) addFunction(copy, definition);
	return { model: copy, values: new Map([...values].flatMap(([from, to]) => (to === undefined ? [] : [[from, to] as const]))) };
}

/** Tensors of `model` know their bytes themselves from now on: it can be encoded without the file that it comes from. */
export function detachPayloads(model: Model): void {
	for (const graph of allGraphs(model)) {
		for (const value of graph.initializers) if (value.tensor !== undefined) setTensor(value, detached(value.tensor));
		for (const node of graph.nodes) {
			for (const [name, held] of [...node.attributes])
				if (held.kind === "tensor") setAttribute(node, name, { ...held, value: detached(held.value) });
		}
	}
}

function detached(tensor: Tensor): Tensor {
	const { dtype, dims, data } = tensor;
	return data === undefined || tensor.carried === undefined ? tensor : new Tensor(dtype, dims, data);
}
