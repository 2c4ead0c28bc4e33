// The best approximation of a table by a product of two thin factors: truncated SVD, weighted and whitened.
import { DistembError, throwIfAborted } from "../errors.js";
import { ridgedCholesky, solveRows } from "./cholesky.js";
import { type GramOptions, gramMatrix } from "./gram.js";
import { defined } from "./options.js";
import type { DenseProducts } from "./products.js";
import type { RowSource } from "./rows.js";
import { leadingEigen } from "./symmetric.js";

export interface SvdOptions extends Omit<GramOptions, "rowWeights"> {
	/** Seed of the random starts; the same seed and number of threads give the same bits. */
	readonly seed?: number | undefined;
}

export interface LowRankOptions extends SvdOptions {
	/** Ω's diagonal: a weight ≥ 0 per row; absent: all 1. */
	readonly rowWeights?: Float32Array | undefined;
	/** G, the d×d metric of a row's error, symmetric and positive semidefinite; absent: I. */
	readonly metric?: Float64Array | undefined;
	/** Part of G's mean diagonal that is added to its diagonal before it is factored. */
	readonly ridge?: number | undefined;
	/** How the free scale between the factors is chosen, see {@link lowRank}. */
	readonly gauge?: "balanced" | "orthonormal" | undefined;
}

export const LOW_RANK_DEFAULTS = { seed: 0, precision: "float32", ridge: 1e-3, gauge: "balanced" } as const satisfies LowRankOptions;

/** A truncated singular value decomposition E ≈ (E·V)·Vᵀ. */
export interface TruncatedSvd {
	/** r as asked for. Columns beyond min(V, d) are zero. */
	readonly rank: number;
	/** V_r, d×r row-major, columns orthonormal, the leading first. */
	readonly right: Float64Array;
	/** r singular values, descending. */
	readonly singularValues: Float64Array;
	/** ‖E‖²_F. The squared error of the approximation is this less the squares of the singular values. */
	readonly totalSquared: number;
	/** Rows [start, end) of U = E·V_r, (end − start)×r; valid until the next call. `table` are E's rows, if they have been read. */
	project(start: number, end: number, table?: Float32Array): Promise<Float32Array>;
}

/** A product of two factors, the left one computed from the table row by row. */
export interface LowRank {
	readonly rank: number;
	/** R, d×r row-major: U = E·R. */
	readonly right: Float64Array;
	/** W, r×d row-major. */
	readonly factor: Float32Array;
	/** The square roots of what each direction contributes to Σ w_i·e_i·G·e_iᵀ, descending. */
	readonly singularValues: Float64Array;
	/** Σ w_i·e_i·G·e_iᵀ, G with its ridge. The objective at the optimum is this less the squares of the singular values. */
	readonly totalSquared: number;
	/** Rows [start, end) of U = E·R, (end − start)×r; valid until the next call. `table` are E's rows, if they have been read. */
	project(start: number, end: number, table?: Float32Array): Promise<Float32Array>;
}

/**
 * The truncated SVD of the V×d table, in one pass over its rows; U is computed on demand by {@link TruncatedSvd.project}.
 * Never more in memory than some blocks of rows and some d×d matrices. The products within blocks of rows are float32 by default, so singular
 * values below 3e-4 of the largest carry no information; `precision: "float64"` resolves 1e-8 of it.
 * Throws `input` for values that are not finite (naming the row), `interrupted`, and `internal` for a rank that is no positive integer.
 */
export async function truncatedSvd(
	source: RowSource,
	rank: number,
	products: DenseProducts,
	options: SvdOptions = {},
): Promise<TruncatedSvd> {
	const { right, singularValues, totalSquared, project } = await lowRank(source, rank, products, { ...options, gauge: "orthonormal" });
	return { rank, right, singularValues, totalSquared, project };
}

/**
 * The global optimum of Σ_i w_i·Δ_i·G·Δ_iᵀ over Δ = E − U·W of rank r, for the V×d table E, row weights w and a metric G of rows.
 * With G = L·Lᵀ and V_r the leading eigenvectors of LᵀEᵀΩEL: U = E·L·V_r·D⁻¹ and W = D·V_rᵀ·L⁻¹.
 *
 * D is free. `orthonormal` takes D = I: without a metric W has orthonormal rows. `balanced` gives column k of U (weighted) and row k of W the
 * same root mean square. Then the entries of both factors have the magnitude of √|E| (within float16's range for any table that is), one
 * rate of learning fits both, and the columns of U differ only by √σ: a scale per row, as int8 has, is then not spent on the first column.
 * Source: Eckart and Young 1936; the metric enters by substitution E·L.
 * Throws like {@link truncatedSvd}.
 */
