// Short ways to differentiate graphs written as text.
import { Ops } from "../../src/gradient/ops.js";
import { checkModel } from "../../src/ir/check.js";
import { addOutput } from "../../src/ir/edit.js";
import type { Model, Value } from "../../src/ir/graph.js";
import { parseModel } from "../../src/ir/parse.js";
import { encodeToBytes } from "../../src/onnx/index.js";
import { tensorOf } from "../../src/runtime/numbers.js";
import { probe } from "../../src/runtime/probe.js";
import { type EngineTensor, type Feeds, openSession } from "../../src/runtime/session.js";

export interface Written {
	readonly model: Model;
	readonly ops: Ops;
	readonly value: (name: string) => Value;
}

/** The graph `text` at opset 18, probed with `feeds`. */
export async function written(text: string, feeds: Feeds): Promise<Written> {
	const [head = "", ...body] = text.trim().split("\n");
	const indents = body.map((line) => line.search(/\S/));
	const least = Math.min(...indents);
	const lines = [`graph ${head}`, ...body.map((line) => `\t${line.slice(least)}`)];
	const model = parseModel(["model ir 10, opset ai.onnx 18, com.microsoft 1", ...lines].join("\n"), { seed: 3 });
	const ops = Ops.on(model.graph, new Map(await probe(model, feeds, { threads: 1 })));
	return { model, ops, value: (name) => valueNamed(model, name) };
}

export function valueNamed(model: Model, name: string): Value {
	const { graph } = model;
	const all = [...graph.inputs, ...graph.initializers, ...graph.nodes.flatMap(({ outputs }) => outputs)];
	const found = all.find((value) => value?.name === name);
	if (found === undefined) throw new Error(`no value "${name}"`);
	return found;
}

/** Computes `values` of the graph, which become its outputs. */
export async function compute(model: Model, values: readonly Value[], feeds: Feeds, threads = 1): Promise<Float64Array[]> {
	const before = new Set(model.graph.outputs.map(({ value }) => value));
	for (const value of new Set(values)) if (!before.has(value)) addOutput(model.graph, value);
	checkModel(model);
	const session = await openSession(encodeToBytes(model), { threads });
	try {
		const results = await session.run(
			feeds,
			values.map(({ name }) => name),
		);
		return values.map(({ name }) => numbersOf(results[name]));
	} finally {
		await session.close();
	}
}

export function numbersOf(tensor: EngineTensor | undefined): Float64Array {
	if (tensor === undefined) throw new Error("no such output");
	return Float64Array.from(tensor.data as ArrayLike<number | bigint>, Number);
}

export function doubles(dims: readonly number[], values: readonly number[] | ((index: number) => number)): EngineTensor {
	return tensorOf("float64", dims, (index) => (typeof values === "function" ? values(index) : (values[index] ?? 0)));
}

export function integers(dims: readonly number[], values: readonly number[]): EngineTensor {
	return tensorOf("int64", dims, (index) => values[index] ?? 0);
}
