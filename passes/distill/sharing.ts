// Which tensors of other files are the same weight: a decoder with past repeats the decoder's.
import type { Value } from "../../src/ir/graph.js";
import type { Tensor } from "../../src/ir/tensor.js";
import type { ModelFile } from "../../src/state.js";
import type { BodyTensor } from "./parameters.js";

export interface Sharing {
	/** The tensor itself and its copies in other files. */
	readonly copiesOf: (tensor: BodyTensor) => readonly Value[];
	/** Weights of files outside the training graph that are none of its files' weights: these bodies must stay together as they are. */
	readonly unproved: readonly string[];
}

/**
 * Pairs the weights of `others` with those of `trained` files: the same bytes of one data file, or equal contents under one name,
 * or equal contents that no other weight has.
 */
export function sharingOf(trained: readonly ModelFile[], others: readonly ModelFile[]): Sharing {
	const own = trained.flatMap((file) => weightsOf(file));
	const copies = new Map<Value, Value[]>(own.map(({ value }) => [value, [value]]));
	const byKey = new Map<string, Value[]>();
	for (const { value, tensor } of own) for (const key of keysOf(tensor)) byKey.set(key, [...(byKey.get(key) ?? []), value]);
	const unproved: string[] = [];
	const join = (from: Value, to: Value) => copies.get(from)?.push(to);
	for (const { value, tensor, file } of others.flatMap((other) => weightsOf(other))) {
		const candidates = keysOf(tensor).map((key) => byKey.get(key) ?? []);
		const found = candidates.find((list) => list.length > 0) ?? [];
		const same = found.length === 1 ? found[0] : found.find(({ name }) => name === value.name);
		if (same === undefined) unproved.push(`${file.name}: ${value.name}`);
		else join(same, value);
	}
	// Encoder and decoder files that are both trained are apart in the graph, whatever bytes they share.
	return { copiesOf: ({ value }) => copies.get(value) ?? [value], unproved };
}

interface Weight {
	readonly file: ModelFile;
	readonly value: Value;
	readonly tensor: Tensor;
}

/** Float initializers of more than one element. */
function weightsOf(file: ModelFile): Weight[] {
	return file.model.graph.initializers.flatMap((value) => {
		const { tensor } = value;
		const isWeight = tensor?.data !== undefined && tensor.dtype.startsWith("float") && tensor.size > 1;
		return isWeight ? [{ file, value, tensor }] : [];
	});
}

/** What equal weights have in common, the surest first. */
function keysOf(tensor: Tensor): string[] {
	const { dtype, dims, data } = tensor;
	const shape = `${dtype}[${dims.join(",")}]`;
	const identity = data?.identity === undefined ? [] : [`${shape} ${data.identity}`];
	return [...identity, `${shape} ${hashOf(tensor.bytes())}`];
}

/** Two FNV-1a hashes over 32-bit words: weights that differ, differ in them. */
function hashOf(bytes: Uint8Array): string {
	const words = bytes.byteOffset % 4 === 0 ? bytes : bytes.slice();
	const view = new Uint32Array(words.buffer, words.byteOffset, words.byteLength >> 2);
	let [a, b] = [0x811c9dc5, 0x9e3779b9];
	for (let index = 0; index < view.length; index++) {
		a = Math.imul(a ^ (view[index] as number), 0x01000193);
		b = Math.imul(b ^ (view[index] as number), 0x85ebca6b) ^ (b >>> 15);
	}
	for (let index = view.length * 4; index < words.length; index++) a = Math.imul(a ^ (words[index] as number), 0x01000193);
	return `${words.length} ${a >>> 0} ${b >>> 0}`;
}
