// Data of translators: pairs of sentences as text or as token ids, from any number of files.
import { DistembError } from "../errors.js";
import { checkedIds, type Data, firstOf, type Pair } from "./data.js";
import { extension, isRecord, jsonLines, lines } from "./files.js";
import { safetensorsPairs } from "./safetensors.js";
import type { TextTokenizer } from "./tokenizer.js";

export interface PairOptions {
	/** Rows of the vocabulary: every id must lie below. */
	readonly rows?: number | undefined;
	/** Rows of the target's vocabulary, if it has its own. */
	readonly targetRows?: number | undefined;
	/** Needed for text. */
	readonly tokenizer?: TextTokenizer | undefined;
	/** Tokenizer of the target, if it has its own. */
	readonly targetTokenizer?: TextTokenizer | undefined;
	/** Fields of a .jsonl file's objects; both or none. Default: see {@link FIELDS}. */
	readonly fields?: readonly [source: string, target: string] | undefined;
	/** Told of each pair that was left out because one side is empty; `at` is file:line. */
	readonly onLeftOut?: ((at: string) => void) | undefined;
}

/** Names of fields that are understood without being told; objects within `translation` are looked into. */
export const FIELDS: readonly (readonly [source: string, target: string])[] = [
	["source", "target"],
	["src", "tgt"],
	["input_ids", "labels"],
];

/** Both sides of a pair as the file has them: text, or a list of ids. */
interface Sides {
	readonly source: unknown;
	readonly target: unknown;
	readonly at: string;
}

type Reader = (signal?: AbortSignal) => AsyncGenerator<Pair>;

/** Files that are certainly no text; any other extension may be the name of a language. */
const NO_TEXT = new Set([".npy", ".npz", ".onnx", ".json", ".bin", ".parquet", ".zip"]);

/**
 * Pairs from .tsv (source, tab, target), .jsonl (objects with two fields, or arrays of two; strings or lists of ids) and .safetensors
 * files (token pairs, see safetensors.ts), or from parallel text files, which come in twos: source, then target. Ids are taken
 * as they are: the closing end of sentence included. Text gets it from the tokenizer. Text files also as .gz.
 * @throws DistembError `input`: a file is missing, empty, of another kind, not UTF-8, not parallel, or has ids beyond the vocabulary
 */
export async function openPairs(files: readonly string[], options: PairOptions = {}): Promise<Data<Pair>> {
	if (files.length === 0)
		throw new DistembError("input", "no data was given", { hint: "name .tsv, .jsonl or .safetensors files, or two parallel ones" });
	const readers: Reader[] = [];
	for (let index = 0; index < files.length; index++) {
		const file = files[index] ?? "";
		const single = readerOf(file, options);
		const other = single === undefined ? partnerOf(file, files[++index]) : undefined;
		const reader = single ?? ((signal) => encoded(parallel(file, other ?? "", signal), options));
		if ((await firstOf(reader())) === undefined)
			throw new DistembError("input", "holds no pairs", { at: file, hint: "leave the file out" });
		readers.push(reader);
	}
	return {
		async *read(signal) {
			for (const reader of readers) yield* reader(signal);
		},
	};
}

function readerOf(file: string, options: PairOptions): Reader | undefined {
	switch (extension(file)) {
		case ".tsv":
			return (signal) => encoded(tabbed(file, signal), options);
		case ".jsonl":
		case ".ndjson":
			return (signal) => encoded(json(file, options, signal), options);
		case ".safetensors":
			return (signal) => safetensorsPairs(file, { rows: options.rows, targetRows: options.targetRows ?? options.rows, signal });
		default:
			return undefined;
	}
}

function partnerOf(file: string, other: string | undefined): string {
	if (NO_TEXT.has(extension(file)))
		throw new DistembError("input", "is no kind of data for a translator", {
			at: file,
			hint: "give .tsv, .jsonl, .safetensors, or two parallel text files",
		});
	if (other === undefined || NO_TEXT.has(extension(other)) || readerOf(other, {}) !== undefined)
		throw new DistembError("input", "has no parallel file after it", { at: file, hint: "give the source's file, then the target's" });
	return other;
}

