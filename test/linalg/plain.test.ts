// Tables of whole numbers in groups: their bytes, their rounding, and what its errors are predicted to cost.
import { afterAll, describe, expect, it } from "vitest";
import { basesOf, roundingLosses } from "../../src/linalg/basis.js";
import { plainBytes, roundPlain } from "../../src/linalg/plain.js";
import { rowsOf } from "../../src/linalg/rows.js";
import { normal, uniform } from "../../src/random.js";
import { engineProducts } from "../../src/runtime/products.js";
import { matrixOf, randomSquare, randomTable } from "./help.js";

const products = engineProducts({ threads: 1 });
afterAll(() => products.close());

describe("roundPlain", () => {
	it("gives_each_group_of_a_row_the_whole_multiples_of_one_scale", () => {
		const cols = 40;
		const random = normal(1);
		const rows = Float32Array.from({ length: 3 * cols }, (_, at) => random() * (at < 32 ? 100 : 1));
		const rounded = rows.slice();
		roundPlain(rounded, cols, 4);
		for (let row = 0; row < 3; row++)
			for (const [from, to] of [
				[0, 32],
				[32, 40],
			] as const) {
				const [before, after] = [rows, rounded].map((all) => all.subarray(row * cols + from, row * cols + to));
				const scale = (before ?? rows).reduce((most, value) => Math.max(most, Math.abs(value)), 0) / 7;
				for (const [at, value] of (after ?? rows).entries()) {
					expect(value / scale).toBeCloseTo(Math.round(value / scale), 4);
					expect(Math.abs(value - (before?.[at] ?? 0))).toBeLessThan(0.501 * scale);
				}
			}
		expect(rounded).not.toEqual(rows);
	});

	it("takes_its_bits_and_a_16_bit_scale_a_group", () => {
		expect(plainBytes({ rows: 100, cols: 64 }, 4)).toBe(100 * (32 + 4));
		expect(plainBytes({ rows: 100, cols: 40 }, 3)).toBe(100 * (15 + 4));
	});
});

describe("roundingLosses", () => {
	it("is_half_the_weighted_square_of_the_errors_in_the_metric", async () => {
		const [rows, cols] = [120, 16];
		const table = randomTable(rows, cols);
		const random = uniform(3);
		const root = randomSquare(cols, 4);
		const metric = Float64Array.from(root.mmul(root.transpose()).to1DArray());
		const weights = Float32Array.from({ length: rows }, () => random());
		const total = weights.reduce((sum, weight) => sum + weight, 0);
		const importance = { rowWeights: weights.map((weight) => weight / total), metric };
		const source = rowsOf(table, rows, cols);
		const { shared: basis } = await basesOf(source, importance, products);
		const round = (values: Float32Array) => roundPlain(values, cols, 4);
		const drop = (values: Float32Array) => values.fill(0);
		const [rounded, dropped] = await roundingLosses(source, basis, importance, [round, drop], products);
		const left = table.slice();
		round(left);
		const cost = (other: Float32Array) => {
			const error = matrixOf(table, rows, cols).sub(matrixOf(other, rows, cols));
			const seen = error.mmul(matrixOf(metric, cols, cols));
			return Array.from({ length: rows }, (_, row) => row).reduce(
				(sum, row) =>
					sum + 0.5 * (importance.rowWeights[row] ?? 0) * error.getRow(row).reduce((held, value, k) => held + value * seen.get(row, k), 0),
				0,
			);
		};
		// The metric of the basis has a ridge of a thousandth.
		expect((rounded ?? 0) / cost(left)).toBeCloseTo(1, 1);
		expect((dropped ?? 0) / basis.losses.reduce((sum, loss) => sum + loss, 0)).toBeCloseTo(1, 4);
		expect(rounded).toBeLessThan(0.1 * (dropped ?? 0));
	});
});
