// Losses of distillation, math.md §6: each adds nodes to the training graph and returns a scalar.
import { DistembError } from "../errors.js";
import type { Value } from "../ir/graph.js";
import { sizeOf } from "./facts.js";
import type { Ops } from "./ops.js";
import { reshaped } from "./row-scaled.js";

export interface DivergenceInputs {
	/** Logits of the original, [batch, length, vocabulary] or [rows, vocabulary]; nothing flows back to it. */
	readonly teacher: Value;
	/** Logits of the student, of the same sizes. */
	readonly student: Value;
	/** Weight of each position, of the logits' sizes without the last (0 for padding); all positions count alike without it. */
	readonly mask?: Value | undefined;
	readonly temperature: number;
}

/**
 * T² · KL(teacher ‖ student), both at temperature T, averaged over positions by their weights.
 * With p = softmax(teacher / T) and q = softmax(student / T) the gradient is T (q − p) · weight / Σ weights (Hinton et al. 2015).
 *
 * Tensors as large as the logits are what a step of a small model spends its time on. So of each row KL = Σ p (t − s) − lse t + lse s,
 * with two inner products and lse x = max x − ln max softmax x: three such tensors are written, p, q and q − p.
 */
export function divergence(ops: Ops, { teacher, student, mask, temperature }: DivergenceInputs): Value {
	const soften = (value: Value) => (temperature === 1 ? value : ops.mul(value, 1 / temperature));
	const [target, logits] = [soften(rowsOf(ops, teacher)), soften(rowsOf(ops, student))];
	const [p, q] = [ops.softmax(target, -1), ops.softmax(logits, -1)];
	const logSumExp = (value: Value, softmax: Value) => ops.sub(ops.maximum(value, [1], true), ops.log(ops.maximum(softmax, [1], true)));
	const crossed = ops.sub(ops.rowDots(p, target), ops.rowDots(p, logits));
	const perRow = ops.add(crossed, ops.sub(logSumExp(logits, q), logSumExp(target, p)));
	const weights = shares(ops, mask, logits);
	const loss = ops.mul(ops.total(ops.mul(perRow, weights)), temperature ** 2);
	return ops.gradientByHand(loss, {
		inputs: [student],
		backward: (g) => {
			const scale = ops.mul(ops.mul(weights, temperature), ops.reshape(g, [1, 1]));
			return [reshaped(ops, ops.mul(ops.sub(q, p), scale), ops.dims(student))];
		},
	});
}

export interface CrossEntropyInputs {
	/** [batch, length, vocabulary] or [rows, vocabulary]. */
	readonly logits: Value;
	/** Token ids of the logits' sizes without the last; int64 or int32. */
	readonly labels: Value;
	/** Positions with this label do not count; −100 unless given. */
	readonly ignore?: number;
}

/**
 * Mean of −ln q(label) over the positions that count, 0 if none does. Gradient: (q − 1 at the label) / positions.
 */
export function crossEntropy(ops: Ops, { logits, labels, ignore = -100 }: CrossEntropyInputs): Value {
	const rows = rowsOf(ops, logits);
	const dtype = ops.dtype(rows);
	const ids = ops.reshape(ops.cast(labels, "int64"), [sizeOf(ops.dims(labels)), 1]);
	const counts = ops.cast(ops.not(ops.equal(ids, ignore)), dtype);
	const weights = ops.div(counts, positive(ops, ops.total(counts)));
	const safe = ops.where(ops.equal(ids, ignore), 0, ids);
	const logQ = ops.logSoftmax(rows, -1);
	const loss = ops.neg(ops.total(ops.mul(ops.gatherElements(logQ, safe, 1), weights)));
	return ops.gradientByHand(loss, {
		inputs: [logits],
		backward: (g) => {
			const scale = ops.mul(weights, ops.reshape(g, [1, 1]));
			const gradient = ops.scatterElements(ops.mul(ops.exp(logQ), scale), safe, ops.neg(scale), 1);
			return [ops.reshape(gradient, ops.dims(logits))];
		},
	});
}

export interface SquaredErrorInputs {
	/** [batch, length, size]; nothing flows back to it. */
	readonly teacher: Value;
	readonly student: Value;
	/** Weight of each position, [batch, length]. */
	readonly mask?: Value | undefined;
}

/** Mean of (student − teacher)² over the elements of all positions, weighted; gradient 2 (student − teacher) · weight / size. */
export function squaredError(ops: Ops, { teacher, student, mask }: SquaredErrorInputs): Value {
	const [target, states] = [rowsOf(ops, teacher), rowsOf(ops, student)];
	const difference = ops.sub(states, target);
	const weights = ops.mul(shares(ops, mask, states), 1 / (ops.dims(states)[1] ?? 1));
	const loss = ops.total(ops.mul(ops.square(difference), weights));
	return ops.gradientByHand(loss, {
		inputs: [student],
		backward: (g) => {
			const scale = ops.mul(ops.mul(weights, 2), ops.reshape(g, [1, 1]));
			return [ops.reshape(ops.mul(difference, scale), ops.dims(student))];
		},
	});
}

