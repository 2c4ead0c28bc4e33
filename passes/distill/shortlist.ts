// The tokens whose logits a training step looks at, where a vocabulary is large: all frequent ones, what is right, some of the others.
import { countTokens } from "../../src/data/data.js";
import { uniform } from "../../src/random.js";
import { tensorOf } from "../../src/runtime/numbers.js";
import type { Feeds } from "../../src/runtime/session.js";
import type { Corpus } from "../../src/training/corpus.js";
import { INPUTS } from "./objective.js";
import { predictedTokens } from "./tables.js";

/** Frequent tokens that every step looks at, and the least number of others. */
const FREQUENT = 4096;
const OTHERS = 2048;

/** The shortlist pays from so many times its size on. */
const WORTH = 4;

/** Tokens of a shortlist for steps of so many predicted positions; undefined: the vocabulary is too small for one. */
export function shortlistSize(vocabulary: number, positions: number): number | undefined {
	const size = FREQUENT + Math.min(positions, FREQUENT) + OTHERS;
	return vocabulary >= WORTH * size ? size : undefined;
}

/**
 * Softmax over a sample of the vocabulary. A token drawn from the n that are not taken anyhow, m of which are, stands for n/m of
 * them: ln(n/m) is added to its logit in both models, so that the sums of exponentials are right on average.
 * Source: importance sampling of the softmax's denominator, Bengio and Senécal 2008; Jean et al. 2015.
 */
export class Shortlist {
	/** Ids, the most frequent first. */
	private readonly frequent: Int32Array;
	/** Number of the draw that took a token last. */
	private readonly taken: Uint32Array;
	private draws = 0;

	constructor(counts: ArrayLike<number>) {
		const order = Int32Array.from({ length: counts.length }, (_, id) => id);
		this.frequent = order.sort((a, b) => (counts[b] ?? 0) - (counts[a] ?? 0) || a - b).slice(0, FREQUENT);
		this.taken = new Uint32Array(counts.length);
	}

	/** Of what the training part of `corpus` predicts. */
	static async of(corpus: Corpus, vocabulary: number): Promise<Shortlist> {
		return new Shortlist(await countTokens(predictedTokens(corpus), vocabulary));
	}

	/** Inputs of a step: `size` tokens, those that `labels` names among them; the same for the same seed. */
	feeds(size: number, labels: Int32Array, seed: number): Feeds {
		const { ids, offsets, places } = this.draw(size, labels, seed);
		return {
			[INPUTS.shortlist.ids]: tensorOf("int64", [size], (at) => ids[at] ?? 0),
			[INPUTS.shortlist.offsets]: { dtype: "float32", dims: [size], data: offsets },
			[INPUTS.shortlist.labels]: tensorOf("int64", [labels.length], (at) => places[at] ?? -1),
		};
	}

	/** Ids without repetition, ln of how many tokens each stands for, and the place of each label (−1: none). */
	draw(size: number, labels: Int32Array, seed: number): { ids: Int32Array; offsets: Float32Array; places: Int32Array } {
		const { frequent, taken } = this;
		const draw = ++this.draws;
		const ids = new Int32Array(size);
		const places = new Map<number, number>();
		let count = 0;
		const take = (id: number) => {
			if (count >= size || taken[id] === draw) return;
			taken[id] = draw;
			places.set(id, count);
			ids[count++] = id;
		};
		for (const label of labels) if (label >= 0) take(label);
		for (const id of frequent) take(id);
		const certain = count;
		const random = uniform(seed);
		while (count < Math.min(size, taken.length)) take(Math.floor(random() * taken.length));
		const standsFor = Math.log(Math.max(1, (taken.length - certain) / Math.max(1, size - certain)));
		const offsets = new Float32Array(size).fill(standsFor, certain);
		return { ids, offsets, places: labels.map((label) => (label < 0 ? -1 : (places.get(label) ?? -1))) };
	}
}
