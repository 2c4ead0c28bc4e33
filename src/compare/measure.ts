// What can be measured of two models of one kind: predictions of tokens, states, translations.
import { countTokens, type Data, type Pair, type Piece } from "../data/data.js";
import type { Usage } from "../data/usage.js";
import { DistembError } from "../errors.js";
import { type FrequencyBins, frequencyBins } from "../metrics/bins.js";
import type { CompareReport } from "../report/compare.js";
import type { TextModel } from "../runtime/decode/model.js";
import { COMPARE_DEFAULTS, type CompareOptions } from "./options.js";
import { compareStates, compareTokens, MASKED_SHARE, type TokenRun } from "./tokens.js";
import { compareReferences, scoreTranslations, translate } from "./translation.js";

export type Figures = Pick<CompareReport, "data" | "tokens" | "states" | "translation" | "notes">;

/** What both models read: tokens, or pairs for translators. */
export interface Sample<T> {
	readonly data: Data<T>;
	/** Where it comes from, for the report. */
	readonly files: readonly string[];
	/** What tokens are counted in for the frequency bins, and its name; default: what is measured. */
	readonly counts?: { readonly data: Data<T>; readonly from: string } | undefined;
}

export type AnySample = ({ readonly kind: "tokens" } & Sample<Piece>) | ({ readonly kind: "pairs" } & Sample<Pair>);

/** How it is measured; see {@link CompareOptions}. */
export type MeasureOptions = Pick<
	CompareOptions,
	"window" | "documents" | "batch" | "tokens" | "pairs" | "beam" | "maxLength" | "seed" | "signal" | "onProgress"
>;

/** What was measured, and beginnings of the data to time the models with. */
export interface Measured {
	readonly figures: Figures;
	readonly prompt: readonly number[];
	readonly source: readonly number[];
}

type Models = readonly [teacher: TextModel, student: TextModel];

/** Logits held at a time at most, per model: 128 MB. */
const LOGITS = 2 ** 25;

/** Tokens per window, where the model's context is unknown, and at most. */
const WINDOW = 128;
const LONGEST_WINDOW = 256;

/** Tokens before those that are timed. */
const PROMPT = 16;

/**
 * Measures two models of one kind on the same sample.
 * @throws DistembError `usage`, `input` (the data), `refused` or `engine`; `interrupted`
 */
export async function measure(models: Models, usage: Usage, sample: AnySample, options: MeasureOptions): Promise<Measured> {
	return sample.kind === "pairs"
		? await measureTranslators(models, usage, sample, options)
		: await measureTokens(models, usage, sample, options);
}

async function measureTokens(models: Models, usage: Usage, sample: Sample<Piece>, options: MeasureOptions): Promise<Measured> {
	const [{ kind, width }] = models;
	const { data, files } = sample;
	const run = tokenRun(models, usage, options);
	const progress = (fraction: number) => options.onProgress?.({ pass: "measure", fraction });
	const prompt = await beginning(data, Math.min(PROMPT, Math.floor(run.window / 2)));
	if (kind === "encoder") {
		const { tokens, windows, limited, ...states } = await compareStates(models, data, { ...run, progress });
		const measured = `the states of ${tokens} tokens in ${layoutText(run, windows)}`;
		return { figures: { data: { files, measured, limited }, states, notes: [] }, prompt, source: [] };
	}
	const masking = kind === "masked" ? { id: maskId(usage), seed: options.seed ?? COMPARE_DEFAULTS.seed } : undefined;
	const counted = sample.counts?.data ?? limitedTo(data, run.limit);
	const bins = frequencyBins(await countTokens(idsOf(counted, options.signal), width));
	const { tokens, windows, limited, ...scores } = await compareTokens(models, data, bins, { ...run, masking, progress });
	const what = masking === undefined ? "next tokens" : `tokens, ${100 * MASKED_SHARE} % of all, hidden at random (seed ${masking.seed}),`;
	const measured = `${scores.all.positions} ${what} in ${layoutText(run, windows)}`;
	const figures = { data: { files, measured, limited }, tokens: { ...scores, counts: sample.counts?.from ?? COUNTED_HERE }, notes: [] };
	return { figures, prompt, source: [] };
}

function tokenRun([teacher, student]: Models, { pad, context }: Usage, options: MeasureOptions): TokenRun {
	const fixed = teacher.fixed.length ?? student.fixed.length;
	const window = fixed ?? options.window ?? Math.min(context ?? WINDOW, LONGEST_WINDOW);
	if (context !== undefined && window > context)
		throw new DistembError("usage", `--window ${window} is longer than the model's context of ${context} tokens`, {
			hint: `give at most ${context}`,
		});
	const batch = Math.min(options.batch ?? COMPARE_DEFAULTS.batch, Math.max(1, Math.floor(LOGITS / (window * teacher.width))));
	return {
		window,
		batch: teacher.fixed.batch ?? student.fixed.batch ?? batch,
		documents: options.documents ?? false,
		limit: options.tokens ?? COMPARE_DEFAULTS.tokens,
		pad,
		signal: options.signal,
	};
}

