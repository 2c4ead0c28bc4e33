// Copies nodes, with the bodies below them, and whole graphs into another place or another model.
import {
	addBody,
	addInitializer,
	addInput,
	addNode,
	addOutput,
	addSparse,
	describe,
	freshName,
	giveDefault,
	setAttribute,
} from "./edit.js";
import type { Attribute, Graph, Node, Value } from "./graph.js";

export interface CloneContext {
	/** Values of the original → values of the copy; grows with every node. Undefined: left out. Others are read as they are. */
	readonly values: Map<Value, Value | undefined>;
	/** What attribute references stand for. */
	readonly attributes: ReadonlyMap<string, Attribute>;
	/** The copy stands before this node; at the end if undefined. */
	readonly before?: Node | undefined;
	/** Name of the copy of a node. */
	readonly rename: (name: string) => string;
	/** Name for the copy of a value, or an existing value that the copy defines from now on. */
	readonly nameOf: (value: Value) => string | Value;
}

/**
 * Copies everything but the outputs of `from` to the end of `to`, a main graph of any model. Inputs that `context.values` knows
 * already are those of the copy; of the others, only what has no default value becomes an input.
 */
export function cloneGraph(from: Graph, to: Graph, context: CloneContext): void {
	const { values, nameOf } = context;
	const name = (value: Value) => {
		const given = nameOf(value);
		return typeof given === "string" ? given : given.name;
	};
	for (const input of from.inputs)
		if (input.tensor === undefined && !values.has(input)) values.set(input, addInput(to, name(input), input.info));
	for (const value of from.initializers)
		if (value.tensor !== undefined) values.set(value, addInitializer(to, name(value), value.tensor, value.info));
	for (const value of from.sparse)
		values.set(value, addSparse(to, name(value), value.source.kind === "sparse" ? value.source.carried : undefined));
	for (const node of from.nodes) cloneNode(node, to, context);
}

/** A copy of `node` in `graph`, which reads the copies of its inputs. */
export function cloneNode(node: Node, graph: Graph, context: CloneContext): Node {
	const { values, rename, nameOf, before } = context;
	const copy = addNode(
		graph,
		{
			opType: node.opType,
			domain: node.domain,
			overload: node.overload,
			name: node.name === "" ? "" : rename(node.name),
			inputs: trimmed(node.inputs.map((value) => copyOf(value, values))),
			outputs: node.outputs.map((value) => (value === undefined ? undefined : nameOf(value))),
		},
		before,
		node.carried,
	);
	for (const [index, value] of node.outputs.entries()) if (value !== undefined) values.set(value, copy.outputs[index]);
	for (const [name, held] of node.attributes) {
		const resolved = resolve(held, context.attributes);
		if (resolved === undefined) continue;
		if (resolved.kind === "graph") setAttribute(copy, name, { ...resolved, value: cloneBody(resolved.value, copy, context) });
		else if (resolved.kind === "graphs") {
			setAttribute(copy, name, { ...resolved, value: resolved.value.map((body) => cloneBody(body, copy, context)) });
		} else setAttribute(copy, name, resolved);
	}
	return copy;
}

function copyOf(value: Value | undefined, values: ReadonlyMap<Value, Value | undefined>): Value | undefined {
	return value !== undefined && values.has(value) ? values.get(value) : value;
}

/** Inputs without the omitted ones at the end. */
function trimmed(inputs: readonly (Value | undefined)[]): (Value | undefined)[] {
	return inputs.slice(0, inputs.findLastIndex((value) => value !== undefined) + 1);
}

/** A reference becomes what it stands for; undefined if it stands for nothing, then the operator's default holds. */
function resolve(held: Attribute, attributes: ReadonlyMap<string, Attribute>): Attribute | undefined {
	if (held.kind !== "reference") return held;
	const value = attributes.get(held.name);
	return value === undefined || value.kind === "opaque" ? value : { ...value, carried: undefined }; // its baggage bears another name
}

function cloneBody(body: Graph, owner: Node, context: CloneContext): Graph {
	const copy = addBody(owner, body.name, body.carried);
	const { values } = context;
	const fresh = (value: Value) => freshName(owner.graph.model, value.name);
	for (const input of body.inputs) {
		const value = addInput(copy, fresh(input), input.info);
		values.set(input, value);
	}
	for (const initializer of body.initializers) {
		const { tensor } = initializer;
		if (tensor === undefined) continue;
		const listed = values.get(initializer);
		if (listed === undefined) values.set(initializer, addInitializer(copy, fresh(initializer), tensor, initializer.info));
		else giveDefault(listed, tensor);
	}
	for (const sparse of body.sparse) {
		const carried = sparse.source.kind === "sparse" ? sparse.source.carried : undefined;
		values.set(sparse, addSparse(copy, fresh(sparse), carried));
	}
	for (const node of body.nodes) cloneNode(node, copy, { ...context, before: undefined, nameOf: fresh });
	for (const { value, info } of body.outputs) {
		const result = copyOf(value, values);
		if (result !== undefined) addOutput(copy, result, info);
	}
	for (const value of body.described) {
		const described = values.get(value);
		if (described !== undefined && value.info !== undefined) describe(described, value.info);
	}
	return copy;
}
