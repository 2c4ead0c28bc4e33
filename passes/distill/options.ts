// What distillation can be asked for, and what it does if nothing is said.

import type { TextModelKind } from "../../src/runtime/decode/model.js";
import type { AdamWOptions } from "../../src/runtime/training/adamw.js";
import type { CurvePoint, Distillation, FactorGroup } from "../../src/state.js";
import type { CheckpointStore } from "../../src/training/checkpoint.js";
import type { Corpus } from "../../src/training/corpus.js";

/** Weights of the losses' sum, math.md §6. */
export interface LossWeights {
	/** T²·KL(original ‖ student) per predicted token, in nats. */
	readonly kl: number;
	/** Cross-entropy with the data's own tokens, in nats. */
	readonly crossEntropy: number;
	/**
	 * Mean squared difference of states, as a share of the original's mean square: of the states that an encoder without a head gives
	 * (1 by default), or of those that meet the head (1 for a translator that starts far from the original, else 0; it takes a session of the
	 * original for each shape of batches).
	 */
	readonly states: number;
	/** Embedding distillation: what the factors miss of the table, as a share of the whole; `paper`: (1/V) Σ ‖eᵢ − f(uᵢ)W‖². */
	readonly embedding: number;
	/** T of both softmaxes of the KL divergence. */
	readonly temperature: number;
}

/**
 * `head`: the factors of a head on the original's own states, which costs a fraction of a step through the body and is what large
 * models get; `factors`: all of U and W; `norms`: norms and biases too; `all`: every float weight that states pass through.
 */
export type TrainedSet = "head" | "factors" | "norms" | "all";

export interface DistillOptions {
	/** Undefined: nothing is trained. */
	readonly corpus: Corpus | undefined;
	/** `paper`: math.md §1; `svd`: nothing is trained. */
	readonly method: "distemb" | "paper" | "svd";
	/** Training ends after so many steps, … */
	readonly steps?: number | undefined;
	/** … or minutes, whichever is first; 10 minutes if neither is given. */
	readonly minutes?: number | undefined;
	/** Sequences (or pairs) per step. */
	readonly batch?: number | undefined;
	/** Tokens per sequence. */
	readonly length?: number | undefined;
	/** Highest learning rate of the factors; the others' follow in proportion. */
	readonly lr?: number | undefined;
	readonly train?: TrainedSet | undefined;
	/** Where everything is trained: parts that follow each other, see phases.ts. */
	readonly phases?: readonly CurvePoint["phase"][] | undefined;
	readonly weights?: Partial<LossWeights> | undefined;
	readonly checkpoint?: CheckpointStore | undefined;
}

/** Everything that depends on the method. Rates of norms and weights are multiples of the factors'. */
export interface Recipe {
	readonly weights: LossWeights;
	readonly rate: number;
	/** Lower where a coded student is near the original from the start, see {@link rateFrom}. */
	readonly adapts: boolean;
	readonly normRate: number;
	readonly weightRate: number;
	/** Of the optimizer, see {@link AdamWOptions.damping}. */
	readonly damping: number;
	readonly train: TrainedSet;
	/** Nonnegative left factors: ReLU in the training graph, folded at the end. */
	readonly relu: boolean;
}

/** Minutes, where neither steps nor minutes are given. */
export const DEFAULT_MINUTES = 10;

const DISTEMB: Recipe = {
	weights: { kl: 1, crossEntropy: 0, states: 0, embedding: 0.5, temperature: 1 },
	rate: 1e-3,
	adapts: true,
	normRate: 0.1,
	weightRate: 0.1,
	damping: 0,
	train: "all",
	relu: false,
};

/**
 * L = CE + α·L_ED. The factors, whose numbers are larger once they are balanced, learn faster than the rest: on the translator at rank 64,
 * 110 steps, one rate of 10⁻⁴ for all leaves 2.43 nats a token on test text, 3·10⁻⁴ 2.16, 10⁻³ beside 10⁻⁴ 2.08, 10⁻³ beside 3·10⁻⁴ 2.01.
 */
const PAPER: Recipe = {
	weights: { kl: 0, crossEntropy: 1, states: 0, embedding: 1, temperature: 1 },
	rate: 1e-3,
	adapts: false,
	normRate: 0.3,
	weightRate: 0.3,
	damping: 0,
	train: "all",
	relu: true,
};

/** Divergence from which on a student is far from the original, in nats: the whole rate is right for coded factors, and more than that for others. */
const FAR = 0.5;

