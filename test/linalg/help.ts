// Small random tables, and an independent SVD (ml-matrix), for the tests of linalg.
import { Matrix, SVD } from "ml-matrix";
import { normal } from "../../src/random.js";

export function randomTable(rows: number, cols: number, seed = 1, decay = 0.9): Float32Array {
	const draw = normal(seed);
	const core = Matrix.zeros(rows, cols);
	for (let row = 0; row < rows; row++) for (let column = 0; column < cols; column++) core.set(row, column, draw() * decay ** column);
	return float32(core.mmul(randomSquare(cols, seed + 1)));
}

export function randomSquare(size: number, seed: number): Matrix {
	const draw = normal(seed);
	const square = Matrix.zeros(size, size);
	for (let row = 0; row < size; row++) for (let column = 0; column < size; column++) square.set(row, column, draw() / Math.sqrt(size));
	return square;
}

export function float32(matrix: Matrix): Float32Array {
	return Float32Array.from(matrix.to1DArray());
}

export function matrixOf(values: ArrayLike<number>, rows: number, cols: number): Matrix {
	return Matrix.from1DArray(rows, cols, Array.from(values));
}

/** Singular values by ml-matrix, descending, in float64. */
export function singularValuesOf(values: ArrayLike<number>, rows: number, cols: number): number[] {
	return new SVD(matrixOf(values, rows, cols), { autoTranspose: true }).diagonal;
}

export function squaredSum(values: Iterable<number>): number {
	let sum = 0;
	for (const value of values) sum += value * value;
	return sum;
}

/** ‖XᵀX − I‖∞ over the first `count` columns of the rows×cols matrix. */
export function distanceFromOrthonormal(values: ArrayLike<number>, rows: number, cols: number, count = cols): number {
	const columns = matrixOf(values, rows, cols).subMatrix(0, rows - 1, 0, count - 1);
	return columns.transpose().mmul(columns).sub(Matrix.eye(count)).abs().max();
}
