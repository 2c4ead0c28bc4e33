// Models as text with the truth about their vocabulary, and the passes and the engine to run on them.
import { type FactorizeOptions, factorize } from "../../passes/factorize/index.js";
import { type QuantizeOptions, quantize } from "../../passes/quantize/index.js";
import { reconstruct } from "../../passes/reconstruct/index.js";
import type { DType } from "../../src/ir/dtype.js";
import { setTensor } from "../../src/ir/edit.js";
import { readElements } from "../../src/ir/elements.js";
import type { Model, Node, Value } from "../../src/ir/graph.js";
import { float32Tensor, type Tensor } from "../../src/ir/tensor.js";
import { allGraphs, allNodes, valuesOf } from "../../src/ir/walk.js";
import { encodeToBytes } from "../../src/onnx/index.js";
import { type PassRunner, runPass } from "../../src/pass.js";
import { type Feeds, openSession } from "../../src/runtime/session.js";
import type { Factorized, Located, Lookup, ModelFile, Projection, Quantized, StoredCopy, Table, Vocabulary } from "../../src/state.js";

export function runner(): PassRunner {
	return { threads: 1, seed: 0, records: [] };
}

/** Every value called `name`, in any scope. */
export function valuesNamed(model: Model, name: string): Value[] {
	return [...allGraphs(model)].flatMap((graph) => [...valuesOf(graph)].filter((value) => value.name === name));
}

export function valueNamed(model: Model, name: string): Value {
	const [value] = valuesNamed(model, name);
	if (value === undefined) throw new Error(`no value is called "${name}"`);
	return value;
}

export function countOf(model: Model, opType: string): number {
	return [...allNodes(model)].filter((node) => node.opType === opType).length;
}

function producerOf(value: Value): Node {
	if (value.producer === undefined) throw new Error(`"${value.name}" is not computed`);
	return value.producer;
}

function numbersOf(tensor: Tensor): Float32Array {
	return Float32Array.from(readElements(tensor.dtype, tensor.bytes(), tensor.size), Number);
}

/** A table on V×d numbers. */
export function tableOf(values: Float32Array, rows: number, cols: number, stored: DType = "float32"): Table {
	return { rows, cols, stored, hash: "", read: (start, end) => values.subarray(start * cols, end * cols) };
}

export interface LookupTruth extends Partial<Pick<Lookup, "pattern" | "dtype">> {
	/** The node that computes `output`, if not given. */
	readonly node?: Node | undefined;
	/** Name of the value with the rows; it may stand in several scopes. */
	readonly output: string;
	readonly ids: string;
}

export interface ProjectionTruth extends Partial<Pick<Projection, "pattern" | "dtype" | "hiddenRank" | "alpha">> {
	/** The node that computes `output`, if not given. */
	readonly node?: Node | undefined;
	readonly output: string;
	readonly hidden: string;
	readonly gemm?: { readonly transA?: boolean; readonly c?: string; readonly beta?: number; readonly activation?: string };
	readonly bias?: string;
}

export interface Truth {
	/** Initializers or Constant outputs that hold the table; transposed ones with `T` after a blank. */
	readonly tables: readonly string[];
	/** The numbers of the table, where they are not those of the first tensor. */
	readonly values?: Float32Array;
	readonly lookups?: readonly LookupTruth[];
	readonly projections?: readonly ProjectionTruth[];
	readonly alreadyRank?: number;
	/** More stored bytes of the copies: scales and zero points. */
	readonly extraBytes?: number;
}

export function fileOf(model: Model, name = "model.onnx"): ModelFile {
	return { name, path: `/${name}`, model, bytes: encodeToBytes(model).byteLength };
}

/** What `locate` would say of these files. */
export function located(files: readonly ModelFile[], vocabularies: readonly Vocabulary[]): Located {
	return { kind: files.length === 1 ? "file" : "directory", path: "/", files, vocabularies, rejected: [] };
}

