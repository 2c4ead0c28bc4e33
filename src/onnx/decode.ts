// Protobuf messages → IR: resolves names to values scope by scope, and refuses what no runtime would accept.
import { DistembError } from "../errors.js";
import {
	addBody,
	addFunction,
	addInitializer,
	addInput,
	addNode,
	addOutput,
	addSparse,
	describe,
	giveDefault,
	setAttribute,
} from "../ir/edit.js";
import { type Attribute, Graph, Model, type Node, type Value } from "../ir/graph.js";
import type { Carried } from "../ir/tensor.js";
import { carry } from "./carry.js";
import { readTensor, type TensorContext } from "./payload.js";
import { domainOf, listedTensors, refuseExternal, refuseRecursion, tensorsOfGraph, tensorsOfSparse } from "./refuse.js";
import {
	ATTRIBUTE_TYPE,
	type AttributeProto,
	type FunctionProto,
	floatOfBits,
	type GraphProto,
	type ModelProto,
	type NodeProto,
} from "./schema.js";
import { sortNodes } from "./sort.js";
import { readValueInfo } from "./types.js";

/** The newest default operator set that this tool knows (ONNX 1.23). */
export const NEWEST_OPSET = 28;

const fail = (reason: string) => new DistembError("input", reason);

/** Names visible in a graph. */
class Scope {
	readonly #names = new Map<string, Value>();
	readonly #parent: Scope | undefined;

	constructor(parent: Scope | undefined) {
		this.#parent = parent;
	}

