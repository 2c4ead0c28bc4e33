// Weights of tokens when there is no text: they fall with the id, since byte-pair merges are numbered close to frequency order.
import type { Calibration, Vocabulary } from "../../src/state.js";

/** Zipf's law as Mandelbrot has it: frequency ∝ 1 / (rank + 2.7). */
const SHIFT = 2.7;

/** Both sides alike, one read and one prediction per token; no moments, which stand for the identity. */
export function idOrder(vocabulary: Vocabulary): Calibration {
	const weights = Float64Array.from({ length: vocabulary.table.rows }, (_, id) => 1 / (id + SHIFT));
	const total = weights.reduce((sum, weight) => sum + weight, 0);
	const shares = weights.map((weight) => weight / total);
	return {
		vocabulary,
		frequency: vocabulary.lookups.length > 0 ? shares : undefined,
		gradientMoment: undefined,
		spread: vocabulary.projections.length > 0 ? shares : undefined,
		hiddenMoment: undefined,
		tokens: 0,
		counted: 0,
		source: "id order",
	};
}
