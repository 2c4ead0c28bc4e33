// Batches of a fixed shape, padded and masked, one after the other.
import { DistembError } from "../errors.js";
import type { Data, Pair, Piece } from "./data.js";
import { shuffled } from "./shuffle.js";
import { type WindowOptions, windows } from "./windows.js";

/** Ids of [batch, length], row-major. */
export interface Sequences {
	readonly batch: number;
	readonly length: number;
	readonly ids: Int32Array;
	/**
	 * 1 where a token stands, 0 where there is padding. A row without any token has a 1 at its first position nevertheless, because
	 * attention to nothing is NaN in some graphs; it has no labels.
	 */
	readonly mask: Uint8Array;
}

export interface TokenBatch extends Sequences {
	/** Rows that hold anything; those after them are padding. Only the last batch of a pass has fewer than `batch`. */
	readonly rows: number;
	/** Tokens that are no padding. */
	readonly tokens: number;
}

export interface PairBatch {
	readonly source: Sequences;
	/** What the decoder reads: its start, then the labels without their last. */
	readonly decoder: Sequences;
	/** What it should predict at each position; {@link NO_LABEL} where there is padding. */
	readonly labels: Int32Array;
	readonly rows: number;
	/** Labels that are no padding. */
	readonly tokens: number;
}

/** Label of a position at which nothing is to be predicted. */
export const NO_LABEL = -1;

interface Order {
	/** Uniform numbers in [0, 1), seeded; without them the data keeps its order. Another seed for each epoch. */
	readonly random?: (() => number) | undefined;
	/** Tokens held for shuffling; see shuffle.ts. */
	readonly capacity?: number | undefined;
	readonly signal?: AbortSignal | undefined;
}

export interface TokenBatchOptions extends WindowOptions, Order {
	/** Windows per batch. */
	readonly batch: number;
	/** Id that stands in padding; see conventions.ts. */
	readonly pad: number;
}

/** One pass: every token exactly once, in batches of [batch, length]. */
export async function* tokenBatches(data: Data<Piece>, options: TokenBatchOptions): AsyncGenerator<TokenBatch> {
	const { batch, length, pad, signal } = options;
	const cut = windows(data.read(signal), options);
	let rows: Int32Array[] = [];
	for await (const window of ordered(cut, (ids) => ids.length, options)) {
		rows.push(window);
		if (rows.length < batch) continue;
		yield tokenBatch(rows, batch, length, pad);
		rows = [];
	}
	if (rows.length > 0) yield tokenBatch(rows, batch, length, pad);
}

function tokenBatch(rows: readonly Int32Array[], batch: number, length: number, pad: number): TokenBatch {
	return { ...sequences(rows, batch, length, pad), rows: rows.length, tokens: rows.reduce((sum, row) => sum + row.length, 0) };
}

/** Labels of a causal language model: at each position the token after it; {@link NO_LABEL} at a window's last and in padding. */
export function nextTokens({ batch, length, ids, mask }: Sequences): Int32Array {
	const labels = new Int32Array(batch * length).fill(NO_LABEL);
	for (let at = 0; at + 1 < labels.length; at++) if ((at + 1) % length !== 0 && mask[at + 1] === 1) labels[at] = ids[at + 1] ?? NO_LABEL;
	return labels;
}

/** A shape of batches: pairs per batch, tokens per source and per target. */
export interface PairShape {
	readonly batch: number;
	readonly source: number;
	readonly target: number;
}

export interface PairBatchOptions extends Order {
	/** One shape, or several, the smallest first: a pair goes where it first fits, which saves padding. */
	readonly shapes: readonly PairShape[];
	readonly pad: number;
	/** Id before the first label; see conventions.ts. */
	readonly decoderStart: number;
	/** Told of each pair that fits no shape and is left out: cutting it would teach wrong endings. */
	readonly onTooLong?: ((pair: Pair) => void) | undefined;
}

/**
 * One pass: every pair that fits exactly once, in batches of one of the shapes.
 * @throws DistembError `input` at the end of a pass in which no pair fitted
 */
export async function* pairBatches(data: Data<Pair>, options: PairBatchOptions): AsyncGenerator<PairBatch> {
	const { shapes, signal, onTooLong } = options;
	const open = shapes.map((shape) => ({ shape, pairs: [] as Pair[] }));
	let given = false;
	for await (const pair of ordered(data.read(signal), ({ source, target }) => source.length + target.length, options)) {
		const place = open.find(({ shape }) => pair.source.length <= shape.source && pair.target.length <= shape.target);
		if (place === undefined) {
			onTooLong?.(pair);
			continue;
		}
		given = true;
		place.pairs.push(pair);
		if (place.pairs.length === place.shape.batch) yield pairBatch(place.pairs.splice(0), place.shape, options);
	}
	for (const { shape, pairs } of open) if (pairs.length > 0) yield pairBatch(pairs, shape, options);
	if (!given) throw new DistembError("input", "every pair is longer than a batch", { hint: "raise --length" });
}

function pairBatch(pairs: readonly Pair[], { batch, source, target }: PairShape, { pad, decoderStart }: PairBatchOptions): PairBatch {
	const targets = pairs.map((pair) => pair.target);
	const decoder = targets.map((ids) => Int32Array.from(ids, (_, index) => (index === 0 ? decoderStart : (ids[index - 1] ?? pad))));
	return {
		source: sequences(
			pairs.map((pair) => pair.source),
			batch,
			source,
			pad,
		),
		decoder: sequences(decoder, batch, target, pad),
		labels: sequences(targets, batch, target, NO_LABEL).ids,
		rows: pairs.length,
		tokens: targets.reduce((sum, ids) => sum + ids.length, 0),
	};
}

function sequences(rows: readonly Int32Array[], batch: number, length: number, pad: number): Sequences {
	const ids = new Int32Array(batch * length).fill(pad);
	const mask = new Uint8Array(batch * length);
	for (let index = rows.length; index < batch; index++) mask[index * length] = 1;
	for (const [index, row] of rows.entries()) {
		ids.set(row, index * length);
		mask.fill(1, index * length, index * length + row.length);
	}
	return { batch, length, ids, mask };
}

function ordered<T>(items: AsyncIterable<T>, size: (item: T) => number, { random, capacity }: Order): AsyncIterable<T> {
	return random === undefined ? items : shuffled(items, { random, size, capacity });
}
