// Replaces calls of model-local functions by their bodies.
import { DistembError } from "../errors.js";
import { type CloneContext, cloneNode } from "./clone.js";
import { addNode, freshName, importOpset, removeNode } from "./edit.js";
import { type Attribute, type FunctionDefinition, functionKey, type Graph, type Model, type Node, type Value } from "./graph.js";
import { allNodes, graphsBelow } from "./walk.js";

/** The function that `node` calls, if it calls one. */
export function definitionOf(node: Node): FunctionDefinition | undefined {
	return node.graph.model.functionsByKey.get(functionKey(node.domain, node.opType, node.overload));
}

/** Nodes that calls may expand to. Functions that call others twice, these likewise, and so on, would expand without end. */
const MOST_NODES = 20_000;

/**
 * Inlines every call in the main graph and its bodies for which `wanted` holds, once; calls that were inside the
 * inlined bodies are there for the next round. A function whose operator sets differ from the model's stays.
 * Returns the nodes that came in.
 * @throws DistembError `refused` if there are too many of them
 */
export function inlineCalls(model: Model, wanted: (call: Node, definition: FunctionDefinition) => boolean): Node[] {
	const added: Node[] = [];
	for (const call of [...allNodes(model)]) {
		const definition = definitionOf(call);
		if (definition === undefined || !opsetsAgree(model, definition) || !wanted(call, definition)) continue;
		for (const node of inlineCall(call, definition)) added.push(node);
		if (added.length > MOST_NODES) {
			const why = `calls of functions such as "${definition.name}" expand to more than ${MOST_NODES} nodes`;
			throw new DistembError("refused", why, { hint: "export the model without local functions" });
		}
	}
	return added;
}

/**
 * Puts the body of `definition` in the place of `call`. The call's outputs keep their names; everything else gets names
 * that nobody else has. Formal inputs that the call leaves out are left out by their readers too. Returns the new nodes.
 * @throws DistembError `input` if the function does not return what is read of the call
 */
export function inlineCall(call: Node, definition: FunctionDefinition): Node[] {
	const { graph } = call;
	const { body } = definition;
	const label = call.name === "" ? call.opType : call.name;
	const values = new Map<Value, Value | undefined>(body.inputs.map((formal, index) => [formal, call.inputs[index]]));
	const results = resultsOf(call, definition);
	const attributes = new Map<string, Attribute>([...definition.attributeDefaults, ...call.attributes]);
	const context: CloneContext = {
		values,
		attributes,
		before: call,
		rename: (name) => `${label}/${name}`,
		nameOf: (value) => results.get(value) ?? freshName(graph.model, `${label}/${value.name}`),
	};
	const added = body.nodes.map((node) => cloneNode(node, graph, context));
	for (const [index, { value }] of body.outputs.entries()) {
		const output = call.outputs[index];
		const source = values.get(value);
		if (output === undefined || source === undefined) continue;
		addNode(graph, { opType: "Identity", name: `${label}/${output.name}`, inputs: [source], outputs: [output] }, call);
	}
	for (const output of call.outputs) {
		if (output === undefined || output.uses.size === 0) continue;
		throw new DistembError("input", `function "${definition.name}" returns no value for "${output.name}", which is read`);
	}
	removeNode(call);
	for (const { domain } of nodesBelow(body)) importOpset(graph.model, domain, definition.opsets.get(domain) ?? 1);
	return added;
}

/** Body values that become an output of the call themselves: computed by a node, and returned once. */
function resultsOf(call: Node, { body }: FunctionDefinition): Map<Value, Value> {
	const results = new Map<Value, Value>();
	for (const [index, { value }] of body.outputs.entries()) {
		const output = call.outputs[index];
		if (output !== undefined && value.producer !== undefined && !results.has(value)) results.set(value, output);
	}
	return results;
}

/** Both sides name the same version of every operator set that they share. */
function opsetsAgree(model: Model, { opsets }: FunctionDefinition): boolean {
	return [...opsets].every(([domain, version]) => (model.opsets.get(domain) ?? version) === version);
}

/** Definitions that a node of the main graph or of a body calls, directly or through other functions. */
export function calledFunctions(model: Model): Set<FunctionDefinition> {
	const called = new Set<FunctionDefinition>();
	const pending = [...allNodes(model)];
	for (let node = pending.pop(); node !== undefined; node = pending.pop()) {
		const definition = definitionOf(node);
		if (definition === undefined || called.has(definition)) continue;
		called.add(definition);
		pending.push(...nodesBelow(definition.body));
	}
	return called;
}

function nodesBelow(graph: Graph): Node[] {
	return [...graphsBelow(graph)].flatMap(({ nodes }) => nodes);
}
