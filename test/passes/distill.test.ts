// Distillation on a small language model: what it trains and writes, what it keeps, how it stops, goes back and goes on.
import { createHash } from "node:crypto";
import path from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { type DistillOptions, distill } from "../../passes/distill/index.js";
import { factorize } from "../../passes/factorize/index.js";
import { locate } from "../../passes/locate/index.js";
import { reconstruct } from "../../passes/reconstruct/index.js";
import { addNode, setInfo, setInput, setTensor } from "../../src/ir/edit.js";
import type { Model, Value } from "../../src/ir/graph.js";
import { float32Tensor } from "../../src/ir/tensor.js";
import { type Bundle, openBundle } from "../../src/onnx/index.js";
import { COMPILE_DEFAULTS } from "../../src/options.js";
import { type PassRunner, runPass } from "../../src/pass.js";
import type { Distilled, Reconstructed } from "../../src/state.js";
import type { Checkpoint, CheckpointStore } from "../../src/training/checkpoint.js";
import { fixtureCorpus } from "../support/corpus.js";
import { FIXTURES } from "../support/models.js";
import { valueNamed } from "./support.js";

const FOLDER = path.join(FIXTURES, "sotu-lm");
const TABLE = "transformer.wte.weight";
const SHAPE = { batch: 2, length: 16 } as const;

const bundles: Bundle[] = [];
afterAll(() => {
	for (const bundle of bundles) bundle.close();
});

/** The small model up to its factors; `change` comes first. */
async function reconstructed({
	method = "svd",
	rank = 16,
	change,
}: {
	method?: "svd" | "paper";
	rank?: number;
	change?: (model: Model) => void;
} = {}) {
	const bundle = openBundle(path.join(FOLDER, "model.onnx"));
	bundles.push(bundle);
	for (const { open } of bundle.models) change?.(open.model);
	const files = bundle.models.map(({ name, open }) => ({ name, path: open.path, model: open.model, bytes: open.source.size }));
	const located = await runPass(locate({}), { kind: bundle.kind, path: bundle.path, files }, runner());
	const sized = await runPass(factorize({ ...COMPILE_DEFAULTS, size: { rank } }), located, runner());
	return await runPass(reconstruct({ method }), sized, runner());
}

function runner(signal?: AbortSignal, seed = 1): PassRunner {
	return { threads: 2, seed, records: [], signal };
}

async function distilled(state: Reconstructed, options: Partial<DistillOptions>, run = runner()): Promise<Distilled> {
	return await runPass(distill({ corpus: await fixtureCorpus(), method: "distemb", ...SHAPE, ...options }), state, run);
}

const floats = ({ tensor }: Value) => new Float32Array(tensor?.bytes().slice().buffer ?? new ArrayBuffer(0));

function factor({ groups }: Reconstructed, role: string): Float32Array {
	const found = groups[0]?.values.find((value) => value.role === role);
	if (found === undefined) throw new Error(`no ${role}`);
	return floats(found.value);
}

/** A hash of every initializer of every file. */
function bitsOf({ files }: Reconstructed): string {
	const hash = createHash("sha256");
	for (const { model } of files) for (const { name, tensor } of model.graph.initializers) hash.update(name).update(tensor?.bytes() ?? "");
	return hash.digest("hex");
}

const validationOf = ({ distillation }: Distilled) => distillation?.curve.map(({ validation }) => validation ?? Number.NaN) ?? [];

