// The original at batches of one shape, with its states where they meet the vocabulary: cut there, or whole.
import { DistembError } from "../errors.js";
import { addInput, replaceUses } from "../ir/edit.js";
import type { Value } from "../ir/graph.js";
import { allNodes } from "../ir/walk.js";
import { openBundle } from "../onnx/index.js";
import { openComputation } from "../runtime/computation.js";
import type { EngineTensor, Session } from "../runtime/session.js";
import type { ModelFile, Projection } from "../state.js";
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

/**
 * Opens the original at `path`, cut at `head`, for batches of one shape: states of a batch once, its predictions from them as often as wanted.
 * Close it when done. @throws DistembError `refused`, `engine`
 */
export async function openOriginal(path: string, head: Projection, shape: BatchShape, threads: number): Promise<Original> {
	return await withStates(path, head, shape, threads, async (trainable, states) => {
		const { graph } = trainable.ops;
		const body = await openComputation(graph, [states], { threads });
		cutAt(trainable, states);
		try {
			return new Original(trainable, states, body, await openComputation(graph, [trainable.output], { threads }));
		} catch (error) {
			await body.close();
			throw error;
		}
	});
}

/**
 * Opens the original at `path`, which gives its predictions and the states that meet `head` in one run, for batches of one shape. Close it when done.
 * @throws DistembError `refused`, `engine`
 */
export async function openWholeOriginal(path: string, head: Projection, shape: BatchShape, threads: number): Promise<WholeOriginal> {
	return await withStates(path, head, shape, threads, async (trainable, states) => {
		const session = await openComputation(trainable.ops.graph, [states, trainable.output], { threads });
		return new WholeOriginal(trainable, states, session);
	});
}

async function withStates<T>(
	path: string,
	head: Projection,
	shape: BatchShape,
	threads: number,
	open: (trainable: Trainable, states: Value) => Promise<T>,
): Promise<T> {
	const bundle = openBundle(path);
	try {
		const files = bundle.models.map(({ name, open }) => ({ name, path: open.path, model: open.model, bytes: open.source.size }));
		const whole = await wholeOf(files, { threads });
		const trainable = await trainableOf(whole, { ...shape, threads });
		const file = files.find(({ name }) => name === head.file.name);
		const states = file && statesIn(file, head.hidden.name, trainable);
		if (states === undefined) throw new DistembError("refused", `the original's states "${head.hidden.name}" are not within reach`);
		return await open(trainable, states);
	} finally {
		bundle.close();
	}
}

/** The value of that name which the graph has at this shape: branches may each have one. */
function statesIn(file: ModelFile, name: string, { copyOf }: Trainable): Value | undefined {
	for (const { outputs } of allNodes(file.model)) {
		for (const value of outputs) {
			const copy = value?.name === name ? copyOf(file, value) : undefined;
			if (copy !== undefined) return copy;
		}
	}
	return undefined;
}

type Texts = Pick<TrainingBatch, "tokens" | "source">;

export class Original {
	constructor(
		private readonly trainable: Trainable,
		private readonly states: Value,
		private readonly body: Session,
		private readonly head: Session,
	) {}

	/** The states that meet the vocabulary, as the graph has them. */
	async statesOf(batch: Texts): Promise<EngineTensor> {
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

export class WholeOriginal {
	constructor(
		private readonly trainable: Trainable,
		private readonly states: Value,
		private readonly session: Session,
	) {}

	/** Logits [batch, length, width], and the states that meet the vocabulary as the graph has them. */
	async predict(batch: Texts): Promise<{ readonly logits: EngineTensor; readonly states: EngineTensor }> {
		const names = { logits: this.trainable.output.name, states: this.states.name };
		const results = await this.session.run(feedsFor(this.trainable.whole.roles, batch), Object.values(names));
		return { logits: found(results[names.logits]), states: found(results[names.states]) };
	}

	async close(): Promise<void> {
		await this.session.close();
	}
}

function found(tensor: EngineTensor | undefined): EngineTensor {
	if (tensor === undefined) throw new DistembError("internal", "the engine gave no states or logits");
	return tensor;
}
