// Streams text through the calibrating graphs of a model, one per shape of batches.
import { throwIfAborted } from "../../src/errors.js";
import type { PassContext } from "../../src/pass.js";
import { uniform } from "../../src/random.js";
import { openComputation } from "../../src/runtime/computation.js";
import type { EngineTensor, Session } from "../../src/runtime/session.js";
import type { Vocabulary } from "../../src/state.js";
import { type BatchShape, feedsFor, type TrainingBatch, trainingBatches } from "../../src/training/batches.js";
import type { Corpus } from "../../src/training/corpus.js";
import { trainableOf } from "../../src/training/trainable.js";
import type { WholeModel } from "../../src/training/whole.js";
import { countStreams } from "./counts.js";
import { type CalibrationGraph, calibrationGraph, INPUTS } from "./graph.js";
import { sitesOf } from "./sites.js";
import { type Means, MomentSums } from "./sums.js";

export interface Measured {
	/** One per vocabulary. */
	readonly means: readonly Means[];
	/** Predicted tokens. */
	readonly tokens: number;
	/** Operators that no gradient passes, each once. */
	readonly missing: readonly string[];
}

export interface MeasureOptions {
	/** Predicted tokens to see; fewer if the data ends. */
	readonly tokens: number;
	/** Tokens of a sequence at most. */
	readonly length: number;
	/** Numbers in one tensor of logits: batches are as large as this allows. */
	readonly logits: number;
}

/** Means over the first tokens of the corpus' training part, in its shuffled order. */
export async function measure(
	whole: WholeModel,
	corpus: Corpus,
	vocabularies: readonly Vocabulary[],
	options: MeasureOptions,
	context: Pick<PassContext, "threads" | "seed" | "signal" | "progress">,
): Promise<Measured> {
	const { threads, seed, signal, progress } = context;
	const shapes = shapesFor(whole, corpus, options);
	const open = new Map<string, Opened>();
	let sums: MomentSums | undefined;
	try {
		const random = uniform(seed);
		for await (const batch of trainingBatches(whole.kind, corpus, { part: "train", shapes, seed, signal })) {
			throwIfAborted(signal);
			const shape = shapeOf(batch);
			const key = Object.values(shape).join(" ");
			const opened = open.get(key) ?? (await opening(whole, shape, vocabularies, threads));
			open.set(key, opened);
			sums ??= new MomentSums(
				opened.graph.tables.map(({ sites }) => sites),
				whole.width,
			);
			const names = opened.graph.outputs.map(({ name }) => name);
			sums.add(opened.graph, await opened.session.run(feedsOf(opened.graph, batch, random), names), batch);
			progress(Math.min(1, sums.tokens / options.tokens));
			if (sums.tokens >= options.tokens) break;
		}
	} finally {
		for (const { session } of open.values()) await session.close();
	}
	const missing = new Set([...open.values()].flatMap(({ graph }) => graph.missing.map(({ node, why }) => `${node}: ${why}`)));
	const counts = await countStreams(whole.kind, corpus, whole.width, signal);
	return { means: sums?.means(counts) ?? [], tokens: sums?.tokens ?? 0, missing: [...missing] };
}

interface Opened {
	readonly graph: CalibrationGraph;
	readonly session: Session;
}

async function opening(whole: WholeModel, shape: BatchShape, vocabularies: readonly Vocabulary[], threads: number): Promise<Opened> {
	const trainable = await trainableOf(whole, { ...shape, threads });
	const graph = calibrationGraph(
		trainable,
		vocabularies.map((vocabulary) => sitesOf(trainable, vocabulary)),
	);
	return { graph, session: await openComputation(trainable.ops.graph, graph.outputs, { threads }) };
}

/** Tokens of a batch at most, however small the vocabulary: activations take memory too. */
const PLACES = 1024;

/** Lengths of sentences: most are short, and padding costs as much as text. */
const SENTENCES = [32, 96];

function shapesFor({ kind, fixed, width }: WholeModel, { special }: Corpus, { length: most, logits }: MeasureOptions): BatchShape[] {
	const longest = Math.min(most, special.context ?? most);
	const places = Math.max(1, Math.min(PLACES, Math.floor(logits / width)));
	const lengths = kind === "translator" ? SENTENCES.filter((each) => each <= longest) : [Math.min(longest, Math.max(64, places))];
	return (lengths.length === 0 ? [longest] : lengths).map((each) => {
		const length = fixed.length ?? each;
		return { batch: fixed.batch ?? Math.max(1, Math.floor(places / length)), length, sourceLength: fixed.source ?? length };
	});
}

function shapeOf({ tokens: { batch, length }, source }: TrainingBatch): BatchShape {
	return { batch, length, sourceLength: source?.length };
}

function feedsOf({ trainable, spread }: CalibrationGraph, batch: TrainingBatch, random: () => number): Record<string, EngineTensor> {
	const feeds = feedsFor(trainable.whole.roles, batch);
	if (spread === undefined) return feeds;
	const dims = [batch.tokens.batch, batch.tokens.length];
	const chosen = Float32Array.from(batch.weights, () => random());
	return {
		...feeds,
		[INPUTS.weights]: { dtype: "float32", dims, data: batch.weights },
		[INPUTS.uniform]: { dtype: "float32", dims, data: chosen },
	};
}
