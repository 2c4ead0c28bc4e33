// The calibrating graph on a tiny model, against sums computed here: labels, D and C directly, M by finite differences.
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { calibrationGraph, INPUTS } from "../../passes/calibrate/graph.js";
import { sitesOf } from "../../passes/calibrate/sites.js";
import { type Means, MomentSums } from "../../passes/calibrate/sums.js";
import { locate } from "../../passes/locate/index.js";
import { openBundle } from "../../src/onnx/index.js";
import { runPass } from "../../src/pass.js";
import { normal, uniform } from "../../src/random.js";
import { openComputation } from "../../src/runtime/computation.js";
import { feedsFor, type TrainingBatch } from "../../src/training/batches.js";
import { trainableOf } from "../../src/training/trainable.js";
import { wholeOf } from "../../src/training/whole.js";
import { loadedFrom } from "../../src/workspace.js";
import { writeModel } from "../support/bigrams.js";
import { temporaryFolder } from "../support/models.js";
import { runner } from "./support.js";

const [V, D] = [60, 6];
const [BATCH, LENGTH] = [2, 4];

/** Each state is tanh of the running sum of what was read, times a matrix. */
const MODEL = `
	model ir 8, opset ai.onnx 17
	graph tiny(input_ids: int64[batch, length])
		table = float32[${V}, ${D}]
		mix = float32[${D}, ${D}]
		one = int64[] {1}
		x = Gather(table, input_ids)
		sum = CumSum(x, one)
		mixed = MatMul(sum, mix)
		hidden = Tanh(mixed)
		head = Transpose<perm=[1, 0]>(table)
		logits = MatMul(hidden, head)
		return logits: float32[batch, length, ${V}]`;

const draw = normal(3);
const table = Float32Array.from({ length: V * D }, () => draw());
const mix = Float32Array.from({ length: D * D }, () => 0.4 * draw());

/** The second row repeats a token and ends early. */
const ids = Int32Array.from([3, 7, 3, 11, 5, 5, 59, 0]);
const mask = Uint8Array.from([1, 1, 1, 1, 1, 1, 1, 0]);
const next = uniform(5);
const chosen = Float32Array.from(ids, () => next());

interface Forward {
	readonly hidden: number[][];
	readonly p: number[][];
}

/** The model in float64, on rows that may differ from the table's. */
function forward(rows: readonly (readonly number[])[]): Forward {
	const hidden = rows.map((_, place) => {
		const first = place - (place % LENGTH);
		const sum = Array.from({ length: D }, (_, k) => rows.slice(first, place + 1).reduce((total, row) => total + (row[k] ?? 0), 0));
		return Array.from({ length: D }, (_, j) => Math.tanh(sum.reduce((total, value, k) => total + value * (mix[k * D + j] ?? 0), 0)));
	});
	const p = hidden.map((h) => {
		const scores = Array.from({ length: V }, (_, token) => h.reduce((sum, value, k) => sum + value * (table[token * D + k] ?? 0), 0));
		const total = scores.reduce((sum, score) => sum + Math.exp(score), 0);
		return scores.map((score) => Math.exp(score) / total);
	});
	return { hidden, p };
}

const rows = Array.from(ids, (id) => Array.from(table.subarray(id * D, (id + 1) * D)));
const truth = forward(rows);
const labels = truth.p.map((p, place) => {
	let sum = 0;
	return p.findIndex((value) => {
		sum += value;
		return sum >= (chosen[place] ?? 0);
	});
});

/** Gradient of Σ −ln p(label) at each place, by central differences. */
function gradients(): number[][] {
	const loss = (changed: readonly (readonly number[])[]) =>
		forward(changed).p.reduce((sum, p, place) => sum - (mask[place] ?? 0) * Math.log(p[labels[place] ?? 0] ?? 0), 0);
	const step = 1e-5;
	return rows.map((row, place) =>
		row.map((value, k) => {
			const at = (moved: number) => loss(rows.with(place, row.with(k, moved)));
			return (at(value + step) - at(value - step)) / (2 * step);
		}),
	);
}

