// A disguise as a model: text in the notation of src/ir, and the numbers that make copies equal.
import { tensor } from "../../src/ir/attributes.js";
import { setAttribute } from "../../src/ir/edit.js";
import { writeElements } from "../../src/ir/elements.js";
import type { Model } from "../../src/ir/graph.js";
import { parseModel } from "../../src/ir/parse.js";
import { dataOf, Tensor } from "../../src/ir/tensor.js";
import { allNodes } from "../../src/ir/walk.js";
import type { Disguise } from "./disguise.js";
import { headLines } from "./head.js";
import { lookupLines } from "./lookup.js";

/** Lines of the main graph, functions, and numbers by name; the parts of a model add to it in turn. */
export class Draft {
	readonly inputs = ["ids: int64[batch, length]"];
	readonly outputs: string[] = [];
	readonly functions: string[] = [];
	readonly values: Record<string, Float32Array> = {};
	readonly #lines: string[] = [];
	#count = 0;

	/** Adds lines; those of bodies are indented by tabs. */
	add(...lines: readonly string[]): void {
		this.#lines.push(...lines);
	}

	/** Adds `NAME = expression`, and returns the name, which is new. */
	let(base: string, expression: string): string {
		const name = this.fresh(base);
		this.add(`${name} = ${expression}`);
		return name;
	}

	fresh(base: string): string {
		return `${base}${this.#count++}`;
	}

	/** Asks for a boolean input, once. */
	flag(): string {
		if (!this.inputs.includes("flag: bool[]")) this.inputs.push("flag: bool[]");
		return "flag";
	}

