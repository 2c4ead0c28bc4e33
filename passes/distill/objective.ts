// What a training minimises and what its validation measures, as parts of the training graph: math.md §6.
import { crossEntropy, divergence, embeddingError, squaredError, tableError, weightedSum } from "../../src/gradient/loss.js";
import type { Ops } from "../../src/gradient/ops.js";
import { addConstant } from "../../src/ir/build.js";
import type { Value } from "../../src/ir/graph.js";
import { float32Tensor } from "../../src/ir/tensor.js";
import type { Distillation, FactorGroup } from "../../src/state.js";
import type { Trainable } from "../../src/training/trainable.js";
import type { LossWeights, Recipe } from "./options.js";
import { addFeed, type Factor } from "./parameters.js";

/** Names of the training graph's own inputs. */
export const INPUTS = {
	/** The original's logits or states, float32 [batch, length, width]. */
	teacher: "distemb/teacher",
	/** The original's states at its head, float32 of the student's sizes. */
	states: "distemb/original.states",
	/** Weight of each position, float32 [batch, length]. */
	weights: "distemb/weights",
	/** What is right at each position, int64 [batch, length]; −1: nothing. */
	labels: "distemb/labels",
	/** Of a {@link Shortlist}: its tokens, int64 [n]; ln of how many each stands for, float32 [n]; places of the labels in it, int64 [positions]. */
	shortlist: { ids: "distemb/shortlist/ids", offsets: "distemb/shortlist/offsets", labels: "distemb/shortlist/labels" },
	/** Of embedding distillation, per group: ids, int64 [n]; their rows of the table, float32 [n, d]; their weights, float32 [n]. */
	rows: (group: number) => ({
		ids: `distemb/rows.${group}/ids`,
		original: `distemb/rows.${group}/original`,
		weights: `distemb/rows.${group}/weights`,
	}),
} as const;

/** Embedding distillation of one group. */
export interface RowTerm {
	readonly group: FactorGroup;
	/** Rows per step. */
	readonly count: number;
	/** Root A of the metric G = A Aᵀ, d×d row-major; the plain square without it. */
	readonly metric: Float32Array | undefined;
	/** ‖E‖², where every step looks at the whole table. */
	readonly energy?: number | undefined;
}

export interface Predictions {
	/** The student's, [batch, length, width]; of a shortlist [batch, length, n]. */
	readonly logits: Value;
	/** Tokens of the shortlist that they are; undefined: all. */
	readonly shortlist: number | undefined;
	readonly ids?: Value;
}

interface Seen extends Predictions {
	/** The student's states at its head, where they are compared. */
	readonly states: Value | undefined;
}

/** What is minimised, and what is measured of it: scalars. */
export interface Objective {
	readonly loss: Value;
	readonly measure: Value;
	readonly measures: Distillation["measures"];
}

interface Term {
	readonly loss: Value;
	readonly factor: number;
}

/** All terms of the recipe that have a weight. */
export function objective(
	trainable: Trainable,
	factors: readonly Factor[],
	rows: readonly RowTerm[],
	seen: Seen,
	{ weights }: Recipe,
): Objective {
	const { ops, output, whole, shape } = trainable;
	const teacher = addFeed(trainable, INPUTS.teacher, "float32", ops.dims(output));
	const mask = addFeed(trainable, INPUTS.weights, "float32", [shape.batch, shape.length]);
	const predicted =
		whole.kind === "encoder" ? ofStates(trainable, teacher, mask, weights) : ofTokens(trainable, seen, { teacher, mask }, weights);
	const embedding =
		weights.embedding > 0 ? rows.map((term, index) => ({ loss: rowLoss(trainable, factors, term, index), factor: weights.embedding })) : [];
	const { terms, measure, measures } = predicted;
	return { loss: ops.reshape(weightedSum(ops, [...terms, ...embedding]), []), measure: ops.reshape(measure, []), measures };
}

interface Predicted {
	readonly terms: readonly Term[];
	readonly measure: Value;
	readonly measures: Distillation["measures"];
}

function ofStates({ ops, output }: Trainable, teacher: Value, mask: Value, weights: LossWeights): Predicted {
	const measure = shareOf(ops, teacher, output, mask);
	const factor = Math.max(weights.states, weights.kl);
	return { terms: factor > 0 ? [{ loss: measure, factor }] : [], measure, measures: "states" };
}

interface Taught {
	readonly teacher: Value;
	readonly mask: Value;
}

