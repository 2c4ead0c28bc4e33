// How often tokens are met: the moments' few ten thousand tokens leave most rows of a vocabulary unseen, and counting costs next to nothing.
import type { Pair, Piece } from "../../src/data/data.js";
import type { TextModelKind } from "../../src/runtime/decode/model.js";
import type { Corpus } from "../../src/training/corpus.js";

/** What a lookup reads: the tokens of a text (for translators, of the translation) or the source. */
export type Stream = "tokens" | "source";

/** What one lookup was seen to read. */
export interface Tally {
	/** Reads of each row, [V]. */
	readonly reads: Float64Array;
	/** Undefined: ids of another kind. */
	stream: Stream | undefined;
}

/** Tokens of each stream that are counted at most. */
const MOST = 2 ** 22;

/** A row so often expected among the reads, and never read there, is not read at all: padding, the start of a translation. */
const MISSED = 20;

/** Occurrences that a row is thought to have beside those counted: Jeffreys' prior. */
const PRIOR = 0.5;

/**
 * Weight of what the frequencies say beside what was seen, in sightings: the shape of the gamma distribution that a row's spread is
 * drawn from, whose mean goes with the row's frequency (empirical Bayes for counts, Robbins 1956).
 */
const SHAPE = 1;

/** Occurrences of each token id in the training part; nothing of kinds of models that read other ids than the data's (hidden tokens). */
export async function countStreams(kind: TextModelKind, corpus: Corpus, rows: number, signal?: AbortSignal): Promise<StreamCounts> {
	const counts = new StreamCounts();
	if (kind !== "causal" && kind !== "translator") return counts;
	const [tokens, source] = [new Float64Array(rows), new Float64Array(rows)];
	const [seen, seenSource] = corpus.kind === "pairs" ? await pairs(corpus.train.read(signal)) : [await texts(corpus.train.read(signal)), 0];
	if (seen > 0) counts.known.set("tokens", { counts: tokens, total: seen });
	if (seenSource > 0) counts.known.set("source", { counts: source, total: seenSource });
	return counts;

	async function texts(data: AsyncIterable<Piece>) {
		let total = 0;
		for await (const { ids } of data) {
			total += add(tokens, ids);
			if (total >= MOST) break;
		}
		return total;
	}

	async function pairs(data: AsyncIterable<Pair>) {
		const totals = [0, 0];
		for await (const pair of data) {
			totals[0] = (totals[0] ?? 0) + add(tokens, pair.target);
			totals[1] = (totals[1] ?? 0) + add(source, pair.source);
			if (Math.max(...totals) >= MOST) break;
		}
		return totals as [number, number];
	}
}

function add(counts: Float64Array, ids: Int32Array): number {
	for (const id of ids) if (id < counts.length) counts[id] = (counts[id] ?? 0) + 1;
	return ids.length;
}

/** What was counted in the whole training part, to be combined with what the sample of it showed. */
export class StreamCounts {
	readonly known = new Map<Stream, { readonly counts: Float64Array; readonly total: number }>();

	/** Reads of each row per predicted token: how many by the sample, which rows by the whole training part. */
	frequencyOf(tallies: readonly Tally[], rows: number, tokens: number) {
		const frequency = new Float64Array(rows);
		let [counted, total] = [0, 0];
		for (const { reads, stream } of tallies) {
			const own = reads.reduce((sum, count) => sum + count, 0);
			const known = stream && this.known.get(stream);
			const scale = known === undefined ? 1 : own / known.total;
			for (let row = 0; row < rows; row++) {
				const expected = (known?.counts[row] ?? 0) * scale;
				const seen = reads[row] ?? 0;
				const isMissed = known === undefined || (seen === 0 && expected > MISSED);
				frequency[row] = (frequency[row] ?? 0) + (isMissed ? seen : expected) / tokens;
			}
			total += own;
			counted += known?.total ?? own;
		}
		return { frequency: total > 0 ? frequency : undefined, counted };
	}

	/** Σ p(1 − p) per predicted token from its sum over the sample: rows that were hardly seen follow their frequency. */
	spreadOf(sums: Float64Array, rows: number, tokens: number): Float64Array {
		const known = this.known.get("tokens");
		if (known === undefined) return new Float64Array(rows).map((_, row) => (sums[row] ?? 0) / tokens);
		const total = sums.reduce((sum, value) => sum + value, 0);
		return new Float64Array(rows).map((_, row) => {
			const share = ((known.counts[row] ?? 0) + PRIOR) / (known.total + PRIOR * rows);
			const expected = total * share;
			return (expected * ((sums[row] ?? 0) + SHAPE)) / (expected + SHAPE) / tokens;
		});
	}
}

export const NOTHING_COUNTED = new StreamCounts();
