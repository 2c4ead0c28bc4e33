// Perplexity accounting: what is summed, what is counted, and per what it is stated.

/** Summed −ln p of predicted tokens, and their number. Padding and first tokens without context are no predictions. */
export interface Surprise {
	readonly nats: number;
	readonly tokens: number;
}

export const NO_SURPRISE: Surprise = { nats: 0, tokens: 0 };

/** Sums of two texts; perplexities are never averaged, only these are. */
export function plus(left: Surprise, right: Surprise): Surprise {
	return { nats: left.nats + right.nats, tokens: left.tokens + right.tokens };
}

/** exp of the mean over predicted tokens. Comparable only between models with the same tokenizer. */
export function perplexity({ nats, tokens }: Surprise): number {
	return Math.exp(nats / tokens);
}

/**
 * Perplexity per `units` other than tokens, such as words (white-space separated, end of line included: the convention of
 * the WikiText and Penn Treebank tables), which is comparable between tokenizers.
 */
export function perplexityPer(units: number, { nats }: Surprise): number {
	return Math.exp(nats / units);
}

/** Bits per byte of UTF-8, the measure of byte-level models and of compression. */
export function bitsPerByte(bytes: number, { nats }: Surprise): number {
	return nats / Math.LN2 / bytes;
}

/** Relative increase, as the gate `--max-perplexity-increase` counts it: 0.01 for 1 %. */
export function perplexityIncrease(before: Surprise, after: Surprise): number {
	return Math.expm1(after.nats / after.tokens - before.nats / before.tokens);
}
