// The shared checker of gradients: central differences of the graph as it was written, against the gradient graph.

import type { Ops } from "../../src/gradient/ops.js";
import { prepareForTraining } from "../../src/gradient/prepare.js";
import type { Rules } from "../../src/gradient/rules.js";
import { differentiate, type SweepResult } from "../../src/gradient/sweep.js";
import { addConstant, smallTensor } from "../../src/ir/build.js";
import { checkModel } from "../../src/ir/check.js";
import { addOutput } from "../../src/ir/edit.js";
import type { Model, Value } from "../../src/ir/graph.js";
import { parseModel } from "../../src/ir/parse.js";
import { encodeToBytes } from "../../src/onnx/index.js";
import { normal, seedFor, uniform } from "../../src/random.js";
import { tensorOf } from "../../src/runtime/numbers.js";
import { probe } from "../../src/runtime/probe.js";
import { type EngineTensor, openSession, type Session } from "../../src/runtime/session.js";

export type Precision = "float64" | "float32";

export interface GradientCase {
	/** What the case is about; unique per operator. */
	readonly about: string;
	/** A graph in the notation of print.ts: `main(x: T[2, 3], ids: int64[4])`, nodes, `return y`. T is the float type. */
	readonly graph: string;
	/** Default operator set; 18 unless given. */
	readonly opset?: number;
	/** float32 only where the engine has no kernel for doubles. */
	readonly precision?: Precision;
	/** Contents of integer and bool inputs, and of float inputs that must not be random. */
	readonly feeds?: Readonly<Record<string, readonly number[]>>;
	/** Float inputs with random contents are drawn from here; normal numbers by default. */
	readonly range?: readonly [number, number];
	/** All float inputs by default. */
	readonly parameters?: readonly string[];
	/** Largest relative error; see {@link TOLERANCE}. */
	readonly tolerance?: number;
}

/** Largest error of one derivative, relative to the largest derivative of the parameter. */
export const TOLERANCE: Readonly<Record<Precision, number>> = { float64: 1e-7, float32: 5e-4 };
const STEP: Readonly<Record<Precision, number>> = { float64: 1e-3, float32: 2e-2 };

/** Parameters with more elements are checked along random directions instead of every axis. */
const MOST_AXES = 60;
const DIRECTIONS = 8;

export interface CheckedParameter {
	readonly name: string;
	/** Largest difference between derivative and difference quotient (or between two results), relative to the largest of either. */
	readonly error: number;
}

export interface Checked {
	readonly parameters: readonly CheckedParameter[];
	/** Per float output of the graph: how far the training graph is from the graph as it was written. */
	readonly outputs: readonly CheckedParameter[];
	readonly result: SweepResult;
}

