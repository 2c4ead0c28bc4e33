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
import { contextOf } from "./runtime/decode/context.js";
import { openTextModel } from "./runtime/decode/model.js";
import type { FactorGroup } from "./state.js";
import { type CheckpointFolder, checkpointFolder, checkpointPath } from "./training/checkpoint-folder.js";
import type { Corpus } from "./training/corpus.js";
import { type OpenedCorpus, openCorpus } from "./training/open-corpus.js";

/** Time or steps for training; at most one of them. */
type Budget = Pick<ResolvedOptions, "minutes" | "steps">;

/** Most minutes that are spent unless more are asked for. */
const MINUTES = 10;

/** Below this the default shrinks with the model: one minute for each 4 MB, a million parameters in single precision. */
const BYTES_PER_MINUTE = 4e6;

/** Share of the minutes in which the original may write, where there is no data. */
const WRITING = 0.15;

/** Tokens that the original writes at most, and for each step that was asked for. */
const WRITTEN = { most: 200_000, perStep: 1024 } as const;

/** What the original writes where it is calibrated and not trained: 16,384 tokens. */
const CALIBRATION: Budget = { steps: 16 };

export interface Gathered {
	/** What the factors are fitted to and the result is measured on; undefined: there is no data. */
	readonly sample: { readonly corpus: Corpus; readonly usage: Usage; readonly cache: Cache } | undefined;
	/** What the result is trained on, how long, and where that is kept; undefined: it is not trained. */
	readonly training: (Budget & { readonly corpus: Corpus; readonly checkpoint: CheckpointFolder }) | undefined;
}

/** Where what was found out about these files is kept. */
export interface Cache {
	readonly folder: string;
	/** Those of the model and of the data. */
	readonly files: readonly string[];
}

export interface Run {
	readonly input: string;
	readonly output: string;
	readonly bundle: Bundle;
	readonly options: ResolvedOptions;
	readonly facts: InputFacts;
	readonly groups: readonly Pick<FactorGroup, "vocabulary" | "rank">[];
}

/**
 * Opens the data, or has the original write some, as far as it is needed; the log says what is not trained and why.
 * @throws DistembError `input` or `usage`: the data, the tokenizer or a gate does not fit the model
 */
export async function gather(run: Run, context: PassContext): Promise<Gathered> {
	const idle = reasonToRest(run);
	if (idle !== undefined) context.log(`nothing is trained: ${idle}`);
	const budget = idle === undefined ? budgetOf(run) : undefined;
	const isCalibrated = run.options.dtype === "mixed" && run.options.method === "distemb";
	const isNeeded = run.options.data !== undefined || budget !== undefined || isCalibrated;
	const opened = isNeeded ? await openData(run, budget ?? (isCalibrated ? CALIBRATION : undefined), context) : undefined;
	if (opened === undefined) return { sample: undefined, training: undefined };
	const { corpus, files, usage } = opened;
	const cache = { folder: cacheFolder(run.output), files: [...filesOfBundle(run.bundle), ...files] };
	return { sample: { corpus, usage, cache }, training: budget && { ...budget, corpus, checkpoint: await checkpointOf(run, files) } };
}

function reasonToRest({ options, groups }: Run): string | undefined {
	const { method, dtype, distill, minutes, steps } = options;
	if (method === "svd") return "--method svd";
	if (distill === false) return "--no-distill";
	const isExact = dtype !== "mixed" && groups.every(({ rank, vocabulary: { table } }) => rank >= Math.min(table.rows, table.cols));
	return isExact && (minutes ?? steps) === undefined ? "factors of full rank are exact" : undefined;
}

function budgetOf({ options: { steps, minutes }, facts }: Run): Budget {
	return steps === undefined ? { minutes: minutes ?? Math.min(MINUTES, facts.weightBytes / BYTES_PER_MINUTE) } : { steps };
}

interface Opened extends OpenedCorpus {
	readonly usage: Usage;
}

async function openData(run: Run, budget: Budget | undefined, context: PassContext): Promise<Opened | undefined> {
	const { input, output, bundle, options } = run;
	const { data, seed } = options;
	const { signal, threads, progress, log, warn } = context;
	try {
		const model = await openTextModel(input, { threads });
		try {
			refuseGates(model.kind, options);
			const stated = await readUsage(input, options);
			const usage = { ...stated, context: stated.context ?? (await contextOf(model)) };
			const generate = { ...writing(budget ?? {}), seed, files: filesOfBundle(bundle), cache: cacheFolder(output) };
			const opened = await openCorpus(model, usage, { data, generate, signal, progress, log, warn });
			return opened && { ...opened, usage };
		} finally {
			await model.close();
		}
	} catch (error) {
		if (data !== undefined || !(error instanceof DistembError) || !CANNOT_WRITE.has(error.code)) throw error;
		warn(`nothing is trained: no --data, and the original writes none: ${error.toLine()}`);
		return undefined;
	}
}

/** Reasons for which a model writes no text of its own; the conversion goes on without. */
const CANNOT_WRITE: ReadonlySet<string> = new Set(["refused", "engine", "input"]);

function writing({ minutes, steps }: Budget): { tokens: number; seconds: number } {
	if (minutes !== undefined) return { tokens: WRITTEN.most, seconds: 60 * WRITING * minutes };
	return { tokens: Math.min(WRITTEN.most, (steps ?? Number.POSITIVE_INFINITY) * WRITTEN.perStep), seconds: Number.MAX_VALUE };
}

/** Folder beside the output that keeps what the original wrote, and calibrations; a later run on the same files reads them again. */
const cacheFolder = (output: string): string => `${path.resolve(output)}.distemb-cache`;

/** Options that do not change what is trained, and those whose files count by their contents. */
const INCIDENTAL: ReadonlySet<string> = new Set([
	...["resume", "report", "signal", "onProgress", "overwrite", "dryRun", "maxPerplexityIncrease", "maxKl", "size", "data", "tokenizer"],
]);

/** Where the training under way is kept: beside the output, or in the folder that it goes on from. */
async function checkpointOf({ output, bundle, options }: Run, files: readonly string[]): Promise<CheckpointFolder> {
	const asked = Object.entries(options).filter(([name, value]) => !INCIDENTAL.has(name) && value !== undefined);
	const identity = {
		model: await contentHash(filesOfBundle(bundle)),
		data: await contentHash(files),
		...Object.fromEntries(asked.map(([name, value]) => [flagOf(name), typeof value === "object" ? JSON.stringify(value) : String(value)])),
	};
	return checkpointFolder(options.resume ?? checkpointPath(output), identity, options.resume);
}
