// Ways through a model: nodes in every scope, bodies below a node, scopes above a graph.
import type { Graph, Model, Node, Value } from "./graph.js";

/** Graphs held in the attributes of `node`, with the attribute's name. */
export function* subgraphs(node: Node): Generator<{ readonly attribute: string; readonly graph: Graph }> {
	for (const [attribute, held] of node.attributes) {
		if (held.kind === "graph") yield { attribute, graph: held.value };
		else if (held.kind === "graphs") for (const graph of held.value) yield { attribute, graph };
	}
}

/** `graph` and every graph below it, outermost first. */
export function* graphsBelow(graph: Graph): Generator<Graph> {
	const pending: Graph[] = [graph];
	for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
		yield next;
		for (const node of next.nodes) for (const { graph: body } of subgraphs(node)) pending.push(body);
	}
}

/** Every graph of the model: the main graph and all bodies; function bodies only if asked for. */
export function* allGraphs(model: Model, withFunctions = false): Generator<Graph> {
	yield* graphsBelow(model.graph);
	if (withFunctions) for (const definition of model.functions) yield* graphsBelow(definition.body);
}

/** Every node in every scope of the main graph. */
export function* allNodes(model: Model, withFunctions = false): Generator<Node> {
	for (const graph of allGraphs(model, withFunctions)) yield* graph.nodes;
}

/** Every value defined in `graph` itself. */
export function* valuesOf(graph: Graph): Generator<Value> {
	const seen = new Set<Value>();
	const lists: Iterable<Value | undefined>[] = [graph.inputs, graph.initializers, graph.sparse];
	for (const node of graph.nodes) lists.push(node.outputs);
	for (const list of lists) {
		for (const value of list) {
			if (value !== undefined && !seen.has(value)) {
				seen.add(value);
				yield value;
			}
		}
	}
}

/** `graph` and its enclosing scopes, innermost first. */
export function* scopes(graph: Graph): Generator<Graph> {
	for (let scope: Graph | undefined = graph; scope !== undefined; scope = scope.parent) yield scope;
}

/** Where a graph stands: `main`, or `main/<node>.<attribute>` for a body. */
export function scopePath(graph: Graph): string {
	const owner = graph.owner;
	if (owner === undefined) return "main";
	let attribute = "";
	for (const held of subgraphs(owner)) if (held.graph === graph) attribute = held.attribute;
	return `${scopePath(owner.graph)}/${owner.name}.${attribute}`;
}

/** Label of a node for messages: its name, or operator and first output. */
export function nodeLabel(node: Node): string {
	if (node.name !== "") return `${node.opType} "${node.name}"`;
	const output = node.outputs.find((value) => value !== undefined);
	return output === undefined ? node.opType : `${node.opType} → "${output.name}"`;
}

/** Nodes that read `value`, each once, in any scope. */
export function readers(value: Value): Node[] {
	const found = new Set<Node>();
	for (const use of value.uses) if (use.kind === "node") found.add(use.node);
	return [...found];
}
