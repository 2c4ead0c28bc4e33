// Training graphs of factorized language models: student, loss and gradients. The runtime may not import gradient/, so the two
// meet here, as they will in the pass that distils.
import { crossEntropy, divergence, embeddingError, weightedSum } from "../../../src/gradient/loss.js";
import type { Ops } from "../../../src/gradient/ops.js";
import { asParameter, prepareForTraining, type TrainingGraph } from "../../../src/gradient/prepare.js";
import { differentiate, type SweepResult } from "../../../src/gradient/sweep.js";
import type { DType } from "../../../src/ir/dtype.js";
import { addInput, removeInitializer, replaceUses, setInput } from "../../../src/ir/edit.js";
import type { Model, Value } from "../../../src/ir/graph.js";
import type { SourceFile } from "../../../src/onnx/source.js";
import { type Rows, stepFeeds } from "../../../src/runtime/decode/feeds.js";
import { type GraphRoles, readRoles } from "../../../src/runtime/decode/roles.js";
import { probe } from "../../../src/runtime/probe.js";
import type { TrainedParameter, TrainingProgram } from "../../../src/runtime/training/program.js";
import type { FactorGroup } from "../../../src/state.js";

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
	readonly source?: SourceFile | undefined;
}

export interface Distillation extends TrainingProgram {
	readonly roles: GraphRoles;
	readonly swept: SweepResult;
}

/** The training graph of a model whose factors have their values, at one [batch, length]. `model` is not changed. */
export async function distillationOf(model: Model, spec: DistillationSpec): Promise<Distillation> {
	const { batch, length, temperature, threads, source, groups } = spec;
	const roles = readRoles(model);
	const tokens: Rows = { batch, length, ids: new Int32Array(batch * length) };
	const feeds = stepFeeds(roles, { tokens, position: 0 });
	const training = await prepareForTraining(model, (copy) => probe(copy, feeds, { threads, source }));
	const { ops } = training;
	fixShapes(ops);
	const logits = copyOf(training, model.graph.outputs.find(({ value }) => value.name === roles.output)?.value);
	const factors = groups.flatMap((group) => factorsOf(training, group));
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
	return { graph: training.model.graph, loss, parameters, source, roles, swept };
}

/**
 * Reshapes get constant shapes: all sizes are fixed. onnxruntime 1.30 does not load a graph in which a Reshape whose shape is
 * computed by Shape, Slice and Concat is followed by a Reshape ("Attempting to get index by a name which does not exist").
 */
function fixShapes(ops: Ops): void {
	for (const node of ops.graph.nodes) {
		const [output] = node.outputs;
		if (!node.is("Reshape") || output === undefined || !ops.knows(output) || ops.dims(output).includes(0)) continue;
		setInput(node, 1, ops.integers(ops.dims(output)));
	}
}

interface Factor {
	readonly role: string;
	readonly value: Value;
	readonly initial: Float32Array;
}

/** U and W as parameters; where a group stores them transposed as well, the copies are computed from these. */
function factorsOf(training: TrainingGraph, group: FactorGroup): Factor[] {
	const found: Factor[] = [];
	const { ops } = training;
	for (const role of ["left", "right"] as const) {
		const plain = group.values.find((factor) => factor.role === role)?.value;
		const turned = group.values.find((factor) => factor.role === `${role}T`)?.value;
		const main = plain ?? turned;
		if (main?.tensor === undefined) throw new Error(`no ${role} factor`);
		const copy = plain === undefined || turned === undefined ? undefined : copyOf(training, turned);
		const value = asParameter(training, copyOf(training, main));
		found.push({ role: plain === undefined ? `${role}T` : role, value, initial: floatsOf(main) });
		if (copy === undefined) continue;
		replaceUses(copy, ops.at(`${value.name}/turned`, ops.graph.nodes[0]).transpose(value, [1, 0]));
		removeInitializer(copy);
	}
	return found;
}

function embeddingTerm(ops: Ops, factors: readonly Factor[], { tokens, factor }: { tokens: number; factor: number }) {
	const [left, right] = ["left", "right"].map((role) => factors.find((one) => one.role === role)?.value);
	if (left === undefined || right === undefined) throw new Error("no factors");
	const ids = input(ops, INPUTS.tokens, "int64", [tokens]);
	const original = input(ops, INPUTS.original, "float32", [tokens, ops.dims(right)[1] ?? 0]);
	const weights = input(ops, INPUTS.tokenWeights, "float32", [tokens]);
	return { loss: embeddingError(ops, { original, left: ops.gather(left, ids, 0), right, weights }), factor };
}

function input(ops: Ops, name: string, dtype: DType, dims: readonly number[]): Value {
	return ops.learn(addInput(ops.graph, name, { type: { dtype, shape: dims }, carried: undefined }), { dtype, dims });
}

function copyOf({ values }: TrainingGraph, original: Value | undefined): Value {
	const value = original === undefined ? undefined : values.get(original);
	if (value === undefined) throw new Error(`"${original?.name}" is not in the training graph`);
	return value;
}

function floatsOf({ tensor }: Value): Float32Array {
	const bytes = tensor?.bytes() ?? new Uint8Array(0);
	return new Float32Array(bytes.slice().buffer);
}
