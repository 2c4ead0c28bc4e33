// Ranks and bytes: what is predicted, what is chosen, what is left alone, what is refused before any change.
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { FactorizeOptions } from "../../passes/factorize/index.js";
import { type FactorShape, factorBytes, largestRank } from "../../passes/factorize/size.js";
import type { Model } from "../../src/ir/graph.js";
import { parseModel } from "../../src/ir/parse.js";
import { printModel } from "../../src/ir/print.js";
import {
	countOf,
	difference,
	factorized,
	fileOf,
	int64s,
	located,
	locatedModel,
	outputsOf,
	quantized,
	RANK,
	runner,
	shareContents,
	type Truth,
	valuesNamed,
	vocabularyOf,
} from "./support.js";

const TIED = `
	model ir 8, opset ai.onnx 17
	graph main(ids: int64[b, n])
		table = float32[40, 8]
		rows = Gather(table, ids)
		twin = Transpose<perm=[1, 0]>(table)
		logits = MatMul(rows, twin)
		return logits: float32[b, n, 40]`;

const TRUTH: Truth = {
	tables: ["table"],
	lookups: [{ output: "rows", ids: "ids" }],
	projections: [{ output: "logits", hidden: "rows" }],
};

const OPTIONS: FactorizeOptions = { size: {}, ops: "standard", allowLarger: false, keepOtherReaders: false };

function tied(seed = 1): Model {
	return parseModel(TIED, { seed });
}

const SHAPE: FactorShape = { rows: 40, cols: 8, storage: "float32", ops: "standard", compute: "float32", files: [["left", "right"]] };

describe("factorBytes", () => {
	it.each([
		["float32", {}, 40 * 3 * 4 + 3 * 8 * 4],
		["float16", { storage: "float16" }, 40 * 3 * 2 + 3 * 8 * 2],
		["bfloat16", { storage: "bfloat16" }, 40 * 3 * 2 + 3 * 8 * 2],
		["int8: a float32 scale per row, W in float32", { storage: "int8" }, 40 * (3 + 4) + 3 * 8 * 4],
		["int8 beside float16", { storage: "int8", compute: "float16" }, 40 * (3 + 4) + 3 * 8 * 2],
		["blocks of 16: padded to 16 columns", { storage: "int8", ops: "onnxruntime" }, 40 * (16 + 4) + 16 * 8 * 4],
		[
			"two files",
			{
				files: [
					["left", "right"],
					["leftT", "rightT"],
				],
			},
			2 * (40 * 3 * 4 + 3 * 8 * 4),
		],
	] as const)("counts %s", (_, change, bytes) => {
		expect(factorBytes({ ...SHAPE, ...change }, 3)).toBe(bytes);
	});

	it("never_falls_with_the_rank", () => {
		const shape = fc.record({
			rows: fc.integer({ min: 1, max: 500 }),
			cols: fc.integer({ min: 1, max: 500 }),
			storage: fc.constantFrom("float32", "float16", "bfloat16", "int8"),
			ops: fc.constantFrom("standard", "onnxruntime"),
			compute: fc.constantFrom("float32", "float16"),
			files: fc.constant([["left", "right"] as const]),
		});
		fc.assert(
			fc.property(shape, fc.integer({ min: 1, max: 300 }), (held, rank) => factorBytes(held, rank) <= factorBytes(held, rank + 1)),
			{ seed: 1 },
		);
	});

	it("finds_the_largest_rank_that_fits", () => {
		fc.assert(
			fc.property(fc.integer({ min: 1, max: 60 }), fc.integer({ min: 0, max: 2000 }), (limit, budget) => {
				const bytes = (rank: number) => rank * 37;
				const rank = largestRank(limit, budget, bytes);
				expect(rank).toBe(Math.min(limit, Math.floor(budget / 37)));
			}),
			{ seed: 1 },
		);
	});
});

