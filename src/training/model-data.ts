// Data of the kind that a model reads, from the files that were named for it.
import type { Data, Pair, Piece } from "../data/data.js";
import { extension } from "../data/files.js";
import { openPairs } from "../data/pairs.js";
import { checkTokenizerSize, type TextTokenizer } from "../data/tokenizer.js";
import { openTokens } from "../data/tokens.js";
import { DistembError } from "../errors.js";
import type { TextModel } from "../runtime/decode/model.js";

/** What of a model decides which data fits it. */
export type ModelFacts = Pick<TextModel, "kind" | "width" | "tokenRows" | "sourceRows">;

export type ModelData = { readonly kind: "tokens"; readonly data: Data<Piece> } | { readonly kind: "pairs"; readonly data: Data<Pair> };

/** Files that hold pairs and nothing else. */
const PAIRS_ONLY = new Set([".tsv", ".safetensors"]);

/** Files of token ids, which need no tokenizer. */
const IDS_ONLY = new Set([".npy", ".safetensors"]);

/**
 * Opens texts or token ids for language models and encoders, pairs for translators.
 * @throws DistembError `input`: a file is missing, empty, broken, of another kind, not UTF-8, or has ids beyond the vocabulary (with its
 * line), or the tokenizer is of another model
 */
export async function openModelData(files: readonly string[], model: ModelFacts, tokenizer: TextTokenizer | undefined): Promise<ModelData> {
	const { kind, sourceRows, width } = model;
	const isText = files.some((file) => !IDS_ONLY.has(extension(file)));
	if (kind === "translator") {
		if (tokenizer !== undefined && isText) checkTokenizerSize(tokenizer, Math.max(sourceRows ?? 0, width));
		return { kind: "pairs", data: await openPairs(files, { rows: sourceRows, targetRows: width, tokenizer }) };
	}
	const pairs = files.find((file) => PAIRS_ONLY.has(extension(file)));
	if (pairs !== undefined)
		throw new DistembError("input", `holds pairs, but the model is ${NAMES[kind]}`, { at: pairs, hint: "give .txt, .jsonl or .npy files" });
	const rows = tokenRows(model);
	if (tokenizer !== undefined && isText && rows !== undefined) checkTokenizerSize(tokenizer, rows);
	return { kind: "tokens", data: await openTokens(files, { rows, tokenizer }) };
}

const NAMES = { causal: "a language model", masked: "a masked language model", encoder: "an encoder" } as const;

/** Ids that the model can both read and predict; a model without a head has no vocabulary but that of its lookup. */
export function tokenRows({ kind, width, tokenRows: rows }: ModelFacts): number | undefined {
	return kind === "encoder" ? rows : Math.min(width, rows ?? width);
}
