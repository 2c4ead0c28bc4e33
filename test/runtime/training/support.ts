// A factorized language model under training: the passes up to the factors, its original as teacher, and batches.
import path from "node:path";
import { programAt, type StudentProgram } from "../../../passes/distill/graph.js";
import { INPUTS } from "../../../passes/distill/objective.js";
import { factorize } from "../../../passes/factorize/index.js";
import { locate } from "../../../passes/locate/index.js";
import { reconstruct } from "../../../passes/reconstruct/index.js";
import { readNpyTokens } from "../../../src/data/npy.js";
import { openBundle } from "../../../src/onnx/index.js";
import { COMPILE_DEFAULTS } from "../../../src/options.js";
import { runPass } from "../../../src/pass.js";
import { uniform } from "../../../src/random.js";
import type { Rows } from "../../../src/runtime/decode/feeds.js";
import { tensorOf } from "../../../src/runtime/numbers.js";
import type { Feeds } from "../../../src/runtime/session.js";
import type { Reconstructed, Table } from "../../../src/state.js";
import { feedsFor } from "../../../src/training/batches.js";
import { openTeacher, type Teacher } from "../../../src/training/teacher.js";
import { wholeOf } from "../../../src/training/whole.js";

export interface Shape {
	readonly batch: number;
	readonly length: number;
}

export interface Setup extends Shape {
	readonly folder: string;
	readonly rank: number;
	readonly threads: number;
	/** Rows of embedding distillation per step. */
	readonly rows?: number;
	readonly crossEntropy?: number;
	/** Tokens that the loss looks at, instead of all. */
	readonly shortlist?: number;
}

export interface Student {
	readonly state: Reconstructed;
	readonly distillation: StudentProgram;
	readonly teacher: Teacher;
	/** What the training graph reads for these rows; the teacher's logits are in one tensor that the next call overwrites. */
	readonly feedsOf: (rows: Rows, extra?: Feeds) => Promise<Feeds>;
	readonly close: () => Promise<void>;
}

/** The model of `folder`, factorized, with the graph that trains its factors. */
export async function openStudent({ folder, rank, threads, batch, length, rows, crossEntropy = 0, shortlist }: Setup): Promise<Student> {
	const file = path.join(folder, "model.onnx");
	const bundle = openBundle(file);
	const runner = { threads, seed: 0, records: [] };
	const files = bundle.models.map(({ name, open }) => ({ name, path: open.path, model: open.model, bytes: open.source.size }));
	const located = await runPass(locate({}), { kind: bundle.kind, path: bundle.path, files }, runner);
	const sized = await runPass(factorize({ ...COMPILE_DEFAULTS, size: { rank } }), located, runner);
	const state = await runPass(reconstruct({ method: "svd" }), sized, runner);
	const whole = await wholeOf(state.files, { threads });
	const weights = { kl: 1, crossEntropy, states: 0, embedding: rows === undefined ? 0 : 0.5, temperature: 1 };
	const recipe = { weights, rate: 1, adapts: false, normRate: 1, weightRate: 1, damping: 0, train: "factors", relu: false } as const;
	const terms = rows === undefined ? [] : state.groups.map((group) => ({ group, count: rows, metric: undefined }));
	const distillation = await programAt(whole, { batch, length }, { groups: state.groups, rows: terms, recipe, shortlist, threads });
	const teacher = await openTeacher(file, { threads });
	return {
		state,
		distillation,
		teacher,
		feedsOf: async (rows, extra = {}) => ({
			...feedsFor(whole.roles, { tokens: rows }),
			[INPUTS.teacher]: await teacher.teach({ tokens: rows }),
			[INPUTS.weights]: tensorOf("float32", [batch, length], (index) => rows.mask?.[index] ?? 1),
			...extra,
		}),
		close: async () => {
			await teacher.close();
			bundle.close();
		},
	};
}

/** Batches of windows at seeded places of a stream of token ids. */
export function windowsOf(file: string, { batch, length }: Shape, seed: number): () => Rows {
	const tokens = readNpyTokens(file);
	const random = uniform(seed);
	return () => {
		const ids = new Int32Array(batch * length);
		for (let row = 0; row < batch; row++) {
			const start = Math.floor(random() * (tokens.length - length));
			ids.set(tokens.subarray(start, start + length), row * length);
		}
		return { batch, length, ids };
	};
}

/** Inputs of the embedding term for `count` uniformly drawn tokens, each with weight 1 / count. */
export function tokenFeeds(table: Table, count: number, random: () => number): Feeds {
	const ids = Int32Array.from({ length: count }, () => Math.floor(random() * table.rows));
	const original = new Float32Array(count * table.cols);
	for (const [index, id] of ids.entries()) original.set(table.read(id, id + 1), index * table.cols);
	const names = INPUTS.rows(0);
	return {
		[names.ids]: tensorOf("int64", [count], (index) => ids[index] ?? 0),
		[names.original]: { dtype: "float32", dims: [count, table.cols], data: original },
		[names.weights]: tensorOf("float32", [count], () => 1 / count),
	};
}
