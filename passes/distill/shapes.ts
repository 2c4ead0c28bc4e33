// Sizes of training batches, and in how many parts a step is done where one batch would not fit into memory.
import type { BatchShape } from "../../src/training/batches.js";
import type { Corpus } from "../../src/training/corpus.js";
import type { WholeModel } from "../../src/training/whole.js";
import type { DistillOptions } from "./options.js";

/** Tokens per sequence, and sequences per step, where nothing else is asked for. */
const DEFAULTS = { text: { length: 128, batch: 8 }, pairs: { length: 64, batch: 32 } } as const;

/**
 * Lengths of translators' batches: a pair goes where it first fits, which saves padding. Of the shared translator's pairs these hold 74 tokens
 * in a hundred places, powers of two 63.
 */
const LADDER = [12, 20, 28, 40, 64, 96, 128, 192, 256, 384, 512] as const;

/** Pairs of this length are as many as a step was asked to have, shorter ones more and longer ones fewer: every step has about as many tokens. */
const USUAL_LENGTH = 24;

/** What a forward pass may compute and keep, in bytes; … */
export const MOST_ACTIVATIONS = 2 ** 31;

/** … and those of all shapes together: the engine keeps the memory of each. */
export const MOST_OF_ALL = 3 * MOST_ACTIVATIONS;

export interface Sizes {
	/** Shapes of one step, the smallest first. */
	readonly shapes: readonly BatchShape[];
	/** Batches that make up a step. */
	readonly parts: number;
}

/** What was asked for, within what the graph fixes and the model can read. */
export function sizesOf({ kind, fixed }: WholeModel, { special }: Corpus, { batch: asked, length: longest }: DistillOptions): Sizes {
	const usual = kind === "translator" ? DEFAULTS.pairs : DEFAULTS.text;
	const wanted = asked ?? usual.batch;
	const batch = fixed.batch ?? wanted;
	const parts = Math.ceil(wanted / batch);
	const length = fixed.length ?? Math.min(longest ?? usual.length, special.context ?? Number.POSITIVE_INFINITY);
	if (kind !== "translator") return { shapes: [{ batch, length }], parts };
	if (fixed.length !== undefined || fixed.source !== undefined)
		return { shapes: [{ batch, length, sourceLength: fixed.source ?? length }], parts };
	const lengths = [...LADDER.filter((step) => step < length), length];
	const shapes = lengths.map((size) => ({ batch: fixed.batch ?? Math.max(1, Math.round((batch * USUAL_LENGTH) / size)), length: size }));
	return { shapes, parts };
}

/** The same sequences per step in parts whose activations fit, at as many shapes as fit beside each other: `bytes` are those of the largest shape. */
export function inParts({ shapes, parts }: Sizes, bytes: number): Sizes {
	const [{ batch }] = [...shapes].reverse() as [BatchShape];
	const split = Math.max(1, Math.min(batch, Math.ceil(bytes / MOST_ACTIVATIONS)));
	const fitting = Math.max(1, Math.floor((MOST_OF_ALL * split) / bytes));
	const every = Math.ceil(shapes.length / fitting);
	const kept = shapes.filter((_, index) => (shapes.length - 1 - index) % every === 0);
	return { shapes: kept.map((shape) => ({ ...shape, batch: Math.max(1, Math.floor(shape.batch / split)) })), parts: parts * split };
}
