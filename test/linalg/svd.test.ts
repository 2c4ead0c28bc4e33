// Truncated SVD and the weighted, whitened closed form, against ml-matrix and against perturbations.
import { Matrix } from "ml-matrix";
import { afterAll, describe, expect, it } from "vitest";
import { DistembError } from "../../src/errors.js";
import { factorError } from "../../src/linalg/error.js";
import { type RowSource, rowsOf } from "../../src/linalg/rows.js";
import { type LowRank, lowRank, truncatedSvd } from "../../src/linalg/svd.js";
import { normal } from "../../src/random.js";
import { engineProducts } from "../../src/runtime/products.js";
import { distanceFromOrthonormal, matrixOf, randomSquare, randomTable, singularValuesOf, squaredSum } from "./help.js";

const products = engineProducts({ threads: 2 });
afterAll(() => products.close());

/** ‖E − UW‖² with every product in float64, outside the engine. */
async function squaredErrorOf(table: Float32Array, rows: number, cols: number, found: LowRank): Promise<number> {
	const u = matrixOf(await found.project(0, rows), rows, found.rank);
	return squaredSum(
		matrixOf(table, rows, cols)
			.sub(u.mmul(matrixOf(found.factor, found.rank, cols)))
			.to1DArray(),
	);
}

function tail(singular: readonly number[], rank: number): number {
	return squaredSum(singular.slice(rank));
}

describe("truncatedSvd", () => {
	for (const [rows, cols, rank] of [
		[200, 24, 8],
		[300, 40, 1],
		[64, 33, 32],
		[10, 24, 6],
		[500, 300, 40],
	] as const) {
		it(`finds_the_singular_values_of_${rows}x${cols}_at_rank_${rank}`, async () => {
			const table = randomTable(rows, cols);
			const expected = singularValuesOf(table, rows, cols);
			const found = await truncatedSvd(rowsOf(table, rows, cols), rank, products, { precision: "float64" });
			for (let k = 0; k < rank; k++)
				expect(Math.abs((found.singularValues[k] ?? 0) - (expected[k] ?? 0))).toBeLessThan(1e-9 * (expected[0] ?? 0));
			expect(distanceFromOrthonormal(found.right, cols, rank)).toBeLessThan(1e-12);
			expect(found.totalSquared / squaredSum(table)).toBeCloseTo(1, 10);
		});

		it(`reaches_the_eckart_young_bound_of_${rows}x${cols}_at_rank_${rank}_in_float32`, async () => {
			const table = randomTable(rows, cols);
			const optimum = tail(singularValuesOf(table, rows, cols), rank);
			const error = await squaredErrorOf(table, rows, cols, await lowRank(rowsOf(table, rows, cols), rank, products));
			const total = squaredSum(table);
			expect(error).toBeGreaterThan(optimum - 1e-6 * total);
			expect(error).toBeLessThan(optimum + 1e-6 * total);
		});
	}

	it("reproduces_the_table_at_full_rank", async () => {
		const [rows, cols] = [900, 130];
		const source = rowsOf(randomTable(rows, cols, 3, 0.8), rows, cols);
		const found = await truncatedSvd(source, cols, products);
		expect(distanceFromOrthonormal(found.right, cols, cols)).toBeLessThan(1e-12);
		const balanced = await lowRank(source, cols, products);
		const error = await factorError(source, { rank: cols, left: balanced.project, right: balanced.factor }, products);
		expect(error.relative).toBeLessThan(1e-6);
	});

	it("reads_the_table_in_blocks_and_holds_no_copy", async () => {
		const [rows, cols] = [40_000, 200];
		let widest = 0;
		const source: RowSource = {
			rows,
			cols,
			read: (start, end) => {
				widest = Math.max(widest, end - start);
				return Float32Array.from({ length: (end - start) * cols }, (_, index) => Math.sin((start * cols + index) * 0.7));
			},
		};
		const fractions: number[] = [];
		const found = await truncatedSvd(source, 4, products, { onProgress: (fraction) => fractions.push(fraction) });
		expect(widest).toBeLessThan(rows / 3);
		expect(fractions.length).toBeGreaterThan(3);
		expect(fractions.at(-1)).toBe(1);
		// Rows of one sine wave span a plane.
		expect(squaredSum(found.singularValues.subarray(0, 2)) / found.totalSquared).toBeCloseTo(1, 6);
	});

	it("repeats_to_the_bit", async () => {
		const source = rowsOf(randomTable(700, 90), 700, 90);
		const first = await truncatedSvd(source, 20, products, { seed: 7 });
		const again = await truncatedSvd(source, 20, products, { seed: 7 });
		expect(again.right).toEqual(first.right);
		expect(again.singularValues).toEqual(first.singularValues);
		const other = engineProducts({ threads: 2 });
		const elsewhere = await truncatedSvd(source, 20, other, { seed: 7 });
		await other.close();
		expect(elsewhere.right).toEqual(first.right);
	});
});

