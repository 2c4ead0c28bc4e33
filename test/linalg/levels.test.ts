// Scalar quantizers for normally distributed numbers.
import { describe, expect, it } from "vitest";
import { fromFloat16, toFloat16 } from "../../src/ir/elements.js";
import { quantizerOf } from "../../src/linalg/levels.js";
import { normal } from "../../src/random.js";

const COUNTS = { fitted: [256, 16, 3], equal: [256, 16, 4] } as const;

describe("quantizerOf", () => {
	// Max, "Quantizing for minimum distortion", 1960, table I.
	it.each([
		[2, 0.3634],
		[3, 0.1902],
		[4, 0.1175],
		[6, 0.05798],
		[16, 0.009497],
	])("with_%i_values_has_the_known_least_distortion", (count, distortion) => {
		expect(quantizerOf(count).distortion / distortion).toBeCloseTo(1, 2);
	});

	const ALL = (["fitted", "equal"] as const).flatMap((spacing) => COUNTS[spacing].map((count) => [count, spacing] as const));

	it.each(ALL)("with_%i_values_%s_measures_what_it_predicts", (count, spacing) => {
		const { values, encode, distortion } = quantizerOf(count, spacing);
		const draw = normal(3);
		let sum = 0;
		for (let index = 0; index < 200_000; index++) {
			const number = draw();
			sum += (number - (values[encode(number)] ?? 0)) ** 2;
		}
		expect(sum / 200_000 / distortion).toBeGreaterThan(0.95);
		expect(sum / 200_000 / distortion).toBeLessThan(1.1);
	});

	it.each(ALL)("with_%i_values_%s_encodes_to_the_nearest", (count, spacing) => {
		const { values, encode } = quantizerOf(count, spacing);
		const draw = normal(4);
		for (let index = 0; index < 2000; index++) {
			const number = 3 * draw();
			const nearest = values.reduce((least, value) => Math.min(least, Math.abs(value - number)), Number.POSITIVE_INFINITY);
			expect(Math.abs((values[encode(number)] ?? 0) - number)).toBeCloseTo(nearest, 12);
		}
	});
});

describe("equally spaced values", () => {
	it.each([...COUNTS.equal])("of_%i_are_multiples_of_a_step_from_half_of_them_below_0", (count) => {
		const { values } = quantizerOf(count, "equal");
		const step = (values[1] ?? 0) - (values[0] ?? 0);
		expect([...values]).toEqual(Array.from({ length: count }, (_, code) => (code - count / 2) * step));
	});

	it.each([...COUNTS.equal])("of_%i_are_exact_in_16_bits", (count) => {
		for (const value of quantizerOf(count, "equal").values) expect(fromFloat16(toFloat16(value))).toBe(value);
	});

	// Max 1960, table II: 4 and 16 equally spaced values, symmetric around 0; ours have 0 among them, which costs a little more.
	it.each([
		[4, 0.1188],
		[16, 0.01154],
	])("of_%i_lose_little_more_than_symmetric_ones", (count, distortion) => {
		const ours = quantizerOf(count, "equal").distortion;
		expect(ours).toBeGreaterThan(quantizerOf(count).distortion);
		expect(ours / distortion).toBeLessThan(count === 4 ? 1.5 : 1.1);
	});
});
