// The leading eigenvectors of a dense symmetric matrix in float64; the small steps here, the cubic products in the engine.
import { DistembError } from "../errors.js";
import { inverseIteration } from "./inverse_iteration.js";
import type { EigenProducts } from "./products.js";
import { GROUP, implicitQL, type Tridiagonal, tridiagonalize } from "./tridiagonal.js";

/** Eigenvalues in descending order, and as many orthonormal eigenvectors as were asked for, in the same order. */
export interface Eigen {
	/** All n eigenvalues. */
	readonly values: Float64Array;
	/** The vectors as rows: count×n. */
	readonly vectors: Float64Array;
}

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
export async function leadingEigen(matrix: Float64Array, size: number, count: number, products: EigenProducts, seed = 0): Promise<Eigen> {
	const scale = scaleOf(matrix, size);
	if (!Number.isFinite(scale)) throw new DistembError("internal", "a matrix with values that are not finite has no eigenvalues");
	if (scale === 0) return { values: new Float64Array(size), vectors: leadingIdentity(size, count) };
	for (let index = 0; index < size * size; index++) matrix[index] = (matrix[index] as number) / scale;
	const reduced = tridiagonalize(matrix, size);
	const values = implicitQL(reduced).sort().reverse();
	const vectors = count === 0 ? new Float64Array(0) : await vectorsOf(reduced, values.subarray(0, count), products, seed);
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

/** Eigenvectors of A for some eigenvalues of the tridiagonal matrix that it was reduced to. */
async function vectorsOf(reduced: Tridiagonal, values: Float64Array, products: EigenProducts, seed: number): Promise<Float64Array> {
	const count = values.length;
	const nearly = inverseIteration(reduced, values, seed);
	const tridiagonal = (await orthogonalize(nearly, count, reduced.size, products)) ?? sureVectors(reduced, count);
	return await applyReflectors(reduced, tridiagonal, count, products);
}

/** The polar factor of nearly orthonormal rows, or undefined if they are not nearly orthonormal. */
async function orthogonalize(rows: Float64Array, count: number, size: number, products: EigenProducts): Promise<Float64Array | undefined> {
	const overlaps = new Float64Array(count * count);
	let current = rows;
	let next: Float64Array = new Float64Array(count * size);
	for (let round = 0; round < ROUNDS; round++) {
		await products.polarStep(current, count, size, overlaps, next);
		let worst = 0;
		for (let i = 0; i < count; i++) {
			for (let j = 0; j < count; j++) {
				const off = Math.abs((overlaps[i * count + j] as number) - (i === j ? 1 : 0));
				if (!(off <= worst)) worst = off;
			}
		}
		if (worst < ORTHOGONAL) return current;
		if (!(worst < 0.1 / Math.max(1, Math.log2(count)))) return undefined;
		[current, next] = [next, current];
	}
	return current;
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
 * Eigenvectors of A from those of T (rows), by groups of reflections: H_b ⋯ H_a = I − Vᵀ·S·V with V the reflectors as rows and S upper
 * triangular. Source: Schreiber and Van Loan 1989, the compact WY form.
 */
async function applyReflectors(reduced: Tridiagonal, vectors: Float64Array, count: number, products: EigenProducts): Promise<Float64Array> {
	const { size, reflectors } = reduced;
	const overlaps = await products.groupOverlaps(reflectors, GROUP, size);
	const couplings = new Float64Array(overlaps.length);
	for (let start = 0; start < overlaps.length; start += GROUP ** 2) {
		compactWY(overlaps.subarray(start, start + GROUP ** 2), couplings.subarray(start, start + GROUP ** 2));
	}
	const turned = new Float64Array(count * size);
	await products.reflect(vectors, reflectors, couplings, { count, size, group: GROUP }, turned);
	return turned;
}

/**
 * S with z·H_1·H_2⋯H_k = z − z·Vᵀ·S·V for row vectors z and H_i = I − v_i·v_iᵀ:
 * column j of S is −S·(overlaps with v_j) above its diagonal, which is 1.
 */
function compactWY(overlaps: Float64Array, s: Float64Array): void {
	for (let j = 0; j < GROUP; j++) {
		s[j * GROUP + j] = 1;
		for (let i = 0; i < j; i++) {
			let sum = 0;
			for (let k = i; k < j; k++) sum += (s[i * GROUP + k] as number) * (overlaps[k * GROUP + j] as number);
			s[i * GROUP + j] = -sum;
		}
	}
}
