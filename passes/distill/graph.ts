// The training graph: the student at one shape of batches, its losses, and their gradients.
import { DistembError } from "../../src/errors.js";
import { columnSelector } from "../../src/gradient/columns.js";
import type { Ops } from "../../src/gradient/ops.js";
import { differentiate, type MissingRule } from "../../src/gradient/sweep.js";
import type { Node, Value } from "../../src/ir/graph.js";
import type { Feeds } from "../../src/runtime/session.js";
import type { TrainedParameter, TrainingProgram } from "../../src/runtime/training/program.js";
import type { Distillation, FactorGroup, Projection } from "../../src/state.js";
import type { BatchShape } from "../../src/training/batches.js";
import { cutAt } from "../../src/training/original.js";
import { type Trainable, trainableOf } from "../../src/training/trainable.js";
import type { WholeModel } from "../../src/training/whole.js";
import { INPUTS, objective, type Predictions, type RowTerm } from "./objective.js";
import type { Recipe } from "./options.js";
import { addFeed, bodyParameters, bodyTensors, factorInputs, type Parameter } from "./parameters.js";

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
	 * What validation measures, over all tokens: the part of the objective that looks at predictions, as a mean by the weights of KL
	 * divergence and cross-entropy in nats per position; of encoders the difference of states as a share of their square.
	 */
	readonly measure: Value;
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
	const { loss, measure, measures } = objective(trainable, factors, rows, { ...seen, states }, recipe);
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

/** What the loss looks at: the logits of a shortlist, if they can be had without the others. */
function predictions(trainable: Trainable, { shortlist, recipe }: GraphSpec): Predictions {
	const { ops, output, whole } = trainable;
	if (shortlist === undefined || recipe.relu || whole.kind === "encoder") return { logits: output, shortlist: undefined };
	const select = columnSelector(ops, output);
	if (select === undefined) return { logits: output, shortlist: undefined };
	const ids = addFeed(trainable, INPUTS.shortlist.ids, "int64", [shortlist]);
	return { logits: select(ids), shortlist, ids };
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
