// AdamW and its schedule against numbers worked out by hand.
import { describe, expect, it } from "vitest";
import { uniform } from "../../../src/random.js";
import { AdamW, type AdamWOptions } from "../../../src/runtime/training/adamw.js";
import { rateAt } from "../../../src/runtime/training/schedule.js";

function adamOf(initial: readonly (readonly number[])[], options: Partial<AdamWOptions> = {}, decays = true): AdamW {
	return new AdamW(
		initial.map((values) => ({ initial: Float32Array.from(values), decays })),
		options,
	);
}

/** One step with these gradients. */
function stepped(adam: AdamW, step: number, rate: number, gradients: readonly (readonly number[])[]): AdamW {
	for (const [index, gradient] of gradients.entries()) adam.states[index]?.gradient.set(gradient);
	adam.update(step, rate, adam.gradientNorm());
	return adam;
}

const rounded = (values: Float32Array | undefined) => [...(values ?? [])].map((value) => Math.round(value * 1e4) / 1e4);

describe("AdamW", () => {
	it("moves_by_the_rate_against_the_sign_at_the_first_step", () => {
		const adam = stepped(adamOf([[1, 2, 3], [4]]), 1, 0.1, [[0.5, -0.001, 0], [-0.1]]);
		expect(adam.states.map(({ values }) => rounded(values))).toEqual([[0.9, 2.1, 3], [4.1]]);
	});

	it("trains_only_what_was_begun_and_begins_its_moments_anew", () => {
		const adam = stepped(adamOf([[1, 2], [4]]), 1, 0.1, [[0.5, -0.5], [3]]);
		adam.begin(new Set([0]));
		for (const { mean, square, level } of adam.states) expect([...mean, ...square, ...level].every((moment) => moment === 0)).toBe(true);
		stepped(adam, 1, 0.1, [[0.3, 0.4], [12]]);
		expect(adam.gradientNorm().all).toBeCloseTo(0.5, 6);
		expect(adam.states.map(({ values }) => rounded(values))).toEqual([[0.8, 2], [3.9]]);
		adam.begin();
		expect(adam.gradientNorm().all).toBeGreaterThan(12);
	});

	it.each([0, 0.3])("agrees_with_the_formula_in_doubles_over_many_steps_and_elements_at_a_damping_of_%s", (damping) => {
		const random = uniform(1);
		const numbers = (length: number) => Array.from({ length }, () => Math.fround(random() - 0.5));
		const [decay, clip, rate] = [0.1, 0.7, 0.01];
		const initial = [numbers(7), numbers(1), [], numbers(16)];
		const adam = adamOf(initial, { decay, clip, damping });
		const expected = initial.map((values) => values.map((p) => ({ p, m: 0, v: 0 })));
		for (let step = 1; step <= 20; step++) {
			const gradients = initial.map(({ length }) => numbers(length));
			stepped(adam, step, rate, gradients);
			const scale = Math.min(1, clip / Math.hypot(...gradients.flat()));
			for (const [index, elements] of expected.entries()) {
				for (const [at, element] of elements.entries()) {
					const g = scale * (gradients[index]?.[at] ?? 0);
					element.m = 0.9 * element.m + 0.1 * g;
					element.v = 0.99 * element.v + 0.01 * g * g;
				}
				const correction = 1 / (1 - 0.99 ** step);
				const mean = elements.reduce((sum, { v }) => sum + v, 0) / elements.length;
				const least = 1e-8 + damping * Math.sqrt(correction * mean);
				for (const element of elements) {
					const direction = element.m / (1 - 0.9 ** step) / (Math.sqrt(element.v * correction) + least);
					element.p -= rate * (direction + decay * element.p);
				}
			}
		}
		const differences = expected.flatMap((elements, index) =>
			elements.map(({ p }, at) => Math.abs(p - (adam.states[index]?.values[at] ?? Number.NaN))),
		);
		expect(differences).toHaveLength(24);
		expect(Math.max(...differences)).toBeLessThan(1e-6);
	});

	it("scales_gradients_down_to_the_norm_that_is_allowed", () => {
		const { states } = stepped(adamOf([[0, 0]], { clip: 5 }), 1, 0.1, [[30, 40]]);
		expect(rounded(states[0]?.mean)).toEqual([0.3, 0.4]);
	});

	it("moves_what_has_a_small_gradient_beside_the_rest_of_its_array_by_less_than_the_rate", () => {
		const far = Math.sqrt(2);
		const { states } = stepped(adamOf([[0, 0]], { damping: 0.1, clip: Number.POSITIVE_INFINITY }), 1, 1, [[far, 0.001]]);
		expect(rounded(states[0]?.values)).toEqual([far, 0.001].map((g) => -Math.round((1e4 * g) / (g + 0.1)) / 1e4));
	});

	it("takes_the_decay_off_the_parameter_itself_and_spares_what_does_not_decay", () => {
		const [decaying, spared] = [true, false].map((decays) => stepped(adamOf([[2]], { decay: 0.5 }, decays), 1, 0.1, [[0]]));
		expect([rounded(decaying?.states[0]?.values), rounded(spared?.states[0]?.values)]).toEqual([[1.9], [2]]);
	});

	it("takes_the_norm_of_all_gradients_together_whatever_their_length", () => {
		const adam = adamOf([[0, 0, 0, 0, 0], [0]]);
		adam.states[0]?.gradient.set([1, 2, 3, 4, 5]);
		adam.states[1]?.gradient.set([3]);
		expect(adam.gradientNorm().all).toBeCloseTo(8, 12);
		adam.states[1]?.gradient.set([Number.NaN]);
		expect(adam.gradientNorm().all).toBeNaN();
	});
});

describe("rateAt", () => {
	const schedule = { rate: 2, steps: 100, warmUp: 0.1, end: 0.1 };

	it("rises_to_the_rate_in_the_warm_up_and_falls_to_the_end", () => {
		expect([1, 5, 10].map((step) => rateAt(schedule, step))).toEqual([0.2, 1, 2]);
		expect(rateAt(schedule, 55.5)).toBeCloseTo(1.1, 12);
		expect([101, 500].map((step) => rateAt(schedule, step))).toEqual([expect.closeTo(0.2, 12), expect.closeTo(0.2, 12)]);
	});

	it("never_stands_still_at_the_first_or_last_step", () => {
		const bare = { rate: 1, steps: 10, warmUp: 0, end: 0 };
		expect([1, 10].every((step) => rateAt(bare, step) > 0)).toBe(true);
	});
});
