// What calibration says about errors of the table: which rows matter, and in which directions.
import { ridgedCholesky } from "../../src/linalg/cholesky.js";
import type { Calibration } from "../../src/state.js";

export interface Metric {
	/** How much each row matters, [V]; any scale. */
	readonly frequency: Float64Array;
	/** Root A of G = A Aᵀ, d×d row-major. Undefined: G = I. */
	readonly root: Float32Array | undefined;
}

/** Added to G's diagonal, as a share of its mean (math.md §3). */
const RIDGE = 1e-3;

/** One metric for both sides: G = (Σq) M + (ΣD) C, rows weighted by what both sides lose in them (math.md §3). */
export function metricOf({ frequency, gradientMoment, spread, hiddenMoment, vocabulary }: Calibration): Metric {
	const { rows, cols } = vocabulary.table;
	const sides = [
		{ weights: frequency, moment: gradientMoment },
		{ weights: spread, moment: hiddenMoment },
	];
	const total = new Float64Array(rows);
	const metric = new Float64Array(cols * cols);
	let known = false;
	for (const { weights, moment } of sides) {
		if (weights === undefined) continue;
		const sum = weights.reduce((all, weight) => all + weight, 0);
		const trace = moment === undefined ? cols : traceOf(moment, cols);
		for (let row = 0; row < rows; row++) total[row] = (total[row] ?? 0) + trace * (weights[row] ?? 0);
		for (let at = 0; at < metric.length; at++) metric[at] = (metric[at] ?? 0) + sum * (moment?.[at] ?? Number(at % (cols + 1) === 0));
		known ||= moment !== undefined;
	}
	return { frequency: total, root: known ? Float32Array.from(ridgedCholesky(metric, cols, RIDGE)) : undefined };
}

function traceOf(moment: Float64Array, size: number): number {
	let trace = 0;
	for (let at = 0; at < size; at++) trace += moment[at * (size + 1)] ?? 0;
	return trace;
}
