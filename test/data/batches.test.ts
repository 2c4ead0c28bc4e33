// Windows, shuffling and batches: nothing is lost, doubled or unmasked, and memory stays bounded.
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
	NO_LABEL,
	nextTokens,
	type PairBatch,
	pairBatches,
	type Sequences,
	type TokenBatch,
	tokenBatches,
} from "../../src/data/batches.js";
import type { Pair } from "../../src/data/data.js";
import { shuffled } from "../../src/data/shuffle.js";
import { windows } from "../../src/data/windows.js";
import { uniform } from "../../src/random.js";
import { all, dataOf, pair, piece, refusal } from "./support.js";

const PAD = 99;
const sorted = (numbers: Iterable<number>) => [...numbers].sort((left, right) => left - right);
const sequence = fc.array(fc.nat(50), { minLength: 1, maxLength: 20 });
const ONE = () => 1;

/** The unmasked ids of the rows that hold anything. */
function contents({ ids, mask, length }: Sequences, rows: number): number[][] {
	return Array.from({ length: rows }, (_, row) => {
		const start = row * length;
		const count = mask.subarray(start, start + length).reduce((sum, bit) => sum + bit, 0);
		expect([...mask.subarray(start, start + length)]).toEqual(Array.from({ length }, (_, index) => (index < count ? 1 : 0)));
		expect([...ids.subarray(start + count, start + length)].every((id) => id === PAD)).toBe(true);
		return [...ids.subarray(start, start + count)];
	});
}

describe("windows", () => {
	const cut = async (lists: readonly (readonly number[])[], length: number, layout: "packed" | "separate") =>
		(await all(windows(dataOf(lists.map((ids) => piece(ids))).read(), { length, layout }))).map((ids) => [...ids]);

	it("packed_go_across_sequences_and_separate_do_not", async () => {
		const lists = [[1, 2, 3], [4], [5, 6]];
		expect(await cut(lists, 2, "packed")).toEqual([
			[1, 2],
			[3, 4],
			[5, 6],
		]);
		expect(await cut(lists, 2, "separate")).toEqual([[1, 2], [3], [4], [5, 6]]);
	});

	it("parts_of_one_sequence_go_on_where_the_last_ended", async () => {
		const parts = dataOf([piece([1, 2, 3]), piece([4, 5], false), piece([6])]);
		expect((await all(windows(parts.read(), { length: 4, layout: "separate" }))).map((ids) => [...ids])).toEqual([[1, 2, 3, 4], [5], [6]]);
	});

	it("hold_every_token_once_and_only_the_last_packed_one_is_short", async () => {
		await fc.assert(
			fc.asyncProperty(
				fc.array(sequence),
				fc.integer({ min: 1, max: 9 }),
				fc.constantFrom("packed" as const, "separate" as const),
				async (lists, length, layout) => {
					const all = await cut(lists, length, layout);
					expect(all.flat()).toEqual(lists.flat());
					for (const [index, window] of all.entries()) {
						expect(window.length).toBeGreaterThan(0);
						expect(window.length).toBeLessThanOrEqual(length);
						if (layout === "packed" && index < all.length - 1) expect(window.length).toBe(length);
					}
				},
			),
		);
	});
});

describe("shuffling", () => {
	const shuffle = (items: readonly number[], seed: number, capacity?: number) =>
		all(shuffled(dataOf(items).read(), { random: uniform(seed), size: ONE, capacity }));

	it("is_a_permutation_repeats_with_the_seed_and_holds_no_more_than_its_capacity", async () => {
		await fc.assert(
			fc.asyncProperty(fc.uniqueArray(fc.nat()), fc.nat(1000), fc.integer({ min: 0, max: 12 }), async (items, seed, capacity) => {
				const order = await shuffle(items, seed, capacity);
				expect(sorted(order)).toEqual(sorted(items));
				expect(await shuffle(items, seed, capacity)).toEqual(order);
				for (const [at, item] of order.entries()) expect(items.indexOf(item) - at).toBeLessThanOrEqual(capacity);
			}),
		);
	});

	it("another_seed_gives_another_order", async () => {
		const items = Array.from({ length: 50 }, (_, index) => index);
		expect(await shuffle(items, 1)).not.toEqual(await shuffle(items, 2));
		expect(await shuffle(items, 1)).not.toEqual(items);
	});

	it("every_order_of_what_fits_is_about_as_likely", async () => {
		const counts = new Map<string, number>();
		const random = uniform(7);
		const rounds = 6000;
		for (let round = 0; round < rounds; round++) {
			const order = (await all(shuffled(dataOf([1, 2, 3]).read(), { random, size: ONE }))).join();
			counts.set(order, (counts.get(order) ?? 0) + 1);
		}
		expect(counts.size).toBe(6);
		// Six times the standard deviation of a count, sqrt(6000 · 1/6 · 5/6) = 29.
		for (const count of counts.values()) expect(Math.abs(count - rounds / 6)).toBeLessThan(174);
	});

	it("reads_no_further_ahead_than_its_capacity", async () => {
		let read = 0;
		const items = (async function* () {
			for (; read < 1000; read++) yield read;
		})();
		const order = shuffled(items, { random: uniform(0), size: ONE, capacity: 10 });
		for (let taken = 1; taken <= 20; taken++) {
			await order.next();
			expect(read).toBeLessThanOrEqual(taken + 10);
		}
	});
});

