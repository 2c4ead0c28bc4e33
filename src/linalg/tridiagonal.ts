// Symmetric tridiagonal matrices: reduction to one, its eigenvalues, and its eigenvectors by two routes.
import { DistembError } from "../errors.js";
import type { DenseProducts } from "./products.js";

/** A symmetric matrix A = Q·T·Qᵀ: the diagonals of T, and Q as a product of reflections I − v·vᵀ, v in row i of `reflectors` (length i). */
export interface Tridiagonal {
	readonly size: number;
	readonly diagonal: Float64Array;
	/** `offDiagonal[i]` couples i − 1 and i; element 0 is 0. */
	readonly offDiagonal: Float64Array;
	/** size×size; row i holds its reflector in columns 0 to i − 1. Q is the product of them, the last row's first. */
	readonly reflectors: Float64Array;
}

/** QL steps allowed per eigenvalue; EISPACK allows 30. */
const MAX_STEPS = 60;

/** Reflections whose updates of the matrix are put off and then made in one product. */
const PANEL = 32;

/**
 * Reduces the symmetric size×size matrix `a` (row-major; only the lower triangle is read) in place.
 * A step only multiplies the matrix by its reflector; the rank-2 updates of a panel of steps are one product in the engine.
 * Source: EISPACK tred2 (Golub and Van Loan, 4th ed., §8.3.1); Dongarra, Sorensen, Hammarling 1989 (LAPACK dlatrd) for the panels.
 */
export async function tridiagonalize(a: Float64Array, size: number, products: DenseProducts): Promise<Tridiagonal> {
	const diagonal = new Float64Array(size);
	const offDiagonal = new Float64Array(size);
	const product = new Float64Array(size);
	const pending = new Updates(size);
	for (let last = size - 1; last >= 0; last--) {
		const row = a.subarray(last * size, last * size + last + 1);
		pending.applyToRow(row, last);
		diagonal[last] = row[last] as number;
		if (last === 0) break;
		offDiagonal[last] = reflector(a, last * size, last);
		const u = row.subarray(0, last);
		multiplyTriangle(a, size, u, product);
		pending.applyToProduct(u, product);
		let overlap = 0;
		for (let j = 0; j < last; j++) overlap += (product[j] as number) * (u[j] as number);
		for (let j = 0; j < last; j++) product[j] = (product[j] as number) - (overlap / 2) * (u[j] as number);
		pending.add(u, product);
		if (pending.count === PANEL) await pending.flush(a, last, products);
	}
	return { size, diagonal, offDiagonal, reflectors: a };
}

/** Updates A −= v·wᵀ + w·vᵀ that are still due. */
class Updates {
	count = 0;
	readonly #size: number;
	/** Vectors v in rows 0 to PANEL − 1, w in those after them. */
	readonly #vectors: Float64Array;
	/** Room for the products. */
	readonly #left: Float64Array;
	readonly #right: Float64Array;
	readonly #product: Float64Array;

	constructor(size: number) {
		this.#size = size;
		this.#left = new Float64Array(2 * PANEL * size);
		this.#right = new Float64Array(2 * PANEL * size);
		this.#product = new Float64Array(size * size);
		this.#vectors = new Float64Array(2 * PANEL * size);
	}

	add(v: Float64Array, w: Float64Array): void {
		this.#vectors.set(v, this.count * this.#size);
		this.#vectors.set(w.subarray(0, v.length), (PANEL + this.count) * this.#size);
		this.count++;
	}

	/** Brings row number `index` of A up to date, its columns 0 to `index`. */
	applyToRow(row: Float64Array, index: number): void {
		for (let k = 0; k < this.count; k++) {
			const [v, w] = this.#pair(k, row.length);
			const vHere = v[index] as number;
			const wHere = w[index] as number;
			for (let j = 0; j < row.length; j++) row[j] = (row[j] as number) - vHere * (w[j] as number) - wHere * (v[j] as number);
		}
	}

