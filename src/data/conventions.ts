// Which special tokens a model expects, from the configuration files beside its tokenizer.
import path from "node:path";
import { isRecord, jsonObject } from "./files.js";

/** Ids of special tokens; undefined where the model has none, or its files do not say. */
export interface Conventions {
	/** Begins a document. */
	readonly bos: number | undefined;
	/** Ends a document or a sentence. */
	readonly eos: number | undefined;
	/** Fills batches; what it is does not matter where the mask is 0. */
	readonly pad: number;
	/** Stands before the first token of a translation; for Marian, T5 and others the same as `pad`. */
	readonly decoderStart: number;
	/** Explicit settings of tokenizer_config.json. */
	readonly addBos: boolean | undefined;
	readonly addEos: boolean | undefined;
}

/** Names to look for if no file says which token ends a text. */
const USUAL_ENDS = ["</s>", "<eos>", "<|endoftext|>"] as const;

/**
 * Looks in tokenizer_config.json (tokens by name; an explicit null means "none"), then generation_config.json, then config.json.
 * Without any of these the end is one of `</s>`, `<eos>`, `<|endoftext|>`. Padding falls back to the end, then to 0, and the
 * decoder's start to the padding, as in `transformers`.
 */
export async function readConventions(tokenizerFile: string, idOf: (token: string) => number | undefined): Promise<Conventions> {
	const beside = (name: string) => jsonObject(path.join(path.dirname(tokenizerFile), name));
	const names = await beside("tokenizer_config.json");
	const configs = [await beside("generation_config.json"), await beside("config.json")];
	const byName = (key: string) => {
		const token = names?.[key];
		const content = isRecord(token) ? token.content : token;
		return typeof content === "string" ? idOf(content) : undefined;
	};
	const byId = (key: string) => {
		for (const config of configs) {
			const value = config?.[key];
			const id: unknown = Array.isArray(value) ? value[0] : value;
			if (typeof id === "number") return id;
		}
		return undefined;
	};
	const find = (name: string) => (names?.[`${name}_token`] === null ? undefined : (byName(`${name}_token`) ?? byId(`${name}_token_id`)));
	const known = names !== undefined || configs.some((config) => config !== undefined);
	const eos = find("eos") ?? (known ? undefined : USUAL_ENDS.map(idOf).find((id) => id !== undefined));
	const pad = find("pad") ?? eos ?? 0;
	const flag = (key: string) => (typeof names?.[key] === "boolean" ? names[key] === true : undefined);
	return {
		bos: find("bos"),
		eos,
		pad,
		decoderStart: byId("decoder_start_token_id") ?? pad,
		addBos: flag("add_bos_token"),
		addEos: flag("add_eos_token"),
	};
}
