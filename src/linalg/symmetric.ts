// The leading eigenvectors of a dense symmetric matrix in float64; the small steps here, the cubic products in the engine.
import { DistembError } from "../errors.js";
import { inverseIteration } from "./inverse_iteration.js";
import type { DenseProducts } from "./products.js";
import { implicitQL, type Tridiagonal, tridiagonalize } from "./tridiagonal.js";

/** Eigenvalues in descending order, and as many orthonormal eigenvectors as were asked for, in the same order. */
export interface Eigen {
	/** All n eigenvalues. */
	readonly values: Float64Array;
	/** The vectors as rows: count×n. */
	readonly vectors: Float64Array;
}

/** Reflections that are applied in one product. */
const REFLECTORS = 64;
/** Rounds of orthogonalisation before the slow, sure route is taken. */
const ROUNDS = 4;
const ORTHOGONAL = 1e-13;

/**
 * The `count` leading eigenvectors and all eigenvalues of the symmetric size×size `matrix` (row-major; only the lower triangle is read; it is
 * scaled). Vectors are orthonormal to about 1e-13 whatever the spectrum, multiple eigenvalues included.
 *
 * Householder tridiagonalisation, eigenvalues by QL, vectors by inverse iteration, made orthogonal by Newton's iteration for the polar factor
 * X ← (3X − XXᵀX)/2. It turns vectors within their near-eigenspace only, so it costs no accuracy. Should inverse iteration have failed
 * (vectors far from orthogonal), QL is run again with vectors.
 * Throws `internal` for values that are not finite.
 */
export async function leadingEigen(matrix: Float64Array, size: number, count: number, products: DenseProducts, seed = 0): Promise<Eigen> {
	const scale = scaleOf(matrix, size);
	if (!Number.isFinite(scale)) throw new DistembError("internal", "a matrix with values that are not finite has no eigenvalues");
	if (scale === 0) return { values: new Float64Array(size), vectors: leadingIdentity(size, count) };
	for (let index = 0; index < size * size; index++) matrix[index] = (matrix[index] as number) / scale;
	const reduced = tridiagonalize(matrix, size);
	const values = implicitQL(reduced).sort().reverse();
	const tridiagonal = inverseIteration(reduced, values.subarray(0, count), seed);
	const vectors = (await orthogonalize(tridiagonal, count, size, products)) ?? sureVectors(reduced, count);
	await applyReflectors(reduced, vectors, count, products);
	for (let index = 0; index < size; index++) values[index] = (values[index] as number) * scale;
	return { values, vectors };
}

/** A power of two near the largest entry of the lower triangle: dividing by it is exact and keeps squares in range. */
function scaleOf(matrix: Float64Array, size: number): number {
	let largest = 0;
	for (let row = 0; row < size; row++) {
		for (let column = 0; column <= row; column++) {
			const entry = Math.abs(matrix[row * size + column] as number);
			if (Number.isNaN(entry)) return entry;
			if (entry > largest) largest = entry;
		}
	}
	return largest === 0 || largest === Number.POSITIVE_INFINITY ? largest : 2 ** Math.floor(Math.log2(largest));
}

function leadingIdentity(size: number, count: number): Float64Array {
	const rows = new Float64Array(count * size);
	for (let index = 0; index < count; index++) rows[index * size + index] = 1;
	return rows;
}

/** The polar factor of nearly orthonormal rows (in place), or undefined if they are not nearly orthonormal. */
async function orthogonalize(rows: Float64Array, count: number, size: number, products: DenseProducts): Promise<Float64Array | undefined> {
	const overlaps = new Float64Array(count * count);
	const corrections = new Float64Array(count * size);
	for (let round = 0; round < ROUNDS; round++) {
		await products.multiply(rows, rows, { rows: count, inner: size, columns: count, transposeB: true }, overlaps);
		let worst = 0;
		for (let i = 0; i < count; i++) {
			for (let j = 0; j < count; j++) {
				const off = Math.abs((overlaps[i * count + j] as number) - (i === j ? 1 : 0));
				if (!(off <= worst)) worst = off;
			}
		}
		if (worst < ORTHOGONAL) return rows;
		if (!(worst < 0.1 / Math.max(1, Math.log2(count)))) return undefined;
		await products.multiply(overlaps, rows, { rows: count, inner: count, columns: size }, corrections);
		for (let index = 0; index < rows.length; index++) rows[index] = 1.5 * (rows[index] as number) - 0.5 * (corrections[index] as number);
	}
	return rows;
}

/** Eigenvectors of T with the QL rotations accumulated: slower, and orthonormal in every case. */
function sureVectors(reduced: Tridiagonal, count: number): Float64Array {
	const { size } = reduced;
	const rows = leadingIdentity(size, size);
	const values = implicitQL(reduced, rows);
	const order = Array.from(values.keys()).sort((i, j) => (values[j] as number) - (values[i] as number));
	const vectors = new Float64Array(count * size);
	order.slice(0, count).forEach((from, to) => {
		vectors.set(rows.subarray(from * size, (from + 1) * size), to * size);
	});
	return vectors;
}

/**
 * Turns eigenvectors of T (rows) into eigenvectors of A, by groups of reflections: H_b ⋯ H_a = I − Vᵀ·S·V with V the reflectors as rows and
 * S upper triangular. Source: Schreiber and Van Loan 1989, the compact WY form.
 */
async function applyReflectors(reduced: Tridiagonal, vectors: Float64Array, count: number, products: DenseProducts): Promise<void> {
	const { size, reflectors } = reduced;
	const along = new Float64Array(count * REFLECTORS);
	const turned = new Float64Array(count * REFLECTORS);
	const corrections = new Float64Array(count * size);
	const overlaps = new Float64Array(REFLECTORS * REFLECTORS);
	for (let start = 1; start < size; start += REFLECTORS) {
		const end = Math.min(size, start + REFLECTORS);
		const group = end - start;
		const v = new Float64Array(group * size);
		for (let i = start; i < end; i++) v.set(reflectors.subarray(i * size, i * size + i), (i - start) * size);
		await products.multiply(v, v, { rows: group, inner: size, columns: group, transposeB: true }, overlaps);
		const coupling = compactWY(overlaps, group);
		await products.multiply(vectors, v, { rows: count, inner: size, columns: group, transposeB: true }, along);
		await products.multiply(along, coupling, { rows: count, inner: group, columns: group }, turned);
		await products.multiply(turned, v, { rows: count, inner: group, columns: size }, corrections);
		for (let index = 0; index < vectors.length; index++) vectors[index] = (vectors[index] as number) - (corrections[index] as number);
	}
}

/**
 * S with z·H_1·H_2⋯H_k = z − z·Vᵀ·S·V for row vectors z and H_i = I − v_i·v_iᵀ:
 * column j of S is −S·(overlaps with v_j) above its diagonal, which is 1.
 */
function compactWY(overlaps: Float64Array, group: number): Float64Array {
	const s = new Float64Array(group * group);
	for (let j = 0; j < group; j++) {
		s[j * group + j] = 1;
		for (let i = 0; i < j; i++) {
			let sum = 0;
			for (let k = i; k < j; k++) sum += (s[i * group + k] as number) * (overlaps[k * group + j] as number);
			s[i * group + j] = -sum;
		}
	}
	return s;
}
