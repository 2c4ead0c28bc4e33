// What only the HTML report shows; gathered while the models are still open.
import { countTokens, type Data } from "./data/data.js";
import type { Usage } from "./data/usage.js";
import { commandOf } from "./details/command.js";
import { type TakenGraph, takeGraphs } from "./details/graph.js";
import type { Counted } from "./details/neighbours.js";
import { partReports, type Stock, takeStock } from "./details/parts.js";
import { tableDetails } from "./details/tables.js";
import { tokenNames } from "./details/token-names.js";
import type { CompileOptions } from "./options.js";
import type { PassContext } from "./pass.js";
import type { DetailsReport, Known, SamplesReport } from "./report/details.js";
import type { InputFacts } from "./report/report.js";
import type { Calibration, Located, Quantized } from "./state.js";
import type { Corpus } from "./training/corpus.js";

/** What the original was. */
export interface Original {
	readonly stock: Stock;
	readonly graphs: readonly TakenGraph[];
}

/** To be called before the graph is rewritten. */
export function takeOriginal(located: Located, { bytes }: InputFacts): Original {
	return { stock: takeStock(located, bytes), graphs: takeGraphs(located.vocabularies) };
}

export interface DetailsRun {
	readonly input: string;
	readonly output: string;
	readonly options: CompileOptions;
	readonly original: Original;
	/** Bytes of all files of the result. */
	readonly bytes: number;
	readonly calibrations: readonly Calibration[] | undefined;
	readonly sample: { readonly corpus: Corpus; readonly usage: Usage } | undefined;
	readonly samples?: Known<SamplesReport> | undefined;
}

/** Reads every table some times more. */
export async function gatherDetails(quantized: Quantized, run: DetailsRun, context: PassContext): Promise<DetailsReport> {
	const { input, output, options, original, bytes, calibrations = [], sample } = run;
	const facts = {
		calibrations,
		counted: sample && calibrations.length === 0 ? await countedIn(sample.corpus, quantized, context.signal) : undefined,
		nameOf: tokenNames(sample?.usage.tokenizer),
	};
	const models = quantized.files.map(({ model }) => model);
	return {
		command: commandOf(input, output, options, context.threads),
		node: process.version,
		threads: context.threads,
		parts: partReports(original.stock, models, bytes),
		tables: await tableDetails(quantized, facts, context),
		samples: run.samples ?? { missing: "there was no data to continue or translate" },
	};
}

/** Tokens of the training part that are counted at most. */
const COUNTED = 2 ** 20;

async function countedIn(corpus: Corpus, { vocabularies }: Quantized, signal: AbortSignal | undefined): Promise<Counted> {
	const rows = Math.max(...vocabularies.map(({ table }) => table.rows));
	const ids =
		corpus.kind === "pairs" ? idsOf(corpus.train, ({ target }) => target, signal) : idsOf(corpus.train, (piece) => piece.ids, signal);
	return { counts: await countTokens(ids, rows), from: "the training part of the data" };
}

async function* idsOf<T>(data: Data<T>, of: (item: T) => Int32Array, signal: AbortSignal | undefined): AsyncGenerator<Int32Array> {
	let count = 0;
	for await (const item of data.read(signal)) {
		const ids = of(item);
		yield ids;
		count += ids.length;
		if (count >= COUNTED) return;
	}
}