export function modelOf({ graph, opset = 18, precision = "float64" }: GradientCase): Model {
	const [head, ...body] = graph.trim().split("\n");
	const least = Math.min(...body.map((line) => line.search(/\S/)));
	const lines = [`graph ${head}`, ...body.map((line) => `\t${line.slice(least)}`)];
	const text = [`model ir 10, opset ai.onnx ${opset}, com.microsoft 1`, ...lines].join("\n");
	return parseModel(text.replace(/\bT\[/g, `${precision}[`), { seed: 1 });
}

export interface CheckOptions {
	/** Another table of rules, a change of the training graph: for tests of the checker. */
	readonly rules?: Rules;
	readonly change?: (ops: Ops) => void;
	readonly seed?: number;
}

/** Runs the check; the caller compares the errors with a tolerance. */
export async function checkGradients(given: GradientCase, options: CheckOptions = {}): Promise<Checked> {
	const { precision = "float64" } = given;
	const { seed = 7 } = options;
	const model = modelOf(given);
	const feeds = feedsOf(model, given, seed);
	const weights = new Map<string, Float64Array>();
	const forward = await openSession(encodeToBytes(model), { threads: 1, optimization: "disabled" });
	try {
		const outputs = await forward.run(feeds);
		for (const [name, { dtype, data }] of Object.entries(outputs)) {
			const random = normal(seedFor(seed, `weight ${name}`));
			if (dtype === precision) weights.set(name, Float64Array.from({ length: data.length }, random));
		}
		const analytic = await analyticGradients(model, given, feeds, weights, options);
		const parameters: CheckedParameter[] = [];
		for (const [name, gradient] of analytic.gradients) {
			parameters.push({ name, error: await errorOf({ forward, feeds, weights, name, gradient, step: STEP[precision], seed }) });
		}
		const compared = [...weights.keys()].map((name) => ({ name, error: difference(analytic.outputs[name], outputs[name]) }));
		return { parameters, outputs: compared, result: analytic.result };
	} finally {
		await forward.close();
	}
}

type Mutable = Record<string, EngineTensor>;

function feedsOf(model: Model, { feeds = {}, range }: GradientCase, seed: number): Mutable {
	return Object.fromEntries(
		model.graph.inputs.map(({ name, type }) => {
			const dims = (type?.shape ?? []).map(Number);
			const given = feeds[name];
			const uniformly = uniform(seedFor(seed, name));
			const normally = normal(seedFor(seed, name));
			const [low, high] = range ?? [0, 0];
			const random = range === undefined ? normally : () => low + (high - low) * uniformly();
			return [name, tensorOf((type?.dtype ?? "float32") as "float32", dims, (index) => given?.[index] ?? random())];
		}),
	);
}

/** Σ over the outputs of Σ weight · element, as nodes; then its gradients. */
async function analyticGradients(
	original: Model,
	given: GradientCase,
	feeds: Mutable,
	weights: ReadonlyMap<string, Float64Array>,
	options: CheckOptions,
): Promise<{ gradients: Map<string, Float64Array>; outputs: Readonly<Record<string, EngineTensor>>; result: SweepResult }> {
	const { model, ops } = await prepareForTraining(original, (copy) => probe(copy, feeds, { threads: 1 }));
	options.change?.(ops);
	const terms: Value[] = [];
	for (const { value } of model.graph.outputs) {
		const weight = weights.get(value.name);
		if (weight === undefined) continue;
		const dims = ops.dims(value);
		const constant = addConstant(model.graph, `weight ${value.name}`, smallTensor(ops.dtype(value), [...weight], dims));
		terms.push(ops.total(ops.mul(value, constant)));
	}
	const names =
		given.parameters ?? model.graph.inputs.filter(({ type }) => type?.dtype === (given.precision ?? "float64")).map(({ name }) => name);
	const parameters = model.graph.inputs.filter(({ name }) => names.includes(name));
	const result = differentiate(ops, ops.addAll(terms), parameters, options.rules === undefined ? {} : { rules: options.rules });
	for (const [parameter, { dense }] of result.gradients) {
		if (dense === undefined) continue;
		addOutput(model.graph, dense, { type: { dtype: ops.dtype(parameter), shape: ops.dims(parameter) }, carried: undefined });
	}
	checkModel(model);
	const session = await openSession(encodeToBytes(model), { threads: 2 });
	try {
		const wanted = [...result.gradients].flatMap(([parameter, { dense }]) => (dense === undefined ? [] : [{ parameter, dense }]));
		const found = await session.run(feeds, [...weights.keys(), ...wanted.map(({ dense }) => dense.name)]);
		const gradients = wanted.map(({ parameter, dense }) => [parameter.name, numbers(found[dense.name])] as const);
		return { gradients: new Map(gradients), outputs: found, result };
	} finally {
		await session.close();
	}
}

function numbers(tensor: EngineTensor | undefined): Float64Array {
	return Float64Array.from((tensor?.data ?? []) as ArrayLike<number>);
}

function difference(ours: EngineTensor | undefined, theirs: EngineTensor | undefined): number {
	const [a, b] = [numbers(ours), numbers(theirs)];
	const largest = a.reduce((most, value, index) => Math.max(most, Math.abs(value), Math.abs(b[index] ?? 0)), Number.MIN_VALUE);
	if (a.length !== b.length) return Number.POSITIVE_INFINITY;
	return a.reduce((most, value, index) => Math.max(most, Math.abs(value - (b[index] ?? 0))), 0) / largest;
}

interface Comparison {
	readonly forward: Session;
	readonly feeds: Mutable;
	readonly weights: ReadonlyMap<string, Float64Array>;
	readonly name: string;
	readonly gradient: Float64Array;
	readonly step: number;
	readonly seed: number;
}

async function errorOf(comparison: Comparison): Promise<number> {
	const { gradient, name, seed } = comparison;
	let largest = Number.MIN_VALUE;
	let difference = 0;
	for (const direction of directions(gradient.length, seedFor(seed, `direction ${name}`))) {
		const numeric = await quotient(comparison, direction);
		const analytic = direction.reduce((sum, along, index) => sum + along * (gradient[index] ?? 0), 0);
		largest = Math.max(largest, Math.abs(numeric), Math.abs(analytic));
		difference = Math.max(difference, Math.abs(numeric - analytic));
		if (Number.isNaN(numeric - analytic)) return Number.NaN;
	}
	return difference / largest;
}

/** The axes of a small parameter, else random unit vectors. */
function* directions(length: number, seed: number): Generator<Float64Array> {
	if (length <= MOST_AXES) {
		for (let axis = 0; axis < length; axis++) yield Float64Array.from({ length }, (_, index) => Number(index === axis));
		return;
	}
	const random = normal(seed);
	for (let count = 0; count < DIRECTIONS; count++) yield Float64Array.from({ length }, () => random() / Math.sqrt(length));
}

/** Central difference of fourth order: (8 (f(h) − f(−h)) − (f(2h) − f(−2h))) / 12h. */
async function quotient(comparison: Comparison, direction: Float64Array): Promise<number> {
	const { step } = comparison;
	const at = (distance: number) => lossAt(comparison, direction, distance);
	const near = (await at(step)) - (await at(-step));
	const far = (await at(2 * step)) - (await at(-2 * step));
	return (8 * near - far) / (12 * step);
}

async function lossAt({ forward, feeds, weights, name }: Comparison, direction: Float64Array, distance: number): Promise<number> {
	const old = feeds[name];
	if (old === undefined) return Number.NaN;
	const base = old.data as Float64Array;
	const moved = tensorOf(old.dtype, old.dims, (index) => (base[index] ?? 0) + distance * (direction[index] ?? 0));
	const outputs = await forward.run({ ...feeds, [name]: moved }, [...weights.keys()]);
	let total = 0;
	for (const [output, weight] of weights) {
		const data = numbers(outputs[output]);
		for (let index = 0; index < weight.length; index++) total += (weight[index] ?? 0) * (data[index] ?? 0);
	}
	return total;
}
