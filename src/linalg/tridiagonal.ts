// Symmetric tridiagonal matrices: reduction to one, its eigenvalues, and its eigenvectors by two routes.
import { DistembError } from "../errors.js";
import { type Kernels, kernelsOn } from "./simd.js";

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
export const GROUP = 64;

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
	for (let last = size - 1; last >= 0; last--) {
		diagonal[last] = triangle.updateRow(last);
		if (last > 0) offDiagonal[last] = triangle.reflect(last);
	}
	return { size, diagonal, offDiagonal, reflectors: triangle.reflectors() };
}

/**
 * A lower triangle A and the vectors v and w of its next update, in memory that the vector instructions reach. Rows and vectors are padded to
 * whole groups of four; beyond the columns that are left, u, v and w are zero.
 */
class Triangle {
	readonly #size: number;
	/** Length of a row with its padding. */
	readonly #width: number;
	readonly #kernels: Kernels;
	readonly #a: Float64Array;
	readonly #u: Float64Array;
	readonly #v: Float64Array;
	readonly #w: Float64Array;
	readonly #product: Float64Array;

	constructor(matrix: Float64Array, size: number) {
		const width = padded(size);
		const { memory, kernels } = kernelsOn((width + 4) * width * 8);
		const vector = (index: number) => new Float64Array(memory, (width + index) * width * 8, width);
		this.#size = size;
		this.#width = width;
		this.#kernels = kernels;
		this.#a = new Float64Array(memory, 0, width * width);
		[this.#u, this.#v, this.#w, this.#product] = [vector(0), vector(1), vector(2), vector(3)];
		for (let i = 0; i < size; i++) {
			this.#a.set(matrix.subarray(i * size, i * size + i + 1), i * width);
			for (let j = i - (i % 4); j < i; j++) this.#a[j * width + i] = matrix[i * size + j] as number;
		}
	}

	/** Makes the update on the last row that is left, and returns its entry on the diagonal. */
	updateRow(last: number): number {
		const [v, w] = [this.#v, this.#w];
		const row = this.#a.byteOffset + last * this.#width * 8;
		this.#kernels.combine(row, 1, w.byteOffset, -(v[last] as number), v.byteOffset, -(w[last] as number), padded(last + 1) * 8);
		// The row is done: the update of the others leaves it alone.
		v[last] = 0;
		w[last] = 0;
		return this.#a[last * this.#width + last] as number;
	}

	/** Reflects row `last` onto its last entry left of the diagonal, which is returned; leaves the update of the triangle above in v and w. */
	reflect(last: number): number {
		const { dot, combine, fourRows } = this.#kernels;
		const [u, v, w, product] = [this.#u, this.#v, this.#w, this.#product];
		const bytes = padded(last) * 8;
		const stride = this.#width * 8;
		const row = this.#a.subarray(last * this.#width, last * this.#width + last);
		u.fill(0, last, padded(last + 1));
		u.set(row);
		const entry = this.#reflector(last);
		row.set(u.subarray(0, last));
		for (let i = 0; i < last; i += 4) fourRows(i * stride, stride, i * 8, v.byteOffset, w.byteOffset, u.byteOffset, product.byteOffset);
		product.fill(0, last, padded(last));
		const overlap = dot(product.byteOffset, u.byteOffset, bytes);
		combine(w.byteOffset, 0, product.byteOffset, 1, u.byteOffset, -overlap / 2, bytes);
		v.set(u.subarray(0, padded(last)));
		return entry;
	}

	/** Turns x = u[0, length) into v with (I − v·vᵀ)·x = β·e_last and ‖v‖² = 2 (v = 0 where x has that form already); returns β. */
	#reflector(length: number): number {
		const u = this.#u;
		const bytes = padded(length) * 8;
		const pivot = u[length - 1] as number;
		u[length - 1] = 0;
		const rest = this.#kernels.dot(u.byteOffset, u.byteOffset, bytes);
		if (rest < 1e-290) {
			u.fill(0, 0, length);
			return pivot;
		}
		const norm = Math.sqrt(rest + pivot * pivot);
		const beta = pivot > 0 ? -norm : norm;
		const head = pivot - beta;
		const factor = Math.sqrt(2 / (rest + head * head));
		this.#kernels.combine(u.byteOffset, factor, u.byteOffset, 0, u.byteOffset, 0, bytes);
		u[length - 1] = head * factor;
		return beta;
	}

	/** The reflectors, when all rows are done. */
	reflectors(): Float64Array {
		const size = this.#size;
		const rows = new Float64Array(Math.ceil(size / GROUP) * GROUP * size);
		for (let i = 1; i < size; i++) rows.set(this.#a.subarray(i * this.#width, i * this.#width + i), i * size);
		return rows;
	}
}

function padded(length: number): number {
	return Math.ceil(length / 4) * 4;
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
