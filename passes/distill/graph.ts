// The training graph: the student at one shape of batches, its losses, and their gradients.
import { DistembError } from "../../src/errors.js";
import { columnSelector } from "../../src/gradient/columns.js";
import { crossEntropy, divergence, embeddingError, squaredError, tableError, weightedSum } from "../../src/gradient/loss.js";
import type { Ops } from "../../src/gradient/ops.js";
import { differentiate, type MissingRule } from "../../src/gradient/sweep.js";
import { addConstant } from "../../src/ir/build.js";
import type { Node, Value } from "../../src/ir/graph.js";
import { float32Tensor } from "../../src/ir/tensor.js";
import type { Feeds } from "../../src/runtime/session.js";
import type { TrainedParameter, TrainingProgram } from "../../src/runtime/training/program.js";
import type { Distillation, FactorGroup, Projection } from "../../src/state.js";
import type { BatchShape } from "../../src/training/batches.js";
import { cutAt } from "../../src/training/original.js";
import { type Trainable, trainableOf } from "../../src/training/trainable.js";
import type { WholeModel } from "../../src/training/whole.js";
import type { Recipe } from "./options.js";
import { addFeed, bodyParameters, bodyTensors, type Factor, factorInputs, type Parameter } from "./parameters.js";

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

export interface GraphSpec {
	readonly groups: readonly FactorGroup[];
	readonly rows: readonly RowTerm[];
	readonly recipe: Recipe;
	/** Tokens that a step predicts, where it does not predict all; the recipe of the paper predicts all. */
	readonly shortlist?: number | undefined;
	/** Train this head on states, instead of the whole model on tokens. */
	readonly head?: Projection | undefined;
	/** Compare the states that meet this head, by the weight of the recipe. */
	readonly states?: Projection | undefined;
	readonly threads: number;
}

export interface StudentProgram extends TrainingProgram {
	readonly shape: BatchShape;
	readonly parameters: readonly (TrainedParameter & Parameter)[];
	/**
	 * What validation measures: KL divergence in nats per position; of the paper's method, which knows no divergence, its cross-entropy;
	 * of encoders the difference of states as a share of their square.
	 */
	readonly measure: Value;
	/** `crossEntropy` reads labels, the others what the original gives. */
	readonly measures: Distillation["measures"];
	/** What the loss reads besides the model's own inputs. */
	readonly learnsFrom: { readonly original: boolean; readonly labels: boolean; readonly states: boolean };
	/** Tokens that the loss looks at, if not all. */
	readonly shortlist: number | undefined;
	/** Sizes of everything that the forward pass of a step computes, in bytes. */
	readonly activationBytes: number;
	/** What stays as it is, though it is an input: parameters without a gradient. */
	readonly constants: Feeds;
	/** Parameters that get no gradient, or only part of it, and why. */
	readonly untrained: readonly string[];
}

/** The student of `whole` at one shape; `whole` is not changed. Throws what {@link trainableOf} throws. */
export async function programAt(whole: WholeModel, shape: BatchShape, spec: GraphSpec): Promise<StudentProgram> {
	const { groups, recipe, rows, threads, head } = spec;
	const trainable = await trainableOf(whole, { ...shape, threads });
	const { ops } = trainable;
	const factors = factorInputs(trainable, groups, recipe.relu);
	const body = head === undefined ? bodyParameters(trainable, bodyTensors(trainable, factors, recipe.train), recipe) : [];
	if (head !== undefined) cutAt(trainable, statesOf(trainable, head));
	const states = head === undefined && spec.states !== undefined ? statesPerToken(trainable, spec.states) : undefined;
	const seen = predictions(trainable, spec);
	const activationBytes = activations(ops, seen.logits);
	const { loss, measure } = objective(trainable, factors, rows, { ...seen, states }, recipe);
	const candidates: Parameter[] = [
		...factors.map((stored) => ({
			value: stored.value,
			dims: stored.dims,
			initial: stored.initial,
			rate: 1,
			decays: true,
			stored,
			scales: stored.scales,
		})),
		...body,
	];
	const swept = differentiate(
		ops,
		loss,
		candidates.map(({ value }) => value),
	);
	const parameters = candidates.flatMap((parameter) => {
		const gradient = swept.gradients.get(parameter.value)?.dense;
		return gradient === undefined ? [] : [{ ...parameter, gradient }];
	});
	const untrained = [
		...(head === undefined && spec.states !== undefined && states === undefined
			? ["states at the head: they are not one for each token"]
			: []),
		...swept.untrainable.map(({ parameter, because }) => `${parameter.name}: ${reasonOf(because)}`),
		...[...swept.gradients].flatMap(([{ name }, { lacks }]) => (lacks.length === 0 ? [] : [`${name}, in part: ${reasonOf(lacks)}`])),
	];
	const { weights } = recipe;
	const learnsFrom = {
		original: whole.kind === "encoder" || weights.kl > 0,
		labels: whole.kind !== "encoder" && weights.crossEntropy > 0,
		states: states !== undefined,
	};
	const idle = candidates.filter(({ value }) => swept.gradients.get(value)?.dense === undefined);
	const measures = whole.kind === "encoder" ? "states" : recipe.relu ? "crossEntropy" : "divergence";
	const constants = Object.fromEntries(
		idle.map(({ value, dims, initial }) => [value.name, { dtype: "float32", dims, data: initial } as const]),
	);
	const { shortlist } = seen;
	return { graph: ops.graph, loss, measure, measures, parameters, shape, shortlist, activationBytes, constants, untrained, learnsFrom };
}

