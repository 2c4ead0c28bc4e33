// Pairs for a comparison: as many as asked for, with the references as their file has them.
import type { Pair } from "../data/data.js";
import { openPairs } from "../data/pairs.js";
import type { TextTokenizer } from "../data/tokenizer.js";
import { DistembError } from "../errors.js";

export interface ReferencePair extends Pair {
	/** The target as its file has it; undefined where the file holds ids. */
	readonly text: string | undefined;
}

export interface PairsRead {
	readonly pairs: readonly ReferencePair[];
	/** Stopped because as many as were asked for have been read. */
	readonly limited: boolean;
}

export interface PairsWanted {
	readonly limit: number;
	readonly sourceRows: number | undefined;
	readonly targetRows: number | undefined;
	readonly tokenizer: TextTokenizer | undefined;
	readonly signal?: AbortSignal | undefined;
}

/** @throws DistembError `input` if the data is broken or holds no pairs */
export async function readPairs(files: readonly string[], wanted: PairsWanted): Promise<PairsRead> {
	const { limit, sourceRows, targetRows, tokenizer, signal } = wanted;
	// Targets are encoded right before their pair is handed over; what was encoded last is this pair's text.
	let text: string | undefined;
	const targetTokenizer = tokenizer && {
		...tokenizer,
		sentence: (sentence: string) => {
			text = sentence;
			return tokenizer.sentence(sentence);
		},
	};
	const data = await openPairs(files, { rows: sourceRows, targetRows, tokenizer, targetTokenizer });
	const pairs: ReferencePair[] = [];
	text = undefined;
	for await (const pair of data.read(signal)) {
		pairs.push({ ...pair, text });
		text = undefined;
		if (pairs.length === limit) return { pairs, limited: true };
	}
	if (pairs.length === 0) throw new DistembError("input", "holds no pairs", { at: files[0], hint: "give data with translations" });
	return { pairs, limited: false };
}
