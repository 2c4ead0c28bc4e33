// The graph that calibrates: the original with the moments of math.md §3 as outputs, at one batch and length.
import { crossEntropy } from "../../src/gradient/loss.js";
import type { Ops } from "../../src/gradient/ops.js";
import { differentiate, type MissingRule } from "../../src/gradient/sweep.js";
import { addInput } from "../../src/ir/edit.js";
import type { Value } from "../../src/ir/graph.js";
import type { Trainable } from "../../src/training/trainable.js";
import type { Sites } from "./sites.js";

/** Names of the graph's own inputs, float32 [batch, length]. */
export const INPUTS = {
	/** 1 where a prediction counts, else 0. */
	weights: "distemb/weights",
	/** Uniform numbers in [0, 1): they choose the labels. */
	uniform: "distemb/uniform",
} as const;

/** What one lookup gives per batch. */
export interface LookupMoments {
	/** Ids as the lookup reads them, int64 [n]. */
	readonly ids: Value;
	/** Undefined: no gradient reaches this lookup. */
	readonly gradient: GradientMoments | undefined;
}

export interface GradientMoments {
	/** Squared norm of the gradient at each place, float32 [n]. */
	readonly norms: Value;
	/** Σ GᵀG over the tokens of each sequence, G the sum of the gradients at a token's places, float32 [d, d]: its row errs alike at all of them. */
	readonly moment: Value;
}

/** What one table gives per batch. */
export interface TableMoments {
	readonly sites: Sites;
	readonly lookups: readonly LookupMoments[];
	/** Σ hᵀh over predictions and projections, float32 [d, d]; undefined without projections. */
	readonly hidden: Value | undefined;
}

export interface CalibrationGraph {
	readonly trainable: Trainable;
	/** Σ p(1 − p) over predictions, float32 [V]; undefined for an encoder, which predicts no tokens. */
	readonly spread: Value | undefined;
	readonly tables: readonly TableMoments[];
	/** Everything to ask the engine for. */
	readonly outputs: readonly Value[];
	/** Operators that no gradient passes. */
	readonly missing: readonly MissingRule[];
}

/**
 * Adds to the training graph: labels drawn from the model's own predictions, and the gradient of their summed log-likelihood at every lookup.
 * Labels are drawn at each place on its own, so scores of different places are uncorrelated, and the second moment of the sum
 * is the curvature of the KL divergence: the Fisher matrix (Martens 2020, "New insights and perspectives on the natural gradient method", §5).
 */
export function calibrationGraph(trainable: Trainable, tables: readonly Sites[]): CalibrationGraph {
	const { ops, output } = trainable;
	const predicts = trainable.whole.kind !== "encoder";
	const loss = predicts ? likelihood(ops, output) : undefined;
	const lookups = tables.flatMap((sites) => sites.lookups);
	const outputs = loss === undefined ? [] : lookups.flatMap(({ rows }) => rows ?? []);
	const swept = loss === undefined ? undefined : differentiate(ops, loss.value, outputs);
	const gradientAt = (rows: Value | undefined): Value | undefined => {
		const found = rows === undefined ? undefined : swept?.gradients.get(rows);
		return found === undefined || found.lacks.length > 0 ? undefined : found.dense;
	};
	const moments = tables.map((sites): TableMoments => {
		const found = sites.lookups.map(({ ids, rows }) => {
			const flat = ops.cast(ops.reshape(ids, [sizeOf(ops, ids)]), "int64");
			const gradient = gradientAt(rows);
			return { ids: flat, gradient: gradient && gradientMoments(trainable, flat, gradient, sites.cols) };
		});
		return { sites, lookups: found, hidden: loss && hiddenMoment(trainable, sites, loss.weights) };
	});
	const wanted = moments.flatMap(({ lookups: each, hidden }) => [
		...each.flatMap(({ ids, gradient }) => (gradient === undefined ? [ids] : [ids, gradient.norms, gradient.moment])),
		...(hidden === undefined ? [] : [hidden]),
	]);
	const { spread } = loss ?? {};
	return {
		trainable,
		spread,
		tables: moments,
		outputs: spread === undefined ? wanted : [spread, ...wanted],
		missing: swept?.missing ?? [],
	};
}