describe("distill", () => {
	it("brings_the_student_nearer_to_the_original_than_the_closed_form", async () => {
		const state = await reconstructed();
		const before = factor(state, "left");
		const after = await distilled(state, { steps: 24 });
		const [first = 0] = validationOf(after);
		expect(after.distillation?.best.validation).toBeLessThan(0.8 * first);
		expect(after.distillation?.curve.every(({ loss }) => Number.isFinite(loss))).toBe(true);
		expect(after.distillation?.stopped).toBe("steps");
		expect(after.distillation?.tokens).toBe(24 * 2 * 16);
		expect(after.distillation?.untrained).toEqual([]);
		expect(factor(after, "left")).not.toEqual(before);
		expect(after.reconstructions[0]?.relativeError).not.toBe(state.reconstructions[0]?.relativeError);
	});

	it("writes_one_table_for_lookup_and_projection", async () => {
		const after = await distilled(await reconstructed(), { steps: 2 });
		const [left] = after.groups[0]?.values.filter(({ role }) => role === "left") ?? [];
		const readers = [...(left?.value.uses ?? [])].map((use) => use.kind === "node" && use.node.opType);
		expect(after.groups[0]?.values.map(({ role }) => role)).toEqual(["left", "right"]);
		expect(readers.toSorted()).toEqual(["Gather", "Gemm"]);
	});

	it("trains_what_was_asked_for_and_nothing_else", async () => {
		const initial = await reconstructed();
		const body = (state: Reconstructed, name: string) => floats(valueNamed(state.files[0]?.model as Model, name));
		const [norm, weight] = ["transformer.ln_f.weight", "transformer.h.0.mlp.c_fc.weight"];
		const before = [norm, weight].map((name) => body(initial, name));
		const changed = async (train: "factors" | "norms" | "all") => {
			const after = await distilled(await reconstructed(), { steps: 2, train });
			return [norm, weight].map((name, index) => body(after, name).some((element, at) => element !== before[index]?.[at]));
		};
		expect(await changed("factors")).toEqual([false, false]);
		expect(await changed("norms")).toEqual([true, false]);
		expect(await changed("all")).toEqual([true, true]);
	});

	it("takes_the_same_steps_in_parts_as_at_once", async () => {
		const run = runner();
		const one = (model: Model) => {
			const ids = valueNamed(model, "input_ids");
			setInfo(ids, { type: { dtype: "int64", shape: [1, "sequence"] }, carried: undefined });
		};
		const options = { steps: 4, lr: 1e-3, train: "factors", weights: { embedding: 0 } } as const;
		const whole = validationOf(await distilled(await reconstructed(), options));
		const parts = validationOf(await distilled(await reconstructed({ change: one }), options, run));
		expect(run.records[0]?.log?.[0]).toContain("2 sequences of 16 tokens a step in 2 parts");
		expect(parts.length).toBe(whole.length);
		for (const [index, value] of parts.entries()) expect(value).toBeCloseTo(whole[index] ?? 0, 4);
	});

	it("keeps_rows_that_are_zero_in_the_original", async () => {
		const change = (model: Model) => {
			const value = valueNamed(model, TABLE);
			const table = floats(value);
			table.fill(0, 3 * 160, 5 * 160);
			setTensor(value, float32Tensor(table, [6144, 160]));
		};
		const after = await distilled(await reconstructed({ change }), { steps: 3 });
		const left = factor(after, "left");
		expect(left.subarray(3 * 16, 5 * 16).every((element) => element === 0)).toBe(true);
		expect(left.subarray(5 * 16, 6 * 16).some((element) => element !== 0)).toBe(true);
	});

	it("gives_the_same_bytes_for_the_same_seed", async () => {
		const run = async (seed: number) => bitsOf(await distilled(await reconstructed(), { steps: 3 }, runner(undefined, seed)));
		const first = await run(1);
		expect(await run(1)).toBe(first);
		expect(await run(2)).not.toBe(first);
	});

	it("goes_back_to_the_best_at_half_the_rate_when_the_rate_is_too_high_for_a_student_that_is_near", async () => {
		const run = runner();
		const { distillation } = await distilled(await reconstructed({ rank: 150 }), { steps: 30, lr: 0.02 }, run);
		const log = run.records.flatMap(({ log }) => log ?? []);
		const back = log.filter((line) => line.endsWith("at half the rate"));
		expect(back.some((line) => /^step \d+: validation [\d.e-]+; back to step \d+ /.test(line))).toBe(true);
		expect(back.length).toBeGreaterThan(1);
		for (const { step, rate } of distillation?.curve ?? []) {
			const halvings = back.filter((line) => Number(/^step (\d+)/.exec(line)?.[1]) < step).length;
			expect(rate).toBeLessThanOrEqual(0.02 / 2 ** halvings);
		}
		expect(distillation?.best.validation).toBeLessThanOrEqual(distillation?.curve[0]?.validation ?? 0);
	});

	it("goes_back_to_the_best_at_half_the_rate_when_the_loss_explodes", async () => {
		const state = await reconstructed();
		const before = bitsOf(state);
		const after = await distilled(state, { steps: 40, lr: 1e6 });
		expect(after.distillation?.rollbacks).toBeGreaterThan(2);
		expect(after.distillation?.best.step).toBe(0);
		expect(after.distillation?.stopped).toBe("diverged");
		expect(bitsOf(after)).toBe(before);
	});

	it("trains_past_an_operator_without_a_gradient_what_lies_behind_it", async () => {
		const change = (model: Model) => {
			const states = valueNamed(model, "/transformer/h.2/Add_1_output_0");
			const [use] = [...states.uses];
			if (use?.kind !== "node") throw new Error("no reader");
			const node = addNode(model.graph, { opType: "Shrink", inputs: [states], outputs: ["shrunk"] }, use.node);
			setInput(use.node, use.index, node.outputs[0]);
		};
		const after = await distilled(await reconstructed({ change }), { steps: 6 });
		const { untrained = [], trained = [], best } = after.distillation ?? {};
		expect(untrained.some((line) => line.includes("Shrink"))).toBe(true);
		expect(trained).toContain("transformer.ln_f.weight");
		expect(trained).not.toContain("transformer.h.0.ln_1.weight");
		expect(best?.validation).toBeLessThan(0.95 * (validationOf(after)[0] ?? 0));
	});

	it("trains_a_head_alone_on_the_states_of_the_original", async () => {
		const run = async (steps: number) => await distilled(await reconstructed(), { steps, train: "head" });
		const after = await run(24);
		const { curve = [], best, trained, untrained } = after.distillation ?? {};
		expect(curve.every(({ phase }) => phase === "head")).toBe(true);
		expect(trained).toHaveLength(2);
		expect(untrained).toEqual([]);
		expect(best?.validation).toBeLessThan(0.8 * (curve[0]?.validation ?? 0));
		expect(bitsOf(await run(24))).toBe(bitsOf(after));
	});

	it("trains_phase_after_phase_each_from_the_best_of_the_one_before", async () => {
		const after = await distilled(await reconstructed(), { steps: 20, phases: ["head", "factors", "all"] });
		const { curve = [], best } = after.distillation ?? {};
		expect([...new Set(curve.map(({ phase }) => phase))]).toEqual(["head", "factors", "all"]);
		expect(curve.filter(({ phase }) => phase === "head").at(-1)?.step).toBe(2);
		expect(curve.filter(({ phase }) => phase === "factors").at(-1)?.step).toBe(8);
		expect(curve.at(-1)).toMatchObject({ phase: "all", step: 20 });
		expect(best?.validation).toBeLessThan(0.8 * (curve[0]?.validation ?? 0));
	});

	it("leaves_the_matrices_of_the_body_to_the_last_phase", async () => {
		const initial = await reconstructed();
		const body = (state: Reconstructed, name: string) => floats(valueNamed(state.files[0]?.model as Model, name));
		const names = ["transformer.ln_f.weight", "transformer.h.0.mlp.c_fc.weight"];
		const before = names.map((name) => body(initial, name));
		const after = await distilled(await reconstructed(), { steps: 3, phases: ["head", "factors"] });
		expect(names.map((name, index) => body(after, name).some((element, at) => element !== before[index]?.[at]))).toEqual([true, false]);
	});

	it("learns_from_the_states_at_the_head_alone_if_it_is_told_to", async () => {
		const options = { steps: 24, lr: 4e-3, train: "factors" } as const;
		const after = await distilled(await reconstructed(), { ...options, weights: { kl: 0, embedding: 0, states: 1 } });
		const { curve = [], best, untrained } = after.distillation ?? {};
		expect(untrained).toEqual([]);
		expect(curve.at(-1)?.loss).toBeLessThan(0.9 * (curve[0]?.loss ?? 0));
		expect(best?.validation).toBeLessThan(curve[0]?.validation ?? 0);
		expect(bitsOf(after)).not.toBe(bitsOf(await distilled(await reconstructed(), options)));
	});

	it("passes_through_without_data_and_says_so", async () => {
		const state = await reconstructed();
		const run = runner();
		const before = bitsOf(state);
		const after = await distilled(state, { corpus: undefined }, run);
		expect(after.distillation).toBeUndefined();
		expect(bitsOf(after)).toBe(before);
		expect(run.records[0]?.log).toEqual(["nothing was trained: there is no data"]);
	});
});

