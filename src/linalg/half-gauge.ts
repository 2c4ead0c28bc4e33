// The free scale between two factors, chosen so that float16 holds both.

/** Largest finite float16. */
const LARGEST = 65504;

/** A factor whose largest entry is smaller is not stored: subnormal numbers are 2⁻²⁴ apart, so this one still has ten bits. */
const LEAST = 2 ** -14;

/** Room that a scale leaves where there is a choice: entries well below the largest have all their bits. */
const ROOM = { most: LARGEST / 2, least: 2 ** -10 } as const;

/**
 * U·W = (U·s)·(W/s): a power of two s for which float16 holds U·s and W/s; rounding is not touched by it.
 * @param left largest magnitude in U; @param right in W; @param wanted the scale to take if there is room around both
 * @returns undefined if there is none: the product is too large, or too small, for factors in float16
 */
export function halfGauge(left: number, right: number, wanted: number): number | undefined {
	if (left === 0 || right === 0) return wanted;
	const lies = (most: number, { least, most: limit }: { least: number; most: number }) => most >= least && most <= limit;
	if (lies(left * wanted, ROOM) && lies(right / wanted, ROOM)) return wanted;
	const gauge = 2 ** Math.round((Math.log2(right) - Math.log2(left)) / 2);
	const range = { least: LEAST, most: LARGEST };
	return lies(left * gauge, range) && lies(right / gauge, range) ? gauge : undefined;
}