describe("the rank that is chosen", () => {
	it("is_the_one_asked_for", async () => {
		const { groups } = await factorized(locatedModel(tied(), TRUTH), { ...OPTIONS, size: { rank: 3 } });
		expect(groups.map(({ side, rank }) => [side, rank])).toEqual([["both", 3]]);
	});

	it("is_capped_at_full_rank_with_a_note", async () => {
		const records = runner();
		const { quantizations } = await quantized(locatedModel(tied(), TRUTH), RANK(500), records);
		expect(quantizations[0]?.group.rank).toBe(8);
		expect(records.records[0]?.log.join()).toContain("rank 500 is capped at 8");
	});

	it("follows_from_a_ratio_of_bytes", async () => {
		const { groups } = await factorized(locatedModel(tied(), TRUTH), { ...OPTIONS, size: { ratio: 2 } });
		// 40·8·4 / 2 = 640 bytes; a rank costs (40 + 8)·4 = 192.
		expect(groups[0]?.rank).toBe(3);
	});

	it("counts_every_stored_copy_for_a_ratio", async () => {
		const model = parseModel(TIED.replace("twin = Transpose<perm=[1, 0]>(table)", "twin = float32[8, 40]"), { seed: 1 });
		const truth = { ...TRUTH, tables: ["table", "twin T"] };
		shareContents(model, truth);
		const { groups } = await factorized(locatedModel(model, truth), { ...OPTIONS, size: { ratio: 2 } });
		expect(groups[0]?.rank).toBe(6);
	});

	it("meets_a_target_size_of_the_whole_file", async () => {
		const wide = { rows: 4000, cols: 64 };
		const text = TIED.replace("float32[40, 8]", `float32[${wide.rows}, ${wide.cols}]`).replace("float32[b, n, 40]", "float32[b, n, 4000]");
		const model = parseModel(text, { seed: 1 });
		const state = locatedModel(model, TRUTH);
		const target = Math.round((state.files[0]?.bytes ?? 0) / 4);
		const { groups } = await quantized(state, { ...OPTIONS, size: { targetBytes: target } });
		const bytes = fileOf(model).bytes;
		expect(bytes).toBeLessThanOrEqual(target);
		// One more rank would not have fitted.
		expect(bytes + (wide.rows + wide.cols) * 4).toBeGreaterThan(target - 4096);
		expect(groups[0]?.rank).toBe(15);
	});

	it("meets_a_target_size_with_columns_of_different_precision_too", async () => {
		const text = TIED.replace("float32[40, 8]", "float32[4000, 64]").replace("float32[b, n, 40]", "float32[b, n, 4000]");
		const model = parseModel(text, { seed: 1 });
		const state = locatedModel(model, TRUTH);
		const target = Math.round((state.files[0]?.bytes ?? 0) / 8);
		await quantized(state, { ...OPTIONS, dtype: "mixed", size: { targetBytes: target } });
		const { bytes } = fileOf(model);
		expect(bytes).toBeLessThanOrEqual(target);
		expect(bytes).toBeGreaterThan(target / 2);
	});

	it("unties_the_sides_if_their_ranks_differ", async () => {
		const model = tied();
		const before = await outputsOf(model, { ids: int64s([1, 2], [1, 2]) });
		const { groups } = await quantized(locatedModel(model, TRUTH), {
			...OPTIONS,
			size: {},
			inputRank: 8,
			outputRank: 4,
			allowLarger: true,
		});
		expect(groups.map(({ side, rank, values }) => [side, rank, values.map(({ role }) => role)])).toEqual([
			["input", 8, ["left", "right"]],
			["output", 4, ["leftT", "rightT"]],
		]);
		const after = await outputsOf(model, { ids: int64s([1, 2], [1, 2]) });
		expect(difference(before, after)).toBeGreaterThan(1e-4);
		expect(countOf(model, "Gemm")).toBe(0);
	});

	it("stays_tied_if_both_ranks_are_the_same", async () => {
		const { groups } = await factorized(locatedModel(tied(), TRUTH), { ...OPTIONS, size: { ratio: 3 }, inputRank: 2, outputRank: 2 });
		expect(groups.map(({ side }) => side)).toEqual(["both"]);
	});

	it("gives_the_other_side_what_a_fixed_rank_leaves", async () => {
		const { groups } = await factorized(locatedModel(tied(), TRUTH), { ...OPTIONS, size: { ratio: 2 }, inputRank: 1 });
		expect(groups.map(({ side, rank }) => [side, rank])).toEqual([
			["input", 1],
			["output", 2],
		]);
	});

	it.each([
		[{ size: {} }, "no size is given"],
		[{ size: { rank: 4, ratio: 2 } }, "only one"],
		[{ size: { rank: 0 } }, "no positive whole number"],
		[{ size: { ratio: -1 } }, "no positive number"],
		[{ size: { ratio: 1000 } }, "even rank 1", "refused"],
		[{ size: { targetBytes: 10 } }, "cannot be met", "refused"],
	])("is an error for %j: %s", async (change, message, code = "usage") => {
		const model = tied();
		const text = printModel(model);
		await expect(factorized(locatedModel(model, TRUTH), { ...OPTIONS, ...change })).rejects.toMatchObject({
			code,
			message: expect.stringContaining(message),
		});
		expect(printModel(model)).toBe(text);
	});
});

