// BLEU (Papineni et al., 2002) with sacreBLEU's numbers.
import { type BleuTokenizer, matches, ngramCounts, referencesOf, TOKENIZERS, total, withoutTrailingSpace } from "./segments.js";

export interface BleuOptions {
	/** Default `13a`. */
	readonly tokenizer?: BleuTokenizer | undefined;
	/** Leave out the orders of which the translation has no n-gram; sacreBLEU recommends it for single sentences. */
	readonly effectiveOrder?: boolean | undefined;
}

export interface Bleu {
	/** 0 to 100. */
	readonly score: number;
	/** Matched n-grams, n = 1 to 4. */
	readonly counts: readonly number[];
	/** n-grams of the translations, n = 1 to 4. */
	readonly totals: readonly number[];
	/** Percent, smoothed, n = 1 to 4. */
	readonly precisions: readonly number[];
	readonly brevityPenalty: number;
	/** Words of the translations, and of the references closest to them in length. */
	readonly translationLength: number;
	readonly referenceLength: number;
	/** How it was computed, in sacreBLEU's notation. */
	readonly signature: string;
}

const ORDERS = [1, 2, 3, 4] as const;

/** sacreBLEU's logarithm of a precision of zero. */
const LOG_OF_ZERO = -9999999999;

/**
 * BLEU of a corpus: counts are summed over sentences before anything is divided. Smoothing `exp`, case kept.
 * @param references one list per translator; see {@link referencesOf}
 * @throws DistembError `input` if the lists differ in length or are empty
 * @example corpusBleu(["the cat sat"], [["the cat sat down"]]).score
 */
export function corpusBleu(hypotheses: readonly string[], references: readonly (readonly string[])[], options: BleuOptions = {}): Bleu {
	const sums = emptyStatistics();
	for (const [index, own] of referencesOf(hypotheses, references).entries())
		addTo(sums, statistics(hypotheses[index] ?? "", own, options.tokenizer ?? "13a"));
	return score(sums, references.length, options);
}

/** BLEU of one sentence against one or more references; the effective order is on unless switched off. */
export function sentenceBleu(hypothesis: string, references: readonly string[], options: BleuOptions = {}): Bleu {
	return corpusBleu(
		[hypothesis],
		references.map((reference) => [reference]),
		{ effectiveOrder: true, ...options },
	);
}

interface Statistics {
	translationLength: number;
	referenceLength: number;
	readonly counts: number[];
	readonly totals: number[];
}

function emptyStatistics(): Statistics {
	return { translationLength: 0, referenceLength: 0, counts: ORDERS.map(() => 0), totals: ORDERS.map(() => 0) };
}

function addTo(sums: Statistics, { translationLength, referenceLength, counts, totals }: Statistics): void {
	sums.translationLength += translationLength;
	sums.referenceLength += referenceLength;
	for (const [index, count] of counts.entries()) sums.counts[index] = (sums.counts[index] ?? 0) + count;
	for (const [index, sum] of totals.entries()) sums.totals[index] = (sums.totals[index] ?? 0) + sum;
}

function statistics(hypothesis: string, references: readonly string[], tokenizer: BleuTokenizer): Statistics {
	const tokenize = (segment: string) => TOKENIZERS[tokenizer](withoutTrailingSpace(segment));
	const tokens = tokenize(hypothesis);
	const others = references.map(tokenize);
	const orders = ORDERS.map((order) => {
		const counts = ngramCounts(tokens, order, " ");
		const allowed = others.map((other) => ngramCounts(other, order, " ")).reduce(largestCounts);
		return { matched: matches(counts, allowed), all: total(counts) };
	});
	return {
		translationLength: tokens.length,
		referenceLength: closestLength(
			tokens.length,
			others.map(({ length }) => length),
		),
		counts: orders.map(({ matched }) => matched),
		totals: orders.map(({ all }) => all),
	};
}

/** An n-gram counts as often as in the reference that has it most often. */
function largestCounts(counts: Map<string, number>, others: ReadonlyMap<string, number>): Map<string, number> {
	for (const [ngram, count] of others) counts.set(ngram, Math.max(counts.get(ngram) ?? 0, count));
	return counts;
}

/** The reference length closest to `length`; the shorter of two equally close ones. */
function closestLength(length: number, references: readonly number[]): number {
	return references.reduce((best, candidate) => {
		const closer = Math.abs(candidate - length) - Math.abs(best - length);
		return closer < 0 || (closer === 0 && candidate < best) ? candidate : best;
	});
}

/** Chen and Cherry (2014), method 3: the k-th precision of zero becomes 1 / (2^k · total). */
function smoothed(counts: readonly number[], totals: readonly number[]): { precisions: number[]; order: number } {
	const precisions = ORDERS.map(() => 0);
	let order = 0;
	let halves = 1;
	if (counts.every((count) => count === 0)) return { precisions, order };
	for (const [index, count] of counts.entries()) {
		const all = totals[index] ?? 0;
		if (all === 0) break;
		order = index + 1;
		if (count === 0) halves *= 2;
		precisions[index] = count === 0 ? 100 / (halves * all) : (100 * count) / all;
	}
	return { precisions, order };
}

function score(sums: Statistics, references: number, { tokenizer = "13a", effectiveOrder = false }: BleuOptions): Bleu {
	const { translationLength, referenceLength, counts, totals } = sums;
	const { precisions, order } = smoothed(counts, totals);
	const brevityPenalty = penalty(translationLength, referenceLength);
	const orders = effectiveOrder ? order : ORDERS.length;
	const logs = precisions.slice(0, orders).reduce((sum, precision) => sum + (precision === 0 ? LOG_OF_ZERO : Math.log(precision)), 0);
	return {
		score: order === 0 ? 0 : brevityPenalty * Math.exp(logs / orders),
		counts,
		totals,
		precisions,
		brevityPenalty,
		translationLength,
		referenceLength,
		signature: `nrefs:${references}|case:mixed|eff:${effectiveOrder ? "yes" : "no"}|tok:${tokenizer}|smooth:exp`,
	};
}

function penalty(translationLength: number, referenceLength: number): number {
	if (translationLength >= referenceLength) return 1;
	return translationLength === 0 ? 0 : Math.exp(1 - referenceLength / translationLength);
}
