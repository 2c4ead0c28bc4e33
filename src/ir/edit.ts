// The only mutators of the IR. Every edge and its use are changed together, here and nowhere else.
import { DistembError } from "../errors.js";
import {
	type Attribute,
	type FunctionDefinition,
	functionKey,
	Graph,
	Model,
	Node,
	type Use,
	Value,
	type ValueInfo,
	type ValueSource,
} from "./graph.js";
import { int64Tensor, type Tensor } from "./tensor.js";
import { allGraphs, nodeLabel, valuesOf } from "./walk.js";

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

/** The IR is read-only by type; this is the one place that looks behind it. */
function mutable<T>(object: T): Mutable<T> {
	return object as Mutable<T>;
}

function listOf<T>(list: readonly T[]): T[] {
	return list as T[];
}

function defect(message: string): DistembError {
	return new DistembError("internal", message);
}

// --- edges -----------------------------------------------------------------

function addUse(value: Value, use: Use): void {
	(value.uses as Set<Use>).add(use);
}

function dropNodeUse(value: Value, node: Node, index: number): void {
	for (const use of value.uses) {
		if (use.kind === "node" && use.node === node && use.index === index) {
			(value.uses as Set<Use>).delete(use);
			return;
		}
	}
}

/** Makes `node` read `value` (or nothing) at input `index`; the input list grows as needed. */
export function setInput(node: Node, index: number, value: Value | undefined): void {
	const inputs = listOf(node.inputs);
	while (inputs.length <= index) inputs.push(undefined);
	const old = inputs[index];
	if (old !== undefined) dropNodeUse(old, node, index);
	inputs[index] = value;
	if (value !== undefined) addUse(value, { kind: "node", node, index });
}

/** Every reader of `from` (nodes in all scopes and graph outputs) reads `to` instead. */
export function replaceUses(from: Value, to: Value): void {
	for (const use of [...from.uses]) {
		if (use.kind === "node") setInput(use.node, use.index, to);
		else setOutput(use.graph, use.index, to);
	}
}

/** Appends a graph output. */
export function addOutput(graph: Graph, value: Value, info: ValueInfo = { type: undefined, carried: undefined }): void {
	addUse(value, { kind: "output", graph, index: graph.outputs.length });
	listOf(graph.outputs).push({ value, info });
}

/** Makes output `index` of `graph` return `value`; what is declared about the output stays. */
export function setOutput(graph: Graph, index: number, value: Value): void {
	const old = graph.outputs[index];
	if (old === undefined) throw defect(`graph "${graph.name}" has no output ${index}`);
	for (const use of old.value.uses) {
		if (use.kind === "output" && use.graph === graph && use.index === index) (old.value.uses as Set<Use>).delete(use);
	}
	addUse(value, { kind: "output", graph, index });
	listOf(graph.outputs)[index] = { value, info: old.info };
}

/** Declares something else about output `index` of `graph`. */
export function declareOutput(graph: Graph, index: number, info: ValueInfo): void {
	const output = graph.outputs[index];
	if (output === undefined) throw defect(`graph "${graph.name}" has no output ${index}`);
	listOf(graph.outputs)[index] = { value: output.value, info };
}

// --- values ----------------------------------------------------------------

/** A name that no value of the model has, in any scope: `base`, else `base_1`, `base_2`, … */
export function freshName(model: Model, base: string): string {
	let known = NAMES.get(model);
	if (known === undefined) {
		known = { used: new Set(), suffixes: new Map() };
		for (const graph of allGraphs(model, true)) for (const value of valuesOf(graph)) known.used.add(value.name);
		NAMES.set(model, known);
	}
	const { used, suffixes } = known;
	let name = base;
	for (let suffix = suffixes.get(base) ?? 1; used.has(name); suffix++) {
		name = `${base}_${suffix}`;
		suffixes.set(base, suffix + 1);
	}
	used.add(name);
	return name;
}

interface Names {
	readonly used: Set<string>;
	/** By base: the first suffix that was not tried. Thousands of copies of one function ask for the same base. */
	readonly suffixes: Map<string, number>;
}

/** Names in use per model, filled at the first question. */
const NAMES = new WeakMap<Model, Names>();

