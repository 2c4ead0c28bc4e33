// The scales that a byte can name, and the places that follow from the blocks of rows.
import { describe, expect, it } from "vitest";
import { fromFloat16, toFloat16 } from "../../src/ir/elements.js";
import { numbersOf, placesIn } from "../../src/linalg/coding.js";
import { scaleGrid } from "../../src/linalg/scale-grid.js";

describe("scaleGrid", () => {
	const { values, codeOf } = scaleGrid(8);

	it("rises_from_0_to_the_largest_in_numbers_that_float16_holds", () => {
		expect(values[0]).toBe(0);
		expect(values[255]).toBe(8);
		for (let code = 1; code < 256; code++) {
			expect(values[code]).toBeGreaterThan(values[code - 1] ?? Number.POSITIVE_INFINITY);
			expect(fromFloat16(toFloat16(values[code] ?? 0))).toBe(values[code]);
		}
	});

	it("names_a_scale_that_is_within_three_hundredths", () => {
		for (let scale = 2e-4; scale < 8; scale *= 1.013) expect(Math.abs((values[codeOf(scale)] ?? 0) / scale - 1)).toBeLessThan(0.03);
	});

	it("names_its_own_scales_by_their_numbers", () => {
		for (let code = 0; code < 256; code++) expect(codeOf(values[code] ?? Number.NaN)).toBe(code);
	});

	it("has_the_largest_for_larger_ones_and_0_for_what_is_none", () => {
		expect([100, 0, -1, 1e-9].map(codeOf)).toEqual([255, 0, 0, 0]);
	});
});

describe("placesIn", () => {
	const ranked = Uint32Array.of(4, 0, 3, 1, 2);

	it("puts_the_rows_of_a_block_in_the_order_of_their_ids", () => {
		const blocks = [{ rows: 2 }, { rows: 3 }];
		expect([...numbersOf(blocks, ranked)]).toEqual([1, 0, 1, 0, 1]);
		expect([...(placesIn(blocks, ranked) ?? [])]).toEqual([2, 0, 3, 1, 4]);
	});

	it("needs_no_places_for_one_block", () => {
		expect(placesIn([{ rows: 5 }], ranked)).toBeUndefined();
	});
});