	define(value: Value): void {
		if (this.#names.has(value.name)) throw fail(`"${value.name}" is defined twice in graph "${value.graph.name}"`);
		this.#names.set(value.name, value);
	}

	own(name: string): Value | undefined {
		return this.#names.get(name);
	}

	find(name: string): Value | undefined {
		return this.#names.get(name) ?? this.#parent?.find(name);
	}
}

/** Builds the IR of a decoded model. */
export function decodeModel(proto: ModelProto, context: TensorContext): Model {
	if (proto.graph === undefined) throw fail("is not an ONNX model: it holds no graph");
	const irVersion = proto.ir_version?.toNumber();
	if (irVersion === undefined || irVersion < 1) throw fail("is not an ONNX model: it names no IR version");
	const opsets = opsetsOf(proto.opset_import);
	const opset = opsets.get("") ?? 1;
	if (opset < 1 || opset > NEWEST_OPSET) {
		throw new DistembError("input", `uses opset ${opset} of the default domain, which does not exist (newest: ${NEWEST_OPSET})`);
	}
	const { graph, functions } = proto;
	const model = new Model(irVersion, opsets, graph.name ?? "", carry(proto, ["graph", "functions"]), carryGraph(graph));
	refuseRecursion(functions);
	for (const training of proto.training_info) {
		for (const body of [training.initialization, training.algorithm]) {
			if (body !== undefined) refuseExternal(tensorsOfGraph(body), "training tensor");
		}
	}
	for (const definition of functions) addFunction(model, decodeFunction(definition, model, context));
	fillGraph(graph, model.graph, undefined, context);
	return model;
}

/** A copy of a message that shares its parts but not its lists, unknown fields included. */
function withUnknowns<T extends object>(message: T): T {
	const copy = Object.assign(Object.create(Object.getPrototypeOf(message) as object) as T, message);
	const unknowns = Object.getOwnPropertyDescriptor(message, "$unknowns");
	return unknowns === undefined ? copy : Object.defineProperty(copy, "$unknowns", unknowns);
}

function opsetsOf(imports: ModelProto["opset_import"]): Map<string, number> {
	return new Map(imports.map(({ domain, version }) => [domainOf(domain), version?.toNumber() ?? 0]));
}

function fillGraph(proto: GraphProto, graph: Graph, outer: Scope | undefined, context: TensorContext): void {
	const scope = new Scope(outer);
	for (const input of proto.input) scope.define(addInput(graph, input.name ?? "", readValueInfo(input)));
	for (const initializer of proto.initializer) {
		const name = initializer.name ?? "";
		if (name === "") throw fail(`an initializer of graph "${graph.name}" has no name`);
		const tensor = readTensor(initializer, context);
		const input = scope.own(name);
		if (input === undefined) scope.define(addInitializer(graph, name, tensor));
		else if (input.source.kind === "input") giveDefault(input, tensor);
		else throw fail(`"${name}" is defined twice in graph "${graph.name}"`);
	}
	for (const sparse of proto.sparse_initializer) {
		refuseExternal(tensorsOfSparse(sparse), "sparse initializer");
		scope.define(addSparse(graph, sparse.values?.name ?? "", carry(sparse, [])));
	}
	for (const node of sortNodes(proto.node)) decodeNode(node, graph, scope, context);
	for (const output of proto.output) {
		const value = scope.find(output.name ?? "");
		if (value === undefined) throw fail(`nothing defines the output "${output.name ?? ""}" of graph "${graph.name}"`);
		addOutput(graph, value, readValueInfo(output));
	}
	for (const info of splitValueInfo(proto).own) {
		const value = scope.own(info.name ?? "");
		if (value !== undefined) describe(value, readValueInfo(info));
	}
}

/** value_info entries about values that the graph computes or stores, and the others: stale ones, and those that repeat an input. */
function splitValueInfo(proto: GraphProto) {
	const known = new Set(proto.initializer.map(({ name }) => name ?? ""));
	for (const node of proto.node) for (const name of node.output) known.add(name);
	for (const { name } of proto.input) known.delete(name ?? "");
	known.delete("");
	const own: GraphProto["value_info"] = [];
	const leftover: GraphProto["value_info"] = [];
	const positions: number[] = [];
	for (const info of proto.value_info) {
		if (known.delete(info.name ?? "")) own.push(info);
		else {
			leftover.push(info);
			positions.push(own.length);
		}
	}
	return { own, leftover, positions };
}

/** What a graph carries besides the lists that the IR owns. */
function carryGraph(proto: GraphProto): Carried {
	const copy = withUnknowns(proto);
	const { leftover, positions } = splitValueInfo(proto);
	copy.value_info = leftover;
	copy.value_info_positions = positions;
	return carry(copy, ["node", "initializer", "sparse_initializer", "input", "output"]);
}

function decodeNode(proto: NodeProto, graph: Graph, scope: Scope, context: TensorContext): void {
	const label = proto.name === undefined || proto.name === "" ? (proto.op_type ?? "a node") : `node "${proto.name}"`;
	if (proto.op_type === undefined || proto.op_type === "") throw fail(`${label} of graph "${graph.name}" names no operator`);
	const inputs = proto.input.map((name) => {
		if (name === "") return undefined;
		const value = scope.find(name);
		if (value === undefined) throw fail(`${label} reads "${name}", which nothing defines`);
		return value;
	});
	const attributes = new Map<string, Attribute>();
	const later: AttributeProto[] = [];
	for (const attribute of proto.attribute) {
		const name = attribute.name ?? "";
		if (attributes.has(name)) throw fail(`${label} has two attributes "${name}"`);
		if (attribute.g !== undefined || attribute.graphs.length > 0) later.push(attribute);
		attributes.set(name, decodeAttribute(attribute, context));
	}
	const node = addNode(
		graph,
		{
			opType: proto.op_type ?? "",
			domain: domainOf(proto.domain),
			overload: proto.overload ?? "",
			name: proto.name ?? "",
			inputs,
			outputs: proto.output.map((name) => (name === "" ? undefined : name)),
			attributes,
		},
		undefined,
		carry(withUnknowns(proto), ["attribute", "input", "output", "op_type"]),
	);
	for (const value of node.outputs) if (value !== undefined) scope.define(value);
	for (const attribute of later) setAttribute(node, attribute.name ?? "", decodeBodies(attribute, node, scope, context));
}

function decodeAttribute(proto: AttributeProto, context: TensorContext): Attribute {
	refuseExternal(listedTensors(proto), "listed tensor");
	if (proto.ref_attr_name !== undefined && proto.ref_attr_name !== "") {
		return { kind: "reference", name: proto.ref_attr_name, carried: carry(proto, []) };
	}
	switch (proto.type ?? guessType(proto)) {
		case ATTRIBUTE_TYPE.float:
			return { kind: "float", value: floatOfBits(proto.f ?? 0), carried: carry(proto, []) };
		case ATTRIBUTE_TYPE.int:
			return { kind: "int", value: BigInt(proto.i?.toString() ?? 0), carried: carry(proto, []) };
		case ATTRIBUTE_TYPE.string:
			return { kind: "string", value: Buffer.from(proto.s ?? []).toString("utf8"), carried: carry(proto, []) };
		case ATTRIBUTE_TYPE.floats:
			return { kind: "floats", value: proto.floats.map(floatOfBits), carried: carry(proto, []) };
		case ATTRIBUTE_TYPE.ints:
			return { kind: "ints", value: proto.ints.map((value) => BigInt(value.toString())), carried: carry(proto, []) };
		case ATTRIBUTE_TYPE.strings:
			return { kind: "strings", value: proto.strings.map((text) => Buffer.from(text).toString("utf8")), carried: carry(proto, []) };
		case ATTRIBUTE_TYPE.tensor: {
			if (proto.t === undefined) return { kind: "opaque", carried: carry(proto, []) };
			return { kind: "tensor", value: readTensor(proto.t, context), carried: carry(withUnknowns(proto), ["t"]) };
		}
		default:
			return { kind: "opaque", carried: carry(proto, []) };
	}
}

/** Files older than IR 2 leave the type out. */
function guessType(proto: AttributeProto): number {
	if (proto.f !== undefined) return ATTRIBUTE_TYPE.float;
	if (proto.i !== undefined) return ATTRIBUTE_TYPE.int;
	if (proto.s !== undefined) return ATTRIBUTE_TYPE.string;
	if (proto.t !== undefined) return ATTRIBUTE_TYPE.tensor;
	if (proto.ints.length > 0) return ATTRIBUTE_TYPE.ints;
	if (proto.floats.length > 0) return ATTRIBUTE_TYPE.floats;
	return proto.strings.length > 0 ? ATTRIBUTE_TYPE.strings : 0;
}

function decodeBodies(proto: AttributeProto, node: Node, scope: Scope, context: TensorContext): Attribute {
	const body = (source: GraphProto) => {
		const graph = addBody(node, source.name ?? "", carryGraph(source));
		fillGraph(source, graph, scope, context);
		return graph;
	};
	if (proto.g !== undefined) return { kind: "graph", value: body(proto.g), carried: carry(withUnknowns(proto), ["g"]) };
	return { kind: "graphs", value: proto.graphs.map(body), carried: carry(withUnknowns(proto), ["graphs"]) };
}

function decodeFunction(proto: FunctionProto, model: Model, context: TensorContext) {
	const name = proto.name ?? "";
	const body = new Graph(model, name);
	const scope = new Scope(undefined);
	for (const input of proto.input) scope.define(addInput(body, input));
	for (const node of sortNodes(proto.node)) decodeNode(node, body, scope, context);
	for (const output of proto.output) {
		const value = scope.find(output);
		if (value === undefined) throw fail(`nothing defines the output "${output}" of function "${name}"`);
		addOutput(body, value);
	}
	return {
		domain: domainOf(proto.domain),
		name,
		overload: proto.overload ?? "",
		attributeNames: [...proto.attribute],
		attributeDefaults: defaultsOf(proto, context),
		opsets: opsetsOf(proto.opset_import),
		body,
		carried: carry(withUnknowns(proto), ["node", "input", "output", "attribute_proto"]),
	};
}

function defaultsOf(proto: FunctionProto, context: TensorContext): Map<string, Attribute> {
	const defaults = new Map<string, Attribute>();
	for (const attribute of proto.attribute_proto) {
		const name = attribute.name ?? "";
		if (defaults.has(name)) throw fail(`function "${proto.name ?? ""}" has two attributes "${name}"`);
		defaults.set(name, decodeAttribute(attribute, context));
	}
	return defaults;
}
