// Repeatable random numbers.

/** Repeatable numbers in [0, 1). Source: mulberry32. */
export function randomUniform(seed: number): () => number {
	let state = seed >>> 0;
	return () => {
		state = (state + 0x6d2b79f5) >>> 0;
		let mixed = Math.imul(state ^ (state >>> 15), state | 1);
		mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
		return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
	};
}

/** Repeatable standard normal numbers. Source: Box and Muller 1958. */
export function randomNormal(seed: number): () => number {
	const uniform = randomUniform(seed);
	return () => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform());
}
