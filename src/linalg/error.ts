// How far a product of two factors is from the table: relative Frobenius error, as a whole and per bin of rows.
import { DistembError } from "../errors.js";
import type { DenseProducts } from "./products.js";
import { type RowSource, rowBlocks } from "./rows.js";

/** A product U·W whose left factor is read, or computed from the rows of the table, block by block. */
export interface Factors {
	/** r */
	readonly rank: number;
	/**
	 * Rows [start, end) of U, (end − start)×r; may be valid only until the next call.
	 * `table` holds the table's rows [start, end): to read the source instead would overwrite them.
	 */
	left(start: number, end: number, table: Float32Array): Float32Array | Promise<Float32Array>;
	/** W, r×d. */
	readonly right: Float32Array;
}

/** Squared sums over some rows, and ‖E − UW‖ / ‖E‖ over them (0 where both are zero). */
export interface RowError {
	readonly rows: number;
	readonly squaredError: number;
	readonly squaredNorm: number;
	readonly relative: number;
}

export interface TableError extends RowError {
	readonly bins: readonly RowError[];
}

export interface ErrorOptions {
	/** Bin of each row, −1 for none; see {@link binOfRows} and {@link binOfRanges}. */
	readonly bins?: Int32Array | undefined;
	readonly signal?: AbortSignal | undefined;
	/** Called after each block with the part of the rows that is done. */
	readonly onProgress?: ((fraction: number) => void) | undefined;
}

/** Squares of rows outside are summed up here in float64: the engine's float32 would lose them. */
const SQUARES = { least: 1e-20, most: 1e30 } as const;

/** ‖E − UW‖ / ‖E‖ in the Frobenius norm, over the table and over each bin; one pass over the rows, whose sums are added in float64. */
export async function factorError(
	source: RowSource,
	factors: Factors,
	products: DenseProducts,
	options: ErrorOptions = {},
): Promise<TableError> {
	const { cols, rows } = source;
	const { bins } = options;
	if (bins !== undefined && bins.length !== rows) throw new DistembError("internal", `${bins.length} bin numbers for ${rows} rows`);
	const whole = new Sums();
	const perBin = Array.from({ length: (bins ?? new Int32Array(0)).reduce((most, bin) => Math.max(most, bin + 1), 0) }, () => new Sums());
	const { rank, right } = factors;
	let errors = new Float32Array(0);
	let norms = new Float32Array(0);
	for (const { start, end, values } of rowBlocks(source, { signal: options.signal })) {
		const count = end - start;
		if (errors.length < count) [errors, norms] = [new Float32Array(count), new Float32Array(count)];
		const left = await factors.left(start, end, values);
		await products.residuals(values, left, right, { rows: count, inner: rank, columns: cols }, { errors, norms });
		for (let row = 0; row < count; row++) {
			let error = errors[row] as number;
			let norm = norms[row] as number;
			if (!(norm > SQUARES.least && norm < SQUARES.most && error < SQUARES.most)) {
				const table = values.subarray(row * cols, (row + 1) * cols);
				({ error, norm } = squares(table, left.subarray(row * rank, (row + 1) * rank), right));
			}
			whole.add(error, norm);
			perBin[bins?.[start + row] ?? -1]?.add(error, norm);
		}
		options.onProgress?.(end / rows);
	}
	return { ...whole.result(), bins: perBin.map((sums) => sums.result()) };
}

/** ‖e − u·W‖² and ‖e‖² of one row, in float64. */
function squares(row: Float32Array, left: Float32Array, right: Float32Array): { error: number; norm: number } {
	const rest = Float64Array.from(row);
	for (const [k, factor] of left.entries()) {
		if (factor === 0) continue;
		for (let j = 0; j < rest.length; j++) rest[j] = (rest[j] as number) - factor * (right[k * rest.length + j] as number);
	}
	let error = 0;
	let norm = 0;
	for (let j = 0; j < rest.length; j++) {
		error += (rest[j] as number) ** 2;
		norm += (row[j] as number) ** 2;
	}
	return { error, norm };
}

/** Bins given as lists of row numbers. Throws `internal` for a row that is not in the table, or in two bins. */
export function binOfRows(rows: number, groups: readonly ArrayLike<number>[]): Int32Array {
	const bins = new Int32Array(rows).fill(-1);
	for (const [bin, group] of groups.entries()) {
		for (const row of Array.from(group)) {
			if (bins[row] !== -1) throw new DistembError("internal", `row ${row} of bin ${bin} is in another bin already, or not in the table`);
			bins[row] = bin;
		}
	}
	return bins;
}

/** Bins of consecutive rows that end (exclusively) at `ends`, ascending. */
export function binOfRanges(rows: number, ends: readonly number[]): Int32Array {
	const bins = new Int32Array(rows).fill(-1);
	let start = 0;
	for (const [bin, end] of ends.entries()) {
		if (end < start || end > rows)
			throw new DistembError("internal", `a bin cannot end at row ${end}, after ${start} and within ${rows} rows`);
		bins.fill(bin, start, end);
		start = end;
	}
	return bins;
}

class Sums {
	private rows = 0;
	private squaredError = 0;
	private squaredNorm = 0;

	add(error: number, norm: number): void {
		this.rows++;
		this.squaredError += error;
		this.squaredNorm += norm;
	}

	result(): RowError {
		const { rows, squaredError, squaredNorm } = this;
		return { rows, squaredError, squaredNorm, relative: squaredError === 0 ? 0 : Math.sqrt(squaredError / squaredNorm) };
	}
}
