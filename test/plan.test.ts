// plan: sizes without a conversion.
import { readdirSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { compile, plan } from "../src/index.js";
import { planReport } from "../src/plan.js";
import { OURS, planText } from "../src/report/plan.js";
import type { CompileReport } from "../src/report/report.js";
import { compileText } from "../src/report/text.js";
import type { Calibrated, Coding, Side, Vocabulary } from "../src/state.js";

const FOLDER = path.resolve(import.meta.dirname, "../fixtures/sotu-lm");
const MODEL = path.join(FOLDER, "model.onnx");

describe("plan", () => {
	it("predicts_a_loss_that_rises_as_bytes_fall_and_writes_nothing", async () => {
		const before = readdirSync(FOLDER);
		const report = await plan(MODEL, { data: [path.join(FOLDER, "valid.npy")] });
		const { sizes, vocabularyBytes, calibrated } = report;
		expect(sizes.map(({ size }) => size)).toEqual(["ratio 4", "ratio 8", "ratio 16", "ratio 32"]);
		expect(calibrated.source).toBe("data");
		for (const [index, size] of sizes.entries()) {
			expect(size.vocabularyBytes).toBeLessThanOrEqual(vocabularyBytes / 4 / 2 ** index);
			expect(size.predictedLoss).toBeGreaterThan(sizes[index - 1]?.predictedLoss ?? 0);
			expect(size.headMilliseconds).toBeGreaterThan(0);
			const [sides] = size.sides ?? [];
			expect(sides?.codings).toBe("shared");
			expect(sides?.predictedLoss).toBe(size.predictedLoss);
			expect(sides?.otherLoss).toBeGreaterThan(size.predictedLoss ?? 0);
			expect(planText(report)).toContain(`${size.size}: ${sides?.reason}`);
		}
		expect(readdirSync(FOLDER)).toEqual(before);
	});

	it("predicts_what_plain_quantizers_lose_and_recommends_what_loses_least", async () => {
		const report = await plan(MODEL, { data: [path.join(FOLDER, "valid.npy")], ratios: [4, 32] });
		const [V, D] = [6144, 160];
		expect(report.rivals.map(({ name, vocabularyBytes }) => [name, vocabularyBytes])).toEqual([
			["int8, groups of 32", V * (D + 10)],
			["int4, groups of 32", V * (D / 2 + 10)],
			["int3, groups of 32", V * ((3 * D) / 8 + 10)],
		]);
		const losses = report.rivals.map(({ predictedLoss = 0 }) => predictedLoss);
		expect(losses[0]).toBeLessThan(0.05 * (losses[1] ?? 0));
		expect(losses[1]).toBeLessThan(0.5 * (losses[2] ?? 0));
		// A coarser table than int4 in more than its bytes would be no use.
		expect(report.sizes[0]?.predictedLoss).toBeLessThan(losses[1] ?? 0);
		expect(report.sizes.map(({ recommended }) => recommended)).toEqual([OURS, OURS]);
		expect(planText(report)).toContain("recommended for ratio 4, ratio 32: columns of different precision (--dtype mixed)");
	});

	it("weighs_rare_tokens_as_it_is_told", async () => {
		const lossAt = async (frequencyPower?: number) =>
			(await plan(MODEL, { data: [path.join(FOLDER, "valid.npy")], ratios: [16], frequencyPower })).sizes[0]?.predictedLoss ?? 0;
		const [full, usual] = [await lossAt(1), await lossAt()];
		expect(usual).toBeGreaterThan(1.05 * full);
		expect(await lossAt(0.67)).toBe(usual);
		await expect(plan(MODEL, { frequencyPower: 1.5 })).rejects.toThrow(/--frequency-power must be from 0 to 1/);
	});

	it.each([
		["a_plain_table_that_fits_and_loses_less", 0.1, [0.02, 0.05], "int4, groups of 32", 5],
		["nothing_else_for_less_than_can_be_measured", 0.0201, [0.02, 0.05], OURS, 5],
		["no_plain_table_that_is_too_large", 0.1, [0.02, 0.2], OURS, 10],
	] as const)("recommends_%s", (_, own, [four, three], expected, ratio) => {
		const vocabulary = { name: "table", bytes: 4000, table: { rows: 100, cols: 10 }, projections: [], lookups: [] };
		const calibrated = { vocabularies: [vocabulary], calibrations: [{ source: "data", tokens: 10 }] } as unknown as Calibrated;
		const coding = { blocks: [], predictedLoss: own, calibrated: "data" } as unknown as Coding;
		const tablesFor = () => ({
			groups: [{ vocabulary: vocabulary as unknown as Vocabulary, side: "both" as const, rank: 1, coding, bytes: 390 }],
			sides: [],
			savedBytes: 4000 - 390,
		});
		const plain = [
			[
				{ bits: 4, bytes: 700, predictedLoss: four },
				{ bits: 3, bytes: 500, predictedLoss: three },
			],
		];
		const facts = { path: "model.onnx", bytes: 5000, weightBytes: 4500 };
		const report = planReport(calibrated, facts, { millisecondsPerNumber: 0, tablesFor, plain }, [{ ratio }]);
		expect(report.sizes[0]?.recommended).toBe(expected);
		expect(planText(report)).toContain(expected === OURS ? "--dtype mixed" : "a plain quantizer");
	});

	it("predicts_no_loss_without_text_and_says_what_cannot_be_had", async () => {
		const report = await plan(MODEL, { ratios: [8, 1000] });
		expect(report.calibrated).toEqual({ source: "id order", tokens: 0 });
		expect(report.sizes[0]?.predictedLoss).toBeUndefined();
		expect(report.sizes[0]?.sides).toBeUndefined();
		expect(report.sizes[1]?.reason).toMatch(/cannot be coded/);
		expect(report.rivals.map(({ predictedLoss }) => predictedLoss)).toEqual([undefined, undefined, undefined]);
		expect(report.sizes.map(({ recommended }) => recommended)).toEqual([undefined, undefined]);
		expect(planText(report)).toMatch(/give --data/);
	});

	it("agrees_with_a_conversion_of_that_size", async () => {
		const [size] = (await plan(MODEL, { ratios: [8] })).sizes;
		const report = await compile(MODEL, path.join(FOLDER, "unwritten.onnx"), { ratio: 8, dtype: "mixed", dryRun: true });
		const vocabulary = report.vocabularies[0]?.bytes ?? 0;
		expect(vocabulary - report.predictedSavedBytes).toBeLessThanOrEqual(vocabulary / 8);
		expect(size?.vocabularyBytes).toBeLessThanOrEqual(vocabulary / 8);
	});

	it.each([
		["of_a_conversion", true, {}, "predicted  0.0100 nats to second order; KL measured 0.0150: 1.50 times as much"],
		[
			"but_of_no_training",
			true,
			{ training: { curve: [], best: { step: 0, validation: 0 }, stopped: "steps", measures: "divergence" } },
			"",
		],
		["but_of_nothing_without_a_prediction", false, {}, ""],
	])("is_held_against_what_was_measured_%s", (_, isPredicted, change, expected) => {
		const nats = { teacherNats: 4, studentNats: 4, teacherPerplexity: 55, studentPerplexity: 55 };
		const all = { ...nats, divergence: 0.015, agreement: 1, positions: 1 };
		const factor = { vocabulary: "table", side: "both", rank: 8, dtype: "mixed", ops: "standard", bytes: 5, storedRelativeError: 0.1 };
		const report = {
			input: { path: "a.onnx", bytes: 10 },
			output: { path: "b.onnx", bytes: 5, files: [] },
			factors: [0.004, 0.006].map((predictedLoss) => ({ ...factor, ...(isPredicted ? { predictedLoss } : {}) })),
			vocabularies: [],
			verification: [],
			warnings: [],
			passes: [],
			quality: {
				kind: "causal",
				data: { files: [], measured: "", limited: false },
				tokens: { all, bins: {}, counts: "" },
				notes: [],
				generated: false,
			},
			...change,
		};
		const lines = compileText(report as unknown as CompileReport).split("\n");
		expect(lines.find((line) => line.startsWith("predicted")) ?? "").toBe(expected);
	});

	it("is_given_with_the_reason_for_the_sides_of_a_conversion", () => {
		const reason = '"table": one coding for both sides: 0.0006 nats predicted in 1.57 MB; one for each would lose at least 0.0013';
		const report = {
			...{ input: { path: "a.onnx", bytes: 10 }, output: { path: "b.onnx", bytes: 5, files: [] } },
			...{ factors: [], vocabularies: [], verification: [], warnings: [], passes: [] },
			sides: [{ vocabulary: "table", codings: "shared", predictedLoss: 0.0006, otherLoss: 0.0013, reason }],
		};
		expect(compileText(report as unknown as CompileReport).split("\n")).toContain(`sides      ${reason}`);
		expect(compileText({ ...report, sides: undefined } as unknown as CompileReport)).not.toContain("sides");
	});

	it("counts_the_head_of_a_table_with_a_coding_for_each_side_once", () => {
		const table = { rows: 100, cols: 10 };
		const vocabulary = { name: "table", bytes: 4000, table, projections: [{}], lookups: [{}] } as unknown as Vocabulary;
		const calibrated = { vocabularies: [vocabulary], calibrations: [{ source: "data", tokens: 10 }] } as unknown as Calibrated;
		const perByte = new Uint8Array(10).fill(2);
		const coding = { blocks: [{ rows: 100, perByte }], spacing: "fitted", predictedLoss: 0.01, calibrated: "data" } as unknown as Coding;
		const group = { vocabulary, rank: 10, coding, bytes: 390 };
		const choice = { vocabulary, bytes: [390, 390], predictedLoss: 0.02, otherLoss: 0.03, reason: '"table": a coding for each side' };
		const tablesOf = (sides: readonly Side[]) => () => ({
			groups: sides.map((side) => ({ ...group, side })),
			sides: sides.length === 1 ? [] : [choice],
			savedBytes: 3220,
		});
		const facts = { path: "model.onnx", bytes: 5000, weightBytes: 4500 };
		const [each, one] = [["input", "output"] as const, ["both"] as const].map(
			(sides) =>
				planReport(calibrated, facts, { millisecondsPerNumber: 1, tablesFor: tablesOf(sides), plain: [] }, [{ ratio: 5 }]).sizes[0],
		);
		expect(each?.headMilliseconds).toBe(one?.headMilliseconds);
		expect(each?.predictedLoss).toBe(0.02);
		expect(each?.tables.map(({ side }) => side)).toEqual(["input", "output"]);
		expect(each?.sides).toEqual([
			{ vocabulary: "table", codings: "separate", predictedLoss: 0.02, otherLoss: 0.03, reason: '"table": a coding for each side' },
		]);
	});

	it("takes_one_size_in_bytes", async () => {
		const { sizes } = await plan(MODEL, { targetSize: 4_200_000 });
		expect(sizes).toHaveLength(1);
		expect(sizes[0]?.fileBytes).toBeLessThanOrEqual(4_200_000);
	});
});
