// What every reader of training and test data gives: runs of token ids, or pairs of sequences, read as often as wanted.
import { DistembError } from "../errors.js";

/** Data that can be read from its beginning any number of times; memory stays bounded however long it is. */
export interface Data<T> {
	/** A fresh pass over the data. Throws `input` where it is broken, `interrupted` if `signal` says so. */
	readonly read: (signal?: AbortSignal) => AsyncGenerator<T>;
}

/** A run of token ids: a whole sequence, or part of a long one. */
export interface Piece {
	readonly ids: Int32Array;
	/** True if a sequence begins here; false if the previous piece goes on. */
	readonly starts: boolean;
	/** Set if data in between was left out (see split.ts): what came before is no context of this. */
	readonly afterGap?: boolean | undefined;
}

/** A source sentence and its translation, both with their closing `</s>` as the model wants them. */
export interface Pair {
	readonly source: Int32Array;
	readonly target: Int32Array;
	/** The target as its file has it, where that is text: what translations are scored against. */
	readonly text?: string | undefined;
}

/** Checks ids that come from a file. */
export interface IdCheck {
	/** Rows of the vocabulary; undefined: any id is fine. */
	readonly rows: number | undefined;
	/** File, or file:line. */
	readonly at: string;
	/** Position of the first of these ids in its file or line. */
	readonly position?: number | undefined;
}

/**
 * Token ids as whole numbers of the vocabulary.
 * @throws DistembError `input` that names file (and line) and position of the first value that is none
 */
export function checkedIds(values: ArrayLike<unknown>, { rows = 2 ** 31, at, position = 0 }: IdCheck): Int32Array {
	const ids = new Int32Array(values.length);
	for (let index = 0; index < values.length; index++) {
		const value = values[index];
		const where = `at position ${position + index}`;
		if (typeof value !== "number" || !Number.isInteger(value) || value < 0)
			throw new DistembError("input", `${JSON.stringify(value)} ${where} is no token id`, {
				at,
				hint: "token ids are whole numbers from 0",
			});
		if (value >= rows)
			throw new DistembError("input", `token id ${value} ${where} is beyond the vocabulary of ${rows} rows`, {
				at,
				hint: "the data must come from this model's tokenizer",
			});
		ids[index] = value;
	}
	return ids;
}

/** The first item of a pass, which is then ended. */
export async function firstOf<T>(items: AsyncGenerator<T>): Promise<T | undefined> {
	for await (const item of items) return item;
	return undefined;
}

/**
 * Keeps the tokens of the first whole pass in memory if they are at most `limit` (default 16 million: 64 MB), so that text is
 * tokenized once and not once per epoch. Longer data is read anew each time.
 */
export function remembered<T>(data: Data<T>, size: (item: T) => number, limit = 2 ** 24): Data<T> {
	let kept: readonly T[] | undefined;
	let tooLong = false;
	return {
		async *read(signal) {
			if (kept !== undefined) return yield* kept;
			const seen: T[] = [];
			let tokens = 0;
			for await (const item of data.read(signal)) {
				tokens += size(item);
				if (tokens > limit) {
					tooLong = true;
					seen.length = 0;
				}
				if (!tooLong) seen.push(item);
				yield item;
			}
			if (!tooLong) kept = seen;
		},
	};
}

/** Tokens of a piece; for {@link remembered}. */
export function pieceTokens({ ids }: Piece): number {
	return ids.length;
}

/** Tokens of both sides of a pair. */
export function pairTokens({ source, target }: Pair): number {
	return source.length + target.length;
}

/** Occurrences of each of `rows` token ids; for frequency bins and for weights. */
export async function countTokens(sequences: AsyncIterable<Int32Array>, rows: number): Promise<Float64Array> {
	const counts = new Float64Array(rows);
	for await (const ids of sequences) for (const id of ids) counts[id] = (counts[id] ?? 0) + 1;
	return counts;
}