describe("degenerate tables", () => {
	it("factorizes_a_table_of_zeros", async () => {
		const found = await lowRank(rowsOf(new Float32Array(50 * 12), 50, 12), 5, products);
		expect(found.totalSquared).toBe(0);
		expect([...found.singularValues]).toEqual([0, 0, 0, 0, 0]);
		expect(squaredSum(await found.project(0, 50))).toBe(0);
		expect(found.factor.every(Number.isFinite)).toBe(true);
	});

	it("reproduces_a_table_of_lower_rank_exactly", async () => {
		const [rows, cols] = [400, 32];
		const thin = matrixOf(randomTable(rows, 5), rows, 5).mmul(matrixOf(randomTable(5, cols, 9), 5, cols));
		const table = Float32Array.from(thin.to1DArray());
		for (const rank of [5, 12, 32]) {
			const found = await lowRank(rowsOf(table, rows, cols), rank, products);
			expect(await squaredErrorOf(table, rows, cols, found)).toBeLessThan(1e-9 * squaredSum(table));
			expect(found.factor.every(Number.isFinite)).toBe(true);
		}
	});

	it("reproduces_duplicate_rows", async () => {
		const row = randomTable(1, 16);
		const table = new Float32Array(100 * 16);
		for (let index = 0; index < 100; index++) table.set(row, index * 16);
		const found = await lowRank(rowsOf(table, 100, 16), 1, products);
		expect(await squaredErrorOf(table, 100, 16, found)).toBeLessThan(1e-11 * squaredSum(table));
	});

	it("keeps_an_orthonormal_basis_where_all_singular_values_are_equal", async () => {
		const table = new Float32Array(48 * 48);
		for (let index = 0; index < 48; index++) table[index * 48 + index] = 2;
		const found = await truncatedSvd(rowsOf(table, 48, 48), 20, products);
		expect(distanceFromOrthonormal(found.right, 48, 20)).toBeLessThan(1e-12);
		for (const value of found.singularValues) expect(value).toBeCloseTo(2, 6);
	});

	it("pads_with_zero_columns_beyond_the_table's_smaller_side", async () => {
		for (const [rows, cols, rank] of [
			[7, 20, 12],
			[60, 9, 12],
		] as const) {
			const table = randomTable(rows, cols);
			const kept = Math.min(rows, cols);
			const found = await lowRank(rowsOf(table, rows, cols), rank, products);
			const u = matrixOf(await found.project(0, rows), rows, rank);
			for (let k = kept; k < rank; k++) {
				expect(u.getColumn(k).every((value) => value === 0)).toBe(true);
				expect(found.factor.subarray(k * cols, (k + 1) * cols).every((value) => value === 0)).toBe(true);
			}
			expect(await squaredErrorOf(table, rows, cols, found)).toBeLessThan(1e-10 * squaredSum(table));
		}
	});

	it.each([1e-30, 1e-20, 1e20, 1e30])("does_not_mind_values_of_the_size_of_%s", async (size) => {
		const [rows, cols, rank] = [300, 20, 6];
		const table = randomTable(rows, cols);
		const sized = table.map((value) => value * size);
		const plain = await lowRank(rowsOf(table, rows, cols), rank, products);
		const found = await lowRank(rowsOf(sized, rows, cols), rank, products);
		for (let k = 0; k < rank; k++) {
			const ratio = (found.singularValues[k] ?? 0) / size / (plain.singularValues[k] ?? 1);
			expect(Math.abs(ratio - 1)).toBeLessThan(1e-6);
		}
		expect((await squaredErrorOf(sized, rows, cols, found)) / size / size / (await squaredErrorOf(table, rows, cols, plain))).toBeCloseTo(
			1,
			5,
		);
	});

	it("scales_a_block_that_mixes_huge_and_ordinary_rows", async () => {
		const table = randomTable(40, 8);
		for (let column = 0; column < 8; column++) table[column] = 1e22;
		const found = await truncatedSvd(rowsOf(table, 40, 8), 1, products);
		expect((found.singularValues[0] ?? 0) / (1e22 * Math.sqrt(8))).toBeCloseTo(1, 6);
	});

	it.each([Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY])("refuses_%s_and_names_its_row", async (value) => {
		const table = randomTable(40_000, 64);
		table[39_321 * 64 + 5] = value;
		const failure = await truncatedSvd(rowsOf(table, 40_000, 64), 2, products).catch((error: unknown) => error);
		expect(failure).toBeInstanceOf(DistembError);
		expect(failure).toMatchObject({ code: "input", message: `row 39321 of the table holds ${value}` });
	});

	it("stops_when_asked", async () => {
		const stop = new AbortController();
		const source = rowsOf(randomTable(40_000, 64), 40_000, 64);
		const task = truncatedSvd(source, 2, products, { signal: stop.signal, onProgress: () => stop.abort() });
		await expect(task).rejects.toMatchObject({ code: "interrupted" });
	});

	it.each([0, -1, 2.5, Number.NaN])("refuses_rank_%s", async (rank) => {
		await expect(lowRank(rowsOf(new Float32Array(4), 2, 2), rank, products)).rejects.toMatchObject({ code: "internal" });
	});
});

