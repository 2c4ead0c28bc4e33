// Divergence, agreement, perplexity and frequency bins: against plain formulas, at extreme logits, and as properties.
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { BINS, frequencyBins } from "../../src/metrics/bins.js";
import { Comparer } from "../../src/metrics/comparison.js";
import { argmax, divergence, logSumExp, surprise } from "../../src/metrics/distribution.js";
import { bitsPerByte, perplexity, perplexityIncrease, perplexityPer, plus } from "../../src/metrics/perplexity.js";

const logits = (...values: number[]) => Float64Array.from(values);
/** Logits of given probabilities. */
const logs = (...probabilities: number[]) => Float64Array.from(probabilities, Math.log);
const RELATIVE = 1e-12;

describe("divergence", () => {
	it("equals_the_definition_on_small_distributions", () => {
		const p = [0.5, 0.25, 0.25];
		const q = [0.25, 0.25, 0.5];
		const expected = p.reduce((sum, share, index) => sum + share * Math.log(share / (q[index] ?? 0)), 0);
		expect(divergence(logs(...p), logs(...q))).toBeCloseTo(expected, 14);
		expect(divergence(logs(...q), logs(...p))).toBeCloseTo(0.25 * Math.log(2), 14);
	});

	it("keeps_tiny_divergences_that_the_plain_sum_loses", () => {
		const step = 1e-9;
		const exact = (step * step) / 8;
		const plain = 0.5 * Math.log(0.5 / (0.5 + step / 4)) + 0.5 * Math.log(0.5 / (0.5 - step / 4));
		const measured = divergence(logits(0, 0), logits(0, step));
		expect(Math.abs(measured / exact - 1)).toBeLessThan(1e-6);
		expect(Math.abs(plain / exact - 1)).toBeGreaterThan(1e-6);
	});

	it("has_the_third_and_fourth_cumulant_of_a_skewed_distribution", () => {
		// KL of Bernoulli(0.1) from its tilt by e^s: ln(0.9 + 0.1·e^s) − 0.1·s = κ₂s²/2 + κ₃s³/6 + κ₄s⁴/24 + …
		const step = 1e-3;
		const exact = (0.09 / 2) * step ** 2 + (0.072 / 6) * step ** 3 + (0.0414 / 24) * step ** 4;
		expect(Math.abs(divergence(logs(0.9, 0.1), logits(Math.log(0.9), Math.log(0.1) + step)) / exact - 1)).toBeLessThan(1e-9);
	});

	it("does_not_jump_where_the_series_begins", () => {
		const at = (step: number) => divergence(logits(0, 0), logits(0, step)) / (step * step);
		expect(Math.abs(at(1.9999e-3) / at(2.0001e-3) - 1)).toBeLessThan(1e-7);
	});

	it("survives_large_logits_and_forbidden_tokens", () => {
		const never = Number.NEGATIVE_INFINITY;
		expect(divergence(logits(1e30, 0), logits(1e30, 0))).toBe(0);
		expect(divergence(logits(5000, 4999, never), logits(-5000, -5001, never))).toBe(0);
		expect(divergence(logits(0, never), logits(0, 0))).toBeCloseTo(Math.log(2), 14);
		expect(divergence(logits(0, 0), logits(0, never))).toBe(Number.POSITIVE_INFINITY);
	});

	it("is_never_negative_is_zero_for_equals_and_ignores_a_shift", () => {
		const values = fc.array(fc.double({ min: -60, max: 60, noNaN: true }), { minLength: 1, maxLength: 12 });
		fc.assert(
			fc.property(values, fc.infiniteStream(fc.double({ min: -60, max: 60, noNaN: true })), (first, others) => {
				const teacher = Float64Array.from(first);
				const student = Float64Array.from(first, () => Number(others.next().value));
				const measured = divergence(teacher, student);
				expect(measured).toBeGreaterThanOrEqual(0);
				expect(divergence(teacher, teacher)).toBe(0);
				const shifted = divergence(
					teacher.map((value) => value + 8),
					student,
				);
				expect(Math.abs(shifted - measured)).toBeLessThanOrEqual(1e-9 * Math.max(1, measured));
			}),
		);
	});
});

describe("surprise and argmax", () => {
	it("surprise_is_minus_log_probability_in_nats", () => {
		expect(surprise(logs(0.2, 0.3, 0.5), 1)).toBeCloseTo(-Math.log(0.3), 14);
		expect(logSumExp(logits(1000, 1000))).toBeCloseTo(1000 + Math.log(2), 9);
	});

	it("argmax_takes_the_lowest_of_equal_logits", () => {
		expect(argmax(logits(1, 3, 3, 2))).toBe(1);
		expect(argmax(logits(-5, -5))).toBe(0);
	});
});

