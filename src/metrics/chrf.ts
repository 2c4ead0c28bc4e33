// chrF2 and chrF++ (Popović, 2015 and 2017) with sacreBLEU's numbers.
import { matches, ngramCounts, referencesOf, total, words } from "./segments.js";

export interface ChrfOptions {
	/** Longest word n-gram: 0 for chrF2 (default), 2 for chrF2++. */
	readonly wordOrder?: number | undefined;
}

export interface Chrf {
	/** 0 to 100. */
	readonly score: number;
	/** How it was computed, in sacreBLEU's notation. */
	readonly signature: string;
}

const CHARACTER_ORDER = 6;

/** β² of the F-score: recall counts β = 2 times as much as precision. */
const BETA_SQUARED = 4;

/** ASCII punctuation, which chrF++ separates from the beginning or the end of a word. */
const PUNCTUATION = new Set("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~");

/** n-grams of one order: of the translation (0 if the reference has none), of the reference, of both. */
interface Statistics {
	readonly translation: number;
	readonly reference: number;
	readonly matched: number;
}

/**
 * chrF of a corpus: counts are summed over sentences before anything is divided. Case kept, white space left out.
 * @param references one list per translator; of each sentence's references the best-scoring one counts
 * @throws DistembError `input` if the lists differ in length or are empty
 * @example corpusChrf(["the cat sat"], [["the cat sat down"]], { wordOrder: 2 }).score
 */
export function corpusChrf(hypotheses: readonly string[], references: readonly (readonly string[])[], options: ChrfOptions = {}): Chrf {
	const { wordOrder = 0 } = options;
	const sums = referencesOf(hypotheses, references)
		.map((own, index) => best(hypotheses[index] ?? "", own, wordOrder))
		.reduce((sum, next) => sum.map((statistics, order) => added(statistics, next[order])));
	return { score: fScore(sums), signature: `nrefs:${references.length}|case:mixed|eff:yes|nc:${CHARACTER_ORDER}|nw:${wordOrder}|space:no` };
}

/** chrF of one sentence against one or more references. */
export function sentenceChrf(hypothesis: string, references: readonly string[], options: ChrfOptions = {}): Chrf {
	return corpusChrf(
		[hypothesis],
		references.map((reference) => [reference]),
		options,
	);
}

function added(left: Statistics, right: Statistics | undefined): Statistics {
	return {
		translation: left.translation + (right?.translation ?? 0),
		reference: left.reference + (right?.reference ?? 0),
		matched: left.matched + (right?.matched ?? 0),
	};
}

/** Statistics against the reference with the highest score; the first of equals. */
function best(hypothesis: string, references: readonly string[], wordOrder: number): Statistics[] {
	const own = ngrams(hypothesis, wordOrder);
	const all = references.map((reference) => ngrams(reference, wordOrder).map((counts, order) => compared(own[order] ?? new Map(), counts)));
	return all.reduce((leader, candidate) => (fScore(candidate) > fScore(leader) ? candidate : leader));
}

function compared(translation: ReadonlyMap<string, number>, reference: ReadonlyMap<string, number>): Statistics {
	return {
		translation: reference.size === 0 ? 0 : total(translation),
		reference: total(reference),
		matched: matches(translation, reference),
	};
}

/** n-grams of code points, orders 1 to 6, then of words. */
function ngrams(segment: string, wordOrder: number): Map<string, number>[] {
	const characters = [...words(segment).join("")];
	const separated = wordOrder === 0 ? [] : withoutPunctuation(segment);
	const orders = (count: number) => Array.from({ length: count }, (_, index) => index + 1);
	return [
		...orders(CHARACTER_ORDER).map((order) => ngramCounts(characters, order, "")),
		...orders(wordOrder).map((order) => ngramCounts(separated, order, " ")),
	];
}

/** Words, with one character of ASCII punctuation split off at the end or else at the beginning. */
function withoutPunctuation(segment: string): string[] {
	return words(segment).flatMap((word) => {
		const characters = [...word];
		const first = characters[0] ?? "";
		const last = characters.at(-1) ?? "";
		if (characters.length === 1) return [word];
		if (PUNCTUATION.has(last)) return [word.slice(0, -1), last];
		return PUNCTUATION.has(first) ? [first, word.slice(1)] : [word];
	});
}

/** Fβ of the precision and the recall, each averaged over the orders that both sides have. */
function fScore(orders: readonly Statistics[]): number {
	const effective = orders.filter(({ translation, reference }) => translation > 0 && reference > 0);
	if (effective.length === 0) return 0;
	const mean = (ratio: (statistics: Statistics) => number) => effective.reduce((sum, next) => sum + ratio(next), 0) / effective.length;
	const precision = mean(({ matched, translation }) => matched / translation);
	const recall = mean(({ matched, reference }) => matched / reference);
	return precision + recall === 0 ? 0 : (100 * (1 + BETA_SQUARED) * precision * recall) / (BETA_SQUARED * precision + recall);
}
