// Distillation of a coded table: what is trained is what is written, and columns that a block drops stay zero.
import { createHash } from "node:crypto";
import path from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { distill } from "../../passes/distill/index.js";
import { factorize } from "../../passes/factorize/index.js";
import { locate } from "../../passes/locate/index.js";
import { encodeCoded } from "../../passes/quantize/coded.js";
import { quantize } from "../../passes/quantize/index.js";
import { reconstruct } from "../../passes/reconstruct/index.js";
import { setTensor } from "../../src/ir/edit.js";
import type { Value } from "../../src/ir/graph.js";
import { float32Tensor } from "../../src/ir/tensor.js";
import { type Bundle, encodeToBytes, openBundle } from "../../src/onnx/index.js";
import { COMPILE_DEFAULTS } from "../../src/options.js";
import { type PassRunner, runPass } from "../../src/pass.js";
import { engineProducts } from "../../src/runtime/products.js";
import { type Feeds, openSession, type Session } from "../../src/runtime/session.js";
import type { Distilled, Reconstructed } from "../../src/state.js";
import type { Checkpoint, CheckpointStore } from "../../src/training/checkpoint.js";
import { fixtureCorpus } from "../support/corpus.js";
import { FIXTURES } from "../support/models.js";
import { int64s } from "./support.js";

const FOLDER = path.join(FIXTURES, "sotu-lm");
const [V, D, RATIO] = [6144, 160, 24];

const bundles: Bundle[] = [];
afterAll(() => {
	for (const bundle of bundles) bundle.close();
});

const runner = (seed = 1): PassRunner => ({ threads: 2, seed, records: [] });

/** The small model with coded factors, in blocks of ids. */
async function coded(ranks: { inputRank?: number; outputRank?: number } = {}): Promise<Reconstructed> {
	const bundle = openBundle(path.join(FOLDER, "model.onnx"));
	bundles.push(bundle);
	const files = bundle.models.map(({ name, open }) => ({ name, path: open.path, model: open.model, bytes: open.source.size }));
	const located = await runPass(locate({}), { kind: bundle.kind, path: bundle.path, files }, runner());
	const frequency = Float64Array.from({ length: V }, (_, id) => 1 / (1 + id) / 9);
	const calibrations = located.vocabularies.map((vocabulary) => ({
		...{ vocabulary, frequency, spread: frequency, gradientMoment: undefined, hiddenMoment: undefined },
		...{ tokens: 0, counted: 0, source: "id order" as const },
	}));
	const options = { ...COMPILE_DEFAULTS, size: { ratio: RATIO }, dtype: "mixed" as const, blocks: 3, ...ranks };
	const sized = await runPass(factorize(options), { ...located, calibrations }, runner());
	return await runPass(reconstruct({ method: "distemb", calibrations }), sized, runner());
}

async function distilled(steps: number, run = runner(), checkpoint?: CheckpointStore): Promise<Distilled> {
	const options = { corpus: await fixtureCorpus(), method: "distemb", batch: 2, length: 16, steps, checkpoint } as const;
	return await runPass(distill(options), await coded(), run);
}

/** Keeps the last checkpoint in memory, as a file would: copied. */
function memory(): CheckpointStore & { kept: Checkpoint | undefined } {
	const store = {
		kept: undefined as Checkpoint | undefined,
		load: async () => store.kept,
		save: async ({ facts, arrays }: Checkpoint) => {
			const copies = new Map([...arrays].map(([name, array]) => [name, array.slice()]));
			store.kept = { facts: JSON.parse(JSON.stringify(facts)), arrays: copies };
		},
	};
	return store;
}

/** A runner that is interrupted after so many steps. */
function stopping(after: number): PassRunner {
	const controller = new AbortController();
	let reports = 0;
	const onProgress: PassRunner["onProgress"] = ({ note }) => {
		if (note?.startsWith("step") === true && ++reports === after) controller.abort();
	};
	return { ...runner(), signal: controller.signal, onProgress };
}

const floats = ({ tensor }: Value) => new Float32Array(tensor?.bytes().slice().buffer ?? new ArrayBuffer(0));

function groupOf({ groups }: Reconstructed) {
	const [group] = groups;
	const of = (role: string) => group?.values.find((value) => value.role === role)?.value;
	const [left, right] = [of("left"), of("right")];
	if (group?.coding === undefined || left === undefined || right === undefined) throw new Error("nothing is coded");
	return { group, coding: group.coding, left, right };
}

function sessionOf({ files: [file] }: Reconstructed): Promise<Session> {
	if (file === undefined) throw new Error("no file");
	const opened = bundles.flatMap(({ models }) => models).find(({ open }) => open.model === file.model);
	return openSession(encodeToBytes(file.model, opened?.open.source), { threads: 1 });
}