function layoutText({ window, documents }: TokenRun, count: number): string {
	const parts = documents
		? `document${plural(count)} (of at most ${window} tokens, longer ones in parts)`
		: `window${plural(count)} of ${window} tokens`;
	return `${count} ${parts}, each predicted from its own start`;
}

const plural = (count: number): string => (count === 1 ? "" : "s");

const COUNTED_HERE = "the data that was measured (give --counts with the training data to see unseen tokens)";

function maskId({ mask }: Usage): number {
	if (mask !== undefined) return mask;
	throw new DistembError("input", "is a masked language model, and no file beside it says which token hides others", {
		hint: "give --mask-id, or put tokenizer.json beside the model",
	});
}

async function* idsOf(data: Data<Piece>, signal: AbortSignal | undefined): AsyncGenerator<Int32Array> {
	for await (const { ids } of data.read(signal)) yield ids;
}

/** The first `limit` tokens. */
function limitedTo(data: Data<Piece>, limit: number): Data<Piece> {
	return {
		async *read(signal) {
			let left = limit;
			for await (const piece of data.read(signal)) {
				yield { ...piece, ids: piece.ids.subarray(0, left) };
				left -= piece.ids.length;
				if (left <= 0) return;
			}
		},
	};
}

async function beginning(data: Data<Piece>, count: number): Promise<number[]> {
	const ids: number[] = [];
	for await (const piece of limitedTo(data, Math.max(1, count)).read()) ids.push(...piece.ids);
	return ids;
}

async function measureTranslators(models: Models, usage: Usage, sample: Sample<Pair>, options: MeasureOptions): Promise<Measured> {
	const [teacher, student] = models;
	const { signal } = options;
	const { files } = sample;
	const { pairs, limited } = await firstPairs(sample.data, options.pairs ?? COMPARE_DEFAULTS.pairs, signal);
	const counts = await countTokens(targetsOf(sample.counts?.data.read(signal) ?? pairs), teacher.width);
	const bins: FrequencyBins = frequencyBins(counts);
	const { batch = COMPARE_DEFAULTS.batch, beam = COMPARE_DEFAULTS.beam, maxLength } = options;
	const stage = (pass: string) => (fraction: number) => options.onProgress?.({ pass, fraction });
	const run = { usage, batch, beam, maxLength, logits: LOGITS, signal };

	const scores = await compareReferences(models, pairs, bins, { ...run, progress: stage("references") });
	for (const { decodes, files: names } of models)
		if (!decodes) throw new DistembError("refused", `"${names.at(-1)}" takes inputs of a fixed size, with which nothing can be translated`);
	const own = await translate(teacher, pairs, { ...run, progress: stage("teacher") });
	const other = await translate(student, pairs, { ...run, progress: stage("student") });
	const notes =
		usage.tokenizer === undefined ? ["no BLEU and chrF2: they need text; give --tokenizer with the model's tokenizer.json"] : [];
	const decoding = beam === 1 ? "greedy" : `beam search, ${beam} beams`;
	const translation = usage.tokenizer === undefined ? {} : { translation: { decoding, ...scoreTranslations(own, other, pairs, usage) } };
	const measured = `${scores.all.positions} tokens of ${pairs.length} reference${plural(pairs.length)}, each predicted from those before it`;
	const figures = {
		data: { files, measured, limited },
		tokens: { ...scores, counts: sample.counts?.from ?? COUNTED_HERE },
		...translation,
		notes,
	};
	return { figures, prompt: [usage.start], source: [...(pairs[0]?.source ?? [])] };
}

/** At most `limit` pairs. @throws DistembError `input` if there are none */
async function firstPairs(data: Data<Pair>, limit: number, signal: AbortSignal | undefined) {
	const pairs: Pair[] = [];
	for await (const pair of data.read(signal)) {
		pairs.push(pair);
		if (pairs.length === limit) return { pairs, limited: true };
	}
	if (pairs.length === 0) throw new DistembError("input", "there are no pairs to measure", { hint: "give data with translations" });
	return { pairs, limited: false };
}

async function* targetsOf(pairs: AsyncIterable<Pair> | Iterable<Pair>): AsyncGenerator<Int32Array> {
	for await (const { target } of pairs) yield target;
}