/** Σ aᵀa over vectors, divided by `count`. */
function moment(vectors: readonly (readonly number[])[], count: number): number[] {
	return Array.from({ length: D * D }, (_, at) =>
		vectors.reduce((sum, vector) => sum + ((vector[Math.floor(at / D)] ?? 0) * (vector[at % D] ?? 0)) / count, 0),
	);
}

function worst(found: ArrayLike<number> | undefined, expected: ArrayLike<number>): number {
	if (found?.length !== expected.length) return Number.POSITIVE_INFINITY;
	const scale = Math.max(...Array.from(expected, Math.abs));
	return Math.max(...Array.from(expected, (value, at) => Math.abs(value - (found[at] ?? Number.NaN)))) / scale;
}

const folder = temporaryFolder();
const file = writeModel(path.join(folder, "tiny.onnx"), MODEL, { table, mix });
const bundle = openBundle(file);
afterAll(() => bundle.close());

describe("the_calibrating_graph", () => {
	let means: Means | undefined;

	beforeAll(async () => {
		const located = await runPass(locate({}), loadedFrom(bundle), runner());
		const trainable = await trainableOf(await wholeOf(located.files, { threads: 1 }), { batch: BATCH, length: LENGTH, threads: 1 });
		const sites = located.vocabularies.map((vocabulary) => sitesOf(trainable, vocabulary));
		const graph = calibrationGraph(trainable, sites);
		expect(graph.missing).toEqual([]);
		const session = await openComputation(trainable.ops.graph, graph.outputs, { threads: 1 });
		const weights = Float32Array.from(mask);
		const batch: TrainingBatch = { tokens: { batch: BATCH, length: LENGTH, ids, mask }, labels: ids, weights, count: 7 };
		const dims = [BATCH, LENGTH];
		const feeds = {
			...feedsFor(trainable.whole.roles, batch),
			[INPUTS.weights]: { dtype: "float32", dims, data: weights },
			[INPUTS.uniform]: { dtype: "float32", dims, data: chosen },
		} as const;
		const sums = new MomentSums(sites, V);
		sums.add(
			graph,
			await session.run(
				feeds,
				graph.outputs.map(({ name }) => name),
			),
			batch,
		);
		await session.close();
		[means] = sums.means();
	});

	it("counts_reads_that_a_prediction_depends_on", () => {
		const expected = new Float64Array(V);
		for (const id of ids.subarray(0, 7)) expected[id] = (expected[id] ?? 0) + 1 / 7;
		expect(worst(means?.frequency, expected)).toBeLessThan(1e-12);
	});

	it("adds_up_how_undecided_the_predictions_are", () => {
		const shown = truth.p.filter((_, place) => mask[place] === 1);
		const expected = Array.from({ length: V }, (_, token) =>
			shown.reduce((sum, p) => sum + ((p[token] ?? 0) * (1 - (p[token] ?? 0))) / 7, 0),
		);
		expect(worst(means?.spread, expected)).toBeLessThan(1e-5);
	});

	it("adds_up_the_moment_of_hidden_states", () => {
		const shown = truth.hidden.filter((_, place) => mask[place] === 1);
		expect(worst(means?.hiddenMoment, moment(shown, 7))).toBeLessThan(1e-5);
	});

	it("adds_up_the_moment_of_gradients_with_equal_tokens_of_a_sequence_taken_together", () => {
		const found = gradients();
		const groups = new Map<string, number[]>();
		for (const [place, gradient] of found.entries()) {
			const key = `${Math.floor(place / LENGTH)} ${ids[place]}`;
			const held = groups.get(key) ?? new Array<number>(D).fill(0);
			groups.set(
				key,
				held.map((value, k) => value + (gradient[k] ?? 0)),
			);
		}
		const expected = moment([...groups.values()], 7);
		expect(worst(means?.gradientMoment, expected)).toBeLessThan(1e-4);
		// Two tokens stand twice: their gradients do not just add up as if they were different tokens.
		expect(worst(means?.gradientMoment, moment(found, 7))).toBeGreaterThan(1e-2);
	});
});
