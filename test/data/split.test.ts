// The held-out share: disjoint, complete, by position alone, and without cutting short sequences.
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Piece } from "../../src/data/data.js";
import { LONG_PAIRS, LONG_TOKENS, type Side, splitOfPairs, splitOfTokens, splitPairs, splitPieces } from "../../src/data/split.js";
import { windows } from "../../src/data/windows.js";
import { all, dataOf, pair, piece, refusal } from "./support.js";

const SIDES: readonly Side[] = ["train", "validation", "test"];
const range = (from: number, to: number) => Array.from({ length: to - from }, (_, index) => from + index);

/** Ids of all sides; those of a side that has nothing are empty. */
async function sides(pieces: readonly Piece[], block: number, share: number): Promise<number[][]> {
	const read = async (side: Side) => {
		try {
			return (await all(splitPieces(dataOf(pieces), side, { block, share }).read())).flatMap(({ ids }) => [...ids]);
		} catch {
			return [];
		}
	};
	return [await read("train"), await read("validation"), await read("test")];
}

/** Runs of the given lengths whose ids are their positions in the whole. */
function consecutive(lengths: readonly number[]): number[][] {
	let end = 0;
	return lengths.map((length) => {
		end += length;
		return range(end - length, end);
	});
}

/** Sequences whose ids are their positions in the data; long ones in parts. */
const data = fc
	.array(fc.tuple(fc.integer({ min: 1, max: 30 }), fc.boolean()), { minLength: 1, maxLength: 25 })
	.map((list) => consecutive(list.map(([length]) => length)).map((ids, index) => piece(ids, index === 0 || list[index]?.[1] === true)));

describe("token data", () => {
	it("every_token_lies_on_exactly_one_side_in_its_order", async () => {
		await fc.assert(
			fc.asyncProperty(data, fc.integer({ min: 1, max: 20 }), fc.constantFrom(0.5, 0.25, 0.1), async (pieces, block, share) => {
				const own = await sides(pieces, block, share);
				const whole = pieces.flatMap(({ ids }) => [...ids]);
				expect(own.flat().sort((left, right) => left - right)).toEqual(whole);
				for (const side of own) expect(side).toEqual([...side].sort((left, right) => left - right));
			}),
		);
	});

	it("sequences_that_fit_a_block_are_never_cut", async () => {
		await fc.assert(
			fc.asyncProperty(data, async (pieces) => {
				const sequences = pieces.map(({ ids }) => ({ ids, starts: true }));
				for (const own of await sides(sequences, 30, 0.5)) {
					const members = new Set(own);
					for (const { ids } of sequences) expect(new Set([...ids].map((id) => members.has(id))).size).toBe(1);
				}
			}),
		);
	});

	it("of_a_stream_the_second_of_every_k_blocks_is_held_out_in_turns", async () => {
		const [train, validation, test] = await sides([piece(range(0, 25)), piece(range(25, 100), false)], 10, 0.25);
		expect(validation).toEqual([...range(10, 20), ...range(90, 100)]);
		expect(test).toEqual(range(50, 60));
		expect(train?.length).toBe(70);
	});

	it("does_not_depend_on_how_a_stream_is_cut_into_pieces", async () => {
		const split = (sizes: readonly number[]) =>
			sides(
				consecutive(sizes).map((ids, index) => piece(ids, index === 0)),
				10,
				0.25,
			);
		expect(await split([37, 63])).toEqual(await split([100]));
		expect(await split([11, 1, 8, 30, 50])).toEqual(await split([100]));
	});

	it("windows_do_not_reach_across_what_was_held_out", async () => {
		const stream = dataOf([piece(range(0, 160))]);
		for (const side of SIDES) {
			const cut = await all(windows(splitPieces(stream, side, { block: 10, share: 0.25 }).read(), { length: 16 }));
			for (const window of cut) expect([...window]).toEqual(range(window[0] ?? -1, (window[0] ?? -1) + window.length));
			expect(cut.length).toBeGreaterThan(1);
		}
	});

	it("little_data_has_all_sides", async () => {
		await fc.assert(
			fc.asyncProperty(fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 200, maxLength: 300 }), async (lengths) => {
				const pieces = consecutive(lengths).map((ids) => piece(ids));
				const size = lengths.reduce((sum, length) => sum + length, 0);
				const { share = Number.NaN, block = Number.NaN } = splitOfTokens(size);
				for (const side of await sides(pieces, block, share)) expect(side.length).toBeGreaterThanOrEqual(block);
			}),
		);
	});

	it("long_data_is_split_by_default", () => {
		expect(splitOfTokens(LONG_TOKENS)).toEqual({});
		expect(splitOfTokens(LONG_TOKENS - 1)).toEqual({ share: 0.2, block: 1024 });
	});

	it("too_little_is_refused", async () => {
		const short = dataOf([piece(range(0, 45))]);
		const whole = (side: Side) => all(splitPieces(short, side, splitOfTokens(45)).read());
		expect((await whole("validation"))[0]?.ids.length).toBe(8);
		expect(await refusal(() => whole("test"))).toBe("input: there is too little data for test; give more than 8 tokens");
	});

	it.each([0, -1, 0.6, Number.NaN])("a_share_of_%d_is_refused", async (share) => {
		expect(await refusal(() => splitPieces(dataOf([piece([1])]), "train", { share }))).toContain("usage: the held-out share");
	});
});

describe("pairs", () => {
	const pairs = range(0, 700).map((number) => pair([number], [number]));
	const numbers = async (side: Side) => (await all(splitPairs(dataOf(pairs), side).read())).map(({ source }) => source[0]);

	it("are_held_out_in_runs_of_16_one_of_20_by_default", async () => {
		const [validation, test, train] = [await numbers("validation"), await numbers("test"), await numbers("train")];
		expect(validation).toEqual([...range(16, 32), ...range(656, 672)]);
		expect(test).toEqual(range(336, 352));
		expect(new Set([...validation, ...test, ...train]).size).toBe(700);
		expect(train.length).toBe(700 - 48);
	});

	it("too_few_are_refused", async () => {
		const few = splitPairs(dataOf(pairs.slice(0, 16)), "validation");
		expect(await refusal(() => all(few.read()))).toContain("too little data for validation; give more than 16 pairs");
	});

	it.each([7, 20, 100, LONG_PAIRS - 1])("%d_pairs_have_all_sides", async (count) => {
		const some = dataOf(range(0, count).map((number) => pair([number], [number])));
		for (const side of SIDES) expect((await all(splitPairs(some, side, splitOfPairs(count)).read())).length).toBeGreaterThan(0);
	});
});
