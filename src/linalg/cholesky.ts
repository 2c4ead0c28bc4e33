// Cholesky factors and triangular solves in float64, for the metric of the whitened closed form.
import { DistembError } from "../errors.js";

/**
 * L with L·Lᵀ = G + ridge·tr(G)/d·I for the symmetric d×d `metric` (only its lower triangle is read); lower triangular, zeros above.
 * Should rounding have made G indefinite, the ridge grows tenfold until the factor exists. Throws `internal` if G is zero or not finite.
 */
export function ridgedCholesky(metric: Float64Array, size: number, ridge: number): Float64Array {
	if (metric.length !== size * size) throw new DistembError("internal", `a metric of ${metric.length} values is not ${size}×${size}`);
	let trace = 0;
	for (let i = 0; i < size; i++) trace += metric[i * size + i] as number;
	if (!(trace > 0 && trace < Number.POSITIVE_INFINITY))
		throw new DistembError("internal", `the trace of the metric is ${trace}; it must be positive`);
	for (let part = ridge; part <= 1; part = Math.max(part * 10, 1e-14)) {
		const factor = cholesky(metric, size, (part * trace) / size);
		if (factor !== undefined) return factor;
	}
	throw new DistembError("internal", "the metric is not positive semidefinite");
}

/** L with L·Lᵀ = A + shift·I, or undefined if that is not positive definite. */
function cholesky(a: Float64Array, size: number, shift: number): Float64Array | undefined {
	const l = new Float64Array(size * size);
	for (let i = 0; i < size; i++) {
		const rowI = l.subarray(i * size, i * size + i + 1);
		for (let j = 0; j <= i; j++) {
			const rowJ = l.subarray(j * size, j * size + j + 1);
			let sum = (a[i * size + j] as number) + (i === j ? shift : 0);
			for (let k = 0; k < j; k++) sum -= (rowI[k] as number) * (rowJ[k] as number);
			if (i !== j) rowI[j] = sum / (rowJ[j] as number);
			else if (sum > 0) rowI[i] = Math.sqrt(sum);
			else return undefined;
		}
	}
	return l;
}

/** Replaces each row y of `rows` (count×size) by y·L⁻¹. */
export function solveRows(l: Float64Array, size: number, rows: Float64Array, count: number): void {
	for (let index = 0; index < count; index++) {
		const y = rows.subarray(index * size, (index + 1) * size);
		for (let j = size - 1; j >= 0; j--) {
			const line = l.subarray(j * size, j * size + j + 1);
			const solved = (y[j] as number) / (line[j] as number);
			y[j] = solved;
			for (let i = 0; i < j; i++) y[i] = (y[i] as number) - solved * (line[i] as number);
		}
	}
}

/** Replaces each row y of `rows` (count×size) by y·L⁻ᵀ. */
export function solveRowsTransposed(l: Float64Array, size: number, rows: Float64Array, count: number): void {
	for (let index = 0; index < count; index++) {
		const y = rows.subarray(index * size, (index + 1) * size);
		for (let j = 0; j < size; j++) {
			const line = l.subarray(j * size, j * size + j + 1);
			let sum = y[j] as number;
			for (let i = 0; i < j; i++) sum -= (y[i] as number) * (line[i] as number);
			y[j] = sum / (line[j] as number);
		}
	}
}
