// One coding for both sides of a tied table, or the bytes divided between one for each: what loses less, within the same bytes.
import { describe, expect, it } from "vitest";
import type { PlannedCoding } from "../../passes/factorize/coding.js";
import { type FactorizeOptions, factorize } from "../../passes/factorize/index.js";
import { comparedSides, divide, type StoredSearch } from "../../passes/factorize/sides.js";
import { quantize } from "../../passes/quantize/index.js";
import { reconstruct } from "../../passes/reconstruct/index.js";
import { checkModel } from "../../src/ir/check.js";
import { setTensor } from "../../src/ir/edit.js";
import { parseModel } from "../../src/ir/parse.js";
import { float32Tensor } from "../../src/ir/tensor.js";
import { runPass } from "../../src/pass.js";
import { normal } from "../../src/random.js";
import type { Calibration, Located } from "../../src/state.js";
import { calibrationOf, putEncodedSides, TIED as tied } from "./coded-support.js";
import { difference, fileOf, int64s, located, locatedModel, outputsOf, runner, type Truth, valueNamed, vocabularyOf } from "./support.js";

/** Losses that fall to a half with every `half` bytes, in steps of 7 bytes. */
function curve(size: number, half: number, places = 1): StoredSearch & { asked: number } {
	const held = {
		asked: 0,
		places,
		search: {
			within: (budget: number): PlannedCoding => {
				held.asked++;
				const bytes = 7 * Math.floor(budget / 7);
				return { bytes, rank: 1, coding: { predictedLoss: size * 2 ** (-bytes / half) } } as unknown as PlannedCoding;
			},
		},
	};
	return held;
}

describe("bytes divided between two sides", () => {
	it.each([
		["alike", 1, 1, 1],
		["of which one loses much more", 1, 30, 1],
		["of which one is stored in three places", 1, 1, 3],
	])("lose_least_in_all_for_sides_%s", (_, input, output, places) => {
		const budget = 10_000;
		const { split } = divide(budget, curve(input, 700, places), curve(output, 900), 1);
		const lossAt = (share: number) => {
			const [first, second] = [curve(input, 700), curve(output, 900)].map(({ search }) => search);
			const own = first?.within((budget * share) / places)?.coding.predictedLoss ?? 0;
			return own + (second?.within(budget * (1 - share))?.coding.predictedLoss ?? 0);
		};
		const best = Math.min(...Array.from({ length: 999 }, (_, index) => lossAt((index + 1) / 1000)));
		expect(split?.loss).toBeLessThan(1.1 * best);
		const bytes = (split?.input.bytes ?? 0) * places + (split?.output.bytes ?? 0);
		expect(bytes).toBeLessThanOrEqual(budget);
		// Less than a step of the projections' bytes is left over.
		expect(bytes).toBeGreaterThan(budget - 7);
	});

	it("take_four_codings_to_rule_out_where_one_for_both_wins_clearly", () => {
		const [input, output] = [curve(1, 700), curve(1, 900)];
		const { split, least } = divide(10_000, input, output, 2 ** -10);
		expect(split).toBeUndefined();
		expect(input.asked + output.asked).toBe(4);
		const half = 2 ** (-4998 / 700) + 2 ** (-4998 / 900);
		expect(least).toBeGreaterThanOrEqual(2 ** -10);
		expect(least).toBeLessThanOrEqual(half);
	});

	it("are_not_had_where_a_side_does_not_fit", () => {
		const none: StoredSearch = { places: 1, search: { within: () => undefined } };
		expect(divide(1000, none, curve(1, 100), Number.POSITIVE_INFINITY).split).toBeUndefined();
		expect(divide(1000, none, curve(1, 100), 1)).toEqual({ split: undefined, least: Number.POSITIVE_INFINITY });
	});
});

const [V, D] = [2000, 64];
const IDS = int64s([0, 1, 5, V - 1, 3, 44, 1200, 2], [2, 4]);

/** Even rows have numbers in the first half of the columns, odd rows in the second. */
function halves(): Float32Array {
	const draw = normal(5);
	return Float32Array.from({ length: V * D }, (_, at) => (Math.floor(at / D) % 2 === (at % D < D / 2 ? 0 : 1) ? draw() : 0));
}

