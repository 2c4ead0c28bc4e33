// Models on their way to training: a corpus of random ids, the passes up to the factors, one step's loss and gradients.
import { factorize } from "../../passes/factorize/index.js";
import { locate } from "../../passes/locate/index.js";
import { reconstruct } from "../../passes/reconstruct/index.js";
import { firstOf } from "../../src/data/data.js";
import { divergence, squaredError } from "../../src/gradient/loss.js";
import { differentiate } from "../../src/gradient/sweep.js";
import { addInput } from "../../src/ir/edit.js";
import { type Bundle, encodeToBytes, openBundle } from "../../src/onnx/index.js";
import { COMPILE_DEFAULTS } from "../../src/options.js";
import { runPass } from "../../src/pass.js";
import { uniform } from "../../src/random.js";
import { type EngineTensor, type Feeds, openSession } from "../../src/runtime/session.js";
import { modelOf, type TrainingProgram } from "../../src/runtime/training/program.js";
import { openTraining, type Training } from "../../src/runtime/training/training.js";
import type { Reconstructed } from "../../src/state.js";
import { type BatchShape, feedsFor, type TrainingBatch, trainingBatches } from "../../src/training/batches.js";
import type { Corpus } from "../../src/training/corpus.js";
import { type FactorParameter, factorParameters } from "../../src/training/factors.js";
import { openTeacher, type Teacher } from "../../src/training/teacher.js";
import { type Trainable, trainableOf } from "../../src/training/trainable.js";
import { type WholeModel, wholeOf } from "../../src/training/whole.js";

export const THREADS = 2;

/** The files of `bundle` as the passes see them. */
export function filesOf({ models }: Bundle) {
	return models.map(({ name, open }) => ({ name, path: open.path, model: open.model, bytes: open.source.size }));
}

/** The model, factorized at `rank` (or at a quarter of its size) and reconstructed; its file on disk is the original. */
export async function factorized(bundle: Bundle, rank?: number): Promise<Reconstructed> {
	const runner = { threads: THREADS, seed: 0, records: [] };
	const located = await runPass(locate({}), { kind: bundle.kind, path: bundle.path, files: filesOf(bundle) }, runner);
	const least = Math.min(...located.vocabularies.map(({ table }) => table.cols));
	const options = { ...COMPILE_DEFAULTS, size: { rank: rank ?? Math.max(1, least >> 2) }, allowLarger: true };
	const sized = await runPass(factorize(options), located, runner);
	return await runPass(reconstruct({ method: "svd" }), sized, runner);
}

/** Sizes that the model accepts: small ones, unless it fixes them. */
export function shapeFor({ fixed }: WholeModel): BatchShape {
	return { batch: fixed.batch ?? 2, length: fixed.length ?? 5, sourceLength: fixed.source ?? 4 };
}

/** Random ids below what the model's tables hold. */
export function randomCorpus({ kind, roles, width }: WholeModel, { batch, length, sourceLength = length }: BatchShape, seed = 1): Corpus {
	const bound = (role: "tokens" | "source") => roles.ports.find((port) => port.role === role)?.bound ?? width;
	const draw = (count: number, below: number, from: number) => {
		const random = uniform(from);
		return Int32Array.from({ length: count }, () => Math.floor(random() * below));
	};
	const special = { pad: 0, start: 0, mask: 1, context: undefined };
	const origin = { special, generated: false, from: "random ids" };
	if (kind === "translator") {
		// The last row is shorter on both sides.
		const pairs = Array.from({ length: batch }, (_, row) => ({
			source: draw(Math.max(1, sourceLength - Number(row === batch - 1)), bound("source"), seed + 2 * row),
			target: draw(Math.max(1, length - 2 * Number(row === batch - 1)), Math.min(width, bound("tokens")), seed + 2 * row + 1),
		}));
		const data = {
			async *read() {
				yield* pairs;
			},
		};
		return { kind: "pairs", ...origin, train: data, validation: data, test: data };
	}
	const data = {
		async *read() {
			yield { ids: draw(batch * length, bound("tokens"), seed), starts: true };
		},
	};
	return { kind: "tokens", ...origin, train: data, validation: data, test: data };
}

/** The first batch of that corpus. */
export async function randomBatch(whole: WholeModel, shape: BatchShape, seed = 1): Promise<TrainingBatch> {
	const batches = trainingBatches(whole.kind, randomCorpus(whole, shape, seed), { part: "train", shapes: [shape], seed, shuffle: false });
	const batch = await firstOf(batches);
	if (batch === undefined) throw new Error("no batch");
	return batch;
}

