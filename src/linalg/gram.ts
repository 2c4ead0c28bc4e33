// The Gram matrix EᵀΩE of a table that is read in blocks.
import { DistembError } from "../errors.js";
import type { DenseProducts, GramBlock } from "./products.js";
import { blockRows, type RowBlock, type RowSource, rowBlocks } from "./rows.js";

/** Rows of a block: many, for each block costs a sum of d×d numbers here; few enough that a block takes at most 16 MB. */
const BLOCK_ROWS = 4096;
const BLOCK_VALUES = 2 ** 22;

export interface GramOptions {
	/** Ω's diagonal: one weight ≥ 0 per row; absent: all 1. */
	readonly rowWeights?: Float32Array | undefined;
	/** Type of the products within a block (sums over blocks are float64); float32 by default. */
	readonly precision?: "float32" | "float64" | undefined;
	readonly signal?: AbortSignal | undefined;
	/** Called after each block with the part of the rows that is done. */
	readonly onProgress?: ((fraction: number) => void) | undefined;
}

/**
 * EᵀΩE (d×d, float64, both triangles) of the V×d table, in one pass over its rows.
 * Blocks whose squares would leave float32's range are scaled by a power of two first, so any finite table will do.
 * Throws `input`, naming the row, for values that are not finite; `internal` for weights that are not; `interrupted`.
 */
export async function gramMatrix(source: RowSource, products: DenseProducts, options: GramOptions = {}): Promise<Float64Array> {
	const { cols } = source;
	const gram = new Float64Array(cols * cols);
	const weights = options.rowWeights === undefined ? undefined : rowFactors(options.rowWeights, source.rows);
	const size = Math.max(blockRows(cols), Math.min(BLOCK_ROWS, Math.floor(BLOCK_VALUES / cols)));
	for (const block of rowBlocks(source, { size, signal: options.signal })) {
		const task: GramBlock = {
			values: block.values,
			rows: block.end - block.start,
			cols,
			rowFactors: weights?.factors.subarray(block.start, block.end),
			precision: options.precision ?? "float32",
		};
		if (!(await products.addGram(task, gram, 1))) await addScaled(block, task, gram, products);
		options.onProgress?.(block.end / source.rows);
	}
	mirror(gram, cols, weights?.unit ?? 1);
	return gram;
}

/** Square roots of the weights, relative to the largest: `unit` is that largest weight. */
function rowFactors(weights: Float32Array, rows: number): { factors: Float32Array; unit: number } {
	if (weights.length !== rows) throw new DistembError("internal", `${weights.length} row weights for ${rows} rows`);
	let unit = 0;
	for (let row = 0; row < rows; row++) {
		const weight = weights[row] as number;
		if (!(weight >= 0 && weight < Number.POSITIVE_INFINITY)) {
			throw new DistembError("internal", `the weight of row ${row} is ${weight}; weights are finite and not negative`);
		}
		if (weight > unit) unit = weight;
	}
	if (unit === 0) unit = 1;
	return { factors: Float32Array.from(weights, (weight) => Math.sqrt(weight / unit)), unit };
}

async function addScaled(block: RowBlock, task: GramBlock, gram: Float64Array, products: DenseProducts): Promise<void> {
	const { values, rows, cols, rowFactors: factors } = task;
	let largest = 0;
	for (let row = 0; row < rows; row++) {
		const factor = factors === undefined ? 1 : (factors[row] as number);
		for (let index = row * cols; index < (row + 1) * cols; index++) {
			const value = Math.abs(values[index] as number);
			if (!(value < Number.POSITIVE_INFINITY)) throw notFinite(block.start + row, values[index] as number);
			if (value * factor > largest) largest = value * factor;
		}
	}
	if (largest === 0) return;
	const scale = 2 ** Math.floor(Math.log2(largest));
	// Weights go in here: a factor times a value may leave the range that the product alone stays in.
	const scaled = Float32Array.from(values, (value, index) => (value / scale) * (factors?.[Math.floor(index / cols)] ?? 1));
	const added = await products.addGram({ ...task, values: scaled, rowFactors: undefined }, gram, scale * scale);
	if (!added) throw new DistembError("internal", `rows ${block.start} to ${block.end} could not be scaled into range`);
}

function notFinite(row: number, value: number): DistembError {
	return new DistembError("input", `row ${row} of the table holds ${value}`, { hint: "a table must be finite to be factorized" });
}

/** Fills the upper triangle from the lower one, and multiplies all by `unit`. */
function mirror(gram: Float64Array, size: number, unit: number): void {
	for (let row = 0; row < size; row++) {
		for (let column = 0; column <= row; column++) {
			const value = (gram[row * size + column] as number) * unit;
			gram[row * size + column] = value;
			gram[column * size + row] = value;
		}
	}
}