/** Even rows are looked up, odd rows are predicted; an error costs in the half of the columns where they have numbers. */
function calibrationApart({ vocabularies }: Located): Calibration[] {
	const moment = (isFirst: boolean) => {
		const held = new Float64Array(D * D);
		for (let k = 0; k < D; k++) held[k * D + k] = k < D / 2 === isFirst ? 1 : 1e-3;
		return held;
	};
	const rows = (rest: number) => Float64Array.from({ length: V }, (_, id) => (id % 2 === rest ? 2 / V : 0));
	return vocabularies.map((vocabulary) => ({
		vocabulary,
		frequency: rows(0),
		spread: rows(1),
		gradientMoment: moment(true),
		hiddenMoment: moment(false),
		tokens: 1e5,
		counted: 1e5,
		source: "data",
	}));
}

const TRUTH: Truth = {
	tables: ["table"],
	lookups: [{ output: "rows", ids: "ids" }],
	projections: [{ output: "logits", hidden: "rows" }],
};

const OPTIONS = {
	...{ size: { ratio: 4 }, ops: "standard", dtype: "mixed", blocks: 2, allowLarger: false, keepOtherReaders: false },
} as const satisfies FactorizeOptions;

/** A model whose sides have nothing in common. */
function apart() {
	const model = parseModel(tied(17, D, V), { seed: 1 });
	setTensor(valueNamed(model, "table"), float32Tensor(halves(), [V, D]));
	const state = locatedModel(model, TRUTH);
	return { model, state, calibrations: calibrationApart(state) };
}

