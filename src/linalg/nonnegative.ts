// A nonnegative left factor, the paper's ReLU(U)·W: its closed-form start, and the paper's reconstruction by gradients.
import { Adam } from "./adam.js";
import { ridgedCholesky, solveRows, solveRowsTransposed } from "./cholesky.js";
import { factorError } from "./error.js";
import { defined } from "./options.js";
import type { DenseProducts, FloatArray } from "./products.js";
import { blockRows, type RowSource, rowBlocks } from "./rows.js";
import { type LowRank, lowRank, type SvdOptions } from "./svd.js";

export interface NonnegativeOptions extends SvdOptions {
	/** Gradient steps at most, each over the whole table; 0 returns the closed form. */
	readonly steps?: number | undefined;
	/** Rate of learning at the start, relative to the root mean squares of the factors; it falls linearly to 0. */
	readonly rate?: number | undefined;
	/** Stops when a step lowers the loss by less than this part of it. */
	readonly plateau?: number | undefined;
}

export const NONNEGATIVE_DEFAULTS = { steps: 20, rate: 0.003, plateau: 1e-7 } as const satisfies NonnegativeOptions;

type Settings = NonnegativeOptions & { readonly [K in keyof typeof NONNEGATIVE_DEFAULTS]: number };

/** Adam's ε, relative to the gradient that the whole table would make: at the closed form the gradient of U is rounding error only. */
const FLOOR = 0.01;

/** E ≈ left·right with left ≥ 0: the ReLU is folded. */
export interface NonnegativeFactors {
	readonly rank: number;
	/** ReLU(U), V×r. */
	readonly left: Float32Array;
	/** W, r×d. */
	readonly right: Float32Array;
	/** ‖E − left·right‖²_F of the closed form, and of the result, which is never larger. */
	readonly startSquaredError: number;
	readonly squaredError: number;
	/** Gradient steps behind the result; 0 if it is the closed form. */
	readonly steps: number;
}

type Pair = Pick<NonnegativeFactors, "left" | "right">;

/**
 * min ‖E − ReLU(U)·W‖² over U (V×r) and W (r×d): the paper's reconstruction (Lioutas et al. 2020, "funneling decomposition").
 * Starts from {@link nonnegativeStart}, which is stationary but for W: W is solved for exactly, then both take Adam steps in the engine.
 * The error lies between those of the truncated SVD of rank r and of rank r − 1; if the steps did not lower it, the start is returned.
 * Memory: U and two more arrays of its size. Throws like `truncatedSvd`.
 */
export async function nonnegativeFactors(
	source: RowSource,
	rank: number,
	products: DenseProducts,
	options: NonnegativeOptions = {},
): Promise<NonnegativeFactors> {
	const settings = { ...NONNEGATIVE_DEFAULTS, ...defined(options) };
	const { onProgress, signal } = settings;
	const svd = await lowRank(source, Math.max(1, rank - 1), products, {
		...settings,
		gauge: "balanced",
		onProgress: (done) => onProgress?.(done / 2),
	});
	const factors = await nonnegativeStart(source, rank, svd);
	const scale = scaleOf(source, svd.totalSquared);
	const table = scaledRows(source, scale);
	const left = (start: number, end: number) => factors.left.subarray(start * rank, end * rank);
	const measured = async () => (await factorError(table, { rank, left, right: factors.right }, products, { signal })).squaredError;
	rescale(factors, 1 / Math.sqrt(scale));
	const before = await measured();
	let steps = settings.steps > 0 && before > 0 ? await descend(table, factors, rank, products, settings) : 0;
	let after = steps > 0 ? await measured() : before;
	if (!(after <= before)) {
		const start = await nonnegativeStart(source, rank, svd);
		factors.left.set(start.left);
		factors.right.set(start.right);
		after = before;
		steps = 0;
	} else rescale(factors, Math.sqrt(scale));
	return { ...factors, rank, startSquaredError: before * scale * scale, squaredError: after * scale * scale, steps };
}

/**
 * A product of width r − 1, written exactly as one of width r whose left factor P is not negative: for U·B and n_i = max(0, −min_j U_ij),
 * P = [U + n·1ᵀ, n] and W = [B; −1ᵀB] give P·W = U·B. At r = 1 there is nothing to write so: P is the positive part of ±U, whichever holds
 * more. `svd` is the truncated SVD of rank max(1, r − 1), as given by `lowRank`.
 */
export async function nonnegativeStart(source: RowSource, rank: number, svd: Pick<LowRank, "factor" | "project">): Promise<Pair> {
	const { rows, cols } = source;
	const left = new Float32Array(rows * rank);
	const right = new Float32Array(rank * cols);
	right.set(svd.factor.subarray(0, rank * cols));
	let positive = 0;
	let negative = 0;
	for (let start = 0; start < rows; start += blockRows(cols)) {
		const end = Math.min(rows, start + blockRows(cols));
		const u = await svd.project(start, end);
		if (rank === 1) {
			left.set(u, start);
			for (const value of u) {
				if (value > 0) positive += value * value;
				else negative += value * value;
			}
		} else liftRows(u, left.subarray(start * rank, end * rank), rank);
	}
	if (rank === 1) {
		const sign = positive >= negative ? 1 : -1;
		for (let row = 0; row < rows; row++) left[row] = Math.max(0, sign * (left[row] as number));
		for (let column = 0; column < cols; column++) right[column] = sign * (right[column] as number);
	} else {
		const last = right.subarray((rank - 1) * cols);
		for (let k = 0; k < rank - 1; k++) for (let j = 0; j < cols; j++) last[j] = (last[j] as number) - (right[k * cols + j] as number);
	}
	return { left, right };
}

