// The learning rate of each step: a linear warm-up, then half a cosine.

export interface Schedule {
	/** Highest learning rate. */
	readonly rate: number;
	/** Steps in all. */
	readonly steps: number;
	/** Share of the steps in which the rate rises from 0. */
	readonly warmUp: number;
	/** Rate that the decay reaches one step after the last, as a share of the highest. */
	readonly end: number;
}

export const SCHEDULE_DEFAULTS = { warmUp: 0.03, end: 0 } as const satisfies Partial<Schedule>;

/** Rate of step number `step`, counted from 1; beyond the last it is the end's. Cosine decay: Loshchilov and Hutter 2017. */
export function rateAt({ rate, steps, warmUp, end }: Schedule, step: number): number {
	const rising = Math.ceil(warmUp * steps);
	if (step <= rising) return (rate * step) / rising;
	const done = Math.min(1, (step - rising) / (steps + 1 - rising));
	return rate * (end + ((1 - end) * (1 + Math.cos(Math.PI * done))) / 2);
}