describe("the sides of a tied table", () => {
	it("share_one_coding_where_that_loses_less_and_it_is_said", async () => {
		const state = locatedModel(parseModel(tied(17, D, V), { seed: 1 }), TRUTH);
		const records = runner();
		// At 4 times all numbers have 8 bits, and more bytes than those would help neither.
		const options = { ...OPTIONS, size: { ratio: 8 } };
		const { groups, sides } = await runPass(factorize(options), { ...state, calibrations: calibrationOf(state) }, records);
		expect(groups.map(({ side }) => side)).toEqual(["both"]);
		const [choice] = sides;
		expect(choice?.bytes).toHaveLength(1);
		expect(choice?.predictedLoss).toBe(groups[0]?.coding?.predictedLoss);
		expect(choice?.otherLoss).toBeGreaterThan(choice?.predictedLoss ?? Number.POSITIVE_INFINITY);
		expect(choice?.reason).toMatch(
			/^"table": one coding for both sides: \S+ nats predicted in [\d.]+ kB; one for each would lose at least \S+$/,
		);
		expect(records.records[0]?.log).toContain(choice?.reason);
	});

	it.each(["standard", "onnxruntime"] as const)(
		"are_coded_each_by_itself_where_that_loses_less_and_compute_what_was_encoded_in_%s_operators",
		async (ops) => {
			const { model, state, calibrations } = apart();
			const text = tied(17, D, V).replace("rows = Gather", `other = float32[${V}, ${D}]\n\t\trows = Gather`).replace("(table)", "(other)");
			const original = parseModel(text, { seed: 1 });
			const records = runner();
			const factorized = await runPass(factorize({ ...OPTIONS, ops }), { ...state, calibrations }, records);
			expect(factorized.groups.map(({ side }) => side)).toEqual(["input", "output"]);
			const [choice] = factorized.sides;
			expect(choice?.reason).toMatch(
				/^"table": a coding for each side: \S+ nats predicted, lookups in \S+ kB, projections in \S+ kB; one for both would lose \S+$/,
			);
			expect(choice?.predictedLoss).toBeLessThan(0.5 * (choice?.otherLoss ?? 0));
			const reconstructed = await runPass(reconstruct({ method: "distemb", calibrations }), factorized, records);
			await putEncodedSides(original, reconstructed);
			const { quantizations } = await runPass(quantize({ ops, dtype: "mixed" }), reconstructed, records);
			expect(quantizations.map(({ bytes }) => bytes)).toEqual(choice?.bytes);
			expect(quantizations.reduce((sum, { bytes }) => sum + bytes, 0)).toBeLessThanOrEqual(V * D);
			checkModel(model);
			// The operator rounds hidden states to 8 bits, as coded.onnxruntime.test.ts has it.
			const limit = ops === "standard" ? 2e-5 : 0.02;
			expect(difference(await outputsOf(original, { ids: IDS }), await outputsOf(model, { ids: IDS }))).toBeLessThan(limit);
		},
	);

	it("take_the_bytes_of_every_place_that_stores_them", async () => {
		const encoder = fileOf(
			parseModel(
				`model ir 8, opset ai.onnx 17\ngraph main(ids: int64[n])\n\ttable = float32[${V}, ${D}]\n\trows = Gather(table, ids)\n\treturn rows: float32[n, ${D}]`,
				{ seed: 1 },
			),
			"encoder.onnx",
		);
		const decoder = fileOf(parseModel(tied(17, D, V), { seed: 1 }), "decoder.onnx");
		const vocabulary = vocabularyOf([
			[encoder, { tables: ["table"], lookups: [{ output: "rows", ids: "ids" }] }],
			[decoder, TRUTH],
		]);
		const state = located([encoder, decoder], [vocabulary]);
		// The lookups bear errors a thousand times as large: what is stored twice may be coarse.
		const [calibration] = calibrationOf(state);
		if (calibration === undefined) throw new Error("no calibration");
		const gradientMoment = calibration.gradientMoment?.map((value) => value / 1000);
		const calibrations = [{ ...calibration, gradientMoment }];
		const size = { ratio: 8 };
		const factorized = await runPass(factorize({ ...OPTIONS, size }), { ...state, calibrations }, runner());
		expect(factorized.groups.map(({ side, values }) => [side, ...new Set(values.map(({ file }) => file.name))])).toEqual([
			["input", "encoder.onnx", "decoder.onnx"],
			["output", "decoder.onnx"],
		]);
		const reconstructed = await runPass(reconstruct({ method: "distemb", calibrations }), factorized, runner());
		const { quantizations } = await runPass(quantize({ ops: "standard", dtype: "mixed" }), reconstructed, runner());
		const bytes = quantizations.map((held) => held.bytes);
		expect(bytes).toEqual(factorized.sides[0]?.bytes);
		expect(bytes[0]).toBeLessThan(bytes[1] ?? 0);
		expect(bytes.reduce((sum, part) => sum + part, 0)).toBeLessThanOrEqual((2 * V * D * 4) / 8);
		await outputsOf(decoder.model, { ids: IDS });
		await outputsOf(encoder.model, { ids: int64s([0, 7]) });
	});

	it.each([
		["without_text", (held: Calibration) => ({ ...held, source: "id order" as const }), {}],
		["where_no_gradient_was_seen", (held: Calibration) => ({ ...held, gradientMoment: undefined }), {}],
		["where_ranks_were_asked_for", (held: Calibration) => held, { inputRank: 8, outputRank: 8 }],
	])("stay_tied_and_nothing_is_said_%s", async (_, change, asked) => {
		const { state, calibrations } = apart();
		const [calibration] = calibrations.map(change);
		if (calibration === undefined) throw new Error("no calibration");
		const options = { ...OPTIONS, ...asked, size: "inputRank" in asked ? {} : OPTIONS.size };
		expect(comparedSides(calibration.vocabulary, options, calibration)).toEqual([]);
		const records = runner();
		const { groups, sides } = await runPass(factorize(options), { ...state, calibrations: [calibration] }, records);
		expect(groups.map(({ side }) => side)).toEqual(["both"]);
		expect(sides).toEqual([]);
		expect(records.records[0]?.log.join("\n")).not.toContain("nats");
	});

	it("are_not_compared_where_there_is_one", () => {
		const text = `model ir 8, opset ai.onnx 17\ngraph main(h: float32[n, ${D}])\n\ttable = float32[${V}, ${D}]\n\tlogits = Gemm<transB=1>(h, table)\n\treturn logits: float32[n, ${V}]`;
		const state = locatedModel(parseModel(text, { seed: 1 }), {
			tables: ["table"],
			lookups: [],
			projections: [{ output: "logits", hidden: "h", gemm: {} }],
		});
		const [calibration] = calibrationOf(state);
		const [vocabulary] = state.vocabularies;
		if (vocabulary === undefined) throw new Error("no vocabulary");
		expect(comparedSides(vocabulary, OPTIONS, calibration)).toEqual([]);
	});
});
