// What calibration says about errors of the table: which rows matter, and in which directions; the objective of the closed form.
import { ridgedCholesky } from "../../src/linalg/cholesky.js";
import { objectiveOf, termsOf } from "../../src/linalg/objective.js";
import type { Calibration, Side } from "../../src/state.js";

export interface Metric {
	/** How much each row matters, [V]; sums to 1. */
	readonly frequency: Float32Array;
	/** Root A of G = A Aᵀ, d×d row-major. Undefined: G = I. */
	readonly root: Float32Array | undefined;
}

/** Added to G's diagonal, as a share of its mean (math.md §3). */
const RIDGE = 1e-3;

/** The weights and the metric that the factors of `side` were reconstructed in; undefined if the calibration knows nothing of it. */
export function metricOf(calibration: Calibration, side: Side): Metric | undefined {
	const { cols } = calibration.vocabulary.table;
	const objective = objectiveOf(termsOf(calibration, side), cols);
	if (objective === undefined) return undefined;
	const { rowWeights, metric } = objective;
	return { frequency: rowWeights, root: metric && Float32Array.from(ridgedCholesky(metric, cols, RIDGE)) };
}
