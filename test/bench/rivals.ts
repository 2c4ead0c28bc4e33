// Other ways to make a table small, to compare with: each gives the table that a runtime would read and the bytes that it would be stored in.
import { importanceOf } from "../../passes/factorize/coding.js";
import { basesOf, type Importance, roundingLosses } from "../../src/linalg/basis.js";
import { ridgedCholesky, solveRows, solveRowsTransposed } from "../../src/linalg/cholesky.js";
import { gramMatrix } from "../../src/linalg/gram.js";
import { PLAIN_GROUP, plainBytes, roundPlain } from "../../src/linalg/plain.js";
import type { DenseProducts } from "../../src/linalg/products.js";
import { leadingEigen } from "../../src/linalg/symmetric.js";
import type { Calibration, Table, Vocabulary } from "../../src/state.js";

export interface Approximation {
	/** V×d. */
	readonly values: Float32Array;
	readonly bytes: number;
}

export interface RivalInput {
	readonly table: Table;
	readonly importance: Importance;
	/** Bytes that it may take, of those rivals whose size can be chosen. */
	readonly budget: number;
	readonly products: DenseProducts;
}

export type Rival = (input: RivalInput) => Promise<Approximation>;

/** Groups of 32 with a 16-bit scale, rounded to the nearest. */
export function nearest(bits: number): Rival {
	return async ({ table }) => {
		const values = Float32Array.from(table.read(0, table.rows));
		roundPlain(values, table.cols, bits);
		return { values, bytes: plainBytes(table, bits) };
	};
}

/** Part of the mean diagonal that is added to the metric before it is inverted. */
const DAMPING = 0.01;

/** The same groups, each error made good by the columns that are still to be rounded, in the metric of the rows (GPTQ: Frantar et al. 2022). */
export function errorAware(bits: number): Rival {
	return async ({ table, importance }) => {
		const { rows, cols } = table;
		const values = Float32Array.from(table.read(0, rows));
		const carry = carriedErrors(importance.metric ?? identity(cols), cols);
		const most = 2 ** (bits - 1) - 1;
		for (let row = 0; row < values.length; row += cols) {
			let scale = 1;
			for (let column = 0; column < cols; column++) {
				if (column % PLAIN_GROUP === 0) {
					let largest = 0;
					for (let at = row + column; at < row + Math.min(column + PLAIN_GROUP, cols); at++)
						largest = Math.max(largest, Math.abs(values[at] as number));
					scale = largest / most || 1;
				}
				const value = values[row + column] as number;
				const rounded = Math.max(-most - 1, Math.min(most, Math.round(value / scale))) * scale;
				values[row + column] = rounded;
				const error = value - rounded;
				for (let later = column + 1; later < cols; later++)
					values[row + later] = (values[row + later] as number) - error * (carry[column * cols + later] as number);
			}
		}
		return { values, bytes: plainBytes(table, bits) };
	};
}

/** U[j, k] / U[j, j] of the upper triangular U with G⁻¹ = UᵀU: what an error in column j asks of column k > j. */
function carriedErrors(metric: Float64Array, size: number): Float64Array {
	const root = ridgedCholesky(metric, size, DAMPING);
	const inverse = identity(size);
	solveRowsTransposed(root, size, inverse, size);
	solveRows(root, size, inverse, size);
	const lower = ridgedCholesky(inverse, size, 1e-12);
	const carried = new Float64Array(size * size);
	for (let j = 0; j < size; j++)
		for (let k = j + 1; k < size; k++) carried[j * size + k] = (lower[k * size + j] as number) / (lower[j * size + j] as number);
	return carried;
}

function identity(size: number): Float64Array {
	const matrix = new Float64Array(size * size);
	for (let at = 0; at < matrix.length; at += size + 1) matrix[at] = 1;
	return matrix;
}

/** Ends of the blocks as parts of the vocabulary, the weightiest rows first. */
const BLOCK_ENDS = [0.005, 0.02, 0.06, 0.15, 0.4, 1];

