// Which tensor goes to which byte of which data file, for all models of one folder together.
import path from "node:path";
import { DistembError } from "../errors.js";
import type { Attribute, Model } from "../ir/graph.js";
import type { Tensor, TensorData } from "../ir/tensor.js";
import { allGraphs } from "../ir/walk.js";
import type { ExternalPlace } from "./encode.js";

/** Payloads of this size and more start on a page, so that runtimes can map them. */
const PAGE = 4096;
const ALIGNMENT = 64;

/** One data file to be written: payloads in order of their offsets. */
export interface DataFile {
	readonly location: string;
	readonly parts: { readonly offset: number; readonly data: TensorData }[];
	length: number;
}

/** Plans the data files of the models of one folder; payloads that several models share are stored once. */
export class DataLayout {
	readonly #files = new Map<string, DataFile>();
	readonly #places = new Map<Tensor, ExternalPlace>();
	readonly #known = new Map<string | TensorData, ExternalPlace>();

	/** @param rename gives the location of an input's data file in the output */
	add(model: Model, rename: (location: string) => string): void {
		for (const tensor of tensorsOf(model)) {
			if (tensor.placement.kind === "external") this.#add(tensor, rename(path.posix.normalize(tensor.placement.location)));
		}
	}

	placeOf(tensor: Tensor): ExternalPlace | undefined {
		return this.#places.get(tensor);
	}

	get files(): readonly DataFile[] {
		return [...this.#files.values()];
	}

	#add(tensor: Tensor, location: string): void {
		const { data } = tensor;
		if (data === undefined) throw new DistembError("internal", "a tensor without values cannot be written");
		const key = data.identity === undefined ? data : `${location}\0${data.identity}`;
		const place = this.#known.get(key) ?? this.#append(location, data);
		this.#known.set(key, place);
		this.#places.set(tensor, place);
	}

	#append(location: string, data: TensorData): ExternalPlace {
		const file = this.#files.get(location) ?? { location, parts: [], length: 0 };
		this.#files.set(location, file);
		const alignment = data.byteLength >= PAGE ? PAGE : ALIGNMENT;
		const offset = Math.ceil(file.length / alignment) * alignment;
		file.parts.push({ offset, data });
		file.length = offset + data.byteLength;
		return { location, offset };
	}
}

/** Every tensor of a model: initializers and attributes, in every graph and function. */
export function* tensorsOf(model: Model): Generator<Tensor> {
	for (const graph of allGraphs(model, true)) {
		for (const { tensor } of graph.initializers) if (tensor !== undefined) yield tensor;
		for (const node of graph.nodes) yield* tensorsIn(node.attributes.values());
	}
	for (const definition of model.functions) yield* tensorsIn(definition.attributeDefaults.values());
}

function* tensorsIn(attributes: Iterable<Attribute>): Generator<Tensor> {
	for (const attribute of attributes) if (attribute.kind === "tensor") yield attribute.value;
}

/**
 * Name of a data file beside the output: the input's stem is replaced by the output's
 * (`model.onnx_data` of `model.onnx` becomes `small.onnx_data` for `small.onnx`); other names get the output's stem in front.
 * With equal stems nothing changes.
 */
export function renamedLocation(location: string, inputFile: string, outputFile: string): string {
	const from = path.basename(inputFile, ".onnx");
	const to = path.basename(outputFile, ".onnx");
	if (from === to) return location;
	const folder = path.posix.dirname(location);
	const name = path.posix.basename(location);
	const rest = name.startsWith(from) ? name.slice(from.length) : undefined;
	const renamed = rest !== undefined && /^($|[^\p{L}\p{N}])/u.test(rest) ? to + rest : `${to}.${name}`;
	return folder === "." ? renamed : `${folder}/${renamed}`;
}
