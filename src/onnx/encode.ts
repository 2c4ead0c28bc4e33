// IR → protobuf messages → the segments of a file. Payloads are referred to, never copied.
import Long from "long";
import { codeOfDType } from "../ir/dtype.js";
import type { Attribute, FunctionDefinition, Graph, Model, Node, Value } from "../ir/graph.js";
import { dataOf, type Tensor, type TensorData } from "../ir/tensor.js";
import { restore } from "./carry.js";
import { lower, type PayloadRange, type Segment } from "./lift.js";
import { FileRange } from "./payload.js";
import {
	ATTRIBUTE_TYPE,
	type AttributeProto,
	bitsOfFloat,
	type FunctionProto,
	type GraphProto,
	ModelMessage,
	type ModelProto,
	type NodeProto,
	type OperatorSetIdProto,
	type SparseTensorProto,
	type TensorProto,
} from "./schema.js";
import type { SourceFile } from "./source.js";
import { writeValueInfo } from "./types.js";

/** Where a tensor with external data goes: a data file beside the model, and its first byte there. */
export interface ExternalPlace {
	readonly location: string;
	readonly offset: number;
}

export interface EncodeOptions {
	/** The file the model was read from: payloads that were not touched are copied from it. */
	readonly source?: SourceFile | undefined;
	/** Decides for each tensor whether its payload lies outside the model file; by default none does. */
	readonly place?: (tensor: Tensor) => ExternalPlace | undefined;
}

/** An encoded model: bytes and payloads in file order. */
export interface Encoded {
	readonly length: number;
	readonly segments: readonly (Uint8Array | TensorData)[];
}

/** Payloads that come from elsewhere get addresses beyond any file, so that one reference form serves both. */
const VIRTUAL = 2 ** 52;

class Payloads {
	readonly #byAddress = new Map<number, TensorData>();
	#next = VIRTUAL;

