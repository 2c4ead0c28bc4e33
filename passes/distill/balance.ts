// The gauge of the factors: (U, W) and (UT, T⁻¹W) are the same table, but not the same to Adam.
import type { FactorParameter } from "../../src/training/factors.js";

/**
 * Scales each column of U and row of W, in place, so that both have the same root mean square: a step of one size then changes
 * both alike. The product stays, up to rounding; so do signs.
 * @param exact the same but for a factor of √2, by powers of two: nothing is rounded
 * @returns what each column of U was multiplied by
 */
export function balance(left: FactorParameter, right: FactorParameter, rank: number, exact = false): Float64Array {
	const scales = new Float64Array(rank).fill(1);
	const [u, w] = [columnsOf(left, rank), columnsOf(right, rank)];
	for (let k = 0; k < rank; k++) {
		const [size, other] = [u.norm(k), w.norm(k)];
		if (!(size > 0 && other > 0)) continue;
		const root = Math.sqrt(other / size);
		const scale = exact ? 2 ** Math.round(Math.log2(root)) : root;
		scales[k] = scale;
		u.scale(k, scale);
		w.scale(k, 1 / scale);
	}
	return scales;
}

/** The slices of an array along its axis of size `rank`: columns of U and of Wᵀ, rows of W and of Uᵀ. */
function columnsOf({ initial, dims, factor, stored }: FactorParameter, rank: number) {
	const first = (factor === "left") === stored.role.endsWith("T");
	const length = initial.length / rank;
	const [start, step] = first ? [dims[1] ?? 1, 1] : [1, rank];
	return {
		norm: (k: number) => {
			let sum = 0;
			for (let index = 0; index < length; index++) sum += (initial[k * start + index * step] as number) ** 2;
			return Math.sqrt(sum / length);
		},
		scale: (k: number, by: number) => {
			for (let index = 0; index < length; index++) {
				const at = k * start + index * step;
				initial[at] = (initial[at] as number) * by;
			}
		},
	};
}
