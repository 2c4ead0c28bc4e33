// What a caller of `compare` may ask for.
import { DistembError } from "../errors.js";
import { type CommonOptions, flagOf } from "../options.js";

/** What `compare` may be asked for. */
export interface CompareOptions extends CommonOptions {
	/** Language models: .txt, .jsonl, .npy. Translators: .tsv, .jsonl, .safetensors, or two parallel text files. */
	readonly data: readonly string[];
	/** Default: the one beside the teacher. */
	readonly tokenizer?: string | undefined;
	/** Data of the same kind whose token counts make the frequency bins; default: what is measured. */
	readonly counts?: readonly string[] | undefined;
	/** Tokens per window; default: the model's context, at most 256, or 128 if its context is not known. */
	readonly window?: number | undefined;
	/** Each document from its own start, instead of windows over the whole stream. */
	readonly documents?: boolean | undefined;
	/** Windows or pairs per run of the engine; default 8, fewer for large vocabularies. */
	readonly batch?: number | undefined;
	/** Measure at most this many tokens; default 100,000. */
	readonly tokens?: number | undefined;
	/** Measure at most this many pairs; default 500. */
	readonly pairs?: number | undefined;
	/** Sequences kept by beam search; default 1: greedy. */
	readonly beam?: number | undefined;
	/** Most tokens of a translation; default: 2.5 times the source. */
	readonly maxLength?: number | undefined;
	/** Ids, where the model's configuration files do not say them. */
	readonly startId?: number | undefined;
	readonly endId?: number | undefined;
	readonly maskId?: number | undefined;
	/** Of the choice of masked tokens; default 0. */
	readonly seed?: number | undefined;
	/** Measure load time, memory and speed, each model in a process of its own; default true. */
	readonly footprint?: boolean | undefined;
}

export const COMPARE_DEFAULTS = { tokens: 100_000, pairs: 500, beam: 1, batch: 8, seed: 0, footprint: true } as const;

const COUNTS = ["window", "batch", "tokens", "pairs", "beam", "maxLength", "threads"] as const;
const IDS = ["startId", "endId", "maskId", "seed"] as const;

/** @throws DistembError `usage` for numbers that are none, or if there is no data */
export function checkCompareOptions(options: CompareOptions): void {
	const fail = (message: string, hint?: string) => new DistembError("usage", message, { hint });
	const isBelow = (value: number | undefined, least: number) => value !== undefined && !(Number.isInteger(value) && value >= least);
	for (const name of COUNTS) if (isBelow(options[name], 1)) throw fail(`${flagOf(name)} must be a whole number of at least 1`);
	for (const name of IDS) if (isBelow(options[name], 0)) throw fail(`${flagOf(name)} must be a whole number from 0`);
	if (options.window === 1) throw fail("--window 1 leaves nothing to predict", "give at least 2");
	if (options.data.length === 0) throw fail("compare needs data", "give --data with texts, token ids, or pairs for a translator");
}
