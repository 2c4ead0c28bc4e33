// The scale between two factors that float16 must hold.
import { describe, expect, it } from "vitest";
import { halfGauge } from "../../src/linalg/half-gauge.js";

describe("halfGauge", () => {
	it("takes_the_scale_that_is_wanted_if_there_is_room", () => {
		expect(halfGauge(1, 1, 1)).toBe(1);
		expect(halfGauge(30_000, 0.001, 1)).toBe(1);
		expect(halfGauge(1, 300, 256)).toBe(256);
		expect(halfGauge(0, 1e30, 1)).toBe(1);
	});

	it.each([
		[1e9, 1],
		[1, 1e9],
		[1e-12, 1e12],
		[1e12, 1e-12],
		[1e-9, 100],
		[40_000, 1e-3],
	])("brings_%d_and_%d_into_the_range_by_a_power_of_two", (left, right) => {
		const gauge = halfGauge(left, right, 1) ?? Number.NaN;
		expect(Number.isInteger(Math.log2(gauge))).toBe(true);
		for (const most of [left * gauge, right / gauge]) {
			expect(most).toBeLessThanOrEqual(65504);
			expect(most).toBeGreaterThanOrEqual(2 ** -14);
		}
	});

	it.each([
		[1e10, 1],
		[1e20, 1e20],
		[1e-10, 1],
		[1e-20, 1e-20],
	])("finds_none_for_%d_and_%d", (left, right) => {
		expect(halfGauge(left, right, 1)).toBeUndefined();
	});
});
