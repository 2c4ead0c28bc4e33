// Values and nodes of a model by name.
import type { Model, Node, Value } from "../../src/ir/graph.js";
import { allGraphs, allNodes, valuesOf } from "../../src/ir/walk.js";

export function valueCalled(model: Model, name: string): Value {
	for (const graph of allGraphs(model, true)) for (const value of valuesOf(graph)) if (value.name === name) return value;
	throw new Error(`no value is called "${name}"`);
}

/** The first node with this operator or name. */
export function nodeCalled(model: Model, name: string): Node {
	for (const node of allNodes(model, true)) if (node.opType === name || node.name === name) return node;
	throw new Error(`no node is called "${name}"`);
}