describe("distill --method paper", () => {
	it("trains_nonnegative_factors_and_writes_no_relu", async () => {
		const state = await reconstructed({ method: "paper" });
		const operators = (of: Reconstructed) => of.files[0]?.model.graph.nodes.map(({ opType }) => opType);
		const before = operators(state);
		const after = await distilled(state, { method: "paper", steps: 12 });
		expect(factor(after, "left").every((element) => element >= 0)).toBe(true);
		expect(operators(after)).toEqual(before);
		expect(after.distillation?.best.step).toBeGreaterThan(0);
		expect(after.distillation?.best.validation).toBeLessThan(validationOf(after)[0] ?? 0);
	});
});

describe("what chooses the best", () => {
	it("is_the_divergence_or_the_cross_entropy_or_the_mean_of_both_as_the_loss_weighs_them", async () => {
		const first = async (options: Partial<DistillOptions>) => {
			const after = await distilled(await reconstructed(), { steps: 1, ...options });
			return { value: validationOf(after)[0] ?? Number.NaN, measures: after.distillation?.measures };
		};
		const [divergence, crossEntropy] = [await first({}), await first({ weights: { kl: 0, crossEntropy: 1 } })];
		expect([divergence.measures, crossEntropy.measures]).toEqual(["divergence", "crossEntropy"]);
		// They differ by what the original itself is unsure of: 4.6 nats on this text.
		expect(crossEntropy.value - divergence.value).toBeGreaterThan(3);
		const both = await first({ weights: { kl: 3, crossEntropy: 1 } });
		expect(both.measures).toBe("both");
		expect(both.value).toBeCloseTo(0.75 * divergence.value + 0.25 * crossEntropy.value, 4);
		expect((await first({ method: "paper" })).measures).toBe("crossEntropy");
	});
});

