// A vocabulary table as float32 rows, streamed from where it is stored.
import { createHash } from "node:crypto";
import { DistembError } from "../../../src/errors.js";
import { bitsOf, type DType } from "../../../src/ir/dtype.js";
import type { Table } from "../../../src/state.js";
import { readStored, widthOf } from "./decode.js";
import type { Matrix } from "./matrix.js";

/** Numbers that one block holds: 4 MiB of float32. */
const BLOCK = 1 << 20;

/** Rows of `table` that fit in one block. */
export function blockRows({ cols }: { readonly cols: number }): number {
	return Math.max(1, Math.floor(BLOCK / Math.max(1, cols)));
}

/** A constant matrix with one row per token. */
export class MatrixTable implements Table {
	readonly rows: number;
	readonly cols: number;
	readonly stored: DType;
	readonly matrix: Matrix;
	#hash: string | undefined;
	#rows = new Float32Array(0);
	#columns = new Float32Array(0);

	constructor(matrix: Matrix) {
		this.matrix = matrix;
		this.rows = matrix.rows;
		this.cols = matrix.cols;
		this.stored = matrix.tensor.dtype;
	}

	/** Computed when it is first asked for: it reads the whole table. */
	get hash(): string {
		if (this.#hash === undefined) {
			const hash = createHash("sha256");
			for (const rows of blocks(this)) hash.update(new Uint8Array(rows.buffer, rows.byteOffset, rows.byteLength));
			this.#hash = hash.digest("hex");
		}
		return this.#hash;
	}

	read(start: number, end: number): Float32Array {
		const { matrix, cols } = this;
		const count = end - start;
		this.#rows = sized(this.#rows, count * cols);
		const rows = this.#rows.subarray(0, count * cols);
		if (matrix.transposed) {
			this.#columns = sized(this.#columns, count * cols);
			readStored(matrix, 0, cols, start, end, this.#columns);
			for (let row = 0; row < count; row++) {
				for (let col = 0; col < cols; col++) rows[row * cols + col] = this.#columns[col * count + row] ?? 0;
			}
		} else readStored(matrix, start, end, 0, cols, rows);
		if (matrix.patch !== undefined) applyPatch(matrix, start, end, rows);
		return rows;
	}

	/** The distance between neighbouring codes at each element of rows [start, end); 0 where nothing is quantized. */
	steps(start: number, end: number): Float32Array {
		const { matrix, cols } = this;
		const steps = new Float32Array((end - start) * cols);
		const { scaling, encoding } = matrix;
		if (scaling === undefined) return steps;
		const gap = encoding.kind === "codebook" ? widestGap(encoding.values) : 1;
		for (let row = start; row < end; row++) {
			for (let col = 0; col < cols; col++) {
				const [r, c] = matrix.transposed ? [col, row] : [row, col];
				const entry = Math.floor(r / scaling.rowBlock) * scaling.rowStride + Math.floor(c / scaling.colBlock) * scaling.colStride;
				steps[(row - start) * cols + col] = gap * Math.abs(scaling.scale[entry] ?? 0);
			}
		}
		return steps;
	}
}

/** How finely the numbers are stored: bits per element, floats above integers. */
export function precisionOf({ matrix }: MatrixTable): number {
	const width = widthOf(matrix.encoding);
	return matrix.scaling === undefined && bitsOf(matrix.tensor.dtype) >= 16 ? 100 + width : width;
}

/** All rows of `table`, block by block. The array is reused. */
export function* blocks(table: Table): Generator<Float32Array> {
	const size = blockRows(table);
	for (let start = 0; start < table.rows; start += size) yield table.read(start, Math.min(table.rows, start + size));
}

/** @throws DistembError `input` if a number of `table` is no finite number. */
export function requireFinite(table: MatrixTable, at: string): void {
	let start = 0;
	for (const rows of blocks(table)) {
		for (let index = firstNotFinite(rows); index < rows.length; ) {
			const row = start + Math.floor(index / table.cols);
			throw new DistembError("input", `table "${table.matrix.stored.name}" holds ${rows[index]} in row ${row}`, {
				at,
				hint: "a table with such entries cannot be factorized; export the model again",
			});
		}
		start += rows.length / table.cols;
	}
}

/** Index of the first number that is none, or infinite; the length if there is none. Looks at the bits, several times faster. */
function firstNotFinite(values: Float32Array): number {
	const bits = new Int32Array(values.buffer, values.byteOffset, values.length);
	// An exponent of all ones, and no other, carries into the sign when its last bit is added.
	let carry = 0;
	for (let index = 0; index < bits.length; index++) carry |= ((bits[index] as number) & 0x7f800000) + 0x00800000;
	return carry >= 0 ? values.length : values.findIndex((value) => !Number.isFinite(value));
}

function applyPatch({ patch, cols, transposed }: Matrix, start: number, end: number, rows: Float32Array): void {
	if (patch?.kind === "rows") {
		for (const [row, values] of patch.rows) {
			if (!transposed && row >= start && row < end) rows.set(values, (row - start) * cols);
			if (transposed) for (let index = start; index < end; index++) rows[(index - start) * cols + row] = values[index] ?? 0;
		}
	} else if (patch?.kind === "product") {
		const other = new MatrixTable(patch.other);
		const oneRow = other.rows === 1;
		const factors = oneRow ? other.read(0, 1) : other.read(start, end);
		for (let row = 0; row < end - start; row++) {
			const base = oneRow ? 0 : row * other.cols;
			for (let col = 0; col < cols; col++) {
				const factor = factors[base + (other.cols === 1 ? 0 : col)] ?? 0;
				rows[row * cols + col] = (rows[row * cols + col] ?? 0) * factor;
			}
		}
	}
}

function widestGap(values: readonly number[]): number {
	const sorted = values.toSorted((a, b) => a - b);
	return Math.max(...sorted.slice(1).map((value, index) => value - (sorted[index] ?? 0)));
}

/** `buffer` if it is large enough, else a larger one. */
function sized(buffer: Float32Array<ArrayBuffer>, length: number): Float32Array<ArrayBuffer> {
	return buffer.length >= length ? buffer : new Float32Array(length);
}