	text(): string {
		const { inputs, outputs, functions } = this;
		const head = `model ir 8, opset ai.onnx 17, own 1\ngraph main(${inputs.join(", ")})`;
		const body = [...this.#lines, `return ${outputs.join(", ")}`].map((line) => `\t${line}`).join("\n");
		return [head, body, ...functions].join("\n").replaceAll(/^\t*\n/gm, "");
	}
}

/** Numbers in (-1, 1) that float16 holds exactly, so that copies of either precision are equal. */
export function numbers(count: number, seed: number): Float32Array {
	return Float32Array.from({ length: count }, (_, index) => Math.round(Math.sin(index * 12.9898 + seed * 7.77 + 1) * 512) / 512);
}

/** Columns first. */
export function transposed(values: Float32Array, rows: number, cols: number): Float32Array {
	return values.map((_, index) => values[(index % rows) * cols + Math.floor(index / rows)] ?? 0);
}

/** Of int8 tables: a power of two, so that what they stand for has no rounding. */
export const STEP = 1 / 128;

/** What the table stands for, V×d. */
export function tableOf({ rows, cols, store, seed }: Disguise): Float32Array {
	const values = numbers(rows * cols, seed);
	if (store === "quantized") return values.map((value) => Math.round(value * 125) * STEP + 0); // no −0: integers have none
	return values;
}

export function textOf(disguise: Disguise): Draft {
	const draft = new Draft();
	const table = stored(draft, disguise);
	const rows = lookupLines(draft, disguise, table);
	const { cols } = disguise;
	draft.add(`inner = float32[${cols}, ${cols}]`);
	const mixed = draft.let("mixed", `MatMul(${rows}, inner)`);
	const hidden = draft.let("hidden", `Add(${draft.let("bent", `Tanh(${mixed})`)}, ${rows})`);
	if (disguise.head === "none") draft.outputs.push(`${hidden}: float32[batch, length, ${cols}]`);
	else headLines(draft, disguise, table, hidden, rows);
	otherReader(draft, disguise, table);
	return draft;
}

/** The table as it is stored, and behind its aliases; returns the name of the last, [V, d] in float32. */
function stored(draft: Draft, disguise: Disguise): string {
	const { rows, cols, store, reader } = disguise;
	const table = tableOf(disguise);
	if (reader === "not a number" && store !== "quantized") table[cols * 2 + 1] = Number.NaN;
	const [name, type, values] = {
		plain: ["table", `float32[${rows}, ${cols}]`, table],
		turned: ["store", `float32[${cols}, ${rows}]`, transposed(table, rows, cols)],
		constant: ["table", `float32[${rows}, ${cols}]`, table],
		half: ["store", `float16[${rows}, ${cols}]`, table],
		quantized: ["store", `int8[${rows}, ${cols}]`, table.map((value) => value / STEP)],
	}[store] as [string, string, Float32Array];
	draft.values[name] = values;
	draft.add(store === "constant" ? `${name} = Constant<value=${type}>()` : `${name} = ${type}`);
	if (reader === "overridable" && store !== "constant") draft.inputs.push(`${name}: ${type}`);
	let last = name;
	if (store === "turned") last = draft.let("table", `Transpose<perm=[1, 0]>(${last})`);
	if (store === "half") last = draft.let("table", `Cast<to=1>(${last})`);
	if (store === "quantized") {
		draft.add(`step = float32[] {${reader === "not a number" ? "nan" : STEP}}`);
		last = draft.let("table", `DequantizeLinear(${last}, step)`);
	}
	for (const alias of disguise.aliases) {
		if (alias === "identity") last = draft.let("same", `Identity(${last})`);
		else if (alias === "cast") last = draft.let("same", `Cast<to=1>(${last})`);
		else if (alias === "there and back") last = draft.let("back", `Transpose(${draft.let("there", `Transpose(${last})`)})`);
		else last = draft.let("shaped", `Reshape(${last}, ${draft.let("sizes", `int64[2] {${rows}, -1}`)})`);
	}
	return last;
}

function otherReader(draft: Draft, { reader, cols }: Disguise, table: string): void {
	const output = (name: string, dims: string) => draft.outputs.push(`${name}: float32[${dims}]`);
	if (reader === "dead") draft.let("unread", `Relu(${draft.let("dead", `ReduceMax(${table})`)})`);
	else if (reader === "reduce") output(draft.let("mean", `ReduceMean<keepdims=0>(${table})`), "");
	else if (reader === "reduce an alias") {
		output(
			draft.let("mean", `ReduceMean<keepdims=0>(${draft.let("alias", `Transpose(${draft.let("alias", `Identity(${table})`)})`)})`),
			"",
		);
	} else if (reader === "slice") {
		const first = draft.let("first", "int64[1] {0}");
		const end = draft.let("end", "int64[1] {3}");
		output(draft.let("part", `Slice(${table}, ${first}, ${end}, ${first})`), `3, ${cols}`);
	} else if (reader === "output") output(draft.let("shown", `Identity(${table})`), `?, ${cols}`);
	else if (reader === "branch") {
		const name = draft.fresh("bound");
		const [there, here] = [draft.fresh("inside"), draft.fresh("none")];
		draft.add(`${name} = If(${draft.flag()})`);
		draft.add("	then_branch:", "	graph a()", `		${there} = ReduceMax<keepdims=0>(${table})`, `		return ${there}`);
		draft.add("	else_branch:", "	graph b()", `		${here} = Constant<value=float32[] {0}>()`, `		return ${here}`);
		output(name, "");
	}
}

/** The model, with equal numbers in all copies of the table. */
export function modelOf(draft: Draft): Model {
	const model = parseModel(draft.text(), { values: draft.values, seed: 1 });
	for (const node of [...allNodes(model), ...model.functions.flatMap(({ body }) => body.nodes)]) {
		const held = node.attributes.get("value");
		const values = draft.values[node.outputs[0]?.name ?? ""];
		if (held?.kind !== "tensor" || values === undefined) continue;
		const { dtype, dims } = held.value;
		setAttribute(node, "value", tensor(new Tensor(dtype, dims, dataOf(writeElements(dtype, values)))));
	}
	return model;
}