/** What is known of a student before it is trained. */
export interface Start {
	readonly kind: TextModelKind;
	/** Steps read rounded factors. */
	readonly isCoded: boolean;
	/** The text that it learns from was written by the original. */
	readonly isGenerated: boolean;
	/** Nats per token that the factors are predicted to lose; undefined: not known. */
	readonly predicted: number | undefined;
}

/** A translator whose float factors start far from the original. Coded ones start near; of language models this was not measured. */
export function startsFar({ kind, isCoded, predicted }: Start): boolean {
	return kind === "translator" && !isCoded && predicted !== undefined && predicted > FAR;
}

/**
 * Twice the rate, with damping, and the states at the head besides: at rank 64, 300 steps of 32 pairs, 0.70 and 0.69 nats of KL (two seeds) and 44.5
 * and 44.0 BLEU; without states 0.73 and 42.7. Twice the rate alone gains nothing, damping alone 4 % of the KL after 150 steps.
 */
const FAR_RATE = 2e-3;
const FAR_STATES = 1;

/**
 * For coded factors and far from the original. Coded at 32 times a translator ends 100 steps at 0.671 nats (the mean of KL and cross-entropy on
 * validation text) with it and at 0.731 without; language models at 16 times end 3 % nearer to the original. A float
 * head that is trained alone for 24 steps ends further away with it (0.971 for 0.953 nats), so float factors near the original go without.
 */
const DAMPING = 0.1;

/**
 * Weight of the data's own words far from the original. There they help and cost next to nothing: at rank 64, 45 minutes, 49.5 BLEU for 47.7 and
 * 1.345 nats for 1.660, at a divergence of 0.460 for 0.447. Near it labels pull away: coded at 16 times the divergence ends at 0.155 for 0.092.
 */
const FAR_LABELS = 0.5;

/**
 * Of a translator's coded factors, whose steps read half as many tokens as a language model's: at 32 times, 120 steps with labels end at a KL of 0.389
 * where 10⁻³ goes astray in the first 15 and, at half of that, ends at 0.396; at 16 times 3·10⁻⁴ is too much after √(2·KL) and a third of it is right.
 */
const CODED_TRANSLATOR_RATE = 3e-4;

function distembFrom(start: Start): Recipe {
	const { kind, isCoded } = start;
	if (!startsFar(start))
		return {
			...DISTEMB,
			damping: isCoded ? DAMPING : DISTEMB.damping,
			rate: isCoded && kind === "translator" ? CODED_TRANSLATOR_RATE : DISTEMB.rate,
		};
	const labels = start.isGenerated ? {} : { crossEntropy: FAR_LABELS };
	return { ...DISTEMB, rate: FAR_RATE, damping: DAMPING, weights: { ...DISTEMB.weights, states: FAR_STATES, ...labels } };
}

/** The method's recipe with what was asked for in its place. */
export function recipeOf({ method, lr, train, weights }: DistillOptions, start: Start): Recipe {
	const { kind, isCoded } = start;
	const recipe = method === "paper" ? PAPER : distembFrom(start);
	return {
		...recipe,
		rate: lr ?? recipe.rate,
		adapts: recipe.adapts && isCoded && lr === undefined && kind !== "encoder",
		train: train ?? recipe.train,
		weights: { ...recipe.weights, ...(kind === "encoder" ? { states: 1 } : {}), ...weights },
	};
}

/**
 * KL(original ‖ student) at the start in nats, as `first` measures it; or, where that is no divergence, as was predicted of coded factors from
 * text. Infinite: not known.
 */
export function startOf(measures: Distillation["measures"], first: number, groups: readonly Pick<FactorGroup, "coding">[]): number {
	if (measures === "divergence") return first;
	return groups.reduce((sum, { coding }) => {
		const isKnown = coding?.calibrated === "data" || coding?.calibrated === "generated";
		return sum + (isKnown ? coding.predictedLoss : Number.POSITIVE_INFINITY);
	}, 0);
}

/**
 * The highest learning rate for a student that starts `first` nats from the original. Near it large steps undo what rounding was fitted to:
 * the small GPT-2 at 16 times (0.006 nats at the start) ends at 0.0042 with 10⁻³, at 0.0039 with 3·10⁻⁴ and at 0.0036 with 10⁻⁴, at 32 times (0.044) at 0.0273 and 0.0259;
 * the fixture at 16 times (0.26) at 0.082 with 10⁻³ and 0.102 with 4·10⁻⁴.
 */
export function rateFrom({ rate, adapts }: Pick<Recipe, "rate" | "adapts">, first: number): number {
	return adapts ? rate * Math.sqrt(Math.min(1, first / FAR)) : rate;
}