describe("an interrupted distillation", () => {
	/** Keeps the last checkpoint, as a file would: copied. */
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

	it.each([
		["at_once", undefined, 3],
		["in_a_head's_phase", ["head", "all"], 1],
		["at_the_end_of_a_phase", ["factors", "all"], 2],
		["in_a_later_phase", ["head", "factors", "all"], 4],
	] as const)("goes_on_to_the_same_bytes_as_one_that_was_not_interrupted_%s", async (_, phases, at) => {
		const whole = await distilled(await reconstructed(), { steps: 6, phases });
		const store = memory();
		const controller = new AbortController();
		let reports = 0;
		const stopping: PassRunner = {
			...runner(controller.signal),
			onProgress: ({ note }) => {
				if (note?.startsWith("step") === true && ++reports === at) controller.abort();
			},
		};
		const first = distilled(await reconstructed(), { steps: 6, phases, checkpoint: store }, stopping);
		await expect(first).rejects.toMatchObject({ code: "interrupted" });
		expect(store.kept?.facts.step).toBe(at);
		const second = await distilled(await reconstructed(), { steps: 6, phases, checkpoint: store });
		expect(bitsOf(second)).toBe(bitsOf(whole));
		expect(validationOf(second)).toEqual(validationOf(whole));
	});

	it("refuses_the_checkpoint_of_another_run", async () => {
		const store = memory();
		const stopped = runner(AbortSignal.abort());
		await expect(
			distilled(await reconstructed(), { steps: 6, checkpoint: store }, { ...stopped, signal: undefined }),
		).resolves.toBeDefined();
		const controller = new AbortController();
		const stopping: PassRunner = {
			...runner(controller.signal),
			onProgress: ({ note }) => note?.startsWith("step") === true && controller.abort(),
		};
		await expect(distilled(await reconstructed(), { steps: 6, checkpoint: store }, stopping)).rejects.toMatchObject({
			code: "interrupted",
		});
		await expect(distilled(await reconstructed(), { steps: 7, checkpoint: store })).rejects.toThrow(
			"of another model, other data or other options",
		);
	});
});