export interface EmbeddingInputs {
	/** Rows of the original table, [n, d]. */
	readonly original: Value;
	/** Left factor's rows of the same tokens, [n, r]. */
	readonly left: Value;
	/** Right factor, [r, d]. */
	readonly right: Value;
	/** Weight of each token, [n]. */
	readonly weights: Value;
	/** Metric G = A Aᵀ as its root A, [d, k] (math.md §3); the plain square without it. */
	readonly metric?: Value | undefined;
}

/** Embedding distillation: Σᵢ wᵢ ‖(eᵢ − uᵢ W) A‖². Trains `left` and `right`; nothing flows to the others. */
export function embeddingError(ops: Ops, { original, left, right, weights, metric }: EmbeddingInputs): Value {
	const rows = ops.dims(original)[0] ?? 0;
	const residual = ops.sub(ops.gemm(left, right), original);
	const seen = metric === undefined ? residual : ops.gemm(residual, metric);
	const column = ops.reshape(weights, [rows, 1]);
	const loss = ops.total(ops.mul(ops.square(seen), column));
	return ops.gradientByHand(loss, {
		inputs: [left, right],
		backward: (g) => {
			const scaled = ops.mul(seen, ops.mul(ops.mul(column, 2), ops.reshape(g, [1, 1])));
			const error = metric === undefined ? scaled : ops.gemm(scaled, metric, { transB: true });
			return [ops.gemm(error, right, { transB: true }), ops.gemm(left, error, { transA: true })];
		},
	});
}

export interface TableInputs {
	/** The original table E, [V, d]. */
	readonly original: Value;
	/** Left factor U, [V, r]. */
	readonly left: Value;
	/** Right factor W, [r, d]. */
	readonly right: Value;
	/** ‖E‖². */
	readonly energy: number;
}

/**
 * Embedding distillation over all rows alike: (1/V) ‖E − UW‖², Distilled Embedding's L_ED. Trains `left` and `right`.
 *
 * ‖E‖² − 2⟨U, EWᵀ⟩ + ⟨UᵀU, WWᵀ⟩: nothing of the table's own size is computed, in two of the three large products.
 */
export function tableError(ops: Ops, { original, left, right, energy }: TableInputs): Value {
	const rows = ops.dims(original)[0] ?? 1;
	const projected = ops.gemm(original, right, { transB: true });
	const [leftGram, rightGram] = [ops.gemm(left, left, { transA: true }), ops.gemm(right, right, { transB: true })];
	const crossed = ops.total(ops.mul(left, projected));
	const squared = ops.total(ops.mul(leftGram, rightGram));
	const loss = ops.mul(ops.add(ops.sub(squared, ops.mul(crossed, 2)), energy), 1 / rows);
	return ops.gradientByHand(loss, {
		inputs: [left, right],
		backward: (g) => {
			const scale = ops.mul(ops.reshape(g, [1, 1]), 2 / rows);
			return [
				ops.mul(ops.sub(ops.gemm(left, rightGram), projected), scale),
				ops.mul(ops.sub(ops.gemm(leftGram, right), ops.gemm(left, original, { transA: true })), scale),
			];
		},
	});
}

/** Σ factor · loss of several losses. */
export function weightedSum(ops: Ops, terms: readonly { readonly loss: Value; readonly factor: number }[]): Value {
	return ops.addAll(terms.map(({ loss, factor }) => (factor === 1 ? loss : ops.mul(loss, factor))));
}

/** [rows, size]: all axes but the last taken together. */
function rowsOf(ops: Ops, value: Value): Value {
	const size = ops.dims(value).at(-1);
	if (size === undefined) throw new DistembError("internal", `"${value.name}" is a scalar, not logits or states`);
	return ops.reshape(value, [sizeOf(ops.dims(value), 0, -1), size]);
}

/** Weight of each row as a share of the whole, [rows, 1]. */
function shares(ops: Ops, mask: Value | undefined, rows: Value): Value {
	const count = ops.dims(rows)[0] ?? 1;
	const dtype = ops.dtype(rows);
	if (mask === undefined) return ops.filled([count, 1], dtype, 1 / count);
	const weights = ops.reshape(ops.cast(mask, dtype), [count, 1]);
	return ops.div(weights, positive(ops, ops.total(weights)));
}

/** A sum of weights, or 1 where nothing has weight: the loss is 0 then. */
function positive(ops: Ops, total: Value): Value {
	return ops.where(ops.greater(total, 0), total, 1);
}
