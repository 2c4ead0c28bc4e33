// The training graph of a whole model, at one shape of batches.
import { DistembError } from "../errors.js";
import type { Ops } from "../gradient/ops.js";
import { prepareForTraining, type TrainingGraph } from "../gradient/prepare.js";
import type { Value } from "../ir/graph.js";
import type { Rows } from "../runtime/decode/feeds.js";
import { probe } from "../runtime/probe.js";
import type { ModelFile } from "../state.js";
import { type BatchShape, feedsFor } from "./batches.js";
import { asRefusal, type WholeModel } from "./whole.js";

export interface TrainableOptions extends BatchShape {
	readonly threads: number;
}

/** A copy of the model that losses and gradients are added to; the model itself is not changed. */
export interface Trainable {
	readonly whole: WholeModel;
	readonly shape: BatchShape;
	readonly training: TrainingGraph;
	/** The same as `training.ops`. */
	readonly ops: Ops;
	/** Logits, or an encoder's states: [batch, length, width], whichever way the model gives them. */
	readonly output: Value;
	/** The value of the copy that stands for one of a file's graph; undefined if it is not there (any more). */
	copyOf(file: ModelFile, value: Value): Value | undefined;
}

/**
 * Makes the training graph for batches of one shape. Its inputs are those of the whole model; see {@link feedsFor}.
 * @throws DistembError `refused` if the model does not run at this shape, or does not give one vector per token
 */
export async function trainableOf(whole: WholeModel, options: TrainableOptions): Promise<Trainable> {
	const { threads, batch, length, sourceLength } = options;
	const shape = { batch, length, sourceLength };
	const { roles } = whole;
	const source = whole.kind === "translator" ? blank(batch, sourceLength ?? length) : undefined;
	const feeds = feedsFor(roles, { tokens: blank(batch, length), source });
	const fixed = new Set(roles.ports.filter(({ role }) => FIXED.has(role)).map(({ name }) => name));
	const training = await prepared(whole, (model) => probe(model, feeds, { threads, fixed }));
	const copyOf = (file: ModelFile, value: Value) => {
		const own = whole.valueOf(file, value);
		return own === undefined ? undefined : training.values.get(own);
	};
	return { whole, shape, training, ops: training.ops, output: outputOf(whole, training, shape), copyOf };
}

/** Ports whose contents, not only their sizes, are the same in every batch. */
const FIXED: ReadonlySet<string> = new Set(["branch", "zero", "positions"]);

function blank(batch: number, length: number): Rows {
	return { batch, length, ids: new Int32Array(batch * length) };
}

async function prepared({ model }: WholeModel, probeAt: Parameters<typeof prepareForTraining>[1]): Promise<TrainingGraph> {
	try {
		return await prepareForTraining(model, probeAt);
	} catch (error) {
		throw asRefusal(error);
	}
}

/** The main output with a vector for each [batch, length]. */
function outputOf({ model, roles, width }: WholeModel, { ops, values }: TrainingGraph, { batch, length }: BatchShape): Value {
	const original = model.graph.outputs.find(({ value }) => value.name === roles.output)?.value;
	const output = original === undefined ? undefined : values.get(original);
	if (output === undefined) throw new DistembError("internal", `the output "${roles.output}" is not in the training graph`);
	const dims = ops.dims(output);
	if (dims.at(-1) !== width || dims.reduce((product, size) => product * size, 1) !== batch * length * width) {
		throw new DistembError("refused", `"${roles.output}" is [${dims.join(", ")}] for ${batch} x ${length} tokens, not a vector for each`, {
			hint: "only models that predict at every token can be trained",
		});
	}
	const near = ops.at(output.name);
	return roles.timeMajor
		? near.transpose(near.reshape(output, [length, batch, width]), [1, 0, 2])
		: near.reshape(output, [batch, length, width]);
}
