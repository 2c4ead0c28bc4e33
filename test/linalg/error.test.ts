// Relative error of a product against a table, whole and per bin.
import { afterAll, describe, expect, it } from "vitest";
import { binOfRanges, binOfRows, factorError } from "../../src/linalg/error.js";
import { rowsOf } from "../../src/linalg/rows.js";
import { truncatedSvd } from "../../src/linalg/svd.js";
import { engineProducts } from "../../src/runtime/products.js";
import { randomTable, squaredSum } from "./help.js";

const products = engineProducts({ threads: 2 });
afterAll(() => products.close());

// Rows 0 to 2 are met exactly, row 3 is off by (3, 4), row 4 is zero on both sides.
const source = rowsOf(Float32Array.of(1, 0, 0, 2, 3, 3, 6, 8, 0, 0), 5, 2);
const left = Float32Array.of(1, 0, 0, 2, 3, 3, 3, 4, 0, 0);
const factors = { rank: 2, left: (start: number, end: number) => left.subarray(start * 2, end * 2), right: Float32Array.of(1, 0, 0, 1) };

describe("factorError", () => {
	it("measures_the_table_and_its_bins", async () => {
		const bins = binOfRows(5, [[0, 2], [3], [4]]);
		const error = await factorError(source, factors, products, { bins });
		expect(error.squaredError).toBe(25);
		expect(error.squaredNorm).toBe(123);
		expect(error.relative).toBeCloseTo(Math.sqrt(25 / 123), 12);
		expect(error.bins).toEqual([
			{ rows: 2, squaredError: 0, squaredNorm: 19, relative: 0 },
			{ rows: 1, squaredError: 25, squaredNorm: 100, relative: 0.5 },
			{ rows: 1, squaredError: 0, squaredNorm: 0, relative: 0 },
		]);
	});

	it("measures_rows_whose_squares_leave_the_range_of_float32", async () => {
		const table = Float32Array.of(3e30, 4e30, 3e-25, 4e-25, 3, 4);
		const half = { ...factors, left: () => table.map((value) => value / 2) };
		const error = await factorError(rowsOf(table, 3, 2), half, products, { bins: binOfRanges(3, [1, 2, 3]) });
		for (const { relative } of error.bins) expect(relative).toBeCloseTo(0.5, 6);
	});

	it("measures_ranges_of_rows", async () => {
		const error = await factorError(source, factors, products, { bins: binOfRanges(5, [3, 5]) });
		expect(error.bins.map(({ rows, relative }) => [rows, relative])).toEqual([
			[3, 0],
			[2, 0.5],
		]);
	});

	it("agrees_with_the_singular_values_over_many_blocks", async () => {
		const [rows, cols, rank] = [70_000, 64, 16];
		const table = randomTable(rows, cols, 1, 0.97);
		const svd = await truncatedSvd(rowsOf(table, rows, cols), rank, products);
		const right = new Float32Array(rank * cols);
		for (let k = 0; k < rank; k++) for (let j = 0; j < cols; j++) right[k * cols + j] = svd.right[j * rank + k] ?? 0;
		const error = await factorError(rowsOf(table, rows, cols), { rank, left: svd.project, right }, products);
		expect(error.squaredNorm / squaredSum(table)).toBeCloseTo(1, 8);
		expect(error.squaredError / (svd.totalSquared - squaredSum(svd.singularValues))).toBeCloseTo(1, 4);
		expect(error.rows).toBe(rows);
	});

	it("refuses_bins_that_do_not_fit", async () => {
		expect(() => binOfRows(5, [[1], [1]])).toThrow(/row 1/);
		expect(() => binOfRows(5, [[5]])).toThrow(/row 5/);
		expect(() => binOfRanges(5, [3, 6])).toThrow(/row 6/);
		await expect(factorError(source, factors, products, { bins: new Int32Array(4) })).rejects.toMatchObject({ code: "internal" });
	});
});