/** A new graph input, appended. */
export function addInput(graph: Graph, name: string, info?: ValueInfo): Value {
	const value = new Value(name, graph, { kind: "input" }, info);
	NAMES.get(graph.model)?.used.add(name);
	listOf(graph.inputs).push(value);
	return value;
}

/** A new initializer with exactly this name, appended; see {@link freshName}. */
export function addInitializer(graph: Graph, name: string, tensor: Tensor, info?: ValueInfo): Value {
	const value = new Value(name, graph, { kind: "initializer", tensor }, info);
	NAMES.get(graph.model)?.used.add(name);
	listOf(graph.initializers).push(value);
	return value;
}

/** A sparse initializer, carried as it is. */
export function addSparse(graph: Graph, name: string, carried?: Graph["carried"]): Value {
	const value = new Value(name, graph, { kind: "sparse", carried });
	NAMES.get(graph.model)?.used.add(name);
	listOf(graph.sparse).push(value);
	return value;
}

/** Turns a graph input into an initializer that is listed as an input too (an input with a default value). */
export function giveDefault(input: Value, tensor: Tensor): void {
	mutable(input).source = { kind: "initializer", tensor };
	listOf(input.graph.initializers).push(input);
}

/** Puts other contents under an initializer. */
export function setTensor(value: Value, tensor: Tensor): void {
	if (value.source.kind !== "initializer") throw defect(`"${value.name}" is no initializer`);
	mutable(value).source = { kind: "initializer", tensor };
}

/** Declares a type (or nothing) for a value; a stale declaration is dropped with `undefined`. */
export function setInfo(value: Value, info: ValueInfo | undefined): void {
	mutable(value).info = info;
	const described = listOf(value.graph.described);
	const at = described.indexOf(value);
	if (info === undefined && at >= 0) described.splice(at, 1);
}

/** Lists `value` in its graph's value_info. */
export function describe(value: Value, info: ValueInfo): void {
	mutable(value).info = info;
	listOf(value.graph.described).push(value);
}

export function renameValue(value: Value, name: string): void {
	NAMES.get(value.graph.model)?.used.add(name);
	mutable(value).name = name;
}

/** Removes an initializer that nobody reads (from the input list too). */
export function removeInitializer(value: Value): void {
	if (value.uses.size > 0) throw defect(`initializer "${value.name}" still has readers`);
	const { graph } = value;
	for (const list of [graph.initializers, graph.inputs, graph.described]) {
		const at = list.indexOf(value);
		if (at >= 0) listOf(list).splice(at, 1);
	}
}

// --- nodes -----------------------------------------------------------------

export interface NodeSpec {
	readonly opType: string;
	readonly domain?: string;
	readonly overload?: string;
	readonly name?: string;
	readonly inputs: readonly (Value | undefined)[];
	/** Each output: a name for a new value, an existing value whose definition moves here, or undefined for none. */
	readonly outputs: readonly (string | Value | undefined)[];
	readonly attributes?: Readonly<Record<string, Attribute>> | ReadonlyMap<string, Attribute>;
}

/**
 * Adds a node to `graph`, before `before` or at the end.
 * An existing value given as an output is taken over: its old producer no longer defines it, its name and readers stay.
 */
export function addNode(graph: Graph, spec: NodeSpec, before?: Node, carried?: Node["carried"]): Node {
	const attributes = spec.attributes instanceof Map ? spec.attributes : new Map(Object.entries(spec.attributes ?? {}));
	const node = new Node(graph, spec, attributes, carried);
	spec.inputs.forEach((value, index) => {
		setInput(node, index, value);
	});
	const outputs = listOf(node.outputs);
	spec.outputs.forEach((output, index) => {
		const source: ValueSource = { kind: "node", node, index };
		if (output === undefined) outputs.push(undefined);
		else if (typeof output === "string") {
			NAMES.get(graph.model)?.used.add(output);
			outputs.push(new Value(output, graph, source));
		} else outputs.push(takeOver(output, source));
	});
	const nodes = listOf(graph.nodes);
	const at = before === undefined ? nodes.length : nodes.indexOf(before);
	if (at < 0) throw defect(`${nodeLabel(node)} cannot stand before a node of another graph`);
	nodes.splice(at, 0, node);
	return node;
}

function takeOver(value: Value, source: ValueSource): Value {
	const { producer } = value;
	if (producer !== undefined) listOf(producer.outputs)[producer.outputs.indexOf(value)] = undefined;
	mutable(value).source = source;
	return value;
}

