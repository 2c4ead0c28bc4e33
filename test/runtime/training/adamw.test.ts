// AdamW and its schedule against numbers worked out by hand.
import { describe, expect, it } from "vitest";
import { ADAMW_DEFAULTS, type AdamWState, adamW, normOf } from "../../../src/runtime/training/adamw.js";
import { rateAt } from "../../../src/runtime/training/schedule.js";

function stateOf(values: readonly number[], gradient: readonly number[], decays = true): AdamWState {
	const zeros = () => new Float32Array(values.length);
	return { values: Float32Array.from(values), gradient: Float32Array.from(gradient), mean: zeros(), square: zeros(), decays };
}

describe("adamW", () => {
	it("moves_by_the_rate_against_the_sign_at_the_first_step", () => {
		const state = stateOf([1, 2, 3], [0.5, -0.001, 0]);
		adamW([state], 1, 0.1, normOf([state.gradient]), ADAMW_DEFAULTS);
		expect([...state.values].map((value) => Math.round(value * 1e4) / 1e4)).toEqual([0.9, 2.1, 3]);
	});

	it("corrects_the_bias_of_both_moments_at_later_steps", () => {
		const state = stateOf([0], [1]);
		for (const [index, gradient] of [1, -2, 0.5].entries()) {
			state.gradient[0] = gradient;
			adamW([state], index + 1, 0.01, 1, { ...ADAMW_DEFAULTS, clip: Number.POSITIVE_INFINITY });
		}
		let [m, v, p] = [0, 0, 0];
		for (const [index, g] of [1, -2, 0.5].entries()) {
			m = 0.9 * m + 0.1 * g;
			v = 0.99 * v + 0.01 * g * g;
			p -= (0.01 * (m / (1 - 0.9 ** (index + 1)))) / (Math.sqrt(v / (1 - 0.99 ** (index + 1))) + 1e-8);
		}
		expect(state.values[0]).toBeCloseTo(p, 7);
	});

	it("scales_gradients_down_to_the_norm_that_is_allowed", () => {
		const state = stateOf([0, 0], [30, 40]);
		adamW([state], 1, 0.1, normOf([state.gradient]), { ...ADAMW_DEFAULTS, clip: 5 });
		expect([...state.mean]).toEqual([expect.closeTo(0.3, 6), expect.closeTo(0.4, 6)]);
	});

	it("takes_the_decay_off_the_parameter_itself_and_spares_what_does_not_decay", () => {
		const [decaying, spared] = [stateOf([2], [0]), stateOf([2], [0], false)];
		adamW([decaying, spared], 1, 0.1, 0, { ...ADAMW_DEFAULTS, decay: 0.5 });
		expect([decaying.values[0], spared.values[0]]).toEqual([expect.closeTo(1.9, 6), 2]);
	});
});

describe("normOf", () => {
	it("takes_all_gradients_together_whatever_their_length", () => {
		expect(normOf([Float32Array.of(1, 2, 3, 4, 5), Float32Array.of(3)])).toBeCloseTo(8, 12);
		expect(normOf([Float32Array.of(1, Number.NaN)])).toBeNaN();
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
