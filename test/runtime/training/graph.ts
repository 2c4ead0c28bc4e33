// Training graphs of factorized language models: student, loss and gradients, as the pass that distils makes them.
import { crossEntropy, divergence, embeddingError, weightedSum } from "../../../src/gradient/loss.js";
import type { Ops } from "../../../src/gradient/ops.js";
import { differentiate, type SweepResult } from "../../../src/gradient/sweep.js";
import type { DType } from "../../../src/ir/dtype.js";
import { addInput } from "../../../src/ir/edit.js";
import type { Value } from "../../../src/ir/graph.js";
import type { GraphRoles } from "../../../src/runtime/decode/roles.js";
import type { TrainedParameter, TrainingProgram } from "../../../src/runtime/training/program.js";
import type { FactorGroup, ModelFile } from "../../../src/state.js";
import { type FactorParameter, factorParameters } from "../../../src/training/factors.js";
import { trainableOf } from "../../../src/training/trainable.js";
import { wholeOf } from "../../../src/training/whole.js";

/** Names of the training graph's own inputs. */
export const INPUTS = {
	/** Teacher's logits, float32 [batch, length, vocabulary]. */
	teacher: "distemb/teacher",
	/** Weight of each position, float32 [batch, length]. */
	weights: "distemb/weights",
	/** Next tokens, int64 [batch, length]; −1: none. */
	labels: "distemb/labels",
	/** Tokens of the embedding term, int64 [n]; their rows of the original, float32 [n, d]; their weights, float32 [n]. */
	tokens: "distemb/tokens",
	original: "distemb/original",
	tokenWeights: "distemb/token_weights",
} as const;

export interface DistillationSpec {
	readonly groups: readonly FactorGroup[];
	readonly batch: number;
	readonly length: number;
	readonly temperature: number;
	readonly threads: number;
	/** Embedding distillation of the first group: tokens per step, and weight in the loss. */
	readonly embedding?: { readonly tokens: number; readonly factor: number } | undefined;
	/** Weight of the cross-entropy with the text itself. */
	readonly crossEntropy?: number | undefined;
}

export interface Distillation extends TrainingProgram {
	readonly roles: GraphRoles;
	readonly swept: SweepResult;
}

/** The training graph of a model whose factors have their values, at one [batch, length]. The model is not changed. */
export async function distillationOf(files: readonly ModelFile[], spec: DistillationSpec): Promise<Distillation> {
	const { batch, length, temperature, threads, groups } = spec;
	const whole = await wholeOf(files, { threads });
	const trainable = await trainableOf(whole, { batch, length, threads });
	const { ops, output: logits } = trainable;
	const factors = factorParameters(trainable, groups);
	const student = ops.dims(logits);
	const teacher = input(ops, INPUTS.teacher, "float32", student);
	const mask = input(ops, INPUTS.weights, "float32", student.slice(0, -1));
	const terms = [{ loss: divergence(ops, { teacher, student: logits, mask, temperature }), factor: 1 }];
	if (spec.crossEntropy !== undefined) {
		const labels = input(ops, INPUTS.labels, "int64", student.slice(0, -1));
		terms.push({ loss: crossEntropy(ops, { logits, labels, ignore: -1 }), factor: spec.crossEntropy });
	}
	if (spec.embedding !== undefined) terms.push(embeddingTerm(ops, factors, spec.embedding));
	const loss = ops.reshape(weightedSum(ops, terms), []);
	const swept = differentiate(
		ops,
		loss,
		factors.map(({ value }) => value),
	);
	const parameters = factors.flatMap(({ value, initial }): TrainedParameter[] => {
		const gradient = swept.gradients.get(value)?.dense;
		return gradient === undefined ? [] : [{ value, gradient, initial, dims: ops.dims(value), decays: true }];
	});
	return { graph: ops.graph, loss, parameters, roles: whole.roles, swept };
}

function embeddingTerm(ops: Ops, factors: readonly FactorParameter[], { tokens, factor }: { tokens: number; factor: number }) {
	const [left, right] = ["left", "right"].map((factor) => factors.find((one) => one.factor === factor)?.value);
	if (left === undefined || right === undefined) throw new Error("no factors");
	const ids = input(ops, INPUTS.tokens, "int64", [tokens]);
	const original = input(ops, INPUTS.original, "float32", [tokens, ops.dims(right)[1] ?? 0]);
	const weights = input(ops, INPUTS.tokenWeights, "float32", [tokens]);
	return { loss: embeddingError(ops, { original, left: ops.gather(left, ids, 0), right, weights }), factor };
}

function input(ops: Ops, name: string, dtype: DType, dims: readonly number[]): Value {
	return ops.learn(addInput(ops.graph, name, { type: { dtype, shape: dims }, carried: undefined }), { dtype, dims });
}