describe("perplexity accounting", () => {
	it("is_exp_of_the_mean_and_adds_by_tokens_not_by_texts", () => {
		const long = { nats: 90, tokens: 30 };
		const short = { nats: 10, tokens: 10 };
		expect(perplexity(plus(long, short))).toBeCloseTo(Math.exp(2.5), 12);
		expect(perplexityPer(20, long)).toBeCloseTo(Math.exp(4.5), 12);
		expect(bitsPerByte(100, { nats: 100 * Math.LN2, tokens: 7 })).toBeCloseTo(1, 14);
		expect(perplexityIncrease(short, { nats: 10 + 10 * Math.log(1.01), tokens: 10 })).toBeCloseTo(0.01, 12);
	});
});

describe("frequency bins", () => {
	it("cut_where_half_and_nine_tenths_of_the_text_are_reached", () => {
		// 100 occurrences: 40 + 20 reach one half, 20 + 15 reach nine tenths, 4 + 1 are left, two never occur.
		const { ofToken, tokens, occurrences } = frequencyBins([4, 20, 40, 0, 15, 1, 20, 0]);
		const names = [...ofToken].map((bin) => BINS[bin]);
		expect(names).toEqual(["tail", "head", "head", "unseen", "torso", "tail", "torso", "unseen"]);
		expect(tokens).toEqual({ head: 2, torso: 2, tail: 2, unseen: 2 });
		expect(occurrences).toEqual({ head: 60, torso: 35, tail: 5, unseen: 0 });
	});

	it("cover_every_token_and_order_the_bins_by_count", () => {
		fc.assert(
			fc.property(fc.array(fc.nat(50), { maxLength: 60 }), (counts) => {
				const { ofToken, tokens, occurrences } = frequencyBins(counts);
				expect(Object.values(tokens).reduce((sum, count) => sum + count, 0)).toBe(counts.length);
				expect(Object.values(occurrences).reduce((sum, count) => sum + count, 0)).toBe(counts.reduce((sum, count) => sum + count, 0));
				for (const [left, countOfLeft] of counts.entries())
					for (const [right, countOfRight] of counts.entries())
						if (countOfLeft > countOfRight) expect(ofToken[left] ?? 9).toBeLessThanOrEqual(ofToken[right] ?? 0);
				for (const [token, count] of counts.entries()) expect(BINS[ofToken[token] ?? 0] === "unseen").toBe(count === 0);
			}),
		);
	});
});

describe("comparer", () => {
	it("means_by_bin_of_the_label_add_up_to_the_whole", () => {
		const comparer = new Comparer(frequencyBins([10, 1, 0]));
		const teacher = logs(0.6, 0.3, 0.1);
		const close = logs(0.5, 0.4, 0.1);
		const far = logs(0.1, 0.2, 0.7);
		comparer.add(teacher, close, 0);
		comparer.add(teacher, close, 0);
		comparer.add(teacher, far, 2);
		const { all, bins } = comparer.result();
		expect(Object.keys(bins)).toEqual(["head", "unseen"]);
		expect(all.positions).toBe(3);
		expect(all.agreement).toBeCloseTo(2 / 3, 14);
		expect(bins.head).toMatchObject({ positions: 2, agreement: 1 });
		expect(bins.unseen?.studentPerplexity).toBeCloseTo(1 / 0.7, 12);
		expect(all.studentNats).toBeCloseTo(-(2 * Math.log(0.5) + Math.log(0.7)) / 3, 12);
		expect(all.divergence).toBeCloseTo((2 * divergence(teacher, close) + divergence(teacher, far)) / 3, 14);
		expect(all.teacherPerplexity).toBeCloseTo(Math.exp(all.teacherNats), 12);
	});

	it("float32_logits_are_summed_in_float64", () => {
		const size = 50_000;
		const flat = new Float32Array(size).fill(12.5);
		expect(Math.abs(surprise(flat, 7) / Math.log(size) - 1)).toBeLessThan(RELATIVE);
	});

	it.each([
		["vocabularies_differ", logits(0, 0), logits(0, 0, 0), 0, /2 logits, the student 3/],
		["a_label_lies_outside", logits(0, 0), logits(0, 0), 2, /token id 2 is beyond/],
		["a_logit_is_nan", logits(0, 0), logits(0, Number.NaN), 0, /not a number/],
	])("refuses_when_%s", (_, teacher, student, label, message) => {
		expect(() => new Comparer(frequencyBins([1, 1])).add(teacher, student, label)).toThrow(message);
	});

	it("refuses_a_result_without_positions", () => {
		expect(() => new Comparer(frequencyBins([1])).result()).toThrow(/no token to predict/);
	});
});
