// A table that is read by blocks of rows, so that it need never be in memory as a whole.
import { DistembError, throwIfAborted } from "../errors.js";

/** A V×d table of float32 values, whatever it is stored as. */
export interface RowSource {
	/** V, the vocabulary size. */
	readonly rows: number;
	/** d, the width. */
	readonly cols: number;
	/** Rows [start, end), row-major. The array may be a view that is valid until the next call. */
	read(start: number, end: number): Float32Array;
}

/** A block of consecutive rows; `values` is valid until the next block is asked for. */
export interface RowBlock {
	readonly start: number;
	readonly end: number;
	readonly values: Float32Array;
}

/** Rows of a block, if that makes neither tiny blocks nor large ones: panels of so many rows stay in a core's cache while they are multiplied. */
const BLOCK_ROWS = 2048;

/** Values in one block: 2 MB to 8 MB of float32. */
const BLOCK_VALUES = { least: 2 ** 19, most: 2 ** 21 } as const;

/** Rows that {@link rowBlocks} reads at a time from a table of this width. */
export function blockRows(cols: number): number {
	const width = Math.max(1, cols);
	const rows = Math.max(BLOCK_ROWS, Math.floor(BLOCK_VALUES.least / width));
	return Math.max(64, Math.min(rows, Math.floor(BLOCK_VALUES.most / width)));
}

/** A table in memory (row-major, not copied). Throws `internal` if the length does not fit. */
export function rowsOf(values: Float32Array, rows: number, cols: number): RowSource {
	if (values.length !== rows * cols) throw new DistembError("internal", `${values.length} values are no ${rows}×${cols} table`);
	return { rows, cols, read: (start, end) => values.subarray(start * cols, end * cols) };
}

/** The table in blocks, first row first. Throws `interrupted` between blocks when the signal says so. */
export function* rowBlocks(
	source: RowSource,
	options: { readonly size?: number; readonly signal?: AbortSignal | undefined } = {},
): Generator<RowBlock> {
	const size = options.size ?? blockRows(source.cols);
	for (let start = 0; start < source.rows; start += size) {
		throwIfAborted(options.signal);
		const end = Math.min(source.rows, start + size);
		const values = source.read(start, end);
		if (values.length !== (end - start) * source.cols) {
			throw new DistembError(
				"internal",
				`a block of rows ${start} to ${end} holds ${values.length} values instead of ${(end - start) * source.cols}`,
			);
		}
		yield { start, end, values };
	}
}