/** One vocabulary of one or several files, each with its own truth. */
export function vocabularyOf(parts: readonly (readonly [ModelFile, Truth])[]): Vocabulary {
	const copies = parts.flatMap(([file, truth]) => copiesOf(file, truth));
	const lookups = parts.flatMap(([file, truth]) => (truth.lookups ?? []).flatMap((site) => lookupsOf(file, truth, site)));
	const projections = parts.flatMap(([file, truth]) => (truth.projections ?? []).flatMap((site) => projectionsOf(file, truth, site)));
	const [first] = copies;
	const tensor = first?.tensors[0];
	if (first === undefined || tensor === undefined) throw new Error("no table is given");
	const { alreadyRank, values } = parts[0]?.[1] ?? {};
	const [outer = 0, inner = 0] = tensor.dims;
	const [rows, cols] = first.orientation === "VxD" ? [outer, inner] : [inner, outer];
	return {
		name: first.value.name,
		table: tableOf(values ?? rowMajor(tensor, first.orientation), rows, cols, tensor.dtype),
		copies,
		lookups,
		projections,
		tied: lookups.length > 0 && projections.length > 0,
		bytes: copies.reduce((sum, { bytes }) => sum + bytes, 0),
		alreadyRank,
	};
}

/** The numbers of a tensor, transposed if it is stored DxV. */
function rowMajor(tensor: Tensor, orientation: StoredCopy["orientation"]): Float32Array {
	const numbers = numbersOf(tensor);
	if (orientation === "VxD") return numbers;
	const [cols = 0, rows = 0] = tensor.dims;
	return numbers.map((_, index) => numbers[(index % cols) * rows + Math.floor(index / cols)] ?? 0);
}

function copiesOf(file: ModelFile, { tables, extraBytes = 0 }: Truth): StoredCopy[] {
	return tables.flatMap((written) => {
		const [name = "", transposed] = written.split(" ");
		return valuesNamed(file.model, name).map((value): StoredCopy => {
			const held = value.producer?.attributes.get("value");
			const tensor = value.tensor ?? (held?.kind === "tensor" ? held.value : undefined);
			if (tensor === undefined) throw new Error(`"${name}" is no constant`);
			const orientation = transposed === "T" ? "DxV" : "VxD";
			return { file, value, tensors: [tensor], orientation, bytes: tensor.byteLength + extraBytes, unused: value.uses.size === 0 };
		});
	});
}

function lookupsOf(file: ModelFile, truth: Truth, site: LookupTruth): Lookup[] {
	return valuesNamed(file.model, site.output).map((output): Lookup => {
		const node = site.node ?? producerOf(output);
		return {
			pattern: site.pattern ?? "E1",
			file,
			graph: output.graph,
			node,
			ids: near(file.model, site.ids, output),
			output: site.pattern === "E6" ? undefined : output,
			dtype: site.dtype ?? "float32",
			owner: ownerOf(file.model, truth, output),
		};
	});
}

function projectionsOf(file: ModelFile, truth: Truth, site: ProjectionTruth): Projection[] {
	return valuesNamed(file.model, site.output).map((output): Projection => {
		const { gemm, bias } = site;
		const activation = gemm?.activation;
		return {
			pattern: site.pattern ?? "P1",
			file,
			graph: output.graph,
			node: site.node ?? producerOf(output),
			hidden: near(file.model, site.hidden, output),
			output,
			dtype: site.dtype ?? "float32",
			hiddenRank: gemm === undefined ? site.hiddenRank : 2,
			alpha: site.alpha ?? 1,
			gemm: gemm && {
				transA: gemm.transA ?? false,
				c: gemm.c === undefined ? undefined : near(file.model, gemm.c, output),
				beta: gemm.beta ?? 1,
				activation: activation === undefined ? undefined : new Map([["activation", { kind: "string", value: activation }]]),
			},
			bias: bias === undefined ? undefined : near(file.model, bias, output),
			owner: ownerOf(file.model, truth, output),
		};
	});
}

/** The value called `name` in the scope of `place`, else in any. */
function near(model: Model, name: string, place: Value): Value {
	const all = valuesNamed(model, name);
	return all.find(({ graph }) => graph === place.graph) ?? all[0] ?? valueNamed(model, name);
}

function ownerOf(model: Model, { tables }: Truth, place: Value) {
	return near(model, tables[0]?.split(" ")[0] ?? "", place).graph;
}

/** One model, one vocabulary. */
export function locatedModel(model: Model, truth: Truth): Located {
	const file = fileOf(model);
	return located([file], [vocabularyOf([[file, truth]])]);
}

export const RANK = (rank: number): FactorizeOptions => ({ size: { rank }, ops: "standard", allowLarger: true, keepOtherReaders: false });

export async function factorized(state: Located, options: FactorizeOptions): Promise<Factorized> {
	return await runPass(factorize(options), state, runner());
}