describe("a vocabulary that is left alone", () => {
	it("would_not_shrink", async () => {
		const model = tied();
		const text = printModel(model);
		await expect(factorized(locatedModel(model, TRUTH), { ...OPTIONS, size: { rank: 7 } })).rejects.toMatchObject({
			code: "nothing-to-do",
			message: '"table": its factors at rank 7 would take 1344 bytes, not less than the 1280 stored now',
			hint: expect.stringContaining("--allow-larger"),
		});
		expect(printModel(model)).toBe(text);
	});

	it("is_factorized_all_the_same_with_allowLarger", async () => {
		const { groups } = await factorized(locatedModel(tied(), TRUTH), { ...OPTIONS, size: { rank: 7 }, allowLarger: true });
		expect(groups[0]?.rank).toBe(7);
	});

	it("is_factorized_already", async () => {
		const state = locatedModel(tied(), { ...TRUTH, alreadyRank: 8 });
		await expect(factorized(state, { ...OPTIONS, size: { rank: 8 } })).rejects.toMatchObject({
			code: "nothing-to-do",
			message: expect.stringContaining("already factorized at rank 8"),
		});
		expect((await factorized(state, { ...OPTIONS, size: { rank: 5 } })).groups[0]?.rank).toBe(5);
		expect((await factorized(locatedModel(tied(), { ...TRUTH, alreadyRank: 8 }), RANK(8))).groups[0]?.rank).toBe(8);
	});

	it("does_not_keep_another_one_from_being_factorized", async () => {
		const model = parseModel(
			`
			model ir 8, opset ai.onnx 17
			graph main(ids: int64[n])
				small = float32[8, 8]
				large = float32[400, 8]
				a = Gather(small, ids)
				b = Gather(large, ids)
				return a: float32[n, 8], b: float32[n, 8]`,
			{ seed: 1 },
		);
		const file = fileOf(model);
		const parts = ["small", "large"].map((table, index) =>
			vocabularyOf([[file, { tables: [table], lookups: [{ output: index === 0 ? "a" : "b", ids: "ids" }] }]]),
		);
		const records = runner();
		const { groups } = await quantized(located([file], parts), { ...OPTIONS, size: { rank: 4 } }, records);
		expect(groups.map(({ vocabulary }) => vocabulary.name)).toEqual(["large"]);
		expect(records.records[0]?.log).toContain(
			'"small" is left alone: its factors at rank 4 would take 256 bytes, not less than the 256 stored now',
		);
		expect(valuesNamed(model, "small")).toHaveLength(1);
	});

	it("does_not_exist", async () => {
		const file = fileOf(tied());
		await expect(factorized(located([file], []), RANK(4))).rejects.toMatchObject({
			code: "nothing-to-do",
			message: expect.stringContaining("no vocabulary"),
		});
	});
});

describe("readers that are not understood", () => {
	const OTHER = TIED.replace("return logits", "norm = ReduceL2<keepdims=0>(table)\n\t\treturn norm: float32[], logits");

	it("are_refused_by_name_before_any_change", async () => {
		const model = parseModel(OTHER, { seed: 1 });
		const text = printModel(model);
		await expect(factorized(locatedModel(model, TRUTH), RANK(4))).rejects.toMatchObject({
			code: "refused",
			message: expect.stringContaining("ReduceL2"),
			hint: expect.stringContaining("--keep-other-readers"),
		});
		expect(printModel(model)).toBe(text);
	});

	it("keep_the_table_if_asked_to", async () => {
		const model = parseModel(OTHER, { seed: 1 });
		const feeds = { ids: int64s([1, 2], [1, 2]) };
		const before = await outputsOf(model, feeds);
		const records = runner();
		await quantized(locatedModel(model, TRUTH), { ...RANK(8), allowLarger: false, keepOtherReaders: true }, records);
		expect(difference(before, await outputsOf(model, feeds))).toBeLessThan(1e-4);
		expect(valuesNamed(model, "table")).toHaveLength(1);
		expect(countOf(model, "Transpose")).toBe(0);
		expect(records.records[0]?.log[0]).toContain("does not shrink");
	});

	it("do_not_count_if_nothing_comes_of_them", async () => {
		const model = parseModel(TIED.replace("return logits", "dead = ReduceL2(table)\n\t\treturn logits"), { seed: 1 });
		await quantized(locatedModel(model, TRUTH), RANK(4));
		expect(countOf(model, "ReduceL2")).toBe(0);
		expect(valuesNamed(model, "table")).toEqual([]);
	});
});

