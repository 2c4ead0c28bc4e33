// What a loss or a validation says about a training: whether it goes wrong, no longer improves, or is over.

/** A loss so many times the first, and so many nats above, is a divergence: near the original, and when rounding begins, it rises many times. */
const DIVERGED = { times: 3, nats: 1 } as const;

/** A validation so many times the best is no noise: the rate is too high for a student that is already so near. */
const WORSE = 1.25;

/** After so many validations without a better one the rate is halved; … */
const PATIENCE = 4;

/** … after so many in a row the training ends. */
const MOST_STALE = 3 * PATIENCE;

/** After so many rollbacks nothing will come of it. */
const MOST_ROLLBACKS = 8;

export function isDivergence(loss: number, first: number): boolean {
	return !(loss <= DIVERGED.times * first + DIVERGED.nats);
}

export function isWorse(validation: number, best: number): boolean {
	return validation > WORSE * best;
}

/**
 * The rate no longer helps: a lower one mostly does. One that has never helped is known by the first validation.
 * @param stale validations since the last that was better
 * @param updates steps that the best is away from the start
 */
export function isStale(stale: number, updates: number): boolean {
	return stale > 0 && stale % (updates === 0 ? 1 : PATIENCE) === 0 && !isOnPlateau(stale);
}

export function isOnPlateau(stale: number): boolean {
	return stale >= MOST_STALE;
}

export function isHopeless(rollbacks: number): boolean {
	return rollbacks >= MOST_ROLLBACKS;
}
