// The scales that rows of U may have, so that a byte names one.
import { fromFloat16, toFloat16 } from "../ir/elements.js";
import { BYTE_VALUES } from "./precision.js";

/** Scales in an octave: neighbours are 4.4 % apart, less than a row's error at 4 bits and more. */
const PER_OCTAVE = 16;

/** 0, then ever larger ones. Numbers are divided by the very scale that they are multiplied by later, so that its coarseness costs nothing. */
export interface ScaleGrid {
	/** Exact in float16. */
	readonly values: Float32Array;
	/** Number of the scale that is nearest, counted in octaves; 0 for what is not positive or far too small. */
	codeOf(scale: number): number;
}

/** @param largest no scale is larger; those below its 2⁻¹⁵·⁹th become 0 */
export function scaleGrid(largest: number): ScaleGrid {
	const last = BYTE_VALUES - 1;
	const values = Float32Array.from({ length: BYTE_VALUES }, (_, code) =>
		code === 0 ? 0 : fromFloat16(toFloat16(largest * 2 ** ((code - last) / PER_OCTAVE))),
	);
	return {
		values,
		codeOf: (scale) => (scale > 0 ? Math.max(0, Math.min(last, last + Math.round(PER_OCTAVE * Math.log2(scale / largest)))) : 0),
	};
}
