// What the original writes by itself, where no data is given: sampled texts, and translations of sampled sources.
import type { Usage } from "../data/usage.js";
import { throwIfAborted } from "../errors.js";
import { seedFor, uniform } from "../random.js";
import { padded } from "../runtime/decode/feeds.js";
import type { Vector } from "../runtime/decode/logits.js";
import type { TextModel, TextModelKind } from "../runtime/decode/model.js";
import { greedySearch } from "../runtime/decode/search.js";
import { tokenRows } from "./model-data.js";

export interface GenerateOptions {
	readonly seed: number;
	/** Tokens wanted; of translators on both sides together. */
	readonly tokens: number;
	/** No further batch begins after this time. */
	readonly seconds: number;
	readonly signal?: AbortSignal | undefined;
	readonly progress?: ((fraction: number, note: string) => void) | undefined;
}

export type IdPair = readonly [source: readonly number[], target: readonly number[]];

/** Sequences that are written side by side. */
const BATCH = 16;

/** Tokens of a text at most; of a model that reads its whole prefix again at every step, fewer. */
const LENGTH = 128;
const LENGTH_WITHOUT_PAST = 48;

/** Logits held at a time: 128 MB. */
const LOGITS = 2 ** 25;

/** Tokens of a sampled source: sentences. */
const SOURCE = { least: 4, most: 24 } as const;

/**
 * Texts of a causal language model, each token sampled from its own distribution (temperature 1), from the token that begins
 * documents; where there is none the first token is sampled like {@link sampledIds}.
 */
export async function generateTexts(model: TextModel, usage: Usage, options: GenerateOptions): Promise<readonly (readonly number[])[]> {
	const context = Math.min(usage.context ?? LENGTH, LENGTH);
	const length = model.hasPast ? context : Math.min(context, LENGTH_WITHOUT_PAST);
	const held = (model.hasPast ? 1 : length) * model.width;
	const batch = model.fixed.batch ?? Math.max(1, Math.min(BATCH, Math.floor(LOGITS / held)));
	const first = usage.bos ?? [...usage.ends][0];
	const draw = zipf(tokenRows(model) ?? model.width, usage);
	return await untilEnough<readonly number[]>(
		options,
		(ids) => ids.length,
		async (random) => {
			const starts = Array.from({ length: batch }, () => first ?? draw(random));
			return await sampleBatch(model, starts, length, usage, random, options.signal);
		},
	);
}

async function sampleBatch(
	model: TextModel,
	starts: readonly number[],
	length: number,
	{ ends, never }: Usage,
	random: () => number,
	signal: AbortSignal | undefined,
): Promise<number[][]> {
	const texts = starts.map((start) => [start]);
	let live = texts;
	let state = model.begin();
	while (live.length > 0) {
		throwIfAborted(signal);
		const { logits, next } = await state.advance({ batch: live.length, length: 1, ids: Int32Array.from(live, (ids) => ids.at(-1) ?? 0) });
		const going: number[] = [];
		for (const [row, ids] of live.entries()) {
			const token = sample(logits[row] ?? new Float32Array(), never, random());
			// The token that begins documents also ends them: the next text brings it.
			if (!(ends.has(token) && token === ids[0])) ids.push(token);
			if (!ends.has(token) && ids.length < length) going.push(row);
		}
		state = going.length === live.length || going.length === 0 ? next : next.pick(going);
		live = live.filter((_, row) => going.includes(row));
	}
	return texts;
}

/** A token by its probability; `chance` is uniform in [0, 1). */
export function sample(logits: Vector, never: ReadonlySet<number>, chance: number): number {
	// Indexed loops: this runs over the whole vocabulary for every token.
	const { length } = logits;
	let largest = Number.NEGATIVE_INFINITY;
	for (let id = 0; id < length; id++) largest = Math.max(largest, logits[id] as number);
	const weights = new Float64Array(length);
	let total = 0;
	for (let id = 0; id < length; id++) {
		const weight = Math.exp((logits[id] as number) - largest);
		weights[id] = weight;
		total += weight;
	}
	for (const id of never) {
		total -= weights[id] ?? 0;
		weights[id] = 0;
	}
	let left = chance * total;
	let last = 0;
	for (let id = 0; id < length; id++) {
		const weight = weights[id] as number;
		if (weight === 0) continue;
		last = id;
		left -= weight;
		if (left < 0) break;
	}
	return last;
}

