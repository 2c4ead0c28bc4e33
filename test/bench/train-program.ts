// The training graph that train.ts measures: a factorized model with the divergence from its original, factors or all weights trained.
import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import { divergence } from "../../src/gradient/loss.js";
import { asParameter } from "../../src/gradient/prepare.js";
import { differentiate } from "../../src/gradient/sweep.js";
import { addInput } from "../../src/ir/edit.js";
import type { Value } from "../../src/ir/graph.js";
import { openBundle } from "../../src/onnx/index.js";
import { uniform } from "../../src/random.js";
import type { Rows } from "../../src/runtime/decode/feeds.js";
import type { EngineTensor, Feeds } from "../../src/runtime/session.js";
import type { TrainedParameter, TrainingProgram } from "../../src/runtime/training/program.js";
import { feedsFor } from "../../src/training/batches.js";
import { factorParameters } from "../../src/training/factors.js";
import { openTeacher, type Teacher } from "../../src/training/teacher.js";
import { trainableOf } from "../../src/training/trainable.js";
import { wholeOf } from "../../src/training/whole.js";
import { factorized } from "../training/support.js";

export interface ProgramSpec {
	readonly rank: number;
	readonly train: "factors" | "all";
	readonly batch: number;
	readonly length: number;
	readonly threads: number;
}

export interface Program extends TrainingProgram {
	readonly kind: "gpt2" | "marian";
	/** Sizes that the peer builds its model with. */
	readonly sizes: Readonly<Record<string, number>>;
	/** The batch: random ids. */
	readonly tokens: Rows;
	readonly pairs: Rows | undefined;
	readonly teacher: Teacher;
	/** What the training graph reads besides its parameters. */
	readonly feeds: (teacher: EngineTensor) => Feeds;
	readonly close: () => Promise<void>;
}

const TEACHER = "distemb/teacher";

/** The model in `folder`: a translator in one file, or a GPT-2 with its config.json. */
export async function openProgram(folder: string, { rank, train, batch, length, threads }: ProgramSpec): Promise<Program> {
	const translator = path.join(folder, "translation_model.onnx");
	const isTranslator = existsSync(translator);
	const file = isTranslator ? translator : path.join(folder, "model.onnx");
	const bundle = openBundle(file);
	const { groups, files } = await factorized(bundle, rank);
	const whole = await wholeOf(files, { threads });
	const trainable = await trainableOf(whole, { batch, length, sourceLength: length, threads });
	const { ops, training, output } = trainable;
	const vocabulary = groups[0]?.vocabulary.table;
	const weights =
		train === "all"
			? weightsOf(
					training.model.graph.initializers,
					groups.flatMap(({ values }) => values),
				)
			: [];
	const trained = [
		...factorParameters(trainable, groups).map(({ value, initial }) => ({ value, initial })),
		...weights.map((weight) => ({ initial: floatsOf(weight), value: asParameter(training, weight) })),
	];
	const facts = { dtype: "float32", dims: ops.dims(output) } as const;
	const teacher = ops.learn(addInput(ops.graph, TEACHER, { type: { dtype: "float32", shape: facts.dims }, carried: undefined }), facts);
	const loss = ops.reshape(divergence(ops, { teacher, student: output, temperature: 1 }), []);
	const swept = differentiate(
		ops,
		loss,
		trained.map(({ value }) => value),
	);
	const parameters = trained.flatMap(({ value, initial }): TrainedParameter[] => {
		const gradient = swept.gradients.get(value)?.dense;
		return gradient === undefined ? [] : [{ value, gradient, initial, dims: ops.dims(value), decays: true }];
	});
	if (trained.length === 0 || parameters.length < trained.length)
		throw new Error(`only ${parameters.length} of ${trained.length} tensors can be trained`);
	const tokens = randomRows(batch, length, whole.width, 1);
	const source = isTranslator ? randomRows(batch, length, whole.width, 2) : undefined;
	const opened = await openTeacher(file, { threads });
	return {
		graph: training.model.graph,
		loss,
		parameters,
		kind: isTranslator ? "marian" : "gpt2",
		sizes: sizesOf(folder, whole.width, vocabulary?.cols ?? 0),
		tokens,
		pairs: source,
		teacher: opened,
		feeds: (logits) => ({ ...feedsFor(whole.roles, { tokens, source }), [TEACHER]: logits }),
		close: async () => {
			await opened.close();
			bundle.close();
		},
	};
}

function randomRows(batch: number, length: number, below: number, seed: number): Rows {
	const random = uniform(seed);
	return { batch, length, ids: Int32Array.from({ length: batch * length }, () => Math.floor(random() * below)) };
}

function sizesOf(folder: string, vocabulary: number, width: number): Record<string, number> {
	const config = path.join(folder, "config.json");
	// What the translator's README says of it.
	if (!existsSync(config)) return { vocabulary, width, heads: 8, inner: 1536, encoder: 6, decoder: 2 };
	const read = JSON.parse(readFileSync(config, "utf8")) as Record<string, number>;
	return { vocabulary, width, heads: read.n_head ?? 1, layers: read.n_layer ?? 1, positions: read.n_positions ?? 1 };
}

/** Trained tensors of the body; the translator's positions are sines, and no training changes them. */
function weightsOf(initializers: Iterable<Value>, factors: readonly { readonly value: Value }[]): Value[] {
	const names = new Set(factors.map(({ value }) => value.name));
	return [...initializers].filter(
		({ tensor, name, uses }) =>
			tensor?.dtype === "float32" && tensor.dims.length > 0 && name !== "pos" && !names.has(name) && uses.size > 0,
	);
}

function floatsOf({ tensor }: Value): Float32Array {
	return new Float32Array((tensor?.bytes() ?? new Uint8Array(0)).slice().buffer);
}
