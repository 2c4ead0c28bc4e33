// Shuffling in bounded memory.

export interface ShuffleOptions<T> {
	/** Uniform numbers in [0, 1), seeded: the same numbers give the same order. */
	readonly random: () => number;
	/** Tokens of an item. */
	readonly size: (item: T) => number;
	/** Tokens that may be held; default 16 million (64 MB). Data within it is shuffled wholly, every order as likely. */
	readonly capacity?: number | undefined;
}

/**
 * The same items in another order. Of data beyond the capacity, each item that is read pushes out one of those held, at random:
 * none comes more than the capacity too early, and most not much later.
 */
export async function* shuffled<T>(items: AsyncIterable<T>, options: ShuffleOptions<T>): AsyncGenerator<T> {
	const { random, size, capacity = 2 ** 24 } = options;
	const pool: T[] = [];
	let held = 0;
	for await (const item of items) {
		pool.push(item);
		held += size(item);
		while (held > capacity) {
			for (const drawn of draw(pool, random)) {
				held -= size(drawn);
				yield drawn;
			}
		}
	}
	while (pool.length > 0) yield* draw(pool, random);
}

/** Takes one item out of the pool. */
function draw<T>(pool: T[], random: () => number): T[] {
	const last = pool.pop();
	if (last === undefined) return [];
	const index = Math.floor(random() * (pool.length + 1));
	return index === pool.length ? [last] : pool.splice(index, 1, last);
}
