// Symmetric tridiagonal matrices: reduction to one, its eigenvalues, and its eigenvectors by two routes.
import { DistembError } from "../errors.js";
import { type FourRows, fourRows } from "./simd.js";

/** A symmetric matrix A = Q·T·Qᵀ: the diagonals of T, and Q as a product of reflections I − v·vᵀ, v in row i of `reflectors` (length i). */
export interface Tridiagonal {
	readonly size: number;
	readonly diagonal: Float64Array;
	/** `offDiagonal[i]` couples i − 1 and i; element 0 is 0. */
	readonly offDiagonal: Float64Array;
	/**
	 * Whole groups of {@link GROUP} rows of length `size`: row i < size holds its reflector in columns 0 to i − 1, and zeros, which reflect
	 * nothing. Q is the product of them, the last row's first.
	 */
	readonly reflectors: Float64Array;
}

/** Reflections that are applied together. */
export const GROUP = 32;

/** QL steps allowed per eigenvalue; EISPACK allows 30. */
const MAX_STEPS = 60;

/**
 * Reduces the symmetric size×size `matrix` (row-major; only the lower triangle is read).
 * Step by step the last row is reflected onto its last entry; the rank-2 update of the triangle above, A −= v·wᵀ + w·vᵀ, is made one step later,
 * in the same sweep that multiplies it by the next reflector.
 * Source: EISPACK tred2 (Golub and Van Loan, 4th ed., §8.3.1).
 */
export function tridiagonalize(matrix: Float64Array, size: number): Tridiagonal {
	const diagonal = new Float64Array(size);
	const offDiagonal = new Float64Array(size);
	const triangle = new Triangle(matrix, size);
	const { a, v, w, product } = triangle;
	for (let last = size - 1; last >= 0; last--) {
		const row = a.subarray(last * size, last * size + last + 1);
		triangle.updateRow(last);
		diagonal[last] = row[last] as number;
		if (last === 0) break;
		offDiagonal[last] = reflector(a, last * size, last);
		const u = row.subarray(0, last);
		triangle.updateAndMultiply(last);
		let overlap = 0;
		for (let j = 0; j < last; j++) overlap += (product[j] as number) * (u[j] as number);
		for (let j = 0; j < last; j++) w[j] = (product[j] as number) - (overlap / 2) * (u[j] as number);
		v.set(u);
	}
	for (let row = 0; row < size; row++) a.fill(0, row * size + row, (row + 1) * size);
	return { size, diagonal, offDiagonal, reflectors: a };
}

/** A lower triangle and the vectors of its next update, in memory that the vector instructions reach. */
class Triangle {
	/** Whole groups of rows of length `size`; those after the matrix are zero. */
	readonly a: Float64Array;
	readonly v: Float64Array;
	readonly w: Float64Array;
	readonly product: Float64Array;
	readonly #size: number;
	readonly #fourRows: FourRows;

	constructor(matrix: Float64Array, size: number) {
		const rows = Math.ceil(size / GROUP) * GROUP;
		const { memory, kernel } = fourRows((rows + 3) * size * Float64Array.BYTES_PER_ELEMENT);
		const vector = (index: number) => new Float64Array(memory, (rows + index) * size * 8, size);
		this.#size = size;
		this.#fourRows = kernel;
		this.a = new Float64Array(memory, 0, rows * size);
		this.a.set(matrix);
		for (let i = 0; i < size; i++) {
			for (let j = i - (i % 4); j < i; j++) this.a[j * size + i] = this.a[i * size + j] as number;
		}
		[this.v, this.w, this.product] = [vector(0), vector(1), vector(2)];
	}

	/** Makes the update on columns 0 to `row` of a row. */
	updateRow(row: number): void {
		const { a, v, w } = this;
		const [vHere, wHere] = [v[row] as number, w[row] as number];
		for (let j = 0, at = row * this.#size; j <= row; j++, at++) {
			a[at] = (a[at] as number) - vHere * (w[j] as number) - wHere * (v[j] as number);
		}
	}