export async function lowRank(source: RowSource, rank: number, products: DenseProducts, options: LowRankOptions = {}): Promise<LowRank> {
	if (!Number.isInteger(rank) || rank < 1) throw new DistembError("internal", `the rank must be a positive integer, not ${rank}`);
	const settings = { ...LOW_RANK_DEFAULTS, ...defined(options) };
	const { cols: d } = source;
	const kept = Math.min(rank, d, source.rows);
	const gram = await gramMatrix(source, products, settings);
	throwIfAborted(settings.signal);
	const root = settings.metric === undefined ? undefined : ridgedCholesky(settings.metric, d, settings.ridge);
	const whitened = root === undefined ? gram : await congruence(gram, root, d, products);
	let totalSquared = 0;
	for (let i = 0; i < d; i++) totalSquared += whitened[i * d + i] as number;
	const { values, vectors } = await leadingEigen(whitened, d, kept, products, settings.seed);
	fixSigns(vectors, kept, d);
	const singularValues = new Float64Array(rank);
	for (let k = 0; k < kept; k++) singularValues[k] = Math.sqrt(Math.max(0, values[k] as number));

	const rightRows = root === undefined ? vectors.slice() : await timesTransposed(vectors, root, kept, d, products);
	if (root !== undefined) solveRows(root, d, vectors, kept);
	if (settings.gauge === "balanced") balance(rightRows, vectors, singularValues, d, sumOf(settings.rowWeights) ?? source.rows);
	const factor = new Float32Array(rank * d);
	factor.set(vectors);
	const right = transposed(rightRows, kept, d, rank);
	return { rank, right, factor, singularValues, totalSquared, project: projector(source, right, rank, products) };
}

function sumOf(weights: Float32Array | undefined): number | undefined {
	return weights?.reduce((sum, weight) => sum + weight, 0);
}

/** Makes the largest entry of each row positive: the sign is free, and rounding must not decide it. */
function fixSigns(rows: Float64Array, count: number, d: number): void {
	for (let k = 0; k < count; k++) {
		const row = rows.subarray(k * d, (k + 1) * d);
		const largest = row.reduce((most, value) => (Math.abs(value) > Math.abs(most) ? value : most), 0);
		if (largest < 0) for (let j = 0; j < d; j++) row[j] = -(row[j] as number);
	}
}

/** LᵀAL, d×d. */
async function congruence(a: Float64Array, l: Float64Array, d: number, products: DenseProducts): Promise<Float64Array> {
	const square = { rows: d, inner: d, columns: d };
	const half = await products.multiply(a, l, square, new Float64Array(d * d));
	return products.multiply(l, half, { ...square, transposeA: true }, new Float64Array(d * d));
}

/** (L·Xᵀ)ᵀ for X given as rows. */
function timesTransposed(x: Float64Array, l: Float64Array, count: number, d: number, products: DenseProducts): Promise<Float64Array> {
	return products.multiply(x, l, { rows: count, inner: d, columns: d, transposeB: true }, new Float64Array(count * d));
}

/** Scales row k of R's transpose by 1/D_k and row k of W by D_k; directions that hold next to nothing are not blown up. */
function balance(rightRows: Float64Array, factor: Float64Array, singularValues: Float64Array, d: number, totalWeight: number): void {
	const count = factor.length / d;
	const least = (singularValues[0] as number) * 1e-4;
	for (let k = 0; k < count; k++) {
		const row = factor.subarray(k * d, (k + 1) * d);
		const size = Math.sqrt(row.reduce((sum, value) => sum + value * value, 0) / d);
		const left = Math.max(least, singularValues[k] as number) / Math.sqrt(totalWeight || 1);
		const scale = left > 0 && size > 0 ? Math.sqrt(left / size) : 1;
		for (let j = 0; j < d; j++) row[j] = (row[j] as number) * scale;
		for (let j = k * d; j < (k + 1) * d; j++) rightRows[j] = (rightRows[j] as number) / scale;
	}
}

/** count×d → d×rank, padded with zero columns. */
function transposed(rows: Float64Array, count: number, d: number, rank: number): Float64Array {
	const result = new Float64Array(d * rank);
	for (let k = 0; k < count; k++) for (let j = 0; j < d; j++) result[j * rank + k] = rows[k * d + j] as number;
	return result;
}

function projector(source: RowSource, right: Float64Array, rank: number, products: DenseProducts): LowRank["project"] {
	const single = Float32Array.from(right);
	let out = new Float32Array(0);
	return async (start, end, table = source.read(start, end)) => {
		const rows = end - start;
		if (out.length < rows * rank) out = new Float32Array(rows * rank);
		await products.multiply(table, single, { rows, inner: source.cols, columns: rank }, out);
		return out.subarray(0, rows * rank);
	};
}