describe("lowRank, weighted and whitened", () => {
	const [rows, cols, rank] = [160, 18, 5] as const;
	const table = randomTable(rows, cols, 5);
	const draw = normal(11);
	const rowWeights = Float32Array.from({ length: rows }, (_, row) => (row % 7 === 0 ? 0 : Math.exp(2 * draw())));
	const half = randomSquare(cols, 21);
	const metric = half.mmul(half.transpose());
	const options = { rowWeights, metric: Float64Array.from(metric.to1DArray()), ridge: 0, precision: "float64" } as const;

	/** Σ w_i·Δ_i·G·Δ_iᵀ */
	function objective(u: Matrix, w: Matrix): number {
		const delta = matrixOf(table, rows, cols).sub(u.mmul(w));
		const measured = delta.mmul(metric);
		let sum = 0;
		for (let row = 0; row < rows; row++) {
			for (let column = 0; column < cols; column++) sum += (rowWeights[row] ?? 0) * delta.get(row, column) * measured.get(row, column);
		}
		return sum;
	}

	async function factors(given: Parameters<typeof lowRank>[3]): Promise<[Matrix, Matrix, LowRank]> {
		const found = await lowRank(rowsOf(table, rows, cols), rank, products, given);
		return [matrixOf(table, rows, cols).mmul(matrixOf(found.right, cols, rank)), matrixOf(found.factor, rank, cols), found];
	}

	it("costs_what_the_singular_values_say", async () => {
		const [u, w, found] = await factors(options);
		const predicted = found.totalSquared - squaredSum(found.singularValues);
		expect(objective(u, w) / predicted).toBeCloseTo(1, 5);
	});

	it("beats_every_perturbation_and_the_plain_svd", async () => {
		const [u, w] = await factors(options);
		const best = objective(u, w);
		const [plainU, plainW] = await factors({ precision: "float64" });
		expect(objective(plainU, plainW)).toBeGreaterThan(1.05 * best);
		for (let trial = 0; trial < 40; trial++) {
			const size = 10 ** -(1 + (trial % 3));
			const du = matrixOf(randomTable(rows, rank, 100 + trial, 1), rows, rank).mul(size);
			const dw = matrixOf(randomTable(rank, cols, 200 + trial, 1), rank, cols).mul(size);
			expect(objective(Matrix.add(u, du), w)).toBeGreaterThan(best);
			expect(objective(u, Matrix.add(w, dw))).toBeGreaterThan(best);
			expect(objective(Matrix.add(u, du), Matrix.add(w, dw))).toBeGreaterThan(best);
		}
	});

	it("does_not_depend_on_the_gauge_or_on_the_unit_of_the_weights", async () => {
		const [u, w] = await factors(options);
		const [plainU, plainW] = await factors({ ...options, gauge: "orthonormal" });
		expect(Matrix.sub(u.mmul(w), plainU.mmul(plainW)).abs().max()).toBeLessThan(1e-5);
		const [scaledU, scaledW] = await factors({ ...options, rowWeights: rowWeights.map((weight) => weight * 1e-12) });
		expect(Matrix.sub(u.mmul(w), scaledU.mmul(scaledW)).abs().max()).toBeLessThan(1e-5);
	});

	it("balances_the_factors", async () => {
		const found = await lowRank(rowsOf(table, rows, cols), rank, products);
		const u = matrixOf(await found.project(0, rows), rows, rank);
		const w = matrixOf(found.factor, rank, cols);
		for (let k = 0; k < rank; k++) {
			const left = Math.sqrt(squaredSum(u.getColumn(k)) / rows);
			const right = Math.sqrt(squaredSum(w.getRow(k)) / cols);
			expect(left / right).toBeCloseTo(1, 4);
		}
	});

	it("gives_a_row_of_weight_zero_its_best_place_in_the_span", async () => {
		const [u, w] = await factors({ rowWeights, precision: "float64" });
		const basis = w.transpose();
		const row = matrixOf(table.subarray(0, cols), 1, cols);
		const rest = Matrix.sub(row, u.subMatrix(0, 0, 0, rank - 1).mmul(w));
		expect(rest.mmul(basis).abs().max()).toBeLessThan(1e-5);
	});

	it("copes_with_a_metric_that_is_not_of_full_rank", async () => {
		const thin = half.subMatrix(0, cols - 1, 0, 3);
		const flat = thin.mmul(thin.transpose());
		const found = await lowRank(rowsOf(table, rows, cols), rank, products, { metric: Float64Array.from(flat.to1DArray()) });
		expect(found.factor.every(Number.isFinite)).toBe(true);
		expect(squaredSum(found.singularValues) / found.totalSquared).toBeGreaterThan(0.99);
	});

	it("refuses_weights_and_metrics_that_make_no_sense", async () => {
		const source = rowsOf(table, rows, cols);
		const fail = (given: Parameters<typeof lowRank>[3]) =>
			expect(lowRank(source, rank, products, given)).rejects.toMatchObject({ code: "internal" });
		await fail({ rowWeights: new Float32Array(rows - 1) });
		await fail({ rowWeights: new Float32Array(rows).fill(-1) });
		await fail({ rowWeights: new Float32Array(rows).fill(Number.NaN) });
		await fail({ metric: new Float64Array(cols * cols) });
		await fail({ metric: new Float64Array(cols) });
		await fail({ metric: Float64Array.from(Matrix.eye(cols).mul(-1).to1DArray()) });
	});
});
