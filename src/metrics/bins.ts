// Tokens by frequency: head, torso, tail and unseen, with boundaries from token counts.

export const BINS = ["head", "torso", "tail", "unseen"] as const;
export type BinName = (typeof BINS)[number];

/** Where the bins end, as shares of all occurrences. */
export interface BinShares {
	/** Default 0.5: the head is the fewest most frequent tokens that make up half of the text. */
	readonly head: number;
	/** Default 0.9: with the torso it is nine tenths; the tail is every other token that occurs. */
	readonly torso: number;
}

export const BIN_SHARES: BinShares = { head: 0.5, torso: 0.9 };

export interface FrequencyBins {
	/** Bin of each token id, an index into {@link BINS}. */
	readonly ofToken: Uint8Array;
	/** Tokens (rows of the vocabulary) per bin. */
	readonly tokens: Readonly<Record<BinName, number>>;
	/** Occurrences per bin in the counted text. */
	readonly occurrences: Readonly<Record<BinName, number>>;
}

/**
 * Sorts the vocabulary by `counts` (the lower id first of equals) and cuts it where the running share of occurrences
 * reaches `shares.head` and `shares.torso`: the token that reaches a boundary still belongs to the bin before it.
 * Tokens that never occur are unseen. Count the training text, not the text that is evaluated: then the bins say how
 * well each token could be learned.
 * @param counts occurrences of each token id
 */
export function frequencyBins(counts: ArrayLike<number>, shares: BinShares = BIN_SHARES): FrequencyBins {
	const ofToken = new Uint8Array(counts.length).fill(BINS.indexOf("unseen"));
	const count = (token: number) => counts[token] ?? 0;
	const seen = Array.from({ length: counts.length }, (_, token) => token).filter((token) => count(token) > 0);
	seen.sort((left, right) => count(right) - count(left) || left - right);
	const all = seen.reduce((sum, token) => sum + count(token), 0);
	const tokens = { head: 0, torso: 0, tail: 0, unseen: counts.length - seen.length };
	const occurrences = { head: 0, torso: 0, tail: 0, unseen: 0 };
	let before = 0;
	for (const token of seen) {
		const bin = before < shares.head * all ? "head" : before < shares.torso * all ? "torso" : "tail";
		ofToken[token] = BINS.indexOf(bin);
		tokens[bin]++;
		occurrences[bin] += count(token);
		before += count(token);
	}
	return { ofToken, tokens, occurrences };
}
