// Invariants of the IR: single assignment, scopes, no new shadowing, order, use-def edges that agree, opsets.
import { DistembError } from "../errors.js";
import type { Graph, Model, Node, Use, Value } from "./graph.js";
import { allGraphs, nodeLabel, scopePath, scopes, subgraphs, valuesOf } from "./walk.js";

/** Throws `internal` with the first broken invariant. */
export function checkModel(model: Model): void {
	const problem = problems(model).next();
	if (problem.done !== true) throw new DistembError("internal", problem.value);
}

/** Every broken invariant of `model`, as one sentence each. */
export function* problems(model: Model): Generator<string> {
	const uses = new Map<Value, Use[]>();
	for (const graph of allGraphs(model, true)) yield* graphProblems(graph, uses);
	yield* shadowProblems(model);
	for (const graph of allGraphs(model, true)) {
		for (const value of valuesOf(graph)) yield* useProblems(value, uses.get(value) ?? []);
	}
	for (const domain of usedDomains(model)) if (!model.opsets.has(domain)) yield `no operator set is imported for domain "${domain}"`;
}

function* graphProblems(graph: Graph, uses: Map<Value, Use[]>): Generator<string> {
	const names = new Map<string, Value>();
	for (const value of valuesOf(graph)) {
		if (value.graph !== graph) yield `"${value.name}" stands in ${scopePath(graph)} but belongs to ${scopePath(value.graph)}`;
		if (names.has(value.name)) yield `"${value.name}" is defined twice in ${scopePath(graph)}`;
		names.set(value.name, value);
	}
	const ready = new Set<Value>([...graph.inputs, ...graph.initializers, ...graph.sparse]);
	const note = (value: Value, use: Use) => {
		const list = uses.get(value);
		if (list === undefined) uses.set(value, [use]);
		else list.push(use);
	};
	for (const node of graph.nodes) {
		if (node.graph !== graph) yield `${nodeLabel(node)} stands in ${scopePath(graph)} but belongs to ${scopePath(node.graph)}`;
		for (const value of readBy(node)) {
			if (value.graph === graph && !ready.has(value)) yield `${nodeLabel(node)} reads "${value.name}" before it is computed`;
			if (!isVisible(value, graph) && !isInside(value.graph, node)) {
				yield `${nodeLabel(node)} in ${scopePath(graph)} reads "${value.name}" of ${scopePath(value.graph)}, which is no enclosing scope`;
			}
		}
		node.inputs.forEach((value, index) => {
			if (value !== undefined) note(value, { kind: "node", node, index });
		});
		node.outputs.forEach((value) => {
			if (value === undefined) return;
			ready.add(value);
		});
		for (const [index, value] of node.outputs.entries()) {
			if (value === undefined) continue;
			const { source } = value;
			if (source.kind !== "node" || source.node !== node || source.index !== index) {
				yield `"${value.name}" does not know that ${nodeLabel(node)} computes it`;
			}
		}
	}
	for (const [index, { value }] of graph.outputs.entries()) {
		note(value, { kind: "output", graph, index });
		if (value.graph === graph ? !ready.has(value) : !isVisible(value, graph))
			yield `output "${value.name}" of ${scopePath(graph)} is not defined`;
	}
}

/** A value of ours that has the name of a value in an enclosing scope. What a file came with is left as it is. */
function* shadowProblems(model: Model): Generator<string> {
	const names = new Map<Graph, ReadonlyMap<string, Value>>();
	for (const graph of allGraphs(model, true)) names.set(graph, new Map([...valuesOf(graph)].map((value) => [value.name, value])));
	for (const [graph, own] of names) {
		for (const outer of scopes(graph)) {
			if (outer === graph) continue;
			for (const [name, value] of own) {
				const hidden = names.get(outer)?.get(name);
				if (hidden === undefined || !(value.isNew || hidden.isNew)) continue;
				if (isComputedBefore(hidden, graph)) yield `"${name}" of ${scopePath(graph)} hides a value of ${scopePath(outer)}`;
			}
		}
	}
}

/** False for what `body`'s own node or a later one computes: exporters give an If and its branches outputs of one name. */
function isComputedBefore({ producer }: Value, body: Graph): boolean {
	if (producer === undefined) return true;
	const { nodes } = producer.graph;
	for (const { owner } of scopes(body)) if (owner?.graph === producer.graph) return nodes.indexOf(producer) < nodes.indexOf(owner);
	return true;
}

/** Inputs of a node and every outer value that its bodies read. */
function* readBy(node: Node): Generator<Value> {
	for (const value of node.inputs) if (value !== undefined) yield value;
	for (const { graph } of subgraphs(node)) {
		for (const inner of graph.nodes) for (const value of readBy(inner)) if (!isInside(value.graph, node)) yield value;
		for (const { value } of graph.outputs) if (!isInside(value.graph, node)) yield value;
	}
}

function isInside(graph: Graph, node: Node): boolean {
	for (const scope of scopes(graph)) if (scope.owner === node) return true;
	return false;
}

function isVisible(value: Value, from: Graph): boolean {
	for (const scope of scopes(from)) if (scope === value.graph) return true;
	return false;
}

function* useProblems(value: Value, found: readonly Use[]): Generator<string> {
	if (value.uses.size !== found.length) yield `"${value.name}" records ${value.uses.size} uses but has ${found.length}`;
	const recorded = new Map<Node | Graph, Set<number>>();
	for (const use of value.uses) {
		const indices = recorded.get(reader(use)) ?? new Set();
		recorded.set(reader(use), indices.add(use.index));
	}
	for (const use of found) if (recorded.get(reader(use))?.has(use.index) !== true) yield `a use of "${value.name}" is not recorded`;
}

/** Nodes and graphs are different objects, so that the reader tells the kind of use too. */
const reader = (use: Use): Node | Graph => (use.kind === "node" ? use.node : use.graph);

function usedDomains(model: Model): Set<string> {
	const domains = new Set<string>();
	const called = new Set(model.functions.map(({ domain, name }) => `${domain}\0${name}`));
	for (const graph of allGraphs(model)) {
		for (const { domain, opType } of graph.nodes) if (!called.has(`${domain}\0${opType}`)) domains.add(domain);
	}
	return domains;
}