/** [u + n·1ᵀ, n] for each row u of width rank − 1. */
function liftRows(u: Float32Array, left: Float32Array, rank: number): void {
	const width = rank - 1;
	for (let from = 0, to = 0; to < left.length; from += width, to += rank) {
		let least = 0;
		for (let k = 0; k < width; k++) least = Math.min(least, u[from + k] as number);
		for (let k = 0; k < width; k++) left[to + k] = (u[from + k] as number) - least;
		left[to + width] = -least;
	}
}

/** Solves for W, then takes full steps of Adam on U and W, block by block; returns how many. U ends at or above 0. */
async function descend(
	table: RowSource,
	{ left, right }: Pair,
	rank: number,
	products: DenseProducts,
	settings: Settings,
): Promise<number> {
	const { steps, signal, onProgress, plateau } = settings;
	const gradientSize = await solveRight(table, { left, right }, rank, products, signal);
	const leftRate = settings.rate * rootMeanSquare(left);
	const rightRate = settings.rate * rootMeanSquare(right);
	const leftAdam = new Adam(left.length, FLOOR * gradientSize.left);
	const rightAdam = new Adam(right.length, FLOOR * gradientSize.right);
	const rightGradient = new Float64Array(right.length);
	let lastLoss = Number.POSITIVE_INFINITY;
	let taken = 0;
	for (let step = 1; step <= steps; step++) {
		const remaining = 1 - (step - 1) / steps;
		let loss = 0;
		rightGradient.fill(0);
		for (const { start, end, values } of rowBlocks(table, { signal })) {
			const part = left.subarray(start * rank, end * rank);
			const gradients = await products.reluGradients({ target: values, left: part, right, rows: end - start, cols: table.cols, rank });
			loss += gradients.loss;
			addTo(rightGradient, gradients.right);
			leftAdam.update(left, start * rank, gradients.left, step, leftRate * remaining);
		}
		rightAdam.update(right, 0, rightGradient, step, rightRate * remaining);
		taken = step;
		onProgress?.(0.5 + step / steps / 2);
		if (step > 1 && !(lastLoss - loss > plateau * loss)) break;
		lastLoss = loss;
	}
	for (let index = 0; index < left.length; index++) left[index] = Math.max(0, left[index] as number);
	return taken;
}

/** W = (UᵀU)⁻¹·UᵀE, in place; returns the sizes of the gradients 2·E·Wᵀ and 2·UᵀE that an error as large as the table makes. */
async function solveRight(
	table: RowSource,
	{ left, right }: Pair,
	rank: number,
	products: DenseProducts,
	signal: AbortSignal | undefined,
): Promise<{ left: number; right: number }> {
	const { cols } = table;
	const normal = new Float64Array(rank * rank);
	const crossed = new Float64Array(cols * rank);
	const square = new Float32Array(rank * rank);
	const cross = new Float32Array(cols * rank);
	let along = new Float32Array(0);
	let alongSquares = 0;
	for (const { start, end, values } of rowBlocks(table, { signal })) {
		const rows = end - start;
		const part = left.subarray(start * rank, end * rank);
		addTo(normal, await products.multiply(part, part, { rows: rank, inner: rows, columns: rank, transposeA: true }, square));
		addTo(crossed, await products.multiply(values, part, { rows: cols, inner: rows, columns: rank, transposeA: true }, cross));
		if (along.length < rows * rank) along = new Float32Array(rows * rank);
		await products.multiply(values, right, { rows, inner: cols, columns: rank, transposeB: true }, along);
		for (let index = 0; index < rows * rank; index++) alongSquares += (along[index] as number) ** 2;
	}
	const sizes = { left: 2 * Math.sqrt(alongSquares / left.length), right: 2 * rootMeanSquare(crossed) };
	const root = ridgedCholesky(normal, rank, 1e-12);
	solveRowsTransposed(root, rank, crossed, cols);
	solveRows(root, rank, crossed, cols);
	for (let k = 0; k < rank; k++) for (let j = 0; j < cols; j++) right[k * cols + j] = crossed[j * rank + k] as number;
	return sizes;
}

function addTo(sum: Float64Array, part: Float32Array): void {
	for (let index = 0; index < sum.length; index++) sum[index] = (sum[index] as number) + (part[index] as number);
}

function rootMeanSquare(array: FloatArray): number {
	let squares = 0;
	for (let index = 0; index < array.length; index++) squares += (array[index] as number) ** 2;
	return Math.sqrt(squares / Math.max(1, array.length));
}

/** A power of 4 that brings the table's root mean square near 1, or 1 if it is near enough: squares of gradients must not vanish. */
function scaleOf(source: RowSource, totalSquared: number): number {
	const size = Math.sqrt(totalSquared / Math.max(1, source.rows * source.cols));
	return size === 0 || (size > 1e-3 && size < 1e3) ? 1 : 4 ** Math.round(Math.log2(size) / 2);
}

function scaledRows(source: RowSource, scale: number): RowSource {
	if (scale === 1) return source;
	const { rows, cols } = source;
	return { rows, cols, read: (start, end) => source.read(start, end).map((value) => value / scale) };
}

function rescale({ left, right }: Pair, factor: number): void {
	if (factor === 1) return;
	for (const array of [left, right]) for (let index = 0; index < array.length; index++) array[index] = (array[index] as number) * factor;
}