	reference(field: number, data: TensorData) {
		const start = this.#next;
		this.#next += data.byteLength;
		this.#byAddress.set(start, data);
		return { field, start: Long.fromNumber(start, true), end: Long.fromNumber(this.#next, true) };
	}

	resolve(range: PayloadRange, source: SourceFile | undefined): TensorData {
		const data = this.#byAddress.get(range.start);
		if (data !== undefined) return data;
		if (source === undefined) throw new Error("a payload refers to a file that was not given");
		return new FileRange(source, range.start, range.end - range.start);
	}
}

/** Encodes `model` without reading any payload. */
export function encodeModel(model: Model, options: EncodeOptions = {}): Encoded {
	const payloads = new Payloads();
	const encoder = new Encoder(payloads, options.place ?? (() => undefined));
	const skeleton = ModelMessage.encode(encoder.model(model)).finish();
	const { segments, length } = lower(skeleton);
	return {
		length,
		segments: segments.map((segment: Segment) => (segment instanceof Uint8Array ? segment : payloads.resolve(segment, options.source))),
	};
}

/** The whole encoded model in one array, all payloads inside: for the engine, and for small models. */
export function encodeToBytes(model: Model, source?: SourceFile): Uint8Array {
	return joined(encodeModel(model, { source }));
}

/** An encoded model in one array. */
export function joined({ segments, length }: Encoded): Uint8Array {
	const bytes = new Uint8Array(length);
	let at = 0;
	for (const segment of segments) {
		const part = segment instanceof Uint8Array ? segment : segment.read(0, segment.byteLength);
		bytes.set(part, at);
		at += part.byteLength;
	}
	return bytes;
}

class Encoder {
	readonly #payloads: Payloads;
	readonly #place: (tensor: Tensor) => ExternalPlace | undefined;

	constructor(payloads: Payloads, place: (tensor: Tensor) => ExternalPlace | undefined) {
		this.#payloads = payloads;
		this.#place = place;
	}

	model(model: Model): ModelProto {
		return restore<ModelProto>(model.carried, {
			...(model.carried === undefined ? { ir_version: Long.fromNumber(model.irVersion) } : {}),
			opset_import: this.#opsets(model),
			graph: this.#graph(model.graph),
			functions: model.functions.map((definition) => this.#function(definition)),
		});
	}

	/** Imports as they came (in their spelling), then those that were added. */
	#opsets(model: Model): OperatorSetIdProto[] {
		const original = restore<ModelProto>(model.carried, {}).opset_import ?? [];
		const spelled = new Set(original.map(({ domain }) => (domain === "ai.onnx" ? "" : (domain ?? ""))));
		const added = [...model.opsets].filter(([domain]) => !spelled.has(domain));
		return [...original, ...added.map(([domain, version]) => ({ domain, version: Long.fromNumber(version) }))];
	}

	#graph(graph: Graph): GraphProto {
		const original = restore<GraphProto>(graph.carried, {});
		const described = graph.described.map((value) => writeValueInfo(value.name, value.info));
		return restore<GraphProto>(graph.carried, {
			...changed(original, { name: graph.name }),
			node: graph.nodes.map((node) => this.#node(node)),
			initializer: graph.initializers.flatMap((value) => (value.tensor === undefined ? [] : [this.#tensor(value.tensor, value.name)])),
			sparse_initializer: graph.sparse.map((value) =>
				restore<SparseTensorProto>(value.source.kind === "sparse" ? value.source.carried : undefined, {}),
			),
			input: graph.inputs.map((value) => writeValueInfo(value.name, value.info)),
			output: graph.outputs.map(({ value, info }) => writeValueInfo(value.name, info)),
			value_info: interleaved(described, original.value_info ?? [], original.value_info_positions ?? []),
		});
	}

	#node(node: Node): NodeProto {
		const fields: Partial<NodeProto> = {
			input: names(node.inputs),
			output: names(node.outputs),
			op_type: node.opType,
			attribute: [...node.attributes].map(([name, attribute]) => this.#attribute(name, attribute)),
		};
		if (node.carried === undefined && node.domain !== "") fields.domain = node.domain;
		const original = restore<NodeProto>(node.carried, {});
		return restore<NodeProto>(node.carried, { ...fields, ...changed(original, { name: node.name, overload: node.overload }) });
	}

	#attribute(name: string, attribute: Attribute): AttributeProto {
		const { carried } = attribute;
		const fill = (fields: Partial<AttributeProto>) =>
			carried === undefined ? restore<AttributeProto>(undefined, { name, ...fields }) : restore<AttributeProto>(carried, fields);
		switch (attribute.kind) {
			case "graph":
				return fill({ type: ATTRIBUTE_TYPE.graph, g: this.#graph(attribute.value) });
			case "graphs":
				return fill({ type: ATTRIBUTE_TYPE.graphs, graphs: attribute.value.map((graph) => this.#graph(graph)) });
			case "tensor":
				return fill({ type: ATTRIBUTE_TYPE.tensor, t: this.#tensor(attribute.value, undefined) });
			default:
				return carried === undefined ? restore<AttributeProto>(undefined, { name, ...plainAttribute(attribute) }) : fill({});
		}
	}

	/** `name` undefined: a tensor inside an attribute keeps the name it has, if any. */
	#tensor(tensor: Tensor, name: string | undefined): TensorProto {
		const label = name === undefined ? {} : { name };
		const place = this.#place(tensor);
		if (place !== undefined) return externalTensor(tensor, label, place);
		const { data } = tensor;
		if (tensor.carried !== undefined && tensor.placement.kind === "inline") return restore<TensorProto>(tensor.carried, label);
		const payload = data ?? dataOf(new Uint8Array(tensor.byteLength));
		return {
			...header(tensor, label),
			...(payload.byteLength === 0 ? { raw_data: new Uint8Array(0) } : { payload: [this.#payloads.reference(9, payload)] }),
		} as TensorProto;
	}

	#function(definition: FunctionDefinition): FunctionProto {
		const { body } = definition;
		return restore<FunctionProto>(definition.carried, {
			...(definition.carried === undefined ? headOfFunction(definition) : {}),
			input: body.inputs.map(({ name }) => name),
			output: body.outputs.map(({ value }) => value.name),
			node: body.nodes.map((node) => this.#node(node)),
			attribute_proto: [...definition.attributeDefaults].map(([name, attribute]) => this.#attribute(name, attribute)),
		});
	}
}

/** What a function that comes from a file carries with it. */
function headOfFunction({ domain, name, overload, attributeNames, opsets }: FunctionDefinition): Partial<FunctionProto> {
	const imports = [...opsets].map(([of, version]) => ({ domain: of, version: Long.fromNumber(version) }));
	return { name, domain, ...(overload !== "" && { overload }), attribute: [...attributeNames], opset_import: imports };
}

/** The texts of `now` that differ from what was carried: an empty text that was not written out stays so, and the other way round. */
function changed<T extends object>(original: T, now: Partial<T>): Partial<T> {
	const entries = Object.entries(now).filter(([field, text]) => text !== (Reflect.get(original, field) ?? ""));
	return Object.fromEntries(entries) as Partial<T>;
}

/** Entries that the IR owns, and between them those that it does not, each after as many owned ones as in the file. */
function interleaved<T>(owned: readonly T[], others: readonly T[], positions: readonly number[]): T[] {
	const merged: T[] = [];
	let next = 0;
	for (const [index, entry] of owned.entries()) {
		while (next < others.length && (positions[next] ?? 0) <= index) merged.push(...others.slice(next, ++next));
		merged.push(entry);
	}
	return [...merged, ...others.slice(next)];
}

const names = (values: readonly (Value | undefined)[]): string[] => values.map((value) => value?.name ?? "");

function header(tensor: Tensor, label: { name?: string }): Partial<TensorProto> {
	const original = tensor.carried === undefined ? {} : restore<TensorProto>(tensor.carried, {});
	return {
		...label,
		...("doc_string" in original ? { doc_string: original.doc_string } : {}),
		dims: tensor.dims.map((dim) => Long.fromNumber(dim)),
		data_type: codeOfDType(tensor.dtype),
	};
}

function externalTensor(tensor: Tensor, label: { name?: string }, place: ExternalPlace): TensorProto {
	const entries: [string, string][] = [
		["location", place.location],
		["offset", `${place.offset}`],
		["length", `${tensor.byteLength}`],
	];
	const known = new Set(entries.map(([key]) => key));
	const original = tensor.carried === undefined ? undefined : restore<TensorProto>(tensor.carried, {});
	const others = (original?.external_data ?? []).filter(({ key }) => !known.has(key ?? ""));
	const external = [...entries.map(([key, value]) => ({ key, value })), ...others];
	const fields = { ...label, external_data: external, data_location: 1 };
	if (tensor.carried !== undefined && tensor.placement.kind === "external") return restore<TensorProto>(tensor.carried, fields);
	return { ...header(tensor, label), ...fields } as TensorProto;
}

function plainAttribute(attribute: Attribute): Partial<AttributeProto> {
	switch (attribute.kind) {
		case "int":
			return { type: ATTRIBUTE_TYPE.int, i: Long.fromString(attribute.value.toString()) };
		case "ints":
			return { type: ATTRIBUTE_TYPE.ints, ints: attribute.value.map((value) => Long.fromString(value.toString())) };
		case "float":
			return { type: ATTRIBUTE_TYPE.float, f: bitsOfFloat(attribute.value) };
		case "floats":
			return { type: ATTRIBUTE_TYPE.floats, floats: attribute.value.map(bitsOfFloat) };
		case "string":
			return { type: ATTRIBUTE_TYPE.string, s: Buffer.from(attribute.value, "utf8") };
		case "strings":
			return { type: ATTRIBUTE_TYPE.strings, strings: attribute.value.map((text) => Buffer.from(text, "utf8")) };
		case "reference":
			return { ref_attr_name: attribute.name };
		default:
			return {};
	}
}
