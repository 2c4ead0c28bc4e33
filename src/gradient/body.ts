// Bodies of If, Loop and Scan brought into the graph around them: only straight graphs are differentiated.
import { type CloneContext, cloneNode } from "../ir/clone.js";
import { addInitializer, addNode, addSparse, freshName } from "../ir/edit.js";
import type { Graph, Node, Value } from "../ir/graph.js";

/** Values of a body → what stands for them in the graph around it. Others, of outer scopes, are read as they are. */
export type Placed = Map<Value, Value | undefined>;

/** Puts the constants of `body` into the graph of `owner`. */
export function placeConstants(owner: Node, body: Graph): Placed {
	const { graph } = owner;
	const placed: Placed = new Map();
	for (const value of body.initializers) {
		if (value.tensor !== undefined) placed.set(value, addInitializer(graph, nameOf(value), value.tensor, value.info));
	}
	for (const value of body.sparse) {
		placed.set(value, addSparse(graph, nameOf(value), value.source.kind === "sparse" ? value.source.carried : undefined));
	}
	return placed;

	function nameOf(value: Value): string {
		return freshName(graph.model, value.name);
	}
}

/** Copies `nodes` of a body before `owner`; `placed` grows. `results`: existing values that copies define from now on. */
export function placeNodes(
	owner: Node,
	nodes: readonly Node[],
	placed: Placed,
	rename: (name: string) => string,
	results: ReadonlyMap<Value, Value> = new Map(),
): void {
	const context: CloneContext = {
		values: placed,
		attributes: new Map(),
		before: owner,
		rename,
		nameOf: (value) => results.get(value) ?? freshName(owner.graph.model, value.name),
	};
	for (const node of nodes) cloneNode(node, owner.graph, context);
}

/** What stands for `value` of a body, or of a scope around it. */
export function placeOf(value: Value, placed: Placed): Value {
	return placed.get(value) ?? value;
}

/** Output `index` of `owner` is `source` from now on. */
export function become(owner: Node, index: number, source: Value): void {
	const output = owner.outputs[index];
	if (output === undefined) return;
	addNode(owner.graph, { opType: "Identity", name: `${owner.name}/${output.name}`, inputs: [source], outputs: [output] }, owner);
}
