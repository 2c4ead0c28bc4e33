// The basis in which the columns of a table are uncorrelated and sorted by what they cost when lost, shared by all its rows.
import { throwIfAborted } from "../errors.js";
import type { Interval } from "./allocate.js";
import { ridgedCholesky, solveRows } from "./cholesky.js";
import { gramMatrix } from "./gram.js";
import type { DenseProducts } from "./products.js";
import { type RowSource, rowBlocks } from "./rows.js";
import { LOW_RANK_DEFAULTS } from "./svd.js";
import { leadingEigen } from "./symmetric.js";

/** What an error Δ of the rows costs: about ½ Σᵢ wᵢ·Δᵢ·G·Δᵢᵀ nats. */
export interface Importance {
	readonly rowWeights: Float32Array;
	/** G, d×d; absent: I. */
	readonly metric: Float64Array | undefined;
}

/** U = E·right, E = U·factor: all d columns, those of U with a weighted mean square of 1. */
export interface Basis {
	/** d×d row-major. */
	readonly right: Float32Array;
	/** d×d row-major. */
	readonly factor: Float64Array;
	/** What is lost with each column, in nats; descending. In the table's own columns they do not add up: errors of different columns do. */
	readonly losses: Float64Array;
}

/** The basis, and the table's own columns, each scaled to a weighted mean square of 1. */
export interface Bases {
	readonly shared: Basis;
	readonly own: Basis;
}

/** Columns of a smaller root mean square are not brought to 1: the factor that does would leave float32. */
const SMALLEST = 2 ** -100;

export interface BasisOptions {
	readonly seed?: number | undefined;
	readonly signal?: AbortSignal | undefined;
	readonly onProgress?: ((fraction: number) => void) | undefined;
}

/** With G = L·Lᵀ: the eigenvectors V of LᵀEᵀΩEL give U = E·L·V·S⁻¹ and W = S·Vᵀ·L⁻¹. One pass over the rows. Throws like `lowRank`. */
export async function basesOf(
	source: RowSource,
	{ rowWeights, metric }: Importance,
	products: DenseProducts,
	options: BasisOptions = {},
): Promise<Bases> {
	const { cols: d } = source;
	const { seed = LOW_RANK_DEFAULTS.seed, signal, onProgress } = options;
	const gram = await gramMatrix(source, products, { rowWeights, signal, onProgress });
	throwIfAborted(signal);
	const total = rowWeights.reduce((sum, weight) => sum + weight, 0) || 1;
	const own = ownBasis(gram, metric, d, total);
	const square = { rows: d, inner: d, columns: d };
	const root = metric === undefined ? undefined : ridgedCholesky(metric, d, LOW_RANK_DEFAULTS.ridge);
	let whitened = gram;
	if (root !== undefined) {
		const half = await products.multiply(gram, root, square, new Float64Array(d * d));
		whitened = await products.multiply(root, half, { ...square, transposeA: true }, new Float64Array(d * d));
	}
	const { values, vectors } = await leadingEigen(whitened, d, d, products, seed);
	const mapped =
		root === undefined ? vectors.slice() : await products.multiply(vectors, root, { ...square, transposeB: true }, new Float64Array(d * d));
	if (root !== undefined) solveRows(root, d, vectors, d);
	const right = new Float32Array(d * d);
	const least = Math.max(SMALLEST, Math.sqrt(Math.max(0, values[0] as number) / total) * 1e-4);
	for (let k = 0; k < d; k++) {
		const scale = Math.max(least, Math.sqrt(Math.max(0, values[k] as number) / total));
		for (let j = 0; j < d; j++) {
			right[j * d + k] = (mapped[k * d + j] as number) / scale;
			vectors[k * d + j] = (vectors[k * d + j] as number) * scale;
		}
	}
	return { shared: { right, factor: vectors, losses: values.map((value) => Math.max(0, value) / 2) }, own };
}

