// Order of nodes: files should be sorted; those that are not are, those that cannot be are refused.
import { DistembError } from "../errors.js";
import type { GraphProto, NodeProto } from "./schema.js";

/** `nodes` in an order in which every value is computed before it is read; the file's own order if it is one. */
export function sortNodes(nodes: readonly NodeProto[]): readonly NodeProto[] {
	const producer = new Map<string, number>();
	nodes.forEach((node, index) => {
		for (const name of node.output) {
			if (name === "") continue;
			if (producer.has(name)) throw new DistembError("input", `two nodes write "${name}"`);
			producer.set(name, index);
		}
	});
	const needs = nodes.map((node) => {
		const indices = new Set<number>();
		for (const name of freeNames(node)) {
			const index = producer.get(name);
			if (index !== undefined) indices.add(index);
		}
		return indices;
	});
	if (needs.every((indices, index) => [...indices].every((other) => other < index))) return nodes;
	return stableOrder(nodes, needs);
}

/** File order, except that what a node needs is moved in front of it. */
function stableOrder(nodes: readonly NodeProto[], needs: readonly ReadonlySet<number>[]): NodeProto[] {
	const order: NodeProto[] = [];
	const state = new Map<number, "open" | "done">();
	for (const start of nodes.keys()) {
		const pending = [start];
		for (let index = pending.at(-1); index !== undefined; index = pending.at(-1)) {
			const node = nodes[index];
			const waiting = [...(needs[index] ?? [])].filter((other) => state.get(other) !== "done").reverse();
			if (node === undefined || state.get(index) === "done") pending.pop();
			else if (waiting.length === 0) {
				state.set(index, "done");
				order.push(node);
				pending.pop();
			} else if (state.get(index) === "open" || waiting.includes(index)) {
				throw new DistembError("input", `the graph has a cycle through node "${node.name ?? node.op_type ?? "?"}"`);
			} else {
				state.set(index, "open");
				pending.push(...waiting);
			}
		}
	}
	return order;
}

/** Names that a node reads from its own scope or above: its inputs, and what its bodies read but do not define. */
function freeNames(node: NodeProto): Set<string> {
	const names = new Set(node.input);
	for (const attribute of node.attribute) {
		if (attribute.g !== undefined) for (const name of freeNamesOfGraph(attribute.g)) names.add(name);
		for (const graph of attribute.graphs) for (const name of freeNamesOfGraph(graph)) names.add(name);
	}
	return names;
}

function freeNamesOfGraph(graph: GraphProto): Set<string> {
	const names = new Set(graph.output.map(({ name }) => name ?? ""));
	for (const node of graph.node) for (const name of freeNames(node)) names.add(name);
	for (const { name } of graph.input) names.delete(name ?? "");
	for (const { name } of graph.initializer) names.delete(name ?? "");
	for (const node of graph.node) for (const name of node.output) names.delete(name);
	return names;
}