/** Logits of the only file as it is now. */
async function logitsOf(state: Reconstructed): Promise<Float32Array> {
	const session = await sessionOf(state);
	try {
		const ids = Array.from({ length: 12 }, (_, index) => (index * 517) % V);
		const past = { dtype: "float32", dims: [1, 5, 0, 32], data: new Float32Array(0) } as const;
		const feeds: Record<string, Feeds[string]> = {
			input_ids: int64s(ids, [1, 12]),
			position_ids: int64s([...ids.keys()], [1, 12]),
			attention_mask: int64s(Array(12).fill(1), [1, 12]),
		};
		for (const layer of [0, 1, 2]) for (const kind of ["key", "value"]) feeds[`past_key_values.${layer}.${kind}`] = past;
		const { logits } = await session.run(feeds);
		if (!(logits?.data instanceof Float32Array)) throw new Error("no logits");
		return logits.data;
	} finally {
		await session.close();
	}
}

function bitsOf({ files }: Reconstructed): string {
	const hash = createHash("sha256");
	for (const { model } of files) for (const { name, tensor } of model.graph.initializers) hash.update(name).update(tensor?.bytes() ?? "");
	return hash.digest("hex");
}

describe("distill, of a coded table", () => {
	it("trains_a_coding_for_each_side", async () => {
		const before = await coded({ inputRank: 2, outputRank: 3 });
		const starts = before.groups.map(({ values }) => values.map(({ value }) => floats(value)));
		const options = { corpus: await fixtureCorpus(), method: "distemb", batch: 2, length: 16, steps: 6 } as const;
		const { groups, distillation } = await runPass(distill(options), before, runner());
		expect(groups.map(({ side }) => side)).toEqual(["input", "output"]);
		expect(distillation?.best.validation).toBeLessThan(distillation?.curve[0]?.validation ?? 0);
		for (const [index, { values }] of groups.entries())
			for (const [place, { value }] of values.entries()) expect(floats(value)).not.toEqual(starts[index]?.[place]);
	});

	it("brings_the_rounded_student_nearer_to_the_original", async () => {
		const { distillation } = await distilled(32);
		const [first] = distillation?.curve ?? [];
		expect(distillation?.best.step).toBeGreaterThan(16);
		expect(distillation?.best.validation).toBeLessThan(0.9 * (first?.validation ?? 0));
	});

	it("keeps_columns_at_zero_that_a_block_drops", async () => {
		const { group, coding, left } = groupOf(await distilled(4));
		const values = floats(left);
		const ends = coding.blocks.map((_, index) => coding.blocks.slice(0, index + 1).reduce((sum, { rows }) => sum + rows, 0));
		let dropped = 0;
		for (let id = 0; id < V; id++) {
			const place = coding.positions?.[id] ?? id;
			const precisions = coding.blocks[ends.findIndex((end) => place < end)]?.perByte;
			for (let k = 0; k < group.rank; k++)
				if (precisions?.[k] === 0) {
					dropped++;
					if (values[id * group.rank + k] !== 0) throw new Error(`row ${id} has column ${k}`);
				}
		}
		expect(dropped).toBeGreaterThan(0);
		expect(values.some((value) => value !== 0)).toBe(true);
	});

	it("writes_the_student_that_was_validated", async () => {
		const state = await distilled(8);
		const { group, coding, left, right } = groupOf(state);
		const products = engineProducts({ threads: 1 });
		const held = await encodeCoded(group, coding, { refit: false, products, signal: undefined });
		await products.close();
		const [plainLeft, plainRight] = [floats(left), floats(right)];
		setTensor(left, float32Tensor(held.left(0, V), [V, group.rank]));
		setTensor(right, float32Tensor(held.right, [group.rank, D]));
		const expected = await logitsOf(state);
		setTensor(left, float32Tensor(plainLeft, [V, group.rank]));
		setTensor(right, float32Tensor(plainRight, [group.rank, D]));
		const unrounded = await logitsOf(state);
		const written = await logitsOf(await runPass(quantize({ ops: "standard", dtype: "mixed", refit: false }), state, runner()));
		const distance = (a: Float32Array, b: Float32Array) => a.reduce((most, value, at) => Math.max(most, Math.abs(value - (b[at] ?? 0))), 0);
		expect(distance(written, expected)).toBeLessThan(1e-3);
		expect(distance(unrounded, expected)).toBeGreaterThan(0.1);
	});

	it("repeats_to_the_byte_with_one_seed", async () => {
		const bits = bitsOf(await distilled(4));
		expect(bitsOf(await distilled(4))).toBe(bits);
		expect(bitsOf(await distilled(4, runner(2)))).not.toBe(bits);
	});

	it.each([3, 11])("goes_on_to_the_same_bytes_if_it_was_interrupted_after_step_%i_of_16", async (step) => {
		const whole = await distilled(16);
		const store = memory();
		await expect(distilled(16, stopping(step), store)).rejects.toMatchObject({ code: "interrupted" });
		expect(store.kept?.facts.step).toBe(step);
		const second = await distilled(16, runner(), store);
		expect(bitsOf(second)).toBe(bitsOf(whole));
		expect(second.distillation?.curve.map(({ validation }) => validation)).toEqual(
			whole.distillation?.curve.map(({ validation }) => validation),
		);
	});
});
