// What a training session runs: a graph that computes a loss and its gradients at one batch and length.
import { type Graph, type GraphOutput, Model, type Node, type Value } from "../../ir/graph.js";
import { graphsBelow, subgraphs } from "../../ir/walk.js";

/** A tensor that is trained: a graph input, fed in every run. */
export interface TrainedParameter {
	readonly value: Value;
	readonly dims: readonly number[];
	/** The loss's gradient with respect to it, of the same sizes; float32. */
	readonly gradient: Value;
	/** Row-major; copied when training begins. */
	readonly initial: Float32Array;
	/** False: weight decay leaves it alone (norms and biases). */
	readonly decays: boolean;
	/** Its learning rate as a multiple of the step's; 1 by default. */
	readonly rate?: number | undefined;
}

/** A loss and its gradients, in a graph of fixed sizes that needs no file to be encoded. Whoever differentiates the graph makes it; see gradient/. */
export interface TrainingProgram {
	readonly graph: Graph;
	/** One float32 element. */
	readonly loss: Value;
	readonly parameters: readonly TrainedParameter[];
}

/**
 * The model to hand to the engine: its outputs are the loss and the gradients, and only nodes that these need are in it.
 * It shares nodes with the graph, which stays as it is.
 */
export function modelOf({ graph, loss, parameters }: TrainingProgram): Model {
	return modelThatGives(graph, [loss, ...parameters.map(({ gradient }) => gradient)]);
}

/** A model that computes `wanted`, with the inputs, nodes and constants that these need only. It shares them with the graph, which stays as it is. */
export function modelThatGives(graph: Graph, wanted: readonly Value[]): Model {
	const needed = new Set<Value | undefined>(wanted);
	const nodes = graph.nodes.toReversed().filter((node) => {
		const isNeeded = node.outputs.some((value) => value !== undefined && needed.has(value));
		if (isNeeded) for (const value of readBy(node)) needed.add(value);
		return isNeeded;
	});
	const original = graph.model;
	const model = new Model(original.irVersion, original.opsets, graph.name, original.carried, graph.carried);
	const info = { type: undefined, carried: undefined };
	const outputs: GraphOutput[] = wanted.map((value) => ({ value, info }));
	Object.assign(model, { functions: original.functions });
	Object.assign(model.graph, {
		inputs: graph.inputs.filter((value) => needed.has(value)),
		initializers: graph.initializers.filter((value) => needed.has(value)),
		sparse: graph.sparse,
		nodes: nodes.toReversed(),
		outputs,
		described: [],
	});
	return model;
}

/** Inputs of a node, and everything that its bodies read. */
function* readBy(node: Node): Generator<Value | undefined> {
	yield* node.inputs;
	for (const { graph } of subgraphs(node)) {
		for (const body of graphsBelow(graph)) {
			for (const inner of body.nodes) yield* inner.inputs;
			for (const { value } of body.outputs) yield value;
		}
	}
}
