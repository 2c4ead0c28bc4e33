// Repeatable random numbers: the same seed gives the same numbers on every machine.

/** Uniform numbers in [0, 1): mulberry32. */
export function uniform(seed: number): () => number {
	let state = seed >>> 0;
	return () => {
		state = (state + 0x6d2b79f5) >>> 0;
		let mixed = Math.imul(state ^ (state >>> 15), state | 1);
		mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
		return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
	};
}

/** Normal numbers of mean 0 and variance 1 (Box and Muller). */
export function normal(seed: number): () => number {
	const next = uniform(seed);
	return () => Math.sqrt(-2 * Math.log(1 - next())) * Math.cos(2 * Math.PI * next());
}

/** A seed of its own for each `name` (FNV-1a), so that one more input does not change the numbers of the others. */
export function seedFor(seed: number, name: string): number {
	let hash = (0x811c9dc5 ^ seed) >>> 0;
	for (let index = 0; index < name.length; index++) hash = Math.imul(hash ^ name.charCodeAt(index), 0x01000193) >>> 0;
	return hash;
}
