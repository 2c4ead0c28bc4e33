// Two translators on the same pairs: predictions of the references, token by token, and translations of their own.

import type { Pair } from "../data/data.js";
import type { Usage } from "../data/usage.js";
import { DistembError, throwIfAborted } from "../errors.js";
import type { FrequencyBins } from "../metrics/bins.js";
import { corpusBleu } from "../metrics/bleu.js";
import { corpusChrf } from "../metrics/chrf.js";
import { type BinnedComparison, Comparer } from "../metrics/comparison.js";
import { padded } from "../runtime/decode/feeds.js";
import type { TextModel } from "../runtime/decode/model.js";
import { beamSearch, greedySearch } from "../runtime/decode/search.js";

export interface TranslationRun {
	readonly usage: Usage;
	/** Pairs per run of the engine at most. */
	readonly batch: number;
	/** Logits held at a time at most, per model. */
	readonly logits: number;
	/** 1: greedy. */
	readonly beam: number;
	/** Most tokens of a translation; default {@link LENGTH_RATIO} times the source. */
	readonly maxLength: number | undefined;
	readonly signal?: AbortSignal | undefined;
	readonly progress?: ((fraction: number) => void) | undefined;
}

/** A translation ends at this many times its source's length: where Marian stops. */
export const LENGTH_RATIO = 2.5;

/** Pairs whose sources are about as long stand together, so that little is padding. */
function batches(pairs: readonly Pair[], size: (longest: Pair) => number): number[][] {
	const order = pairs.map((_, index) => index).toSorted((a, b) => sourceLength(pairs, a) - sourceLength(pairs, b));
	const result: number[][] = [];
	for (let start = order.length; start > 0; ) {
		// From the longest down: the last of each batch decides how many there is room for.
		const longest = pairs[order[start - 1] ?? 0];
		const end = start;
		start = Math.max(0, start - Math.max(1, longest === undefined ? 1 : size(longest)));
		result.push(order.slice(start, end));
	}
	return result;
}

const sourceLength = (pairs: readonly Pair[], index: number): number => pairs[index]?.source.length ?? 0;

const batchSize = (model: TextModel, batch: number) => model.fixed.batch ?? batch;

/** How well both predict the references, each token from those before it. */
export async function compareReferences(
	[teacher, student]: readonly [TextModel, TextModel],
	pairs: readonly Pair[],
	bins: FrequencyBins,
	{ usage, batch, logits, signal, progress }: TranslationRun,
): Promise<BinnedComparison> {
	const comparer = new Comparer(bins);
	const longest = Math.max(...pairs.map(({ target }) => target.length));
	const most = Math.min(batchSize(teacher, batch), batchSize(student, batch));
	let done = 0;
	for (const group of batches(pairs, () => Math.min(most, Math.floor(logits / (longest * teacher.width))))) {
		throwIfAborted(signal);
		const chosen = group.flatMap((index) => pairs[index] ?? []);
		const sources = padded(
			chosen.map(({ source }) => source),
			usage.pad,
		);
		const decoder = padded(
			chosen.map(({ target }) => [usage.start, ...target.subarray(0, -1)]),
			usage.pad,
		);
		const own = await teacher.forward(decoder, await teacher.encode(sources));
		const other = await student.forward(decoder, await student.encode(sources));
		for (const [row, { target }] of chosen.entries())
			for (const [column, label] of target.entries()) {
				const position = row * decoder.length + column;
				comparer.add(own.at(position), other.at(position), label);
			}
		done += group.length;
		progress?.(done / pairs.length);
	}
	return comparer.result();
}

/** Translations of all sources, as ids without start and end, in the order of the pairs. */
export async function translate(model: TextModel, pairs: readonly Pair[], run: TranslationRun): Promise<number[][]> {
	const { usage, batch, logits, beam, maxLength, signal, progress } = run;
	const limitOf = ({ source }: Pair) => {
		const limit = maxLength ?? Math.floor(LENGTH_RATIO * source.length);
		return usage.context === undefined ? limit : Math.min(limit, usage.context - 1);
	};
	// Without a past every step gives logits at all positions of the prefix.
	const heldBy = (pair: Pair) => (model.hasPast ? 1 : limitOf(pair)) * model.width;
	const size = (longest: Pair) => (beam > 1 ? 1 : Math.min(batchSize(model, batch), Math.floor(logits / heldBy(longest))));
	const search = { start: usage.start, ends: usage.ends, never: usage.never, first: usage.first, signal };
	const results: number[][] = pairs.map(() => []);
	let done = 0;
	for (const group of batches(pairs, size)) {
		const chosen = group.flatMap((index) => pairs[index] ?? []);
		const source = await model.encode(
			padded(
				chosen.map((pair) => pair.source),
				usage.pad,
			),
		);
		const limits = chosen.map(limitOf);
		const found =
			beam > 1
				? [await beamSearch(model.begin(source), limits[0] ?? 1, { ...search, beam })]
				: await greedySearch(model.begin(source), limits, search);
		for (const [at, index] of group.entries()) results[index] = found[at] ?? [];
		done += group.length;
		progress?.(done / pairs.length);
	}
	return results;
}

export interface TranslationScores {
	/** sacreBLEU's BLEU and chrF2, 0 to 100. */
	readonly bleu: number;
	readonly chrf: number;
	/** Mean length of the translations, in tokens. */
	readonly length: number;
}

export interface TranslationComparison {
	readonly teacher: TranslationScores;
	readonly student: TranslationScores;
	/** Share of sentences that both translate to the same tokens, 0 to 1. */
	readonly identical: number;
	/** How BLEU and chrF2 were computed, in sacreBLEU's notation. */
	readonly signatures: { readonly bleu: string; readonly chrf: string };
	/** The references: text as the data has it, or decoded from its ids. */
	readonly references: "text" | "decoded";
}

/** @throws DistembError `input` without a tokenizer: BLEU is defined on text */
export function scoreTranslations(
	teacher: readonly (readonly number[])[],
	student: readonly (readonly number[])[],
	pairs: readonly Pair[],
	{ tokenizer, ends }: Usage,
): TranslationComparison {
	if (tokenizer === undefined)
		throw new DistembError("input", "BLEU needs text", { hint: "give --tokenizer with the model's tokenizer.json" });
	const decode = (ids: readonly number[]) => tokenizer.decode(ids.filter((id) => !ends.has(id)));
	const references = [pairs.map(({ text, target }) => text ?? decode([...target]))];
	const score = (translations: readonly (readonly number[])[]) => {
		const texts = translations.map(decode);
		const [bleu, chrf] = [corpusBleu(texts, references), corpusChrf(texts, references)];
		const length = translations.reduce((sum, ids) => sum + ids.length, 0) / translations.length;
		return { scores: { bleu: bleu.score, chrf: chrf.score, length }, signatures: { bleu: bleu.signature, chrf: chrf.signature } };
	};
	const [own, other] = [score(teacher), score(student)];
	const same = teacher.filter((ids, index) => ids.join() === (student[index] ?? []).join()).length;
	return {
		teacher: own.scores,
		student: other.scores,
		identical: same / pairs.length,
		signatures: own.signatures,
		references: pairs.every(({ text }) => text !== undefined) ? "text" : "decoded",
	};
}