export interface Lesson {
	readonly whole: WholeModel;
	readonly trainable: Trainable;
	readonly teacher: Teacher;
	readonly factors: readonly FactorParameter[];
	/** Names of factors that no gradient reaches, and why. */
	readonly untrainable: readonly string[];
	readonly training: Training;
	readonly batch: TrainingBatch;
	/** What the training graph reads for `batch`. */
	readonly feeds: Feeds;
	close(): Promise<void>;
}

const INPUTS = { teacher: "distemb/teacher", weights: "distemb/weights" };

/** Everything for one step on random ids: Kullback-Leibler divergence from the original, or squared error of states. */
export async function openLesson(input: string, rank?: number): Promise<Lesson> {
	const bundle = openBundle(input);
	const closers: (() => Promise<void> | void)[] = [() => bundle.close()];
	const close = async () => {
		for (const one of closers.toReversed()) await one();
	};
	try {
		const state = await factorized(bundle, rank);
		const whole = await wholeOf(state.files, { threads: THREADS });
		const shape = shapeFor(whole);
		const trainable = await trainableOf(whole, { ...shape, threads: THREADS });
		const factors = factorParameters(trainable, state.groups);
		const { program, untrainable } = programOf(trainable, factors);
		const teacher = await openTeacher(input, { threads: THREADS });
		closers.push(() => teacher.close());
		const training = await openTraining(program, { threads: THREADS });
		closers.push(() => training.close());
		const batch = await randomBatch(whole, shape);
		const feeds = {
			...feedsFor(whole.roles, batch),
			[INPUTS.teacher]: await teacher.teach(batch),
			[INPUTS.weights]: { dtype: "float32", dims: [shape.batch, shape.length], data: batch.weights },
		} as const;
		return { whole, trainable, teacher, factors, untrainable, training, batch, feeds, close };
	} catch (error) {
		await close();
		throw error;
	}
}

function programOf({ whole, ops, output }: Trainable, factors: readonly FactorParameter[]) {
	const input = (name: string, dims: readonly number[]) =>
		ops.learn(addInput(ops.graph, name, { type: { dtype: "float32", shape: dims }, carried: undefined }), { dtype: "float32", dims });
	const teacher = input(INPUTS.teacher, ops.dims(output));
	const mask = input(INPUTS.weights, ops.dims(output).slice(0, -1));
	const loss =
		whole.kind === "encoder"
			? squaredError(ops, { teacher, student: output, mask })
			: divergence(ops, { teacher, student: output, mask, temperature: 1 });
	const scalar = ops.reshape(loss, []);
	const swept = differentiate(
		ops,
		scalar,
		factors.map(({ value }) => value),
	);
	const parameters = factors.flatMap(({ value, dims, initial }) => {
		const gradient = swept.gradients.get(value)?.dense;
		return gradient === undefined ? [] : [{ value, dims, gradient, initial, decays: true }];
	});
	const untrainable = swept.untrainable.map(
		({ parameter, because }) =>
			`${parameter.name}: ${because.map(({ node, why }) => `${node}: ${why}`).join(", ") || "the loss does not depend on it"}`,
	);
	for (const [value, { lacks }] of swept.gradients)
		for (const { node, why } of lacks) untrainable.push(`${value.name} lacks ${node}: ${why}`);
	const program: TrainingProgram = { graph: ops.graph, loss: scalar, parameters };
	return { program, untrainable };
}

/** What the training graph gives for `batch`, and what the original at `input` gives. */
export async function bothOutputs(input: string) {
	const bundle = openBundle(input);
	try {
		const whole = await wholeOf(filesOf(bundle), { threads: THREADS });
		const shape = shapeFor(whole);
		const trainable = await trainableOf(whole, { ...shape, threads: THREADS });
		const batch = await randomBatch(whole, shape);
		const own = await outputFor(trainable, batch);
		const teacher = await openTeacher(input, { threads: THREADS });
		const original = await teacher.teach(batch);
		await teacher.close();
		return { whole, batch, own, original };
	} finally {
		bundle.close();
	}
}

/** The training graph's logits or states. */
export async function outputFor({ ops, output, whole }: Trainable, batch: TrainingBatch): Promise<EngineTensor> {
	const model = modelOf({ graph: ops.graph, loss: output, parameters: [] });
	const session = await openSession(encodeToBytes(model), { threads: THREADS });
	const found = (await session.run(feedsFor(whole.roles, batch)))[output.name];
	await session.close();
	if (found === undefined) throw new Error("no output");
	return found;
}
