// Batches for training, whatever the model predicts: what it reads, what is right, and which positions count.
import { NO_LABEL, nextTokens, type PairBatch, pairBatches, type TokenBatch, tokenBatches } from "../data/batches.js";
import type { Data, Pair, Piece } from "../data/data.js";
import { DistembError } from "../errors.js";
import { uniform } from "../random.js";
import { type Rows, stepFeeds } from "../runtime/decode/feeds.js";
import type { TextModelKind } from "../runtime/decode/model.js";
import type { GraphRoles } from "../runtime/decode/roles.js";
import type { Feeds } from "../runtime/session.js";
import type { Corpus, SpecialTokens } from "./corpus.js";

/** Sizes of a batch. */
export interface BatchShape {
	readonly batch: number;
	/** Tokens that are read at once; for translators those of the target. */
	readonly length: number;
	/** Tokens of a source, for translators. */
	readonly sourceLength?: number | undefined;
}

export interface TrainingBatch {
	readonly tokens: Rows;
	readonly source?: Rows | undefined;
	/** What is right at each position of `tokens`, [batch, length]; {@link NO_LABEL} where nothing is known. */
	readonly labels: Int32Array;
	/** 1 where the model's prediction (or state) counts, 0 elsewhere, [batch, length]. */
	readonly weights: Float32Array;
	/** Sum of the weights. */
	readonly count: number;
}

export interface TrainingBatchOptions {
	readonly part: "train" | "validation" | "test";
	/** One shape; for translators also several, the smallest first: a pair goes where it first fits. */
	readonly shapes: readonly BatchShape[];
	/** Order of the data, and which tokens are hidden; another for each epoch. */
	readonly seed: number;
	/** False: the data keeps its order. Default true. */
	readonly shuffle?: boolean | undefined;
	readonly signal?: AbortSignal | undefined;
	/** Told of each pair that fits no shape and is left out. */
	readonly onTooLong?: ((pair: Pair) => void) | undefined;
}

/** Share of tokens that are hidden from a masked language model: BERT's (Devlin et al., 2019). */
const HIDDEN_SHARE = 0.15;

/**
 * One pass over a part of the corpus, every batch of one of the shapes.
 * @throws DistembError `input` if the corpus is none for this kind of model, or no pair fits
 */
export async function* trainingBatches(kind: TextModelKind, corpus: Corpus, options: TrainingBatchOptions): AsyncGenerator<TrainingBatch> {
	const { part, special } = { ...options, special: corpus.special };
	if (kind === "translator") {
		if (corpus.kind !== "pairs") throw new DistembError("input", "a translator is trained on pairs", { at: corpus.from });
		yield* translations(corpus[part], special, options);
	} else {
		if (corpus.kind !== "tokens") throw new DistembError("input", "only translators are trained on pairs", { at: corpus.from });
		yield* texts(kind, corpus[part], special, options);
	}
}

async function* texts(kind: TextModelKind, data: Data<Piece>, special: SpecialTokens, options: TrainingBatchOptions) {
	const { seed, shuffle = true, signal } = options;
	const { batch, length } = onlyShape(options.shapes);
	const random = shuffle ? uniform(seed) : undefined;
	const hiding = uniform(seed ^ 0x5bd1e995);
	for await (const read of tokenBatches(data, { batch, length, pad: special.pad, random, signal })) {
		if (kind === "causal") yield counted({ tokens: read, labels: nextTokens(read) }, shown(read));
		else if (kind === "masked" && special.mask !== undefined) yield hidden(read, special.mask, hiding);
		else yield counted({ tokens: read, labels: new Int32Array(read.ids.length).fill(NO_LABEL) }, shown(read));
	}
}

function onlyShape(shapes: readonly BatchShape[]): BatchShape {
	const [shape] = shapes;
	if (shape === undefined || shapes.length > 1) throw new DistembError("internal", `${shapes.length} shapes where one is due`);
	return shape;
}

/** 1 where a token stands, 0 in padding. */
function shown({ ids, mask, rows, length }: TokenBatch): Float32Array {
	return Float32Array.from(ids, (_, at) => (at < rows * length ? (mask[at] ?? 0) : 0));
}

/** Some tokens hidden, at least one: they are what counts. */
function hidden(read: TokenBatch, id: number, random: () => number): TrainingBatch {
	const visible = shown(read);
	const labels = new Int32Array(read.ids.length).fill(NO_LABEL);
	for (const [at, token] of read.ids.entries()) if (visible[at] === 1 && random() < HIDDEN_SHARE) labels[at] = token;
	if (labels.every((label) => label === NO_LABEL)) labels[0] = read.ids[0] ?? NO_LABEL;
	const ids = read.ids.map((token, at) => (labels[at] === NO_LABEL ? token : id));
	return counted(
		{ tokens: { ...read, ids }, labels },
		Float32Array.from(labels, (label) => Number(label !== NO_LABEL)),
	);
}

async function* translations(data: Data<Pair>, special: SpecialTokens, options: TrainingBatchOptions) {
	const { seed, shuffle = true, signal, onTooLong } = options;
	const shapes = options.shapes.map(({ batch, length, sourceLength }) => ({ batch, source: sourceLength ?? length, target: length }));
	const random = shuffle ? uniform(seed) : undefined;
	const { pad, start } = special;
	for await (const read of pairBatches(data, { shapes, pad, decoderStart: start, random, signal, onTooLong })) yield translation(read);
}

function translation({ source, decoder, labels }: PairBatch): TrainingBatch {
	return counted(
		{ tokens: decoder, source, labels },
		Float32Array.from(labels, (label) => Number(label !== NO_LABEL)),
	);
}

function counted(batch: Pick<TrainingBatch, "tokens" | "source" | "labels">, weights: Float32Array): TrainingBatch {
	return { ...batch, weights, count: weights.reduce((sum, weight) => sum + weight, 0) };
}

/** What a graph that runs on whole sequences reads for `batch`; of one that has no encoder's states as an input. */
export function feedsFor(roles: GraphRoles, { tokens, source }: Pick<TrainingBatch, "tokens" | "source">): Feeds {
	return stepFeeds(roles, { tokens, position: 0, source: source && { rows: source, states: undefined } });
}
