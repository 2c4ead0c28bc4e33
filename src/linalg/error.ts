// How far a product of two factors is from the table: relative Frobenius error, as a whole and per bin of rows.
import { DistembError } from "../errors.js";
import type { DenseProducts } from "./products.js";
import { type RowSource, rowBlocks } from "./rows.js";

/** A product U·W whose left factor is read, or computed, by rows. */
export interface Factors {
	/** r */
	readonly rank: number;
	/** Rows [start, end) of U, (end − start)×r; may be valid only until the next call. */
	left(start: number, end: number): Float32Array | Promise<Float32Array>;
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
}

/** ‖E − UW‖ / ‖E‖ in the Frobenius norm, over the table and over each bin; one pass over the rows, sums in float64. */
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
	let product = new Float32Array(0);
	for (const { start, end, values } of rowBlocks(source, { signal: options.signal })) {
		const count = end - start;
		if (product.length < count * cols) product = new Float32Array(count * cols);
		// The left factor may be computed from the same source: its block is only valid until then.
		const table = values.slice();
		const left = await factors.left(start, end);
		await products.multiply(left, factors.right, { rows: count, inner: factors.rank, columns: cols }, product);
		for (let row = 0; row < count; row++) {
			let error = 0;
			let norm = 0;
			for (let index = row * cols; index < (row + 1) * cols; index++) {
				const value = table[index] as number;
				error += (value - (product[index] as number)) ** 2;
				norm += value * value;
			}
			whole.add(error, norm);
			perBin[bins?.[start + row] ?? -1]?.add(error, norm);
		}
	}
	return { ...whole.result(), bins: perBin.map((sums) => sums.result()) };
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
