// Measures between two outputs, on numbers worked out by hand.
import { describe, expect, it } from "vitest";
import { compareOutputs } from "../../passes/verify/index.js";
import { DistembError } from "../../src/errors.js";
import { tensorOf } from "../../src/runtime/numbers.js";
import type { EngineTensor, EngineType } from "../../src/runtime/session.js";

function tensor(dtype: EngineType, dims: readonly number[], values: readonly number[]): EngineTensor {
	return tensorOf(dtype, dims, (index) => values[index] ?? 0);
}

const floats = (...values: number[]) => tensor("float32", [values.length], values);
const rows = (width: number, values: readonly number[], dtype: EngineType = "float64") =>
	tensor(dtype, [values.length / width, width], values);

describe("differences", () => {
	const between = (a: EngineTensor, b: EngineTensor) => compareOutputs(a, b, { vocabulary: false });

	it("are_the_largest_one_and_its_share_of_the_largest_element", () => {
		expect(between(floats(1, -4, 2), floats(1.5, -4, 1))).toEqual({
			shape: [3],
			maxDifference: 1,
			relativeDifference: 0.25,
			kl: undefined,
			top1Agreement: undefined,
		});
	});

	it("are_zero_between_equal_outputs_even_if_all_are_zero_or_there_are_none", () => {
		expect(between(floats(0, 0), floats(0, -0))).toMatchObject({ maxDifference: 0, relativeDifference: 0 });
		expect(between(tensor("float32", [2, 0], []), tensor("float32", [2, 0], []))).toMatchObject({
			maxDifference: 0,
			relativeDifference: 0,
		});
	});

	it("take_equal_non_finite_elements_for_equal_and_others_for_infinitely_far", () => {
		const { NaN: nan, POSITIVE_INFINITY: inf } = Number;
		expect(between(floats(nan, inf, -inf, 2), floats(nan, inf, -inf, 1))).toMatchObject({ maxDifference: 1, relativeDifference: 0.5 });
		expect(between(floats(nan, 1), floats(0, 1)).maxDifference).toBe(inf);
		expect(between(floats(1, 1), floats(nan, 1)).maxDifference).toBe(inf);
		expect(between(floats(inf, 1), floats(-inf, 1)).relativeDifference).toBe(inf);
	});

	it("of_float16_are_those_of_its_numbers_not_of_its_bits", () => {
		expect(between(tensor("float16", [2], [1, 2]), tensor("float16", [2], [1, 1.5])).maxDifference).toBe(0.5);
	});

	it("of_whole_numbers_are_the_share_of_unequal_ones", () => {
		expect(between(tensor("int64", [4], [1, 2, 3, 4]), tensor("int64", [4], [1, 9, 3, 4]))).toMatchObject({
			maxDifference: 7,
			relativeDifference: 0.25,
		});
		expect(between(tensor("bool", [2], [1, 0]), tensor("bool", [2], [0, 1])).relativeDifference).toBe(1);
	});

	it("of_strings_are_counted", () => {
		const words = (...data: string[]): EngineTensor => ({ dtype: "string", dims: [data.length], data });
		expect(between(words("a", "b"), words("a", "c"))).toMatchObject({ maxDifference: 1, relativeDifference: 0.5 });
	});

	it.each([
		["shapes", tensor("float32", [2, 1], [1, 2])],
		["types", tensor("float16", [2], [1, 2])],
	])("refuse_other_%s", (_, other) => {
		expect(() => between(floats(1, 2), other)).toThrow(DistembError);
	});
});

describe("distributions", () => {
	const between = (a: EngineTensor, b: EngineTensor) => compareOutputs(a, b, { vocabulary: true });

	it("diverge_by_the_mean_kl_in_nats_over_positions", () => {
		// Logits log(1/2, 1/2) against log(1/4, 3/4): KL = ½ ln 2 + ½ ln(2/3). The second position agrees.
		const a = rows(2, [Math.log(0.5), Math.log(0.5), 1, 2]);
		const b = rows(2, [Math.log(0.25), Math.log(0.75), 1, 2]);
		expect(between(a, b).kl).toBeCloseTo((0.5 * Math.LN2 + 0.5 * Math.log(2 / 3)) / 2, 12);
	});

	it("are_measured_from_the_original_to_the_result", () => {
		const a = rows(2, [0, 3]);
		const b = rows(2, [0, 1]);
		expect(between(a, b).kl).not.toBeCloseTo(between(b, a).kl ?? 0, 2);
	});

	it("do_not_change_with_a_constant_added_to_the_logits", () => {
		expect(between(rows(3, [1, 2, 3]), rows(3, [1001, 1002, 1003])).kl).toBeLessThan(1e-12);
	});

	it("are_stable_for_huge_logits", () => {
		expect(between(rows(2, [1e4, 0]), rows(2, [1e4, 1])).kl).toBe(0);
	});

	it("agree_by_the_share_of_positions_with_the_same_best_token", () => {
		expect(between(rows(2, [1, 2, 2, 1, 0, 5, 1, 0]), rows(2, [1, 2, 1, 2, 0, 1, 3, 0])).top1Agreement).toBe(0.75);
	});

	it("leave_out_masked_tokens_and_diverge_infinitely_where_the_result_masks_another", () => {
		const inf = Number.POSITIVE_INFINITY;
		expect(between(rows(3, [1, 1, -inf]), rows(3, [1, 1, -inf])).kl).toBe(0);
		expect(between(rows(3, [1, 1, -inf]), rows(3, [1, -inf, 1])).kl).toBe(inf);
	});

	it("are_not_counted_at_positions_where_the_original_has_none", () => {
		const { NaN: nan } = Number;
		expect(between(rows(2, [nan, nan, 0, 1]), rows(2, [nan, nan, 0, 1]))).toMatchObject({ kl: 0, top1Agreement: 1 });
		expect(between(rows(2, [nan, nan]), rows(2, [nan, nan])).kl).toBeUndefined();
		expect(between(rows(2, [0, 1]), rows(2, [nan, nan])).kl).toBe(Number.POSITIVE_INFINITY);
	});

	it("read_probabilities_as_what_they_are", () => {
		const kl = 0.5 * Math.LN2 + 0.5 * Math.log(2 / 3);
		expect(between(rows(2, [0.5, 0.5]), rows(2, [0.25, 0.75])).kl).toBeCloseTo(kl, 12);
		expect(between(rows(2, [0, 1]), rows(2, [0, 1])).kl).toBe(0);
	});

	it("are_not_measured_between_outputs_that_are_no_vocabulary", () => {
		expect(compareOutputs(rows(2, [1, 2]), rows(2, [1, 2]), { vocabulary: false }).kl).toBeUndefined();
	});
});
