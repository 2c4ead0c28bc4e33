// A share of the data is held out for validation and test, by position alone: the same for every seed, batch and length.
import { DistembError } from "../errors.js";
import type { Data, Pair, Piece } from "./data.js";

export type Side = "train" | "validation" | "test";

export interface SplitOptions {
	/**
	 * Share that is held out, above 0 and at most 0.5; default 0.05. One block of every round(1 / share) is, in turns for
	 * validation and for test.
	 */
	readonly share?: number | undefined;
	/** Size of a block, in tokens (default 1024) or pairs (default 16). Blocks keep neighbours, which resemble each other, together. */
	readonly block?: number | undefined;
}

const SHARE = 0.05;
const TOKENS_PER_BLOCK = 1024;
const PAIRS_PER_BLOCK = 16;

/** Held out is the second of every `every` blocks: the beginning of a file (titles, licences) trains. */
function sideOf(block: number, every: number): Side {
	if (block % every !== 1 % every) return "train";
	return Math.floor(block / every) % 2 === 0 ? "validation" : "test";
}

/** Blocks of little data: with every fifth held out, 7 are enough for all sides, and overfull blocks are less than twice as many. */
const FEW = { share: 0.2, blocks: 14 } as const;

/** A block of fewer tokens predicts next to nothing. */
const LEAST_TOKENS = 8;

/** From this many blocks on the default share leaves enough for validation and test. */
const MANY = 2 * Math.ceil(2 / SHARE);

/** Tokens and pairs beyond which data need not be counted any further: the default split fits it. */
export const LONG_TOKENS = MANY * TOKENS_PER_BLOCK;
export const LONG_PAIRS = MANY * PAIRS_PER_BLOCK;

/**
 * Share and block under which `size` tokens give something to every side: the default ones, or smaller blocks.
 * What is too little even so is refused when a side is read.
 */
export function splitOfTokens(size: number): SplitOptions {
	return size >= LONG_TOKENS ? {} : few(size, TOKENS_PER_BLOCK, LEAST_TOKENS);
}

/** The same for pairs. */
export function splitOfPairs(size: number): SplitOptions {
	return size >= LONG_PAIRS ? {} : few(size, PAIRS_PER_BLOCK, 1);
}

function few(size: number, most: number, least: number): SplitOptions {
	return { share: FEW.share, block: Math.min(most, Math.max(least, Math.floor(size / FEW.blocks))) };
}

function everyOf({ share = SHARE }: SplitOptions): number {
	if (!(share > 0 && share <= 0.5))
		throw new DistembError("usage", "the held-out share must be above 0 and at most 0.5", { hint: "0.05 is usual" });
	return Math.round(1 / share);
}

function nothing(side: Side, least: string): DistembError {
	return new DistembError("input", `there is too little data for ${side === "train" ? "training" : side}`, {
		hint: `give more than ${least}`,
	});
}

/**
 * One side of a split of token data. Blocks are counted over the whole data. A block ends with its last token, or, where
 * sequences are shorter than a block, with the sequence that fills it: those are never cut.
 * @throws DistembError `input` at the end of a pass that gave nothing
 */
export function splitPieces(data: Data<Piece>, side: Side, options: SplitOptions = {}): Data<Piece> {
	const every = everyOf(options);
	const { block: size = TOKENS_PER_BLOCK } = options;
	return {
		async *read(signal) {
			let block = 0;
			let filled = 0;
			let given = false;
			let gap = false;
			for await (const { ids, starts, afterGap = false } of data.read(signal)) {
				const uncut = starts && ids.length <= size;
				for (let start = 0; start < ids.length; ) {
					if (filled >= size) {
						block++;
						filled = 0;
					}
					const end = uncut ? ids.length : Math.min(ids.length, start + size - filled);
					const wanted = sideOf(block, every) === side;
					if (wanted) yield piece(ids.subarray(start, end), starts && start === 0, gap || (afterGap && start === 0));
					given ||= wanted;
					// What lies before the first piece is no gap: it has no context anyway.
					gap = given && !wanted;
					filled += end - start;
					start = end;
				}
			}
			if (!given) throw nothing(side, `${size} tokens`);
		},
	};
}

function piece(ids: Int32Array, starts: boolean, afterGap: boolean): Piece {
	return afterGap ? { ids, starts, afterGap } : { ids, starts };
}

/** One side of a split of pairs. @throws DistembError `input` at the end of a pass that gave nothing */
export function splitPairs(data: Data<Pair>, side: Side, options: SplitOptions = {}): Data<Pair> {
	const every = everyOf(options);
	const { block: size = PAIRS_PER_BLOCK } = options;
	return {
		async *read(signal) {
			let number = 0;
			let given = false;
			for await (const pair of data.read(signal)) {
				if (sideOf(Math.floor(number++ / size), every) !== side) continue;
				given = true;
				yield pair;
			}
			if (!given) throw nothing(side, `${size} pairs`);
		},
	};
}
