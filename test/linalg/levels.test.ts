// Quantizers for normally distributed numbers.
import { describe, expect, it } from "vitest";
import { codesPerByte, LEVEL_COUNTS, quantizerOf } from "../../src/linalg/levels.js";
import { normal } from "../../src/random.js";

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

	it.each([...LEVEL_COUNTS])("with_%i_values_measures_what_it_predicts", (count) => {
		const { values, encode, distortion } = quantizerOf(count);
		const draw = normal(3);
		let sum = 0;
		for (let index = 0; index < 200_000; index++) {
			const number = draw();
			sum += (number - (values[encode(number)] ?? 0)) ** 2;
		}
		expect(sum / 200_000 / distortion).toBeGreaterThan(0.95);
		expect(sum / 200_000 / distortion).toBeLessThan(1.1);
	});

	it.each([...LEVEL_COUNTS])("with_%i_values_encodes_to_the_nearest", (count) => {
		const { values, encode } = quantizerOf(count);
		const draw = normal(4);
		for (let index = 0; index < 2000; index++) {
			const number = 3 * draw();
			const nearest = values.reduce((least, value) => Math.min(least, Math.abs(value - number)), Number.POSITIVE_INFINITY);
			expect(Math.abs((values[encode(number)] ?? 0) - number)).toBeCloseTo(nearest, 12);
		}
	});
});

describe("codesPerByte", () => {
	it("fills_bytes_in_any_base", () => {
		expect([256, 16, 6, 4, 3, 2].map(codesPerByte)).toEqual([1, 2, 3, 4, 5, 8]);
	});
});
