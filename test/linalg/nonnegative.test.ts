// The paper's nonnegative left factor: closed form, bounds, refinement.
import { afterAll, describe, expect, it } from "vitest";
import { nonnegativeFactors, nonnegativeStart } from "../../src/linalg/nonnegative.js";
import type { DenseProducts } from "../../src/linalg/products.js";
import { rowsOf } from "../../src/linalg/rows.js";
import { lowRank } from "../../src/linalg/svd.js";
import { engineProducts } from "../../src/runtime/products.js";
import { matrixOf, randomTable, singularValuesOf, squaredSum } from "./help.js";

const products = engineProducts({ threads: 2 });
afterAll(() => products.close());

const [rows, cols] = [400, 24] as const;
// With a mean row, as trained tables have: without one there is next to no room between the closed form and the optimum.
const table = randomTable(rows, cols, 3, 0.93).map((value, index) => value + ((index % cols) % 2 === 0 ? 1 : -1));
const source = rowsOf(table, rows, cols);
const singular = singularValuesOf(table, rows, cols);
const total = squaredSum(table);
const svdError = (rank: number) => squaredSum(singular.slice(rank));

function squaredErrorOf(left: Float32Array, right: Float32Array, rank: number, of = table): number {
	const product = matrixOf(left, rows, rank).mmul(matrixOf(right, rank, cols));
	return squaredSum(matrixOf(of, rows, cols).sub(product).to1DArray());
}

describe("nonnegativeStart", () => {
	it.each([2, 3, 8, 24])("writes_the_product_of_width_one_less_with_nonnegative_entries_at_rank_%s", async (rank) => {
		const svd = await lowRank(source, rank - 1, products);
		const { left, right } = await nonnegativeStart(source, rank, svd);
		expect(left.every((value) => value >= 0)).toBe(true);
		const plain = matrixOf(await svd.project(0, rows), rows, rank - 1).mmul(matrixOf(svd.factor, rank - 1, cols));
		const lifted = matrixOf(left, rows, rank).mmul(matrixOf(right, rank, cols));
		expect(plain.sub(lifted).abs().max()).toBeLessThan(1e-5);
	});
});

describe("nonnegativeFactors", () => {
	it.each([1, 2, 4, 12, 24])("lies_between_the_bounds_of_the_svd_at_rank_%s", async (rank) => {
		const found = await nonnegativeFactors(source, rank, products);
		expect(found.left.every((value) => value >= 0)).toBe(true);
		const error = squaredErrorOf(found.left, found.right, rank);
		expect(Math.abs(error - found.squaredError)).toBeLessThan(1e-6 * total);
		expect(found.squaredError).toBeLessThanOrEqual(found.startSquaredError);
		expect(error).toBeGreaterThan(svdError(rank) - 1e-6 * total);
		expect(error).toBeLessThan(svdError(rank - 1) + 1e-6 * total);
	});

	it("improves_on_the_closed_form_where_there_is_room", async () => {
		const found = await nonnegativeFactors(source, 6, products);
		expect(found.steps).toBeGreaterThan(0);
		expect(found.squaredError).toBeLessThan(svdError(5) - 0.02 * (svdError(5) - svdError(6)));
	});

	it("returns_the_closed_form_when_the_steps_go_wrong", async () => {
		const wild = await nonnegativeFactors(source, 6, products, { rate: 50 });
		const closed = await nonnegativeFactors(source, 6, products, { steps: 0 });
		expect(wild.steps).toBe(0);
		expect(wild.left).toEqual(closed.left);
		expect(wild.right).toEqual(closed.right);
		expect(wild.squaredError).toBe(closed.squaredError);
	});

	it.each([1e-20, 1e20])("does_not_mind_values_of_the_size_of_%s", async (size) => {
		const plain = await nonnegativeFactors(source, 6, products);
		const sized = await nonnegativeFactors(
			rowsOf(
				table.map((value) => value * size),
				rows,
				cols,
			),
			6,
			products,
		);
		expect(sized.steps).toBe(plain.steps);
		expect(sized.squaredError / size / size / plain.squaredError).toBeCloseTo(1, 3);
		const error = squaredErrorOf(
			sized.left,
			sized.right,
			6,
			table.map((value) => value * size),
		);
		expect(error / sized.squaredError).toBeCloseTo(1, 3);
	});

	it("keeps_a_table_of_zeros", async () => {
		const found = await nonnegativeFactors(rowsOf(new Float32Array(rows * cols), rows, cols), 3, products);
		expect(found.squaredError).toBe(0);
		expect(found.left.every(Number.isFinite) && found.right.every(Number.isFinite)).toBe(true);
	});

	it("repeats_to_the_bit", async () => {
		const [first, again] = [await nonnegativeFactors(source, 5, products), await nonnegativeFactors(source, 5, products)];
		expect(again).toEqual(first);
	});

	it("stops_when_asked", async () => {
		const stop = new AbortController();
		const onProgress = (fraction: number) => fraction > 0.6 && stop.abort();
		await expect(
			nonnegativeFactors(source, 5, products, { signal: stop.signal, onProgress: (f) => void onProgress(f) }),
		).rejects.toMatchObject({
			code: "interrupted",
		});
	});
});

describe("reluGradients", () => {
	it("equals_finite_differences", async () => {
		const [b, d, r] = [6, 5, 3];
		const batch = {
			target: randomTable(b, d, 1),
			left: randomTable(b, r, 2, 1),
			right: randomTable(r, d, 3, 1),
			rows: b,
			cols: d,
			rank: r,
		};
		const { left, right } = await copied(products, batch);
		for (const [which, gradient] of [["left", left] as const, ["right", right] as const]) {
			for (let index = 0; index < gradient.length; index++) {
				const slope =
					(lossOf({ ...batch, [which]: moved(batch[which], index, 1e-4) }) -
						lossOf({ ...batch, [which]: moved(batch[which], index, -1e-4) })) /
					2e-4;
				expect(Math.abs((gradient[index] ?? 0) - slope)).toBeLessThan(1e-3 * (1 + Math.abs(slope)));
			}
		}
	});
});

type Batch = Parameters<DenseProducts["reluGradients"]>[0];

async function copied(engine: DenseProducts, batch: Batch) {
	const { loss, left, right } = await engine.reluGradients(batch);
	expect(loss).toBeCloseTo(lossOf(batch), 3);
	return { left: left.slice(), right: right.slice() };
}

function moved(values: Float32Array, index: number, by: number): Float32Array {
	const result = values.slice();
	result[index] = (result[index] ?? 0) + by;
	return result;
}

function lossOf({ target, left, right, rows: b, cols: d, rank: r }: Batch): number {
	const relu = left.map((value) => Math.max(0, value));
	return squaredSum(
		matrixOf(target, b, d)
			.sub(matrixOf(relu, b, r).mmul(matrixOf(right, r, d)))
			.to1DArray(),
	);
}
