// What the files beside a model say about how it is used: tokenizer, special tokens, length of the context.
import path from "node:path";
import { readConventions } from "./conventions.js";
import { isFile, isRecord, jsonObject } from "./files.js";
import { openTokenizer, type TextTokenizer } from "./tokenizer.js";

export interface Usage {
	readonly tokenizer: TextTokenizer | undefined;
	readonly pad: number;
	/** Begins a document of a language model. */
	readonly bos: number | undefined;
	/** Id before the first token of a translation. */
	readonly start: number;
	/** Ids that end a translation. */
	readonly ends: ReadonlySet<number>;
	/** Ids that are never generated. */
	readonly never: ReadonlySet<number>;
	/** A first token that the model's configuration forces. */
	readonly first: number | undefined;
	/** Stands for a hidden token. */
	readonly mask: number | undefined;
	/** Tokens that the model can read. */
	readonly context: number | undefined;
}

/** What goes before what the files say. */
export interface UsageOptions {
	readonly tokenizer?: string | undefined;
	readonly startId?: number | undefined;
	readonly endId?: number | undefined;
	readonly maskId?: number | undefined;
}

/** Names of the mask token, if no file says it. */
const USUAL_MASKS = ["[MASK]", "<mask>"] as const;

const CONFIGURATIONS = ["tokenizer_config.json", "generation_config.json", "config.json"] as const;

/** Keys of config.json for the number of positions. */
const CONTEXT_KEYS = ["n_positions", "max_position_embeddings", "n_ctx"] as const;

/**
 * Reads tokenizer.json, generation_config.json and config.json beside `model` (a file or folder; of a folder named `onnx` also the
 * one above). Options go first.
 * @throws DistembError `input` if a file is broken, or the tokenizer that was asked for is missing
 */
export async function readUsage(model: string, options: UsageOptions): Promise<Usage> {
	const folder = await folderOf(model);
	const file = options.tokenizer ?? path.join(folder, "tokenizer.json");
	const isThere = options.tokenizer !== undefined || (await isFile(file));
	const tokenizer = isThere ? await openTokenizer(file) : undefined;
	const conventions = tokenizer?.conventions ?? (await readConventions(file, () => undefined));
	const configs = [await jsonObject(path.join(folder, "generation_config.json")), await jsonObject(path.join(folder, "config.json"))];
	const setting = (key: string): unknown => configs.map((config) => config?.[key]).find((value) => value !== undefined && value !== null);
	const { pad, bos, eos, decoderStart } = conventions;
	const ends = new Set(options.endId === undefined ? [...numbersOf(setting("eos_token_id")), eos ?? 0] : [options.endId]);
	const never = new Set(singles(setting("bad_words_ids")));
	if (!ends.has(pad)) never.add(pad);
	return {
		tokenizer,
		pad,
		bos,
		start: options.startId ?? decoderStart,
		ends,
		never,
		first: numbersOf(setting("forced_bos_token_id"))[0],
		mask: options.maskId ?? (await maskOf(folder, tokenizer)),
		context: CONTEXT_KEYS.flatMap((key) => numbersOf(setting(key)))[0],
	};
}

/** The files that {@link readUsage} reads, as far as they are there. */
export async function usageFiles(model: string, { tokenizer }: UsageOptions): Promise<string[]> {
	const folder = await folderOf(model);
	const own = tokenizer ?? path.join(folder, "tokenizer.json");
	const folders = new Set([path.dirname(own), folder]);
	const beside = [...folders].flatMap((place) => CONFIGURATIONS.map((name) => path.join(place, name)));
	const there: string[] = [];
	for (const file of [own, ...beside]) if (await isFile(file)) there.push(file);
	return there;
}

async function folderOf(model: string): Promise<string> {
	const own = (await isFile(model)) ? path.dirname(model) : model;
	if (path.basename(path.resolve(own)) !== "onnx" || (await isFile(path.join(own, "config.json")))) return own;
	return path.join(own, "..");
}

function numbersOf(value: unknown): number[] {
	const values: unknown[] = Array.isArray(value) ? value : [value];
	return values.filter((item) => typeof item === "number");
}

/** Of `bad_words_ids` those that are one token. */
function singles(value: unknown): number[] {
	const lists: unknown[] = Array.isArray(value) ? value : [];
	return lists.filter((list) => Array.isArray(list) && list.length === 1).flatMap(numbersOf);
}

async function maskOf(folder: string, tokenizer: TextTokenizer | undefined): Promise<number | undefined> {
	if (tokenizer === undefined) return undefined;
	const token = (await jsonObject(path.join(folder, "tokenizer_config.json")))?.mask_token;
	const named = isRecord(token) ? token.content : token;
	for (const name of typeof named === "string" ? [named] : USUAL_MASKS) {
		const ids = tokenizer.plain(name);
		if (ids.length === 1) return ids[0];
	}
	return undefined;
}