	/** Makes the update on the leading length×length triangle, and multiplies it by row `length` into `product`. */
	updateAndMultiply(length: number): void {
		const { v, w, product } = this;
		const stride = this.#size * 8;
		const u = this.a.subarray(length * this.#size, length * this.#size + length);
		const whole = length - (length % 4);
		for (let i = 0; i < whole; i += 4) {
			this.#fourRows(i * stride, stride, i * 8, v.byteOffset, w.byteOffset, u.byteOffset, product.byteOffset);
		}
		product.fill(0, whole, length);
		for (let row = whole; row < length; row++) this.#addRow(row, u);
	}

	/** Updates a row, and adds what it, and the column that mirrors it, contribute to the product. */
	#addRow(row: number, u: Float64Array): void {
		const { a, product } = this;
		this.updateRow(row);
		const start = row * this.#size;
		const here = u[row] as number;
		let sum = (a[start + row] as number) * here;
		for (let j = 0; j < row; j++) {
			const entry = a[start + j] as number;
			sum += entry * (u[j] as number);
			product[j] = (product[j] as number) + entry * here;
		}
		product[row] = (product[row] as number) + sum;
	}
}

/** Turns x = a[row, row + length) into v with (I − v·vᵀ)·x = β·e_last and ‖v‖² = 2 (v = 0 where x has that form already); returns β. */
function reflector(a: Float64Array, row: number, length: number): number {
	const end = row + length - 1;
	let rest = 0;
	for (let j = row; j < end; j++) rest += (a[j] as number) ** 2;
	const pivot = a[end] as number;
	if (rest < 1e-290) {
		a.fill(0, row, row + length);
		return pivot;
	}
	const norm = Math.sqrt(rest + pivot * pivot);
	const beta = pivot > 0 ? -norm : norm;
	const head = pivot - beta;
	const factor = Math.sqrt(2 / (rest + head * head));
	for (let j = row; j < end; j++) a[j] = (a[j] as number) * factor;
	a[end] = head * factor;
	return beta;
}

/**
 * Eigenvalues of T by the implicit QL method, in no order. If `rows` is given (size×size, the identity at first), its rows become
 * eigenvectors: row k belongs to value k. Source: EISPACK tql1 and tql2.
 */
export function implicitQL(reduced: Tridiagonal, rows?: Float64Array): Float64Array {
	const { size } = reduced;
	const d = reduced.diagonal.slice();
	const e = new Float64Array(size);
	e.set(reduced.offDiagonal.subarray(1));
	let norm = 0;
	for (let i = 0; i < size; i++) norm = Math.max(norm, Math.abs(d[i] as number) + Math.abs(e[i] as number));
	for (let low = 0; low < size; low++) {
		for (let step = 0; ; step++) {
			let high = low;
			while (high < size - 1) {
				const local = Math.abs(d[high] as number) + Math.abs(d[high + 1] as number);
				if (Math.abs(e[high] as number) <= Number.EPSILON * Math.max(local, norm * 1e-3)) break;
				high++;
			}
			if (high === low) break;
			if (step === MAX_STEPS) throw new DistembError("internal", `the QL iteration did not converge on a ${size}×${size} matrix`);
			sweep(d, e, low, high, rows, size);
		}
	}
	return d;
}

/** One implicit QL step on the unreduced part [low, high]. */
function sweep(d: Float64Array, e: Float64Array, low: number, high: number, rows: Float64Array | undefined, size: number): void {
	const eLow = e[low] as number;
	const half = ((d[low + 1] as number) - (d[low] as number)) / (2 * eLow);
	const root = Math.hypot(half, 1);
	let g = (d[high] as number) - (d[low] as number) + eLow / (half + (half >= 0 ? root : -root));
	let sine = 1;
	let cosine = 1;
	let shift = 0;
	for (let i = high - 1; i >= low; i--) {
		const f = sine * (e[i] as number);
		const b = cosine * (e[i] as number);
		const length = Math.sqrt(f * f + g * g);
		e[i + 1] = length;
		if (length === 0) {
			d[i + 1] = (d[i + 1] as number) - shift;
			e[high] = 0;
			return;
		}
		sine = f / length;
		cosine = g / length;
		g = (d[i + 1] as number) - shift;
		const r = ((d[i] as number) - g) * sine + 2 * cosine * b;
		shift = sine * r;
		d[i + 1] = g + shift;
		g = cosine * r - b;
		if (rows !== undefined) rotate(rows, i * size, size, cosine, sine);
	}
	d[low] = (d[low] as number) - shift;
	e[low] = g;
	e[high] = 0;
}

/** Rotates the row that starts at `start` with the row after it. */
function rotate(rows: Float64Array, start: number, size: number, cosine: number, sine: number): void {
	const upper = rows.subarray(start, start + size);
	const lower = rows.subarray(start + size, start + 2 * size);
	for (let k = 0; k < size; k++) {
		const x = upper[k] as number;
		const y = lower[k] as number;
		lower[k] = sine * x + cosine * y;
		upper[k] = cosine * x - sine * y;
	}
}