function reasonOf([first]: readonly MissingRule[]): string {
	return first === undefined ? "the loss does not depend on it" : `${first.why} (${first.node})`;
}

function statesOf(trainable: Trainable, { file, hidden }: Projection): Value {
	const states = trainable.copyOf(file, hidden);
	if (states === undefined) throw new DistembError("refused", `the states "${hidden.name}" are not within reach`);
	return states;
}

/** The student's states at its head, if there is one vector for each token. */
function statesPerToken(trainable: Trainable, { file, hidden }: Projection): Value | undefined {
	const { ops, shape } = trainable;
	const states = trainable.copyOf(file, hidden);
	const vectors = states === undefined ? [] : ops.dims(states).slice(0, -1);
	return vectors.reduce((product, size) => product * size, 1) === shape.batch * shape.length ? states : undefined;
}

interface Predictions {
	/** The student's, [batch, length, width]; of a shortlist [batch, length, n]. */
	readonly logits: Value;
	/** Tokens of the shortlist that they are; undefined: all. */
	readonly shortlist: number | undefined;
	readonly ids?: Value;
}

/** What the loss looks at: the logits of a shortlist, if they can be had without the others. */
function predictions(trainable: Trainable, { shortlist, recipe }: GraphSpec): Predictions {
	const { ops, output, whole } = trainable;
	if (shortlist === undefined || recipe.relu || whole.kind === "encoder") return { logits: output, shortlist: undefined };
	const select = columnSelector(ops, output);
	if (select === undefined) return { logits: output, shortlist: undefined };
	const ids = addFeed(trainable, INPUTS.shortlist.ids, "int64", [shortlist]);
	return { logits: select(ids), shortlist, ids };
}

interface Seen extends Predictions {
	/** The student's states at its head, where they are compared. */
	readonly states: Value | undefined;
}

function objective(trainable: Trainable, factors: readonly Factor[], rows: readonly RowTerm[], seen: Seen, { weights, relu }: Recipe) {
	const { ops, output, whole, shape } = trainable;
	const { states, shortlist, ids } = seen;
	const dims = [shape.batch, shape.length];
	const teacher = addFeed(trainable, INPUTS.teacher, "float32", ops.dims(output));
	const mask = addFeed(trainable, INPUTS.weights, "float32", dims);
	const terms: { loss: Value; factor: number }[] = [];
	const add = (loss: () => Value, factor: number) => {
		if (factor > 0) terms.push({ loss: loss(), factor });
	};
	let measure: Value;
	if (whole.kind === "encoder") {
		measure = shareOf(ops, teacher, output, mask);
		add(() => measure, Math.max(weights.states, weights.kl));
	} else {
		const labels = addFeed(trainable, INPUTS.labels, "int64", dims);
		measure = relu
			? crossEntropy(ops, { logits: output, labels, ignore: -1 })
			: divergence(ops, { teacher, student: output, mask, temperature: 1 });
		let learned: Learned = { teacher, student: output, labels };
		if (ids !== undefined && shortlist !== undefined) {
			const offsets = addFeed(trainable, INPUTS.shortlist.offsets, "float32", [shortlist]);
			const places = addFeed(trainable, INPUTS.shortlist.labels, "int64", [shape.batch * shape.length]);
			const few = { teacher: ops.gather(teacher, ids, 2), student: seen.logits };
			learned = { teacher: ops.add(few.teacher, offsets), student: ops.add(few.student, offsets), labels: ops.reshape(places, dims) };
		}
		const isMeasure = learned.student === output;
		const { temperature } = weights;
		add(() => (isMeasure && temperature === 1 && !relu ? measure : divergence(ops, { ...learned, mask, temperature })), weights.kl);
		add(() => (relu ? measure : crossEntropy(ops, { logits: learned.student, labels: learned.labels, ignore: -1 })), weights.crossEntropy);
		if (states !== undefined) {
			const original = addFeed(trainable, INPUTS.states, "float32", ops.dims(states));
			add(() => shareOf(ops, original, states, whole.roles.timeMajor ? ops.transpose(mask, [1, 0]) : mask), weights.states);
		}
	}
	for (const [index, term] of rows.entries()) add(() => rowLoss(trainable, factors, term, index), weights.embedding);
	return { loss: ops.reshape(weightedSum(ops, terms), []), measure: ops.reshape(measure, []) };
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

/** Bytes of all values that are computed on the way to `last`. */
function activations(ops: Ops, last: Value): number {
	const known = new Set<Node>();
	const waiting = last.producer === undefined ? [] : [last.producer];
	let bytes = 0;
	for (let node = waiting.pop(); node !== undefined; node = waiting.pop()) {
		if (known.has(node)) continue;
		known.add(node);
		for (const value of node.outputs)
			if (value !== undefined && ops.knows(value)) bytes += 4 * ops.dims(value).reduce((product, size) => product * size, 1);
		for (const input of node.inputs) if (input?.producer !== undefined) waiting.push(input.producer);
	}
	return bytes;
}
