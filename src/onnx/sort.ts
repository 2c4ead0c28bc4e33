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

function stableOrder(nodes: readonly NodeProto[], needs: readonly ReadonlySet<number>[]): NodeProto[] {
	const readers = nodes.map((): number[] => []);
	const open = needs.map((indices, index) => {
		for (const other of indices) readers[other]?.push(index);
		return indices.size;
	});
	const ready = open.flatMap((count, index) => (count === 0 ? [index] : []));
	const order: NodeProto[] = [];
	for (let next = ready.shift(); next !== undefined; next = ready.shift()) {
		const node = nodes[next];
		if (node !== undefined) order.push(node);
		for (const reader of readers[next] ?? []) {
			const left = (open[reader] ?? 0) - 1;
			open[reader] = left;
			if (left === 0) ready.push(reader);
		}
	}
	if (order.length < nodes.length) {
		const stuck = nodes[open.findIndex((count) => count > 0)];
		throw new DistembError("input", `the graph has a cycle through node "${stuck?.name ?? stuck?.op_type ?? "?"}"`);
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
