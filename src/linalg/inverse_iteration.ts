// Eigenvectors of a symmetric tridiagonal matrix whose eigenvalues are known: inverse iteration.
import { uniform } from "../random.js";
import type { Tridiagonal } from "./tridiagonal.js";

/** Eigenvalues closer than this part of the largest are one cluster: their vectors are made orthogonal one after the other. */
const CLUSTER = 1e-10;
const SOLVES = 3;

/**
 * One unit vector (a row of the result, `values.length`×size) for each of `values`, which are eigenvalues of T in descending order.
 * Vectors of one cluster are orthogonal; those of different clusters are so to about ε/gap: the caller finishes that.
 * Source: LAPACK dstein; Dhillon, Parlett, Vömel 2006 on what can go wrong (the caller checks).
 */
export function inverseIteration(reduced: Tridiagonal, values: Float64Array, seed: number): Float64Array {
	const { size } = reduced;
	const start = randomStart(size, seed);
	const vectors = new Float64Array(values.length * size);
	const solver = new ShiftedSolver(reduced);
	const close = CLUSTER * solver.norm;
	let clusterStart = 0;
	for (let k = 0; k < values.length; k++) {
		const value = values[k] as number;
		if (k > 0 && (values[k - 1] as number) - value > close) clusterStart = k;
		const vector = vectors.subarray(k * size, (k + 1) * size);
		// One draw for all, rotated, so that the vectors of a cluster start apart.
		const turn = k % size;
		vector.set(start.subarray(turn));
		vector.set(start.subarray(0, turn), size - turn);
		solver.factorize(value);
		// Each solve lengthens the vector up to 1/ε times, so that its squares, not its entries, may leave the range: normalize() knows that.
		for (let solve = 0; solve < SOLVES; solve++) solver.solve(vector);
		normalize(vector);
		// Twice is enough (Parlett).
		for (let pass = 0; pass < 2; pass++) {
			for (let other = clusterStart; other < k; other++) removeComponent(vector, vectors.subarray(other * size, (other + 1) * size));
			normalize(vector);
		}
	}
	return vectors;
}

function randomStart(size: number, seed: number): Float64Array {
	const random = uniform(seed);
	return Float64Array.from({ length: size }, () => random() - 0.5);
}

function normalize(vector: Float64Array): void {
	let largest = 0;
	for (let i = 0; i < vector.length; i++) largest = Math.max(largest, Math.abs(vector[i] as number));
	if (largest === 0) return;
	let squares = 0;
	for (let i = 0; i < vector.length; i++) squares += ((vector[i] as number) / largest) ** 2;
	const factor = 1 / Math.sqrt(squares);
	for (let i = 0; i < vector.length; i++) vector[i] = ((vector[i] as number) / largest) * factor;
}

function removeComponent(vector: Float64Array, unit: Float64Array): void {
	let overlap = 0;
	for (let i = 0; i < vector.length; i++) overlap += (vector[i] as number) * (unit[i] as number);
	for (let i = 0; i < vector.length; i++) vector[i] = (vector[i] as number) - overlap * (unit[i] as number);
}

/** Solves (T − λI)·x = b by elimination with row exchanges; a vanishing pivot is replaced by rounding error, which is what inverse iteration wants. */
class ShiftedSolver {
	readonly norm: number;
	private readonly pivots: Float64Array;
	private readonly first: Float64Array;
	private readonly second: Float64Array;
	private readonly multipliers: Float64Array;
	private readonly exchanged: Uint8Array;

	constructor(private readonly reduced: Tridiagonal) {
		const { size, diagonal, offDiagonal } = reduced;
		let norm = 0;
		for (let i = 0; i < size; i++) norm = Math.max(norm, Math.abs(diagonal[i] as number) + Math.abs(offDiagonal[i] as number));
		this.norm = norm;
		this.pivots = new Float64Array(size);
		this.first = new Float64Array(size);
		this.second = new Float64Array(size);
		this.multipliers = new Float64Array(size);
		this.exchanged = new Uint8Array(size);
	}

	factorize(shift: number): void {
		const { size, diagonal, offDiagonal } = this.reduced;
		const tiny = Number.EPSILON * (this.norm === 0 ? 1 : this.norm);
		let pivot = (diagonal[0] as number) - shift;
		let beside = size > 1 ? (offDiagonal[1] as number) : 0;
		for (let i = 0; i + 1 < size; i++) {
			const below = offDiagonal[i + 1] as number;
			const next = (diagonal[i + 1] as number) - shift;
			const after = i + 2 < size ? (offDiagonal[i + 2] as number) : 0;
			if (Math.abs(below) <= Math.abs(pivot)) {
				if (Math.abs(pivot) < tiny) pivot = tiny;
				const multiplier = below / pivot;
				this.keep(i, pivot, beside, 0, multiplier, 0);
				pivot = next - multiplier * beside;
				beside = after;
			} else {
				const multiplier = pivot / below;
				this.keep(i, below, next, after, multiplier, 1);
				pivot = beside - multiplier * next;
				beside = -multiplier * after;
			}
		}
		this.keep(size - 1, Math.abs(pivot) < tiny ? tiny : pivot, 0, 0, 0, 0);
	}

	private keep(i: number, pivot: number, first: number, second: number, multiplier: number, exchanged: number): void {
		this.pivots[i] = pivot;
		this.first[i] = first;
		this.second[i] = second;
		this.multipliers[i] = multiplier;
		this.exchanged[i] = exchanged;
	}

	/** Overwrites b with the solution. */
	solve(b: Float64Array): void {
		const { pivots, first, second, multipliers, exchanged } = this;
		const { size } = this.reduced;
		let here = b[0] as number;
		for (let i = 0; i + 1 < size; i++) {
			const below = b[i + 1] as number;
			const multiplier = multipliers[i] as number;
			if (exchanged[i] === 1) {
				b[i] = below;
				here -= multiplier * below;
			} else {
				b[i] = here;
				here = below - multiplier * here;
			}
		}
		b[size - 1] = here;
		let after = 0;
		let next = 0;
		for (let i = size - 1; i >= 0; i--) {
			const x = ((b[i] as number) - (first[i] as number) * next - (second[i] as number) * after) / (pivots[i] as number);
			b[i] = x;
			after = next;
			next = x;
		}
	}
}