/** All passes from factorize to quantize. */
export async function quantized(state: Located, options: FactorizeOptions, records = runner()): Promise<Quantized> {
	const { dtype, ops } = options;
	const after = await runPass(factorize(options), state, records);
	const storage: QuantizeOptions = { dtype, ops };
	return await runPass(quantize(storage), await runPass(reconstruct({ method: "svd" }), after, records), records);
}

/** Outputs of `model` on `feeds`, as float64 numbers by name. */
export async function outputsOf(model: Model, feeds: Feeds): Promise<Record<string, readonly number[]>> {
	const session = await openSession(encodeToBytes(model), { threads: 1 });
	try {
		const found = await session.run(feeds);
		return Object.fromEntries(
			Object.entries(found).map(([name, { dtype, data }]) => [
				name,
				dtype === "float16" && data instanceof Uint16Array
					? readElements("float16", new Uint8Array(data.buffer, data.byteOffset, data.byteLength), data.length).map(Number)
					: Array.from(data, Number),
			]),
		);
	} finally {
		await session.close();
	}
}

/** max |a − b| / max |a| over all outputs, which must bear the same names. */
export function difference(before: Record<string, readonly number[]>, after: Record<string, readonly number[]>): number {
	if (Object.keys(before).join() !== Object.keys(after).join()) throw new Error("the outputs differ in name");
	let worst = 0;
	for (const [name, numbers] of Object.entries(before)) {
		const others = after[name] ?? [];
		if (others.length !== numbers.length) throw new Error(`"${name}" differs in size`);
		const most = numbers.reduce((largest, value) => Math.max(largest, Math.abs(value)), 1e-30);
		for (const [index, value] of numbers.entries()) {
			const distance = Math.abs(value - (others[index] ?? Number.NaN)) / most;
			worst = Number.isNaN(distance) ? Number.POSITIVE_INFINITY : Math.max(worst, distance);
		}
	}
	return worst;
}

export function int64s(values: readonly number[], dims: readonly number[] = [values.length]): Feeds[string] {
	return { dtype: "int64", dims, data: BigInt64Array.from(values, BigInt) };
}

export function int32s(values: readonly number[], dims: readonly number[] = [values.length]): Feeds[string] {
	return { dtype: "int32", dims, data: Int32Array.from(values) };
}

/** Repeatable numbers in (-1, 1). */
export function floats(dims: readonly number[], scale = 1): Feeds[string] {
	const count = dims.reduce((product, dim) => product * dim, 1);
	return { dtype: "float32", dims, data: Float32Array.from({ length: count }, (_, index) => scale * Math.sin(index * 12.9898 + 1)) };
}

/** Gives every copy of a table the contents of the first. */
export function shareContents(model: Model, { tables }: Truth): void {
	const copies = tables.flatMap((written) =>
		valuesNamed(model, written.split(" ")[0] ?? "").map((value) => ({ value, turned: written.endsWith(" T") })),
	);
	const [first, ...others] = copies;
	const tensor = first?.value.tensor;
	if (first === undefined || tensor === undefined) return;
	const table = rowMajor(tensor, first.turned ? "DxV" : "VxD");
	const [rows = 0, cols = 0] = first.turned ? [...tensor.dims].reverse() : tensor.dims;
	for (const { value, turned } of others) {
		const numbers = turned ? rowMajor(float32Tensor(table, [rows, cols]), "DxV") : table;
		setTensor(value, float32Tensor(numbers, turned ? [cols, rows] : [rows, cols]));
	}
}

/** What a user of the model relies on: versions, inputs without defaults, outputs. */
export function signatureOf({ irVersion, opsets, graph }: Model): unknown {
	const inputs = graph.inputs.filter(({ source }) => source.kind === "input").map(({ name, type }) => ({ name, type }));
	return {
		irVersion,
		opsets: [...opsets],
		inputs,
		outputs: graph.outputs.map(({ value, info }) => ({ name: value.name, type: info.type })),
	};
}

/** Bytes of all tensors with more than a few elements; constants of shapes and the like are not counted. */
export function storedBytes(model: Model): number {
	let bytes = 0;
	const count = (tensor: Tensor) => {
		if (tensor.size > 4) bytes += tensor.byteLength;
	};
	for (const graph of allGraphs(model)) {
		for (const { tensor } of graph.initializers) if (tensor !== undefined) count(tensor);
		for (const node of graph.nodes) for (const [, held] of node.attributes) if (held.kind === "tensor") count(held.value);
	}
	return bytes;
}
