// Two models as one: what the first computes becomes what the second reads.
import { DistembError } from "../errors.js";
import { int } from "./attributes.js";
import { cloneGraph } from "./clone.js";
import { codeOfDType } from "./dtype.js";
import { addInput, addNode, addOutput, createModel, freshName, outputOf } from "./edit.js";
import type { Model, Value, ValueInfo } from "./graph.js";

export interface Joined {
	/** Inputs of both but those that are wired; the second's outputs. Payloads are shared with the two. */
	readonly model: Model;
	/** Values of both, bodies included → values of the joined model. */
	readonly values: ReadonlyMap<Value, Value>;
}

/**
 * Joins two models without functions at equal operator sets. `wires`: input of the second → value of the first's main graph.
 * A Cast stands where the declared types of the two ends differ. Names that both have get a number in the second.
 * @throws DistembError `refused`, naming the domain, if their operator sets differ
 */
export function joinModels(first: Model, second: Model, wires: ReadonlyMap<Value, Value>): Joined {
	for (const [domain, version] of second.opsets) {
		const other = first.opsets.get(domain) ?? version;
		if (other !== version)
			throw new DistembError("refused", `the files use versions ${other} and ${version} of "${domain}"`, {
				hint: "export them with the same versions",
			});
	}
	const opsets = new Map([...first.opsets, ...second.opsets]);
	const model = createModel(Math.max(first.irVersion, second.irVersion), opsets, second.graph.name);
	const { graph } = model;
	const values = new Map<Value, Value | undefined>();
	const nodeNames = new Set<string>();
	const context = {
		values,
		attributes: new Map(),
		rename: (name: string) => fresh(name, nodeNames),
		nameOf: ({ name }: Value) => freshName(model, name),
	};
	// Both may call sizes of their own by the same name, and the engine takes equal names for equal sizes.
	for (const input of first.graph.inputs)
		if (input.tensor === undefined) values.set(input, addInput(graph, freshName(model, input.name), apart(input.info)));
	cloneGraph(first.graph, graph, context);
	for (const [input, source] of wires) {
		const end = values.get(source);
		if (end !== undefined) values.set(input, fitted(end, source, input));
	}
	cloneGraph(second.graph, graph, context);
	for (const { value } of second.graph.outputs) {
		const output = values.get(value);
		if (output !== undefined) addOutput(graph, output);
	}
	return { model, values: new Map([...values].flatMap(([from, to]) => (to === undefined ? [] : [[from, to] as const]))) };
}

function fresh(name: string, taken: Set<string>): string {
	let free = name;
	for (let suffix = 1; taken.has(free); suffix++) free = `${name}_${suffix}`;
	taken.add(free);
	return free;
}

function apart(info: ValueInfo | undefined): ValueInfo | undefined {
	const shape = info?.type?.shape?.map((dim) => (typeof dim === "string" ? `first/${dim}` : dim));
	return info?.type === undefined ? info : { type: { ...info.type, shape }, carried: undefined };
}

/** `end` as the type that `input` was declared with. */
function fitted(end: Value, source: Value, input: Value): Value {
	const from = typeOf(source);
	const to = typeOf(input);
	if (from === undefined || to === undefined || from === to) return end;
	const name = freshName(end.graph.model, `${end.name}/${to}`);
	return outputOf(addNode(end.graph, { opType: "Cast", name, inputs: [end], outputs: [name], attributes: { to: int(codeOfDType(to)) } }));
}

function typeOf(value: Value) {
	const declared = value.graph.outputs.find((output) => output.value === value)?.info.type?.dtype;
	return value.type?.dtype ?? declared;
}
