// A model of its own for training: same graph, other operator sets; tensors are shared, nothing else is.
import { cloneGraph } from "../ir/clone.js";
import { addFunction, addOutput, createModel, removeFunction, setAttribute, setTensor } from "../ir/edit.js";
import type { Model, Value } from "../ir/graph.js";
import { inlineCalls } from "../ir/inline.js";
import { Tensor } from "../ir/tensor.js";
import { allGraphs, allNodes } from "../ir/walk.js";

export interface ModelCopy {
	readonly model: Model;
	/** Values of the original, in bodies too → values of the copy. */
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
	cloneGraph(model.graph, graph, { values, attributes: new Map(), rename: (name) => name, nameOf: ({ name }) => name });
	for (const { value } of model.graph.outputs) {
		const result = values.get(value);
		// Without the declared type: the training graph is fixed to other sizes, and may compute in another precision.
		if (result !== undefined) addOutput(graph, result);
	}
	for (const definition of model.functions) addFunction(copy, definition);
	return { model: copy, values: new Map([...values].flatMap(([from, to]) => (to === undefined ? [] : [[from, to] as const]))) };
}

/** A copy without functions, as far as their operator sets agree with the model's, that needs no file to be encoded. */
export function flatCopy(model: Model): ModelCopy {
	const copy = copyModel(model);
	while (inlineCalls(copy.model, () => true).length > 0);
	const called = new Set([...allNodes(copy.model)].map(({ domain }) => domain));
	for (const definition of [...copy.model.functions]) if (!called.has(definition.domain)) removeFunction(copy.model, definition);
	detachPayloads(copy.model);
	return copy;
}

/** Tensors of `model` know their bytes themselves from now on: it can be encoded without the file that it comes from. */
function detachPayloads(model: Model): void {
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