describe("several files", () => {
	it("get_the_same_factors_each_in_its_own_form", async () => {
		const encoder = fileOf(
			parseModel(
				"model ir 8, opset ai.onnx 17\ngraph main(ids: int64[n])\n\ttable = float32[40, 8]\n\trows = Gather(table, ids)\n\treturn rows: float32[n, 8]",
				{
					seed: 1,
				},
			),
			"encoder.onnx",
		);
		const decoder = fileOf(tied(), "decoder.onnx");
		const head = fileOf(
			parseModel(
				"model ir 8, opset ai.onnx 13\ngraph main(hidden: float32[n, 8])\n\ttwin = float32[8, 40]\n\tlogits = MatMul(hidden, twin)\n\treturn logits: float32[n, 40]",
				{ seed: 1 },
			),
			"head.onnx",
		);
		const vocabulary = vocabularyOf([
			[encoder, { tables: ["table"], lookups: [{ output: "rows", ids: "ids" }] }],
			[decoder, TRUTH],
			[head, { tables: ["twin T"], projections: [{ output: "logits", hidden: "hidden" }] }],
		]);
		const { groups, quantizations } = await quantized(located([encoder, decoder, head], [vocabulary]), { ...OPTIONS, size: { rank: 3 } });
		expect(groups).toHaveLength(1);
		const left = (groups[0]?.values ?? []).filter(({ role }) => role === "left").map(({ value }) => value.tensor?.bytes());
		expect(left).toHaveLength(2);
		expect(left[0]).toEqual(left[1]);
		expect(groups[0]?.values.map(({ file, role }) => `${file.name} ${role}`)).toEqual([
			"encoder.onnx left",
			"encoder.onnx right",
			"decoder.onnx left",
			"decoder.onnx right",
			"head.onnx leftT",
			"head.onnx rightT",
		]);
		expect(quantizations[0]?.bytes).toBe(3 * (40 + 8) * 3 * 4);
	});

	it("count_once_what_they_share_in_one_data_file", async () => {
		const text = TIED.replace("float32[40, 8]", 'float32[40, 8] external "all.data"');
		const files = ["a.onnx", "b.onnx", "elsewhere/c.onnx"].map((name) => fileOf(parseModel(text, { seed: 1 }), name));
		const vocabulary = vocabularyOf(files.map((file) => [file, TRUTH] as const));
		const { groups, quantizations, predictedSavedBytes } = await quantized(located(files, [vocabulary]), { ...OPTIONS, size: { rank: 3 } });
		const perFile = (40 + 8) * 3 * 4;
		expect(groups[0]?.values).toHaveLength(6);
		expect(quantizations[0]?.bytes).toBe(2 * perFile);
		// The three tables here are three arrays in memory.
		expect(predictedSavedBytes).toBe(3 * 40 * 8 * 4 - 2 * perFile);
		for (const { values } of groups)
			for (const { value } of values) expect(value.tensor?.placement).toEqual({ kind: "external", location: "all.data" });
	});

	it("must_leave_room_for_the_rest_of_their_data_files", async () => {
		const text = TIED.replace("table = float32[40, 8]", 'table = float32[40, 8]\n\t\tother = float32[9000] external "all.data"');
		const state = locatedModel(parseModel(text, { seed: 1 }), TRUTH);
		await expect(factorized(state, { ...OPTIONS, size: { targetBytes: 30_000 } })).rejects.toMatchObject({ code: "refused" });
	});
});
