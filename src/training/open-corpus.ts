// The data of a run in three parts: from files, or else what the original writes by itself.
import { contentHash, keptLines } from "../data/cache.js";
import { type Data, firstOf, pairTokens, pieceTokens, remembered } from "../data/data.js";
import { LONG_PAIRS, LONG_TOKENS, type Side, splitOfPairs, splitOfTokens, splitPairs, splitPieces } from "../data/split.js";
import type { Usage } from "../data/usage.js";
import type { TextModel } from "../runtime/decode/model.js";
import type { Corpus, SpecialTokens } from "./corpus.js";
import { GENERATORS, type GenerateOptions } from "./generate.js";
import { type ModelData, openModelData } from "./model-data.js";

export interface CorpusOptions {
	/** Files; without them the original writes. */
	readonly data?: readonly string[] | undefined;
	/** What the original may write; undefined: nothing. */
	readonly generate?: Pick<GenerateOptions, "seed" | "tokens" | "seconds"> & {
		/** The model's files: another model writes something else. */
		readonly files: readonly string[];
		/** Folder that keeps what was written. */
		readonly cache: string;
	};
	readonly signal?: AbortSignal | undefined;
	readonly progress: (fraction: number, note?: string) => void;
	readonly log: (line: string) => void;
	/** What a person should see. */
	readonly warn: (line: string) => void;
}

export interface OpenedCorpus {
	readonly corpus: Corpus;
	/** The files that it is read from: those that were named, or the one that the original wrote. */
	readonly files: readonly string[];
}

/** Tokens that are read at the beginning: mistakes in the data show there, and what was read is remembered. */
const CHECKED = 2 ** 24;

/**
 * Opens the data of a run. Undefined: there is none; where some was asked for, a warning says why.
 * @throws DistembError `input`: the data is broken, of another kind, or too little
 */
export async function openCorpus(model: TextModel, usage: Usage, options: CorpusOptions): Promise<OpenedCorpus | undefined> {
	const { data: files, generate, log, warn } = options;
	if (files !== undefined) {
		const parts = await split(await openModelData(files, model, usage.tokenizer), model, usage, options);
		return { corpus: { ...parts, generated: false, from: files.join(", ") }, files };
	}
	if (generate === undefined) return undefined;
	const refusal = cannotWrite(model);
	if (refusal !== undefined) {
		warn(`nothing is trained: no --data, and no text was generated: ${refusal}`);
		return undefined;
	}
	const file = await generated(model, usage, generate, options);
	const from = `${GENERATORS[model.kind].how} (seed ${generate.seed})`;
	log(`no --data: ${from}; kept in ${file}`);
	const parts = await split(await openModelData([file], model, usage.tokenizer), model, usage, options);
	return { corpus: { ...parts, generated: true, from }, files: [file] };
}

function cannotWrite({ kind, decodes, files }: TextModel): string | undefined {
	const writes = kind === "causal" || kind === "translator";
	return writes && !decodes ? `"${files.at(-1)}" takes inputs of a fixed size` : undefined;
}

/** The file with what the original wrote, now or in an earlier run. */
async function generated(
	model: TextModel,
	usage: Usage,
	{ cache, files, ...amount }: NonNullable<CorpusOptions["generate"]>,
	{ signal, progress }: CorpusOptions,
): Promise<string> {
	const key = await contentHash(files, [JSON.stringify(amount)]);
	return await keptLines(cache, `generated-${key.slice(0, 16)}.jsonl`, () =>
		GENERATORS[model.kind].generate(model, usage, { ...amount, signal, progress }),
	);
}

/** The three parts, each of which holds something. */
async function split(opened: ModelData, { fixed }: TextModel, usage: Usage, { signal, progress }: CorpusOptions) {
	const special: SpecialTokens = { pad: usage.pad, start: usage.start, mask: usage.mask, context: fixed.length ?? usage.context };
	if (opened.kind === "pairs") {
		const data = remembered(opened.data, pairTokens);
		const { items } = await checked(data, pairTokens, signal, progress);
		const own = splitOfPairs(Math.min(items, LONG_PAIRS));
		return { kind: opened.kind, special, ...(await eachPart((side) => splitPairs(data, side, own))) } as const;
	}
	const data = remembered(opened.data, pieceTokens);
	const { tokens } = await checked(data, pieceTokens, signal, progress);
	const own = splitOfTokens(Math.min(tokens, LONG_TOKENS));
	return { kind: opened.kind, special, ...(await eachPart((side) => splitPieces(data, side, own))) } as const;
}

async function eachPart<T>(part: (side: Side) => Data<T>) {
	const all = { train: part("train"), validation: part("validation"), test: part("test") };
	for (const { read } of Object.values(all)) await firstOf(read());
	return all;
}

/** Reads the data once, at most its first {@link CHECKED} tokens. */
async function checked<T>(data: Data<T>, size: (item: T) => number, signal: AbortSignal | undefined, progress: CorpusOptions["progress"]) {
	let [items, tokens] = [0, 0];
	for await (const item of data.read(signal)) {
		items++;
		tokens += size(item);
		if (items % 1024 === 0) progress(tokens / CHECKED, `${tokens} tokens`);
		if (tokens >= CHECKED) break;
	}
	return { items, tokens };
}