const IGNORED = -1;

interface Likelihood {
	/** −Σ ln p(drawn label) over the places that count. */
	readonly value: Value;
	readonly spread: Value;
	/** [places, 1] */
	readonly weights: Value;
}

function likelihood(ops: Ops, logits: Value): Likelihood {
	const [batch = 0, length = 0, vocabulary = 0] = ops.dims(logits);
	const places = batch * length;
	const weights = ops.reshape(input(ops, INPUTS.weights, [batch, length]), [places, 1]);
	const uniform = ops.reshape(input(ops, INPUTS.uniform, [batch, length]), [places, 1]);
	const rows = ops.reshape(ops.cast(logits, "float32"), [places, vocabulary]);
	const p = ops.softmax(rows, 1);
	const spread = ops.reshape(ops.gemm(weights, ops.sub(p, ops.square(p)), { transA: true }), [vocabulary]);
	const labels = ops.where(ops.greater(weights, 0), drawn(ops, p, uniform), IGNORED);
	const mean = crossEntropy(ops, { logits: rows, labels: ops.reshape(labels, [places]), ignore: IGNORED });
	return { value: ops.reshape(ops.mul(mean, ops.total(weights)), []), spread, weights };
}

/** The token at which the running sum of probabilities reaches its share `uniform`, int64 [n, 1]. */
function drawn(ops: Ops, p: Value, uniform: Value): Value {
	const vocabulary = ops.dims(p)[1] ?? 0;
	const sums = ops.cumsum(p, 1);
	const whole = ops.slice(sums, [{ axis: 1, start: vocabulary - 1, end: vocabulary }]);
	const below = ops.cast(ops.less(sums, ops.mul(uniform, whole)), "int32");
	return ops.cast(ops.sum(below, [1], true), "int64");
}

function gradientMoments({ ops, shape, whole }: Trainable, ids: Value, gradient: Value, cols: number): GradientMoments {
	const [places = 0] = ops.dims(ids);
	const { batch } = shape;
	const rows = ops.reshape(ops.cast(gradient, "float32"), [places, cols]);
	const sequenceOf = (place: number) => (whole.roles.timeMajor ? place % batch : Math.floor((place * batch) / places));
	const sequences = ops.integers(Array.from({ length: places }, (_, place) => sequenceOf(place)));
	const equal = (a: Value) => ops.equal(ops.reshape(a, [places, 1]), ops.reshape(a, [1, places]));
	const same = ops.cast(ops.and(equal(ids), equal(sequences)), "float32");
	return { norms: ops.sum(ops.square(rows), [1]), moment: ops.gemm(rows, ops.gemm(same, rows), { transA: true }) };
}

function hiddenMoment({ ops, shape, whole }: Trainable, { projections, cols }: Sites, weights: Value): Value | undefined {
	const { batch, length } = shape;
	const each = projections.flatMap(({ hidden, alpha }) => {
		// A projection of some places only is no prediction of each token.
		if (sizeOf(ops, hidden) !== batch * length * cols) return [];
		const wide = ops.cast(hidden, "float32");
		const turned = whole.roles.timeMajor ? ops.transpose(ops.reshape(wide, [length, batch, cols]), [1, 0, 2]) : wide;
		const rows = ops.reshape(turned, [batch * length, cols]);
		return [ops.gemm(rows, ops.mul(rows, weights), { transA: true, alpha: alpha ** 2 })];
	});
	return each.length === 0 ? undefined : ops.addAll(each);
}

function sizeOf(ops: Ops, value: Value): number {
	return ops.dims(value).reduce((product, size) => product * size, 1);
}

function input(ops: Ops, name: string, dims: readonly number[]): Value {
	return ops.learn(addInput(ops.graph, name, { type: { dtype: "float32", shape: dims }, carried: undefined }), { dtype: "float32", dims });
}
