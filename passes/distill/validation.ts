// How much of the validation part is looked at, and how often: all rounds together take about a tenth of the training.

/** Share of the training that validation may take. */
export const VALIDATION_SHARE = 0.1;

/** Rounds in the course of a budget. */
export const ROUNDS = { most: 20, least: 4 } as const;

/** Positions of one round. */
const POSITIONS = { most: 4096, least: 512 } as const;

/** Logits of one round at most, but for the fewest positions. */
const MOST_LOGITS = 2 ** 26;

/** Forward passes of student and original beside a step, which has the backward pass too. */
const COST = 0.5;

export interface Extent {
	readonly positions: number;
	/** Fixed, so that bytes repeat; where the clock decides, the most. */
	readonly rounds: number;
}

/**
 * Decided by numbers alone, not by the clock.
 * @param width of the logits or states
 * @param trained positions that all steps together learn from; undefined: as many as the clock allows
 */
export function extentOf(width: number, trained: number | undefined): Extent {
	const most = within(POSITIONS.least, MOST_LOGITS / width, POSITIONS.most);
	if (trained === undefined) return { positions: most, rounds: ROUNDS.most };
	const all = (VALIDATION_SHARE / COST) * trained;
	const positions = within(POSITIONS.least, all / (2 * ROUNDS.least), most);
	return { positions, rounds: within(ROUNDS.least, all / positions, ROUNDS.most) };
}

function within(least: number, value: number, most: number): number {
	return Math.max(least, Math.min(most, Math.floor(value)));
}
