// What a run learns from and is measured on: the files that were named, or else what the original writes; and how long it learns.
import path from "node:path";
import { contentHash } from "./data/cache.js";
import { readUsage, type Usage } from "./data/usage.js";
import { DistembError } from "./errors.js";
import { refuseGates } from "./evaluate.js";
import { type Bundle, filesOfBundle } from "./onnx/index.js";
import { flagOf, type ResolvedOptions } from "./options.js";
import type { PassContext } from "./pass.js";
import type { InputFacts } from "./report/report.js";
import { openTextModel } from "./runtime/decode/model.js";
import type { Factorized } from "./state.js";
import { type CheckpointFolder, checkpointFolder } from "./training/checkpoint-folder.js";
import type { Corpus } from "./training/corpus.js";
import { openCorpus } from "./training/open-corpus.js";

/** Time or steps for training; at most one of them. */
export interface Budget {
	readonly minutes?: number;
	readonly steps?: number;
}

/** Most minutes that are spent unless more are asked for. */
const MINUTES = 10;

/** Below this the default shrinks with the model: one minute for each 4 MB, a million parameters in single precision. */
const BYTES_PER_MINUTE = 4e6;

/** How long the result is trained; undefined: not at all, for a reason that is logged. */
export function trainingBudget(
	options: ResolvedOptions,
	{ weightBytes }: InputFacts,
	{ groups }: Factorized,
	log: (line: string) => void,
): Budget | undefined {
	const { method, distill, minutes, steps } = options;
	const exact = groups.every(({ rank, vocabulary }) => rank >= Math.min(vocabulary.table.rows, vocabulary.table.cols));
	const asked = steps !== undefined || minutes !== undefined;
	const reason =
		method === "svd"
			? "--method svd"
			: distill === false
				? "--no-distill"
				: exact && !asked
					? "the factors of full rank are exact"
					: undefined;
	if (reason !== undefined) {
		log(`nothing is trained: ${reason}`);
		return undefined;
	}
	if (steps !== undefined) return { steps };
	return { minutes: minutes ?? Math.min(MINUTES, weightBytes / BYTES_PER_MINUTE) };
}

/** Share of the minutes in which the original may write, where there is no data. */
const WRITING = 0.15;

/** Tokens that the original writes at most, and for each step that was asked for. */
const WRITTEN = { most: 200_000, perStep: 1024 } as const;

export interface Gathered {
	readonly corpus: Corpus;
	/** Where it lies. */
	readonly files: readonly string[];
	readonly usage: Usage;
}

/**
 * Opens the data. Undefined: there is none, and none is needed or can be made; the log says why.
 * @throws DistembError `input` or `usage`: the data, the tokenizer or a gate does not fit the model
 */
export async function gather(
	{ input, output, bundle }: { readonly input: string; readonly output: string; readonly bundle: Bundle },
	options: ResolvedOptions,
	budget: Budget | undefined,
	{ signal, threads, progress, log }: PassContext,
): Promise<Gathered | undefined> {
	const { data, seed } = options;
	if (data === undefined && budget === undefined) return undefined;
	try {
		const model = await openTextModel(input, { threads });
		try {
			refuseGates(model.kind, options);
			const usage = await readUsage(input, options);
			const generate = { ...writing(budget ?? {}), seed, files: filesOfBundle(bundle), cache: cacheFolder(output) };
			const opened = await openCorpus(model, usage, { data, generate, signal, progress, log });
			return opened && { ...opened, usage };
		} finally {
			await model.close();
		}
	} catch (error) {
		if (data !== undefined || !(error instanceof DistembError) || !CANNOT_WRITE.has(error.code)) throw error;
		log(`nothing is trained: no --data, and the original writes none: ${error.toLine()}`);
		return undefined;
	}
}

/** Reasons for which a model writes no text of its own; the conversion goes on without. */
const CANNOT_WRITE: ReadonlySet<string> = new Set(["refused", "engine", "input"]);

function writing({ minutes, steps }: Budget): { tokens: number; seconds: number } {
	if (minutes !== undefined) return { tokens: WRITTEN.most, seconds: 60 * WRITING * minutes };
	const wanted = (steps ?? Number.POSITIVE_INFINITY) * WRITTEN.perStep;
	return { tokens: Math.min(WRITTEN.most, wanted), seconds: Number.MAX_VALUE };
}

/** Folder beside the output that keeps what the original wrote; a later run with the same model, seed and amount reads it again. */
const cacheFolder = (output: string): string => `${path.resolve(output)}.distemb-cache`;

/** Options that do not change what is trained. */
const INCIDENTAL: ReadonlySet<string> = new Set([
	...["resume", "signal", "onProgress", "overwrite", "dryRun", "maxPerplexityIncrease", "maxKl", "minutes", "data", "tokenizer"],
]);

/** Where the training under way is kept: beside the output, or in the folder that it goes on from. */
export async function checkpointOf(
	output: string,
	bundle: Bundle,
	options: ResolvedOptions,
	{ files }: Gathered,
): Promise<CheckpointFolder> {
	const asked = Object.entries(options).filter(([name, value]) => !INCIDENTAL.has(name) && value !== undefined);
	const identity = {
		model: await contentHash(filesOfBundle(bundle)),
		data: await contentHash(files),
		...Object.fromEntries(asked.map(([name, value]) => [flagOf(name), typeof value === "object" ? JSON.stringify(value) : String(value)])),
	};
	return checkpointFolder(options.resume ?? `${path.resolve(output)}.checkpoint`, identity, options.resume);
}