/**
 * Blocks of rows by frequency, each with an SVD of its own, more columns where rows weigh more, no metric (GroupReduce: Chen et al. 2018).
 * Rows of U in 8 bits with a 16-bit scale each, right factors in 16 bits.
 */
export const blocksWithoutWhitening: Rival = async ({ table, importance, budget, products }) => {
	const { rows, cols } = table;
	const { rowWeights } = importance;
	const order = Array.from(rowWeights.keys()).sort((a, b) => (rowWeights[b] as number) - (rowWeights[a] as number) || a - b);
	const blocks: { ids: readonly number[]; held: Float32Array; values: Float64Array; vectors: Float64Array }[] = [];
	let first = 0;
	for (const end of BLOCK_ENDS.map((part) => Math.round(part * rows))) {
		const ids = order.slice(first, end);
		first = end;
		const held = new Float32Array(ids.length * cols);
		for (const [index, id] of ids.entries()) held.set(table.read(id, id + 1), index * cols);
		const source = { rows: ids.length, cols, read: (start: number, stop: number) => held.subarray(start * cols, stop * cols) };
		const gram = await gramMatrix(source, products, { rowWeights: Float32Array.from(ids, (id) => rowWeights[id] as number) });
		blocks.push({ ids, held, ...(await leadingEigen(gram, cols, cols, products)) });
	}
	const places = rows * (rows <= 2 ** 16 ? 2 : 4);
	const price = ({ ids }: (typeof blocks)[number]) => ids.length + 2 * cols;
	const items = blocks
		.flatMap((block, index) => Array.from(block.values, (value) => ({ index, gain: value / price(block), cost: price(block) })))
		.sort((a, b) => b.gain - a.gain);
	const ranks = blocks.map(() => 0);
	let bytes = places + 2 * rows;
	for (const { index, cost } of items) {
		if (bytes + cost > budget) break;
		ranks[index] = (ranks[index] as number) + 1;
		bytes += cost;
	}
	const values = new Float32Array(rows * cols);
	for (const [index, { ids, held, vectors }] of blocks.entries()) {
		const rank = ranks[index] as number;
		if (rank === 0) continue;
		const right = Float32Array.from(vectors.subarray(0, rank * cols));
		const shape = { rows: ids.length, inner: cols, columns: rank, transposeB: true };
		const left = await products.multiply(held, right, shape, new Float32Array(ids.length * rank));
		roundRows(left, rank);
		const back = { rows: ids.length, inner: rank, columns: cols };
		const product = await products.multiply(left, right, back, new Float32Array(ids.length * cols));
		for (const [place, id] of ids.entries()) values.set(product.subarray(place * cols, (place + 1) * cols), id * cols);
	}
	return { values, bytes };
};

/** Each row to 255 whole multiples of a scale. */
function roundRows(matrix: Float32Array, cols: number): void {
	for (let row = 0; row < matrix.length; row += cols) {
		const part = matrix.subarray(row, row + cols);
		const scale = part.reduce((most, value) => Math.max(most, Math.abs(value)), 0) / 127 || 1;
		for (const [index, value] of part.entries()) part[index] = Math.round(value / scale) * scale;
	}
}

/** What is predicted of an approximation, in nats per predicted token, as of columns of different precision. */
export async function predictedLoss(
	vocabulary: Vocabulary,
	calibration: Calibration | undefined,
	values: Float32Array,
	products: DenseProducts,
) {
	const { table } = vocabulary;
	const importance = importanceOf(vocabulary, "both", calibration);
	const { shared: basis } = await basesOf(table, importance, products);
	let at = 0;
	const replace = (rows: Float32Array) => {
		rows.set(values.subarray(at, at + rows.length));
		at += rows.length;
	};
	const [loss = 0] = await roundingLosses(table, basis, importance, [replace], products);
	return loss;
}