	/** Turns the outdated A times u into the product of what A should be. */
	applyToProduct(u: Float64Array, product: Float64Array): void {
		for (let k = 0; k < this.count; k++) {
			const [v, w] = this.#pair(k, u.length);
			let alongV = 0;
			let alongW = 0;
			for (let j = 0; j < u.length; j++) {
				const uj = u[j] as number;
				alongV += (v[j] as number) * uj;
				alongW += (w[j] as number) * uj;
			}
			for (let j = 0; j < u.length; j++) product[j] = (product[j] as number) - (v[j] as number) * alongW - (w[j] as number) * alongV;
		}
	}

	/** Makes the updates on the leading triangle of width `length`. */
	async flush(a: Float64Array, length: number, products: DenseProducts): Promise<void> {
		const { count } = this;
		const [left, right] = [this.#left, this.#right];
		for (let k = 0; k < count; k++) {
			const [v, w] = this.#pair(k, length);
			left.set(v, k * length);
			left.set(w, (count + k) * length);
			right.set(w, k * length);
			right.set(v, (count + k) * length);
		}
		const shape = { rows: length, inner: 2 * count, columns: length, transposeA: true };
		const update = await products.multiply(left, right, shape, this.#product);
		for (let i = 0; i < length; i++) {
			const row = a.subarray(i * this.#size, i * this.#size + i + 1);
			const from = update.subarray(i * length, i * length + i + 1);
			for (let j = 0; j <= i; j++) row[j] = (row[j] as number) - (from[j] as number);
		}
		this.count = 0;
	}

	#pair(k: number, length: number): [Float64Array, Float64Array] {
		const start = k * this.#size;
		const half = PANEL * this.#size;
		return [this.#vectors.subarray(start, start + length), this.#vectors.subarray(half + start, half + start + length)];
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

/** product = A·u on the leading triangle of u's size. Four rows at a time, to read the vectors less often. */
function multiplyTriangle(a: Float64Array, size: number, u: Float64Array, product: Float64Array): void {
	const length = u.length;
	const whole = length - (length % 4);
	for (let i = 0; i < whole; i += 4) {
		const row0 = a.subarray(i * size, i * size + i);
		const row1 = a.subarray((i + 1) * size, (i + 1) * size + i);
		const row2 = a.subarray((i + 2) * size, (i + 2) * size + i);
		const row3 = a.subarray((i + 3) * size, (i + 3) * size + i);
		const u0 = u[i] as number;
		const u1 = u[i + 1] as number;
		const u2 = u[i + 2] as number;
		const u3 = u[i + 3] as number;
		let sum0 = 0;
		let sum1 = 0;
		let sum2 = 0;
		let sum3 = 0;
		for (let j = 0; j < i; j++) {
			const uj = u[j] as number;
			const x0 = row0[j] as number;
			const x1 = row1[j] as number;
			const x2 = row2[j] as number;
			const x3 = row3[j] as number;
			sum0 += x0 * uj;
			sum1 += x1 * uj;
			sum2 += x2 * uj;
			sum3 += x3 * uj;
			product[j] = (product[j] as number) + (x0 * u0 + x1 * u1) + (x2 * u2 + x3 * u3);
		}
		product[i] = sum0;
		product[i + 1] = sum1;
		product[i + 2] = sum2;
		product[i + 3] = sum3;
		for (let k = i; k < i + 4; k++) addRow(a, size, u, product, k, i);
	}
	for (let i = whole; i < length; i++) {
		product[i] = 0;
		addRow(a, size, u, product, i, 0);
	}
}

/** Adds what columns `from` to `row` of a row of the triangle, and of the column that mirrors it, contribute to A·u. */
function addRow(a: Float64Array, size: number, u: Float64Array, product: Float64Array, row: number, from: number): void {
	const here = u[row] as number;
	let sum = (a[row * size + row] as number) * here;
	for (let j = from; j < row; j++) {
		const x = a[row * size + j] as number;
		sum += x * (u[j] as number);
		product[j] = (product[j] as number) + x * here;
	}
	product[row] = (product[row] as number) + sum;
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