function ofTokens(trainable: Trainable, seen: Seen, { teacher, mask }: Taught, weights: LossWeights): Predicted {
	const { ops, output, whole, shape } = trainable;
	const { states } = seen;
	const { kl, crossEntropy: hard, temperature } = weights;
	const labels = addFeed(trainable, INPUTS.labels, "int64", [shape.batch, shape.length]);
	const learned = learnedOf(trainable, seen, teacher, labels);
	const isAll = learned.student === output;
	// What is measured looks at all tokens, at temperature 1; where a term of the loss is the same, it is computed once.
	const soft = once(() => divergence(ops, { teacher, student: output, mask, temperature: 1 }));
	const own = once(() => crossEntropy(ops, { logits: output, labels, ignore: -1 }));
	const terms: Term[] = [];
	if (kl > 0) terms.push({ loss: isAll && temperature === 1 ? soft() : divergence(ops, { ...learned, mask, temperature }), factor: kl });
	if (hard > 0)
		terms.push({
			loss: isAll ? own() : crossEntropy(ops, { logits: learned.student, labels: learned.labels, ignore: -1 }),
			factor: hard,
		});
	if (states !== undefined && weights.states > 0) {
		const original = addFeed(trainable, INPUTS.states, "float32", ops.dims(states));
		const loss = shareOf(ops, original, states, whole.roles.timeMajor ? ops.transpose(mask, [1, 0]) : mask);
		terms.push({ loss, factor: weights.states });
	}
	if (hard === 0) return { terms, measure: soft(), measures: "divergence" };
	if (kl === 0) return { terms, measure: own(), measures: "crossEntropy" };
	const both = weightedSum(ops, [
		{ loss: soft(), factor: kl / (kl + hard) },
		{ loss: own(), factor: hard / (kl + hard) },
	]);
	return { terms, measure: both, measures: "both" };
}

function once<T>(make: () => T): () => T {
	let made: { readonly value: T } | undefined;
	return () => {
		made ??= { value: make() };
		return made.value;
	};
}

/** What the loss compares: all tokens, or those of the shortlist with what each stands for. */
function learnedOf(trainable: Trainable, { logits, shortlist, ids }: Seen, teacher: Value, labels: Value): Learned {
	const { ops, output, shape } = trainable;
	if (ids === undefined || shortlist === undefined) return { teacher, student: output, labels };
	const offsets = addFeed(trainable, INPUTS.shortlist.offsets, "float32", [shortlist]);
	const places = addFeed(trainable, INPUTS.shortlist.labels, "int64", [shape.batch * shape.length]);
	return {
		teacher: ops.add(ops.gather(teacher, ids, 2), offsets),
		student: ops.add(logits, offsets),
		labels: ops.reshape(places, [shape.batch, shape.length]),
	};
}

/** Logits of the original and of the student, and what is right, of all tokens or of a shortlist. */
interface Learned {
	readonly teacher: Value;
	readonly student: Value;
	readonly labels: Value;
}

/** Mean of (student − teacher)² as a share of the teacher's mean square. */
function shareOf(ops: Ops, teacher: Value, student: Value, mask: Value): Value {
	const zero = ops.mul(teacher, 0);
	return ops.div(squaredError(ops, { teacher, student, mask }), squaredError(ops, { teacher: zero, student: teacher, mask }));
}

function rowLoss(trainable: Trainable, factors: readonly Factor[], { group, count, metric, energy }: RowTerm, index: number): Value {
	const { ops } = trainable;
	const of = (side: "left" | "right") => factors.find((factor) => factor.group === group && factor.factor === side);
	const [left, right] = [of("left"), of("right")];
	if (left === undefined || right === undefined) return ops.scalar(0, "float32");
	const { cols } = group.vocabulary.table;
	const names = INPUTS.rows(index);
	const turned = ({ stored }: Factor) => stored.role.endsWith("T");
	const plain = (factor: Factor) => (turned(factor) ? ops.transpose(factor.active, [1, 0]) : factor.active);
	const original = addFeed(trainable, names.original, "float32", [count, cols]);
	if (energy !== undefined) return tableError(ops, { original, left: plain(left), right: plain(right), energy });
	const ids = addFeed(trainable, names.ids, "int64", [count]);
	const weights = addFeed(trainable, names.weights, "float32", [count]);
	const picked = turned(left) ? ops.transpose(ops.gather(left.active, ids, 1), [1, 0]) : ops.gather(left.active, ids, 0);
	return embeddingError(ops, {
		original,
		left: picked,
		right: plain(right),
		weights,
		metric: metric && addConstant(ops.graph, `distemb/metric.${index}`, float32Tensor(metric, [cols, cols])),
	});
}
