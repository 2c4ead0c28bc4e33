// The recipe of a training, by how near the student is to the original.
import { describe, expect, it } from "vitest";
import { type DistillOptions, rateFrom, recipeOf, type Start, startOf } from "../../passes/distill/options.js";
import type { Coding } from "../../src/state.js";

const recipe = (options: Partial<DistillOptions>, isCoded: boolean, kind: Start["kind"] = "causal") =>
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

	it("is_lower_for_a_translators_coded_factors", () => {
		const [near, far] = [0.047, 0.39].map((kl) => rateFrom(recipe({}, true, "translator"), kl));
		expect(near).toBeCloseTo(3e-4 * Math.sqrt(0.094), 12);
		expect(far).toBeCloseTo(3e-4 * Math.sqrt(0.78), 12);
	});

	it.each([
		["of_plain_factors", recipe({}, false), 1e-3],
		["of_the_papers_method", recipe({ method: "paper" }, false), 1e-3],
		["that_was_asked_for", recipe({ lr: 2e-4 }, true), 2e-4],
		["of_an_encoder", recipe({}, true, "encoder"), 1e-3],
		["of_the_papers_method_on_a_translator", recipe({ method: "paper" }, false, "translator"), 1e-3],
		["that_was_asked_for_of_a_translator", recipe({ lr: 2e-4 }, true, "translator"), 2e-4],
	])("%s_does_not", (_, own, rate) => {
		expect(rateFrom(own, 0.005)).toBe(rate);
	});
});

describe("a translator that starts far from the original", () => {
	const far: Start = { kind: "translator", isCoded: false, isGenerated: false, predicted: 2 };
	const from = (start: Partial<Start>, options: Partial<DistillOptions> = {}) => {
		const { rate, damping, weights } = recipeOf({ corpus: undefined, method: "distemb", ...options }, { ...far, ...start });
		return { rate, damping, states: weights.states, labels: weights.crossEntropy };
	};

	it("learns_at_twice_the_rate_with_damping_from_states_and_labels_too", () => {
		expect(from({})).toEqual({ rate: 2e-3, damping: 0.1, states: 1, labels: 0.5 });
	});

	it("learns_no_labels_that_the_original_wrote", () => {
		expect(from({ isGenerated: true })).toEqual({ rate: 2e-3, damping: 0.1, states: 1, labels: 0 });
	});

	it.each<[string, Partial<Start>, number, number]>([
		["a_start_that_is_near", { predicted: 0.5 }, 1e-3, 0],
		["a_language_model", { kind: "causal" }, 1e-3, 0],
		["coded_factors", { isCoded: true }, 3e-4, 0.1],
		["coded_factors_of_a_language_model", { isCoded: true, kind: "causal" }, 1e-3, 0.1],
		["a_start_of_which_nothing_was_predicted", { predicted: undefined }, 1e-3, 0],
	])("is_not_%s", (_, start, rate, damping) => {
		expect(from(start)).toEqual({ rate, damping, states: 0, labels: 0 });
	});

	it("learns_as_was_asked", () => {
		const asked = from({}, { lr: 1e-4, weights: { crossEntropy: 0, states: 0.1 } });
		expect(asked).toEqual({ rate: 1e-4, damping: 0.1, states: 0.1, labels: 0 });
		expect(from({ predicted: 0 }, { weights: { crossEntropy: 1 } })).toMatchObject({ states: 0, labels: 1 });
		expect(from({}, { method: "paper" })).toEqual({ rate: 1e-3, damping: 0, states: 0, labels: 1 });
	});
});
