// Puts the branch that runs in the place of an If: only straight graphs are differentiated.
import { removeNode } from "../ir/edit.js";
import type { Graph, Model, Node, Value } from "../ir/graph.js";
import { become, placeConstants, placeNodes, placeOf } from "./body.js";

/**
 * Inlines every If of the main graph whose condition is known, inner ones of the chosen branch too.
 * The results keep their names. Returns how many Ifs went; `moved` gets the branches' values → what stands for them now.
 */
export function inlineBranches(model: Model, conditionOf: (condition: Value) => boolean | undefined, moved: Map<Value, Value>): number {
	let count = 0;
	for (let found = 1; found > 0; count += found) {
		found = 0;
		for (const node of [...model.graph.nodes]) {
			const [condition] = node.inputs;
			const chosen = node.is("If") && condition !== undefined ? conditionOf(condition) : undefined;
			const branch = chosen === undefined ? undefined : node.attributes.get(chosen ? "then_branch" : "else_branch");
			if (branch?.kind !== "graph") continue;
			inlineBranch(node, branch.value, moved);
			found++;
		}
	}
	return count;
}

function inlineBranch(node: Node, body: Graph, moved: Map<Value, Value>): void {
	const placed = placeConstants(node, body);
	const results = resultsOf(node, body);
	placeNodes(node, body.nodes, placed, (name) => (node.name === "" ? name : `${node.name}/${name}`), results);
	// Outputs that a copy defines by now are none of `node` any more.
	for (const [index, { value }] of body.outputs.entries()) become(node, index, placeOf(value, placed));
	removeNode(node);
	for (const [from, to] of placed) if (to !== undefined) moved.set(from, to);
}

/** Values of the branch that become a result themselves: computed by a node of it, and returned once. */
function resultsOf(node: Node, body: Graph): Map<Value, Value> {
	const results = new Map<Value, Value>();
	for (const [index, { value }] of body.outputs.entries()) {
		const output = node.outputs[index];
		const isOwn = value.graph === body && value.producer !== undefined;
		if (output !== undefined && isOwn && !results.has(value)) results.set(value, output);
	}
	return results;
}