/** Text becomes ids; pairs with an empty side are left out. */
async function* encoded(sides: AsyncGenerator<Sides>, options: PairOptions): AsyncGenerator<Pair> {
	const { rows, tokenizer, onLeftOut } = options;
	const { targetRows = rows, targetTokenizer = tokenizer } = options;
	for await (const { source, target, at } of sides) {
		if (isEmpty(source) || isEmpty(target)) {
			if (!(isEmpty(source) && isEmpty(target))) onLeftOut?.(at);
			continue;
		}
		const pair = { source: ids(source, tokenizer, { rows, at }), target: ids(target, targetTokenizer, { rows: targetRows, at }) };
		yield typeof target === "string" ? { ...pair, text: target } : pair;
	}
}

function isEmpty(side: unknown): boolean {
	return typeof side === "string" ? side.trim() === "" : Array.isArray(side) && side.length === 0;
}

function ids(side: unknown, tokenizer: TextTokenizer | undefined, check: { rows: number | undefined; at: string }): Int32Array {
	if (Array.isArray(side)) return checkedIds(side, check);
	const { at } = check;
	if (typeof side !== "string")
		throw new DistembError("input", "has a side that is neither text nor token ids", {
			at,
			hint: "both sides are strings, or arrays of ids",
		});
	if (tokenizer === undefined)
		throw new DistembError("input", "text needs a tokenizer", { at, hint: "give the model's tokenizer.json, or token ids" });
	return checkedIds(tokenizer.sentence(side), check);
}

async function* tabbed(file: string, signal?: AbortSignal): AsyncGenerator<Sides> {
	for await (const { text, number } of lines(file, signal)) {
		if (text.trim() === "") continue;
		const at = `${file}:${number}`;
		const [source = "", target, ...more] = text.split("\t");
		if (target === undefined || more.length > 0)
			throw new DistembError("input", `has ${more.length + (target === undefined ? 1 : 2)} columns, not two`, {
				at,
				hint: "each line is the source, a tab, and the target",
			});
		yield { source, target, at };
	}
}

async function* json(file: string, { fields }: PairOptions, signal?: AbortSignal): AsyncGenerator<Sides> {
	for await (const { value, at } of jsonLines(file, signal)) {
		const sides = sidesOf(value, fields === undefined ? FIELDS : [fields]);
		if (sides === undefined) {
			const [source, target] = fields ?? ["source", "target"];
			throw new DistembError("input", "is no pair", {
				at,
				hint: `give arrays of two, or objects with the fields "${source}" and "${target}"`,
			});
		}
		yield { source: sides[0], target: sides[1], at };
	}
}

function sidesOf(value: unknown, fields: typeof FIELDS): readonly [unknown, unknown] | undefined {
	if (Array.isArray(value)) return value.length === 2 ? [value[0], value[1]] : undefined;
	if (!isRecord(value)) return undefined;
	for (const [source, target] of fields) if (source in value && target in value) return [value[source], value[target]];
	return isRecord(value.translation) ? sidesOf(value.translation, fields) : undefined;
}

async function* parallel(sourceFile: string, targetFile: string, signal?: AbortSignal): AsyncGenerator<Sides> {
	const targets = lines(targetFile, signal);
	let read = 0;
	const differs = (shorter: string, longer: string) =>
		new DistembError("input", `ends after line ${read}, but ${longer} goes on`, {
			at: shorter,
			hint: "parallel files have the same number of lines",
		});
	try {
		for await (const { text, number } of lines(sourceFile, signal)) {
			const target = await targets.next();
			if (target.done === true) throw differs(targetFile, sourceFile);
			read = number;
			yield { source: text, target: target.value.text, at: `${sourceFile}:${number}` };
		}
		if ((await targets.next()).done !== true) throw differs(sourceFile, targetFile);
	} finally {
		await targets.return(undefined);
	}
}
