// Repeatable choices for the fuzzer: the same seed makes the same case.
import fc from "fast-check";
import { seedFor, uniform } from "../../src/random.js";

export class Dice {
	readonly #next: () => number;
	readonly seed: number;

	constructor(seed: number, name = "") {
		this.seed = seedFor(seed, name);
		this.#next = uniform(this.seed);
	}

	/** A whole number from 0 to `below` − 1. */
	below(below: number): number {
		return Math.floor(this.#next() * below);
	}

	/** A whole number from `least` to `most`, small ones more often: its logarithm is uniform. */
	size(least: number, most: number): number {
		return Math.min(most, Math.floor(least * ((most + 1) / least) ** this.#next()));
	}

	chance(probability: number): boolean {
		return this.#next() < probability;
	}

	pick<T>(items: readonly T[]): T {
		const item = items[this.below(items.length)];
		if (item === undefined) throw new Error("nothing to pick from");
		return item;
	}

	/** One value of a fast-check arbitrary. */
	sample<T>(arbitrary: fc.Arbitrary<T>): T {
		const [value] = fc.sample(arbitrary, { seed: this.below(2 ** 31), numRuns: 1 });
		return value as T; // numRuns is 1
	}
}
