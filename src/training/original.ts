// The original cut where its states meet the vocabulary: states of a batch once, its predictions from them as often as wanted.
import { DistembError } from "../errors.js";
import { addInput, replaceUses } from "../ir/edit.js";
import type { Value } from "../ir/graph.js";
import { openBundle } from "../onnx/index.js";
import { openComputation } from "../runtime/computation.js";
import type { EngineTensor, Session } from "../runtime/session.js";
import type { Projection } from "../state.js";
import { type BatchShape, feedsFor, type TrainingBatch } from "./batches.js";
import { type Trainable, trainableOf } from "./trainable.js";
import { wholeOf } from "./whole.js";

/** Name of the input that the states come in by. */
export const STATES = "distemb/states";

/**
 * Makes `states` an input of a training graph: what computed them is not needed any more.
 * @returns the input, of the states' sizes
 */
export function cutAt({ ops }: Trainable, states: Value): Value {
	const { dtype, dims } = ops.facts(states);
	const input = ops.learn(addInput(ops.graph, STATES, { type: { dtype, shape: dims }, carried: undefined }), { dtype, dims });
	replaceUses(states, input);
	return input;
}

/** Opens the original at `path` for batches of one shape. Close it when done. @throws DistembError `refused`, `engine` */
export async function openOriginal(path: string, head: Projection, shape: BatchShape, threads: number): Promise<Original> {
	const bundle = openBundle(path);
	try {
		const files = bundle.models.map(({ name, open }) => ({ name, path: open.path, model: open.model, bytes: open.source.size }));
		const whole = await wholeOf(files, { threads });
		const trainable = await trainableOf(whole, { ...shape, threads });
		const file = files.find(({ name }) => name === head.file.name);
		const named = file?.model.graph.nodes.flatMap(({ outputs }) => outputs).find((value) => value?.name === head.hidden.name);
		const states = file === undefined || named === undefined ? undefined : trainable.copyOf(file, named);
		if (states === undefined) throw new DistembError("refused", `the original's states "${head.hidden.name}" are not within reach`);
		const { graph } = trainable.ops;
		const body = await openComputation(graph, [states], { threads });
		cutAt(trainable, states);
		try {
			return new Original(trainable, states, body, await openComputation(graph, [trainable.output], { threads }));
		} catch (error) {
			await body.close();
			throw error;
		}
	} finally {
		bundle.close();
	}
}

export class Original {
	constructor(
		private readonly trainable: Trainable,
		private readonly states: Value,
		private readonly body: Session,
		private readonly head: Session,
	) {}

	/** The states that meet the vocabulary, as the graph has them. */
	async statesOf(batch: Pick<TrainingBatch, "tokens" | "source">): Promise<EngineTensor> {
		const results = await this.body.run(feedsFor(this.trainable.whole.roles, batch), [this.states.name]);
		return found(results[this.states.name]);
	}

	/** Logits [batch, length, width] for states. */
	async predict(states: EngineTensor): Promise<EngineTensor> {
		const { name } = this.trainable.output;
		const results = await this.head.run({ [STATES]: states }, [name]);
		return found(results[name]);
	}

	async close(): Promise<void> {
		await this.body.close();
		await this.head.close();
	}
}

function found(tensor: EngineTensor | undefined): EngineTensor {
	if (tensor === undefined) throw new DistembError("internal", "the engine gave no states or logits");
	return tensor;
}