describe("token batches", () => {
	const batches = (lists: readonly (readonly number[])[], options: { batch: number; length: number; random?: () => number }) =>
		all(tokenBatches(dataOf(lists.map((ids) => piece(ids))), { pad: PAD, ...options }));

	it("cover_every_token_exactly_once_shuffled_or_not", async () => {
		await fc.assert(
			fc.asyncProperty(
				fc.array(sequence),
				fc.integer({ min: 1, max: 4 }),
				fc.integer({ min: 1, max: 7 }),
				fc.option(fc.nat(99)),
				async (lists, batch, length, seed) => {
					const options = seed === null ? { batch, length } : { batch, length, random: uniform(seed) };
					const made = await batches(lists, options);
					const rows = made.flatMap((one: TokenBatch) => contents(one, one.rows));
					expect(sorted(rows.flat())).toEqual(sorted(lists.flat()));
					if (seed === null) expect(rows.flat()).toEqual(lists.flat());
					for (const [index, one] of made.entries()) {
						expect([one.ids.length, one.mask.length]).toEqual([batch * length, batch * length]);
						expect(one.tokens).toBe(contents(one, one.rows).flat().length);
						if (index < made.length - 1) expect(one.rows).toBe(batch);
					}
				},
			),
		);
	});

	it("rows_without_tokens_attend_to_one_padding_and_have_no_label", async () => {
		const [only] = await batches([[1, 2, 3]], { batch: 3, length: 3 });
		if (only === undefined) throw new Error("no batch");
		expect([...only.mask]).toEqual([1, 1, 1, 1, 0, 0, 1, 0, 0]);
		expect([...only.ids.subarray(3)]).toEqual([PAD, PAD, PAD, PAD, PAD, PAD]);
		expect([...nextTokens(only)]).toEqual([2, 3, ...Array<number>(7).fill(NO_LABEL)]);
		expect([only.rows, only.tokens]).toEqual([1, 3]);
	});

	it("labels_are_the_next_tokens_within_a_window", async () => {
		const [only] = await batches([[1, 2, 3, 4, 5]], { batch: 2, length: 3 });
		if (only === undefined) throw new Error("no batch");
		expect([...nextTokens(only)]).toEqual([2, 3, NO_LABEL, 5, NO_LABEL, NO_LABEL]);
	});
});

describe("pair batches", () => {
	const START = 77;
	const batches = (
		pairs: readonly Pair[],
		shapes: readonly { batch: number; source: number; target: number }[],
		onTooLong?: (pair: Pair) => void,
	) => all(pairBatches(dataOf(pairs), { shapes, pad: PAD, decoderStart: START, onTooLong }));

	it("shift_the_target_behind_the_decoders_start", async () => {
		const [only] = await batches([pair([5, 6, 0], [7, 8, 0])], [{ batch: 2, source: 4, target: 4 }]);
		if (only === undefined) throw new Error("no batch");
		expect([...only.source.ids.subarray(0, 4)]).toEqual([5, 6, 0, PAD]);
		expect([...only.decoder.ids.subarray(0, 4)]).toEqual([START, 7, 8, PAD]);
		expect([...only.labels]).toEqual([7, 8, 0, ...Array<number>(5).fill(NO_LABEL)]);
		expect([...only.source.mask]).toEqual([1, 1, 1, 0, 1, 0, 0, 0]);
		expect([only.rows, only.tokens]).toEqual([1, 3]);
	});

	it("hold_every_pair_that_fits_once_in_the_smallest_shape_and_tell_of_the_others", async () => {
		const shapes = [
			{ batch: 3, source: 4, target: 4 },
			{ batch: 2, source: 9, target: 8 },
		];
		const list = fc.array(
			fc.tuple(fc.array(fc.nat(50), { minLength: 1, maxLength: 11 }), fc.array(fc.nat(50), { minLength: 1, maxLength: 11 })),
		);
		await fc.assert(
			fc.asyncProperty(list, async (lists) => {
				const fits = lists.filter(([source, target]) => source.length <= 9 && target.length <= 8);
				fc.pre(fits.length > 0);
				const left: Pair[] = [];
				const made = await batches(
					lists.map(([source, target]) => pair(source, target)),
					shapes,
					(one) => left.push(one),
				);
				const rows = made.flatMap(({ source, labels, decoder, rows: count }: PairBatch) =>
					contents(source, count).map((ids, row) => {
						const target = [...labels.subarray(row * decoder.length, (row + 1) * decoder.length)].filter((id) => id !== NO_LABEL);
						if (ids.length <= 4 && target.length <= 4) expect(source.length).toBe(4);
						return JSON.stringify([ids, target]);
					}),
				);
				expect(rows.sort()).toEqual(fits.map((sides) => JSON.stringify(sides)).sort());
				expect(left.length).toBe(lists.length - fits.length);
			}),
		);
	});

	it("refuse_data_in_which_nothing_fits", async () => {
		expect(await refusal(() => batches([pair([1, 2], [1])], [{ batch: 1, source: 1, target: 1 }]))).toContain(
			"every pair is longer than a batch",
		);
	});
});
