// Text to token ids and back, by a tokenizer.json and the conventions of the files beside it.
import path from "node:path";
import { Tokenizer } from "@huggingface/tokenizers";
import { DistembError } from "../errors.js";
import { type Conventions, readConventions } from "./conventions.js";
import { isRecord, jsonObject } from "./files.js";

/** The part of the library's class that is used; its own typings do not resolve under NodeNext. */
interface Library {
	encode(text: string, options: { add_special_tokens: boolean }): { ids: number[] };
	decode(ids: number[], options: { skip_special_tokens: boolean }): string;
	token_to_id(token: string): number | undefined;
	id_to_token(id: number): string | undefined;
	get_vocab(): Map<string, number>;
}

export interface TextTokenizer {
	/** The tokenizer.json. */
	readonly file: string;
	/** The highest id and one. */
	readonly size: number;
	readonly conventions: Conventions;
	/** Ids without special tokens, except those that the text spells out. */
	readonly plain: (text: string) => number[];
	/** Ids of a document for a language or masked language model; see {@link openTokenizer}. */
	readonly document: (text: string) => number[];
	/** Ids of one side of a translation, which end with `</s>`; see {@link openTokenizer}. */
	readonly sentence: (text: string) => number[];
	/** Text of `ids`, special tokens left out. */
	readonly decode: (ids: readonly number[]) => string;
	/** What tokenizer.json calls a token. */
	readonly name: (id: number) => string | undefined;
}

/** A vocabulary may be padded for the hardware's sake (the largest padding seen is 2 %), not be one of another tokenizer. */
const LEAST_SHARE = 0.9;

/**
 * Opens a tokenizer.json.
 * - If its post-processor adds special tokens (`<s> … </s>`, `[CLS] … [SEP]`), documents are what it gives.
 * - Otherwise a document begins with BOS, if there is one and `add_bos_token` is not false, and ends with EOS if `add_eos_token` is
 *   true or nothing was put in front: documents in a row are always separated, if the tokenizer has a token for that.
 * - A sentence of a translation is what the post-processor gives, with EOS at its end if that is missing.
 * @param rows rows of the model's vocabulary; undefined: not checked
 * @throws DistembError `input` if the file is missing or not understood, or does not fit `rows`
 */
export async function openTokenizer(file: string, rows?: number): Promise<TextTokenizer> {
	const library = guarded(await load(file), file);
	const size = highestId(library.get_vocab(), file) + 1;
	if (rows !== undefined) checkTokenizerSize({ file, size }, rows);
	const conventions = await readConventions(file, (token) => library.token_to_id(token));
	const ids = (text: string, special: boolean) => library.encode(text, { add_special_tokens: special }).ids;
	const adds = ids("a", true).length > ids("a", false).length;
	const { bos, eos, addBos, addEos } = conventions;
	const front = bos !== undefined && addBos !== false ? [bos] : [];
	const back = eos !== undefined && (addEos === true || front.length === 0) ? [eos] : [];
	return {
		file,
		size,
		conventions,
		plain: (text) => ids(text, false),
		document: (text) => (adds ? ids(text, true) : [...front, ...ids(text, false), ...back]),
		sentence: (text) => {
			if (eos === undefined)
				throw new DistembError("input", "names no end-of-sentence token", {
					at: file,
					hint: "put the model's tokenizer_config.json beside it",
				});
			const sentence = ids(text, true);
			return sentence.at(-1) === eos ? sentence : [...sentence, eos];
		},
		decode: (list) => (list.length === 0 ? "" : library.decode([...list], { skip_special_tokens: true })),
		name: (id) => library.id_to_token(id),
	};
}

/** The library keeps lists up to the highest id: one that is far beyond all others would take its memory and time. */
const MOST_TOKENS = 2 ** 24;

/** Ids that tokenizer.json gives itself, whatever they are. */
function* idsIn({ added_tokens: added, model }: Readonly<Record<string, unknown>>): Generator<unknown> {
	for (const token of Array.isArray(added) ? (added as unknown[]) : []) yield isRecord(token) ? token.id : undefined;
	const vocabulary = isRecord(model) ? model.vocab : undefined;
	if (isRecord(vocabulary)) yield* Object.values(vocabulary);
}

async function load(file: string): Promise<Library> {
	const description = await jsonObject(file);
	if (description === undefined) throw new DistembError("input", "does not exist", { at: file, hint: "give the model's tokenizer.json" });
	const config = (await jsonObject(path.join(path.dirname(file), "tokenizer_config.json"))) ?? {};
	for (const id of idsIn(description)) {
		if (typeof id === "number" && id >= MOST_TOKENS)
			throw new DistembError("input", `has a token of id ${id}, more than any vocabulary holds`, {
				at: file,
				hint: "give the model's tokenizer.json",
			});
	}
	try {
		return new Tokenizer({ added_tokens: [], ...description }, config) as unknown as Library;
	} catch (cause) {
		throw notUnderstood(file, cause);
	}
}

function notUnderstood(file: string, cause: unknown): DistembError {
	const reason = cause instanceof Error ? (cause.message.split("\n")[0] ?? "") : String(cause);
	return new DistembError("input", `is no tokenizer that is understood: ${reason}`, {
		at: file,
		hint: "give the model's tokenizer.json, or token ids instead of text",
		cause,
	});
}

/** What the library finds wrong with a file only when it is used is the file's fault too. */
function guarded(library: Library, file: string): Library {
	const attempt = <T>(work: () => T): T => {
		try {
			return work();
		} catch (cause) {
			throw notUnderstood(file, cause);
		}
	};
	return {
		encode: (text, options) => attempt(() => library.encode(text, options)),
		decode: (ids, options) => attempt(() => library.decode(ids, options)),
		token_to_id: (token) => attempt(() => library.token_to_id(token)),
		id_to_token: (id) => attempt(() => library.id_to_token(id)),
		get_vocab: () => attempt(() => library.get_vocab()),
	};
}

/** @throws DistembError `input` that names the first token whose id is none */
function highestId(vocabulary: ReadonlyMap<string, unknown>, file: string): number {
	let highest = -1;
	for (const [token, id] of vocabulary) {
		if (typeof id !== "number" || !Number.isInteger(id) || id < 0)
			throw new DistembError("input", `gives ${JSON.stringify(token)} the id ${JSON.stringify(id)}, which is no whole number from 0`, {
				at: file,
				hint: "give the model's tokenizer.json",
			});
		if (id > highest) highest = id;
	}
	return highest;
}

/** @throws DistembError `input` if the tokenizer cannot be that of a vocabulary of `rows` rows */
export function checkTokenizerSize({ file, size }: Pick<TextTokenizer, "file" | "size">, rows: number): void {
	const hint = "give the tokenizer.json of this model, or token ids instead of text";
	if (size > rows) throw new DistembError("input", `has ${size} tokens, but the model's vocabulary ${rows} rows`, { at: file, hint });
	if (size < LEAST_SHARE * rows)
		throw new DistembError("input", `has only ${size} tokens for the ${rows} rows of the model's vocabulary`, { at: file, hint });
}
