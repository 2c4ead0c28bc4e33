// A nonnegative left factor, the paper's ReLU(U)·W: its closed-form start, and the paper's reconstruction by gradients.
import { Adam } from "./adam.js";
import { factorError } from "./error.js";
import type { DenseProducts } from "./products.js";
import { blockRows, type RowSource, rowBlocks } from "./rows.js";
import { type LowRank, lowRank, type SvdOptions } from "./svd.js";

export interface NonnegativeOptions extends SvdOptions {
	/** Passes over the table at most; 0 returns the closed form. */
	readonly passes?: number | undefined;
	/** Gradient steps on each block of rows in each pass. */
	readonly stepsPerBlock?: number | undefined;
	/** Rate of learning at the start, relative to the root mean square of U; it falls linearly to 0. */
	readonly rate?: number | undefined;
	/** Stops when a pass lowers the loss by less than this part of it. */
	readonly plateau?: number | undefined;
}

export const NONNEGATIVE_DEFAULTS = { passes: 12, stepsPerBlock: 4, rate: 0.03, plateau: 1e-5 } as const satisfies NonnegativeOptions;

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
 * Starts from {@link nonnegativeStart} and takes Adam steps on blocks of rows: U's rows belong to their block, W to all of them.
 * The error lies between those of the truncated SVD of rank r and of rank r − 1; if the steps did not lower it, the start is returned.
 * Memory: U and two more arrays of its size. Throws like `truncatedSvd`.
 */
export async function nonnegativeFactors(
	source: RowSource,
	rank: number,
	products: DenseProducts,
	options: NonnegativeOptions = {},
): Promise<NonnegativeFactors> {
	const passes = options.passes ?? NONNEGATIVE_DEFAULTS.passes;
	const { onProgress, signal } = options;
	const svd = await lowRank(source, Math.max(1, rank - 1), products, {
		...options,
		gauge: "balanced",
		onProgress: (done) => onProgress?.(done / (passes + 1)),
	});
	const factors = await nonnegativeStart(source, rank, svd);
	const scale = scaleOf(source, svd.totalSquared);
	const table = scaledRows(source, scale);
	const squaredError = async () => {
		const left = (start: number, end: number) => factors.left.subarray(start * rank, end * rank);
		return (await factorError(table, { rank, left, right: factors.right }, products, { signal })).squaredError;
	};
	rescale(factors, 1 / Math.sqrt(scale));
	const before = await squaredError();
	let steps = passes > 0 && before > 0 ? await descend(table, factors, rank, products, options) : 0;
	let after = steps > 0 ? await squaredError() : before;
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

/** Adam on blocks of rows; returns the number of steps. U ends at or above 0. */
async function descend(
	table: RowSource,
	factors: Pair,
	rank: number,
	products: DenseProducts,
	options: NonnegativeOptions,
): Promise<number> {
	const passes = options.passes ?? NONNEGATIVE_DEFAULTS.passes;
	const stepsPerBlock = options.stepsPerBlock ?? NONNEGATIVE_DEFAULTS.stepsPerBlock;
	const plateau = options.plateau ?? NONNEGATIVE_DEFAULTS.plateau;
	const { left, right } = factors;
	const { rows, cols } = table;
	const highestRate =
		(options.rate ?? NONNEGATIVE_DEFAULTS.rate) * Math.sqrt(left.reduce((sum, value) => sum + value * value, 0) / left.length);
	const total = passes * stepsPerBlock * Math.ceil(rows / blockRows(cols));
	const leftAdam = new Adam(left.length);
	const rightAdam = new Adam(right.length);
	let steps = 0;
	let lastLoss = Number.POSITIVE_INFINITY;
	for (let pass = 0; pass < passes; pass++) {
		let loss = 0;
		for (const { start, end, values } of rowBlocks(table, { signal: options.signal })) {
			const part = left.subarray(start * rank, end * rank);
			for (let step = 0; step < stepsPerBlock; step++) {
				const gradients = await products.reluGradients({ target: values, left: part, right, rows: end - start, cols, rank });
				if (step === 0) loss += gradients.loss;
				const rate = highestRate * (1 - steps / total);
				leftAdam.update(left, start * rank, gradients.left, pass * stepsPerBlock + step + 1, rate);
				rightAdam.update(right, 0, gradients.right, ++steps, rate);
			}
		}
		options.onProgress?.((pass + 2) / (passes + 1));
		if (!(lastLoss - loss > plateau * loss) && pass > 0) break;
		lastLoss = loss;
	}
	for (let index = 0; index < left.length; index++) left[index] = Math.max(0, left[index] as number);
	return steps;
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
