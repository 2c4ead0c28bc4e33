// The predicted loss against direct sums, and the closed form against random competitors in the metric that it minimises.
import fc from "fast-check";
import type { Matrix } from "ml-matrix";
import { afterAll, describe, expect, it } from "vitest";
import { expectedLoss, objectiveOf, type Term } from "../../src/linalg/objective.js";
import { rowsOf } from "../../src/linalg/rows.js";
import { lowRank } from "../../src/linalg/svd.js";
import { normal, uniform } from "../../src/random.js";
import { engineProducts } from "../../src/runtime/products.js";
import { matrixOf, randomSquare, randomTable } from "./help.js";

const products = engineProducts({ threads: 2 });
afterAll(() => products.close());

const [ROWS, COLS] = [90, 12];

/** A positive definite moment, and weights that fall steeply. */
function term(seed: number, hasMoment = true): Term {
	const random = uniform(seed);
	const root = randomSquare(COLS, seed);
	const moment = Float64Array.from(root.mmul(root.transpose()).to1DArray());
	return { weights: Float64Array.from({ length: ROWS }, (_, row) => random() / (row + 1)), moment: hasMoment ? moment : undefined };
}

/** ½ Σᵢ wᵢ Δᵢ G Δᵢᵀ in float64. */
function cost(table: Float32Array, left: ArrayLike<number>, right: ArrayLike<number>, rank: number, { weights, moment }: Term): number {
	const error = matrixOf(table, ROWS, COLS).sub(matrixOf(left, ROWS, rank).mmul(matrixOf(right, rank, COLS)));
	const seen: Matrix = moment === undefined ? error : error.mmul(matrixOf(moment, COLS, COLS));
	const perRow = Array.from({ length: ROWS }, (_, row) => error.getRow(row).reduce((sum, value, k) => sum + value * seen.get(row, k), 0));
	return 0.5 * perRow.reduce((sum, value, row) => sum + value * (weights[row] ?? 0), 0);
}

describe("expectedLoss", () => {
	it("is_the_sum_of_both_terms", async () => {
		const table = randomTable(ROWS, COLS);
		const draw = normal(9);
		const [left, right] = [Float32Array.from({ length: ROWS * 3 }, draw), Float32Array.from({ length: 3 * COLS }, draw)];
		const terms = [term(1), term(2, false)];
		const factors = { rank: 3, left: (start: number, end: number) => left.subarray(start * 3, end * 3), right };
		const expected = terms.reduce((sum, each) => sum + cost(table, left, right, 3, each), 0);
		expect((await expectedLoss(rowsOf(table, ROWS, COLS), terms, factors, products)) / expected).toBeCloseTo(1, 5);
	});
});

describe("objectiveOf", () => {
	it("is_exact_for_terms_with_equal_shares", () => {
		const [first, second] = [term(3), term(4)];
		const scaled: Term = { ...second, weights: first.weights.map((weight) => 2.5 * weight) };
		const { rowWeights, metric } = objectiveOf([first, scaled], COLS) ?? {};
		const table = randomTable(ROWS, COLS, 5);
		const none = new Float32Array(ROWS);
		const zero = new Float32Array(COLS);
		const single: Term = { weights: Float64Array.from(rowWeights ?? []), moment: metric };
		const both = cost(table, none, zero, 1, first) + cost(table, none, zero, 1, scaled);
		expect(cost(table, none, zero, 1, single) / both).toBeCloseTo(1, 6);
	});

	it("knows_nothing_without_terms", () => {
		expect(objectiveOf([], COLS)).toBeUndefined();
	});
});

describe("lowRank", () => {
	it("beats_every_random_competitor_in_its_own_metric", async () => {
		await fc.assert(
			fc.asyncProperty(fc.integer({ min: 1, max: 1e6 }), fc.integer({ min: 1, max: COLS - 1 }), async (seed, rank) => {
				const table = randomTable(ROWS, COLS, seed);
				const objective = objectiveOf([term(seed)], COLS);
				const source = rowsOf(table, ROWS, COLS);
				const found = await lowRank(source, rank, products, { ...objective, ridge: 1e-9, precision: "float64" });
				const single: Term = { weights: Float64Array.from(objective?.rowWeights ?? []), moment: objective?.metric };
				const left = (await found.project(0, ROWS)).slice();
				const best = cost(table, left, found.factor, rank, single);
				const draw = normal(seed + 1);
				for (const size of [1e-3, 1e-1, 1]) {
					const moved = found.factor.map((value) => value + size * draw());
					const other = left.map((value) => value + size * draw());
					expect(cost(table, left, moved, rank, single)).toBeGreaterThan(best);
					expect(cost(table, other, found.factor, rank, single)).toBeGreaterThan(best);
				}
				const plain = await lowRank(source, rank, products, { precision: "float64" });
				expect(cost(table, (await plain.project(0, ROWS)).slice(), plain.factor, rank, single)).toBeGreaterThan(best);
			}),
			{ numRuns: 15, seed: 7 },
		);
	});
});
