// The dense symmetric eigensolver, on spectra that break careless ones.
import { EigenvalueDecomposition, Matrix } from "ml-matrix";
import { afterAll, describe, expect, it } from "vitest";
import { leadingEigen } from "../../src/linalg/symmetric.js";
import { implicitQL, tridiagonalize } from "../../src/linalg/tridiagonal.js";
import { engineProducts } from "../../src/runtime/products.js";
import { distanceFromOrthonormal, matrixOf, randomSquare } from "./help.js";

const products = engineProducts({ threads: 2 });
afterAll(() => products.close());

function symmetric(size: number, seed: number): Matrix {
	const square = randomSquare(size, seed);
	return Matrix.add(square, square.transpose());
}

function withSpectrum(values: readonly number[], seed: number): Matrix {
	const { eigenvectorMatrix: q } = new EigenvalueDecomposition(symmetric(values.length, seed), { assumeSymmetric: true });
	return q.mmul(Matrix.diag([...values])).mmul(q.transpose());
}

/** Wilkinson's W⁺: pairs of eigenvalues that agree to the last bits. */
function wilkinson(half: number): Matrix {
	const size = 2 * half + 1;
	const matrix = Matrix.zeros(size, size);
	for (let i = 0; i < size; i++) {
		matrix.set(i, i, Math.abs(i - half));
		if (i > 0) matrix.set(i, i - 1, 1).set(i - 1, i, 1);
	}
	return matrix;
}

const CASES: Record<string, Matrix> = {
	one: Matrix.eye(1).mul(-3),
	two: new Matrix([
		[1, 2],
		[2, -5],
	]),
	random: symmetric(70, 1),
	identity: Matrix.eye(40),
	"all equal": Matrix.ones(33, 33),
	diagonal: Matrix.diag(Array.from({ length: 35 }, (_, i) => (i * 7) % 35)),
	"steep decay": withSpectrum(
		Array.from({ length: 50 }, (_, i) => 0.5 ** i),
		2,
	),
	"rank 6 of 60": withSpectrum(
		Array.from({ length: 60 }, (_, i) => (i < 6 ? 6 - i : 0)),
		3,
	),
	"three clusters": withSpectrum(
		Array.from({ length: 60 }, (_, i) => (i % 3) + 1e-12 * i),
		4,
	),
	wilkinson: wilkinson(20),
};

describe("leadingEigen", () => {
	for (const [name, matrix] of Object.entries(CASES)) {
		it(`solves_${name.replaceAll(" ", "_")}`, async () => {
			const size = matrix.rows;
			const expected = new EigenvalueDecomposition(matrix, { assumeSymmetric: true }).realEigenvalues.sort((a, b) => b - a);
			const norm = Math.max(...expected.map(Math.abs));
			for (const count of new Set([1, Math.ceil(size / 3), size])) {
				const { values, vectors } = await leadingEigen(Float64Array.from(matrix.to1DArray()), size, count, products);
				const rows = matrixOf(vectors, count, size);
				const residual = Matrix.sub(rows.mmul(matrix), Matrix.diag([...values.subarray(0, count)]).mmul(rows));
				expect(residual.abs().max() / norm).toBeLessThan(1e-12);
				expect(distanceFromOrthonormal(rows.transpose().to1DArray(), size, count)).toBeLessThan(1e-12);
				expect(Math.max(...expected.map((value, k) => Math.abs(value - (values[k] ?? 0)))) / norm).toBeLessThan(1e-12);
			}
		});
	}

	// The oracle itself fails on these.
	it.each([1e-200, 1e200])("does_not_mind_entries_of_the_size_of_%s", async (size) => {
		const matrix = Float64Array.from(symmetric(20, 5).to1DArray());
		const plain = await leadingEigen(matrix.slice(), 20, 20, products);
		const sized = await leadingEigen(
			matrix.map((value) => value * size),
			20,
			20,
			products,
		);
		for (let k = 0; k < 20; k++) expect(Math.abs((sized.values[k] ?? 0) / size - (plain.values[k] ?? 0))).toBeLessThan(1e-13);
		expect(distanceFromOrthonormal(matrixOf(sized.vectors, 20, 20).transpose().to1DArray(), 20, 20)).toBeLessThan(1e-12);
	});

	it("gives_a_basis_for_the_zero_matrix", async () => {
		const { values, vectors } = await leadingEigen(new Float64Array(25), 5, 3, products);
		expect([...values]).toEqual([0, 0, 0, 0, 0]);
		expect(distanceFromOrthonormal(matrixOf(vectors, 3, 5).transpose().to1DArray(), 5, 3)).toBe(0);
	});

	it("refuses_values_that_are_not_finite", async () => {
		await expect(leadingEigen(Float64Array.of(1, 0, Number.NaN, 1), 2, 1, products)).rejects.toMatchObject({ code: "internal" });
		await expect(leadingEigen(Float64Array.of(1, 0, Number.POSITIVE_INFINITY, 1), 2, 1, products)).rejects.toMatchObject({
			code: "internal",
		});
	});
});

describe("implicitQL with vectors, the fallback", () => {
	it("diagonalises_the_tridiagonal_matrix", async () => {
		const matrix = wilkinson(10);
		const size = matrix.rows;
		const reduced = tridiagonalize(Float64Array.from(matrix.to1DArray()), size);
		const rows = Float64Array.from(Matrix.eye(size).to1DArray());
		const values = implicitQL(reduced, rows);
		const t = Matrix.diag([...reduced.diagonal]);
		for (let i = 1; i < size; i++) t.set(i, i - 1, reduced.offDiagonal[i] ?? 0).set(i - 1, i, reduced.offDiagonal[i] ?? 0);
		const q = matrixOf(rows, size, size);
		expect(
			Matrix.sub(q.mmul(t), Matrix.diag([...values]).mmul(q))
				.abs()
				.max(),
		).toBeLessThan(1e-13);
	});
});