/** An error in column j alone costs ½ G_jj times its weighted square. */
function ownBasis(gram: Float64Array, metric: Float64Array | undefined, d: number, total: number): Basis {
	const [right, factor] = [new Float32Array(d * d), new Float64Array(d * d)];
	const losses = new Float64Array(d);
	for (let j = 0, at = 0; j < d; j++, at += d + 1) {
		const square = Math.max(0, gram[at] as number);
		const scale = square === 0 ? 1 : Math.max(SMALLEST, Math.sqrt(square / total));
		right[at] = 1 / scale;
		factor[at] = scale;
		losses[j] = (square * (metric?.[at] ?? 1)) / 2;
	}
	return { right, factor, losses };
}

/**
 * The losses of each basis column within ranges of rows, for several orders of the rows at once; one pass.
 * `ends` are the ends of the ranges; `positions` the place of each row in an order.
 */
export async function intervalLosses(
	source: RowSource,
	basis: Basis,
	{ rowWeights }: Importance,
	orders: readonly (Uint32Array | undefined)[],
	ends: readonly number[],
	products: DenseProducts,
	options: BasisOptions = {},
): Promise<Interval[][]> {
	const { cols: d, rows } = source;
	const sums = orders.map(() => ends.map(() => new Float64Array(d)));
	const ranges = rangeOfPositions(ends, rows);
	// Column k of U has a weighted mean square of 1 over all rows: what it costs there turns its squares into nats.
	const total = rowWeights.reduce((sum, weight) => sum + weight, 0) || 1;
	let left = new Float32Array(0);
	for (const { start, end, values } of rowBlocks(source, { signal: options.signal })) {
		const count = end - start;
		if (left.length < count * d) left = new Float32Array(count * d);
		await products.multiply(values, basis.right, { rows: count, inner: d, columns: d }, left);
		for (const [index, positions] of orders.entries()) {
			for (let row = start; row < end; row++) {
				const sum = sums[index]?.[ranges[positions?.[row] ?? row] as number];
				const weight = (rowWeights[row] as number) / total;
				if (sum === undefined || weight === 0) continue;
				for (let k = 0, at = (row - start) * d; k < d; k++, at++) sum[k] = (sum[k] as number) + weight * (left[at] as number) ** 2;
			}
		}
		options.onProgress?.(end / rows);
	}
	return sums.map((perRange) =>
		perRange.map((sum, index) => ({
			rows: (ends[index] as number) - (ends[index - 1] ?? 0),
			losses: sum.map((part, k) => part * (basis.losses[k] as number)),
		})),
	);
}

/** What errors of the rows cost, in nats, for several ways to round them in place; one pass. */
export async function roundingLosses(
	source: RowSource,
	basis: Basis,
	{ rowWeights }: Importance,
	roundings: readonly ((rows: Float32Array) => void)[],
	products: DenseProducts,
	options: BasisOptions = {},
): Promise<number[]> {
	const { cols: d, rows } = source;
	const sums = roundings.map(() => 0);
	const total = rowWeights.reduce((sum, weight) => sum + weight, 0) || 1;
	let left = new Float32Array(0);
	for (const { start, end, values } of rowBlocks(source, { signal: options.signal })) {
		const count = end - start;
		if (left.length < count * d) left = new Float32Array(count * d);
		for (const [index, round] of roundings.entries()) {
			const errors = values.slice();
			round(errors);
			for (let at = 0; at < errors.length; at++) errors[at] = (values[at] as number) - (errors[at] as number);
			await products.multiply(errors, basis.right, { rows: count, inner: d, columns: d }, left);
			for (let row = start, at = 0; row < end; row++) {
				const weight = (rowWeights[row] as number) / total;
				let loss = 0;
				for (let k = 0; k < d; k++, at++) loss += (basis.losses[k] as number) * (left[at] as number) ** 2;
				sums[index] = (sums[index] as number) + weight * loss;
			}
		}
		options.onProgress?.(end / rows);
	}
	return sums;
}

function rangeOfPositions(ends: readonly number[], rows: number): Uint16Array {
	const ranges = new Uint16Array(rows);
	for (let range = 1; range < ends.length; range++) ranges.fill(range, ends[range - 1]);
	return ranges;
}
