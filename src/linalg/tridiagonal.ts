// Symmetric tridiagonal matrices: reduction to one, its eigenvalues, and its eigenvectors by two routes.
import { DistembError } from "../errors.js";

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

/**
 * Reduces the symmetric size×size matrix `a` (row-major; only the lower triangle is read) in place.
 * One pass over the triangle applies a step's rank-2 update and multiplies by the next reflector, so the matrix is read once per step.
 * Source: EISPACK tred2 (Golub and Van Loan, 4th ed., §8.3.1).
 */
export function tridiagonalize(a: Float64Array, size: number): Tridiagonal {
	const diagonal = new Float64Array(size);
	const offDiagonal = new Float64Array(size);
	// The update that is still due: A −= v·wᵀ + w·vᵀ.
	const v = new Float64Array(size);
	let w = new Float64Array(size);
	let product = new Float64Array(size);
	for (let last = size - 1; last >= 0; last--) {
		const row = last * size;
		const vLast = v[last] as number;
		const wLast = w[last] as number;
		for (let j = 0; j <= last; j++) a[row + j] = (a[row + j] as number) - vLast * (w[j] as number) - wLast * (v[j] as number);
		diagonal[last] = a[row + last] as number;
		if (last === 0) break;
		offDiagonal[last] = reflector(a, row, last);
		const u = a.subarray(row, row + last);
		updateAndMultiply(a, size, u, v, w, product);
		let overlap = 0;
		for (let j = 0; j < last; j++) overlap += (product[j] as number) * (u[j] as number);
		v.set(u);
		for (let j = 0; j < last; j++) product[j] = (product[j] as number) - (overlap / 2) * (u[j] as number);
		[w, product] = [product, w];
	}
	return { size, diagonal, offDiagonal, reflectors: a };
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

/** A −= v·wᵀ + w·vᵀ on the leading triangle of u's size, and product = A·u. Two rows at a time, to read the vectors half as often. */
function updateAndMultiply(a: Float64Array, size: number, u: Float64Array, v: Float64Array, w: Float64Array, product: Float64Array): void {
	const length = u.length;
	for (let i = 0; i < length; i += 2) {
		const upper = a.subarray(i * size, i * size + i + 1);
		const lower = i + 1 < length ? a.subarray((i + 1) * size, (i + 1) * size + i + 2) : upper;
		const v0 = v[i] as number;
		const w0 = w[i] as number;
		const u0 = u[i] as number;
		const v1 = i + 1 < length ? (v[i + 1] as number) : 0;
		const w1 = i + 1 < length ? (w[i + 1] as number) : 0;
		const u1 = i + 1 < length ? (u[i + 1] as number) : 0;
		let sum0 = 0;
		let sum1 = 0;
		if (i + 1 < length) {
			for (let j = 0; j < i; j++) {
				const vj = v[j] as number;
				const wj = w[j] as number;
				const uj = u[j] as number;
				const x = (upper[j] as number) - v0 * wj - w0 * vj;
				const y = (lower[j] as number) - v1 * wj - w1 * vj;
				upper[j] = x;
				lower[j] = y;
				sum0 += x * uj;
				sum1 += y * uj;
				product[j] = (product[j] as number) + x * u0 + y * u1;
			}
			const across = (lower[i] as number) - v1 * w0 - w1 * v0;
			const corner = (lower[i + 1] as number) - 2 * v1 * w1;
			lower[i] = across;
			lower[i + 1] = corner;
			sum0 += across * u1;
			product[i + 1] = sum1 + across * u0 + corner * u1;
		} else {
			for (let j = 0; j < i; j++) {
				const x = (upper[j] as number) - v0 * (w[j] as number) - w0 * (v[j] as number);
				upper[j] = x;
				sum0 += x * (u[j] as number);
				product[j] = (product[j] as number) + x * u0;
			}
		}
		const head = (upper[i] as number) - 2 * v0 * w0;
		upper[i] = head;
		product[i] = sum0 + head * u0;
	}
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
