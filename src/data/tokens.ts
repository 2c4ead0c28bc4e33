// Data of language models and encoders: texts, or token ids, from any number of files.
import { DistembError } from "../errors.js";
import { checkedIds, type Data, firstOf, type Piece } from "./data.js";
import { extension, isRecord, jsonLines, lines } from "./files.js";
import { npyPieces } from "./npy.js";
import type { TextTokenizer } from "./tokenizer.js";

export interface TokenOptions {
	/** Rows of the model's vocabulary: every id must lie below. */
	readonly rows?: number | undefined;
	/** Needed for text. */
	readonly tokenizer?: TextTokenizer | undefined;
	/** What is one document in a .txt file: every line (default), or lines up to an empty line. */
	readonly documents?: "lines" | "paragraphs" | undefined;
	/** Field of a .jsonl file's objects that holds the text; default `text`. */
	readonly textField?: string | undefined;
}

/** Fields of a .jsonl file's objects that may hold token ids. */
const ID_FIELDS = ["input_ids", "ids", "tokens"] as const;

type Reader = (file: string, options: TokenOptions, signal?: AbortSignal) => AsyncGenerator<Piece>;

const READERS: Readonly<Record<string, Reader>> = {
	".txt": textPieces,
	".jsonl": jsonPieces,
	".ndjson": jsonPieces,
	".npy": (file, { rows }, signal) => npyPieces(file, rows, signal),
};

/**
 * Token data from .txt (UTF-8), .jsonl (objects with a text or ids, strings, or arrays of ids: one sequence a line) and .npy files
 * (one dimension: a stream; two: sequences), in the order given; .txt and .jsonl also as .gz. Reads the beginning of each file at
 * once, so that most mistakes show before any work is done.
 * @throws DistembError `input`: a file is missing, empty, of another kind, not UTF-8, or has ids beyond the vocabulary
 */
export async function openTokens(files: readonly string[], options: TokenOptions = {}): Promise<Data<Piece>> {
	if (files.length === 0) throw new DistembError("input", "no data was given", { hint: "name .txt, .jsonl or .npy files" });
	const readers = files.map((file) => {
		const reader = READERS[extension(file)];
		if (reader === undefined)
			throw new DistembError("input", "is no kind of data that is understood", { at: file, hint: "give .txt, .jsonl or .npy" });
		return (signal?: AbortSignal) => reader(file, options, signal);
	});
	for (const [index, reader] of readers.entries()) {
		if ((await firstOf(reader())) === undefined)
			throw new DistembError("input", "holds no tokens", { at: files[index], hint: "leave the file out" });
	}
	return {
		async *read(signal) {
			for (const reader of readers) yield* reader(signal);
		},
	};
}

async function* textPieces(file: string, options: TokenOptions, signal?: AbortSignal): AsyncGenerator<Piece> {
	for await (const { text, number } of documents(file, options.documents ?? "lines", signal))
		yield whole(ofText(text, `${file}:${number}`, options));
}

/** Documents with the number of their first line. */
async function* documents(file: string, mode: "lines" | "paragraphs", signal?: AbortSignal) {
	let open: string[] = [];
	let first = 1;
	for await (const { text, number } of lines(file, signal)) {
		const blank = text.trim() === "";
		if (!blank && open.length === 0) first = number;
		if (!blank) open.push(text);
		if (open.length === 0 || !(blank || mode === "lines")) continue;
		yield { text: open.join("\n"), number: first };
		open = [];
	}
	if (open.length > 0) yield { text: open.join("\n"), number: first };
}

async function* jsonPieces(file: string, options: TokenOptions, signal?: AbortSignal): AsyncGenerator<Piece> {
	for await (const { value, at } of jsonLines(file, signal)) {
		const ids = ofValue(value, at, options);
		if (ids.length > 0) yield whole(ids);
	}
}

function ofValue(value: unknown, at: string, options: TokenOptions): Int32Array {
	const { rows, textField = "text" } = options;
	if (typeof value === "string") return ofText(value, at, options);
	if (Array.isArray(value)) return checkedIds(value, { rows, at });
	const fields = isRecord(value) ? value : {};
	const text = fields[textField];
	if (typeof text === "string") return ofText(text, at, options);
	for (const name of ID_FIELDS) {
		const list = fields[name];
		if (Array.isArray(list)) return checkedIds(list, { rows, at });
	}
	throw new DistembError("input", `has neither a text in "${textField}" nor token ids`, {
		at,
		hint: `give strings, arrays of ids, or objects with "${textField}" or "input_ids"`,
	});
}

function ofText(text: string, at: string, { tokenizer, rows }: TokenOptions): Int32Array {
	if (tokenizer === undefined)
		throw new DistembError("input", "text needs a tokenizer", { at, hint: "give the model's tokenizer.json, or token ids" });
	return checkedIds(tokenizer.document(text), { rows, at });
}

function whole(ids: Int32Array): Piece {
	return { ids, starts: true };
}
