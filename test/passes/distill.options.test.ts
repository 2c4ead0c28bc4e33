// The recipe of a training: its rate and its labels, by how near the student is to the original.
import { describe, expect, it } from "vitest";
import { type DistillOptions, rateFrom, recipeOf, type Start, startOf } from "../../passes/distill/options.js";
import type { Coding } from "../../src/state.js";

const recipe = (options: Partial<DistillOptions>, isCoded: boolean, kind: "causal" | "encoder" = "causal") =>
	recipeOf({ corpus: undefined, method: "distemb", ...options }, { kind, isCoded, isGenerated: false, predicted: undefined });

describe("the rate of a training", () => {
	it("goes_with_the_root_of_the_divergence_of_a_coded_student", () => {
		const coded = recipe({}, true);
		expect(rateFrom(coded, 0.5)).toBe(coded.rate);
		expect(rateFrom(coded, 3)).toBe(coded.rate);
		expect(rateFrom(coded, 0.125)).toBeCloseTo(coded.rate / 2, 12);
		expect(rateFrom(coded, 0.005)).toBeCloseTo(coded.rate / 10, 12);
	});

	it("goes_with_what_was_predicted_where_labels_are_measured_too", () => {
		const coded = (predictedLoss: number, calibrated?: string) => ({ coding: { predictedLoss, calibrated } as Coding });
		const groups = [coded(0.01, "data"), coded(0.02, "generated")];
		expect(startOf("divergence", 0.2, groups)).toBe(0.2);
		expect(startOf("both", 1.5, groups)).toBeCloseTo(0.03, 12);
		expect(startOf("both", 1.5, [...groups, coded(0.01, "id order")])).toBe(Number.POSITIVE_INFINITY);
		expect(startOf("crossEntropy", 1.5, [{ coding: undefined }])).toBe(Number.POSITIVE_INFINITY);
		expect(rateFrom(recipe({}, true), Number.POSITIVE_INFINITY)).toBe(1e-3);
	});

	it.each([
		["of_plain_factors", recipe({}, false), 1e-3],
		["of_the_papers_method", recipe({ method: "paper" }, false), 1e-3],
		["that_was_asked_for", recipe({ lr: 2e-4 }, true), 2e-4],
		["of_an_encoder", recipe({}, true, "encoder"), 1e-3],
	])("%s_does_not", (_, own, rate) => {
		expect(rateFrom(own, 0.005)).toBe(rate);
	});
});

describe("the labels of a training", () => {
	const far: Start = { kind: "translator", isCoded: false, isGenerated: false, predicted: 2 };
	const labels = (start: Partial<Start>, options: Partial<DistillOptions> = {}) =>
		recipeOf({ corpus: undefined, method: "distemb", ...options }, { ...far, ...start }).weights.crossEntropy;

	it("count_for_a_translator_that_starts_far_from_the_original", () => {
		expect(labels({})).toBe(0.5);
		expect(labels({ predicted: 0.5 })).toBe(0);
	});

	it.each<[string, Partial<Start>]>([
		["of_a_language_model", { kind: "causal" }],
		["of_coded_factors", { isCoded: true }],
		["that_the_original_wrote", { isGenerated: true }],
		["where_nothing_was_predicted", { predicted: undefined }],
	])("do_not_count_%s", (_, start) => {
		expect(labels(start)).toBe(0);
	});

	it("count_as_was_asked", () => {
		expect(labels({}, { weights: { crossEntropy: 0 } })).toBe(0);
		expect(labels({ predicted: 0 }, { weights: { crossEntropy: 1 } })).toBe(1);
		expect(labels({}, { method: "paper" })).toBe(1);
	});
});