/** Output `index` of `node`; an error of ours if there is none. */
export function outputOf(node: Node, index = 0): Value {
	const value = node.outputs[index];
	if (value === undefined) throw defect(`${nodeLabel(node)} has no output ${index}`);
	return value;
}

/** Removes a node whose outputs nobody reads, with its bodies' uses of outer values. */
export function removeNode(node: Node): void {
	for (const value of node.outputs) {
		if (value !== undefined && value.uses.size > 0) throw defect(`${nodeLabel(node)} still has readers of "${value.name}"`);
	}
	detach(node);
	const nodes = listOf(node.graph.nodes);
	nodes.splice(nodes.indexOf(node), 1);
	for (const value of node.outputs) if (value !== undefined) setInfo(value, undefined);
}

function detach(node: Node): void {
	node.inputs.forEach((value, index) => {
		if (value !== undefined) dropNodeUse(value, node, index);
	});
	for (const [, held] of node.attributes) {
		const bodies = held.kind === "graph" ? [held.value] : held.kind === "graphs" ? held.value : [];
		for (const body of bodies) {
			for (const inner of body.nodes) detach(inner);
			for (const { value } of body.outputs) {
				for (const use of value.uses) if (use.kind === "output" && use.graph === body) (value.uses as Set<Use>).delete(use);
			}
		}
	}
}

/**
 * Removes `start` if nothing reads its results, then whatever fed only it, upwards. Initializers that lose their last reader go too.
 * Nodes that were dead before for other reasons are left alone.
 */
export function removeUnused(start: Iterable<Node>): void {
	const pending = [...start];
	for (let node = pending.pop(); node !== undefined; node = pending.pop()) {
		if (!node.graph.nodes.includes(node)) continue;
		if (node.outputs.some((value) => value !== undefined && value.uses.size > 0)) continue;
		const fed = new Set(node.inputs.filter((value) => value !== undefined));
		removeNode(node);
		for (const value of fed) {
			if (value.uses.size > 0) continue;
			if (value.producer !== undefined) pending.push(value.producer);
			else if (value.source.kind === "initializer") removeInitializer(value);
		}
	}
}

export function setAttribute(node: Node, name: string, attribute: Attribute | undefined): void {
	const attributes = node.attributes as Map<string, Attribute>;
	if (attribute === undefined) attributes.delete(name);
	else attributes.set(name, attribute);
}

/** An empty body for attribute `attribute` of `owner`; fill it with the other functions here. */
export function addBody(owner: Node, name: string, carried?: Graph["carried"]): Graph {
	return new Graph(owner.graph.model, name, owner, carried);
}

// --- model -----------------------------------------------------------------

/** Declares an operator set; an existing import of the domain stays as it is. */
export function importOpset(model: Model, domain: string, version: number): void {
	if (!model.opsets.has(domain)) (model.opsets as Map<string, number>).set(domain, version);
}

export function addFunction(model: Model, definition: FunctionDefinition): void {
	listOf(model.functions).push(definition);
	index(model, definition);
}

export function removeFunction(model: Model, definition: FunctionDefinition): void {
	const at = model.functions.indexOf(definition);
	if (at < 0) return;
	listOf(model.functions).splice(at, 1);
	const key = functionKey(definition.domain, definition.name, definition.overload);
	if (model.functionsByKey.get(key) !== definition) return;
	(model.functionsByKey as Map<string, FunctionDefinition>).delete(key);
	for (const other of model.functions) index(model, other);
}

/** The first function of a key is the one that is called. */
function index(model: Model, definition: FunctionDefinition): void {
	const key = functionKey(definition.domain, definition.name, definition.overload);
	if (!model.functionsByKey.has(key)) (model.functionsByKey as Map<string, FunctionDefinition>).set(key, definition);
}

/** A new empty model. */
export function createModel(irVersion: number, opsets: Iterable<readonly [string, number]>, graphName = "main"): Model {
	return new Model(irVersion, new Map(opsets), graphName);
}

/** A new int64 constant, for shapes, axes and indices. */
export function addInt64(graph: Graph, base: string, values: readonly number[], dims?: readonly number[]): Value {
	return addInitializer(graph, freshName(graph.model, base), int64Tensor(values, dims));
}