/** The original's greedy translations of sources whose ids are sampled like {@link sampledIds}: no sentences, but all there is. */
export async function generatePairs(model: TextModel, usage: Usage, options: GenerateOptions): Promise<readonly IdPair[]> {
	const draw = zipf(model.sourceRows ?? model.width, usage);
	const [end = 0] = usage.ends;
	const most = Math.min(SOURCE.most, (usage.context ?? Number.POSITIVE_INFINITY) - 2);
	const batch = model.fixed.batch ?? BATCH;
	const search = { start: usage.start, ends: usage.ends, never: usage.never, first: usage.first, signal: options.signal };
	return await untilEnough<IdPair>(
		options,
		([source, target]) => source.length + target.length,
		async (random) => {
			const sources = Array.from({ length: batch }, () => {
				const length = SOURCE.least + Math.floor(random() * (most - SOURCE.least + 1));
				return [...Array.from({ length }, () => draw(random)), end];
			});
			const source = await model.encode(padded(sources, usage.pad));
			const targets = await greedySearch(
				model.begin(source),
				sources.map(({ length }) => Math.min(most, 2 * length)),
				search,
			);
			return sources.map((ids, row) => [ids, [...(targets[row] ?? []), end]] as const);
		},
	);
}

/** For models that write nothing: ids by Zipf's law over their order, which in most vocabularies is that of their frequency. */
export async function sampledIds(model: TextModel, usage: Usage, options: GenerateOptions): Promise<readonly (readonly number[])[]> {
	const length = model.fixed.length ?? Math.min(usage.context ?? LENGTH, LENGTH);
	const draw = zipf(tokenRows(model) ?? usage.tokenizer?.size ?? 1, usage);
	return await untilEnough<readonly number[]>(
		options,
		(ids) => ids.length,
		async (random) => [Array.from({ length }, () => draw(random))],
	);
}

/** Zipf's law with Mandelbrot's shift, without special tokens. */
function zipf(rows: number, { tokenizer, pad, bos, start, ends, never, mask }: Usage): (random: () => number) => number {
	const special = new Set([pad, bos, start, mask, ...ends, ...never]);
	const count = Math.min(rows, tokenizer?.size ?? rows);
	let rank = 0;
	let total = 0;
	const sums = Float64Array.from({ length: count }, (_, id) => {
		if (!special.has(id) || count <= special.size) total += 1 / (++rank + 2.7);
		return total;
	});
	return (random) => {
		const chance = random() * total;
		let [low, high] = [0, count - 1];
		while (low < high) {
			const middle = (low + high) >> 1;
			if ((sums[middle] ?? 0) > chance) high = middle;
			else low = middle + 1;
		}
		return low;
	};
}

/** Batch after batch, each with random numbers of its own, until there are as many tokens as wanted or the time is over. */
async function untilEnough<T>(
	{ seed, tokens, seconds, signal, progress }: GenerateOptions,
	size: (item: T) => number,
	batch: (random: () => number) => Promise<readonly T[]>,
): Promise<T[]> {
	const start = performance.now();
	const items: T[] = [];
	let done = 0;
	const elapsed = () => (performance.now() - start) / 1000;
	for (let index = 0; done < tokens && (index === 0 || elapsed() < seconds); index++) {
		throwIfAborted(signal);
		for (const item of await batch(uniform(seedFor(seed, `batch ${index}`)))) {
			items.push(item);
			done += size(item);
		}
		progress?.(Math.min(1, Math.max(done / tokens, elapsed() / seconds)), `${done} tokens`);
	}
	return items;
}

/** What is generated for a model of each kind, and how, in words. */
export const GENERATORS = {
	causal: { generate: generateTexts, how: "text sampled from the original itself" },
	translator: { generate: generatePairs, how: "the original's translations of ids sampled by their order: no sentences" },
	masked: { generate: sampledIds, how: "ids sampled by their order: no text" },
	encoder: { generate: sampledIds, how: "ids sampled by their order: no text" },
} as const satisfies Record<TextModelKind, unknown>;
