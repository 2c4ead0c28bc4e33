// What lies beside a model, damaged: tokenizers, configurations, data of every kind, checkpoints.
import { gzipSync } from "node:zlib";
import { join } from "../support/wire.js";
import type { FuzzCase } from "./case.js";
import { fixture } from "./corpus.js";
import type { Dice } from "./dice.js";
import { damaged, truncated } from "./mutate-bytes.js";
import { reworded } from "./mutate-json.js";

const CONFIGS = ["tokenizer.json", "tokenizer_config.json", "config.json", "generation_config.json"] as const;

/** The tokenizer of the translator, whose files are small, or a model of each other type with a handful of words. */
export function usageCase(dice: Dice): FuzzCase {
	const files = new Map<string, Uint8Array>();
	for (const name of CONFIGS) files.set(name, fixture(`numbers-translator/${name}`));
	if (dice.chance(0.6)) files.set("tokenizer.json", new TextEncoder().encode(JSON.stringify(smallTokenizer(dice))));
	const [first = "config.json"] = CONFIGS;
	const hurt = dice.chance(0.6) ? first : dice.pick(CONFIGS);
	files.set(hurt, reworded(files.get(hurt) ?? new Uint8Array(0), dice));
	return { action: "usage", files, targets: ["."] };
}

function smallTokenizer(dice: Dice) {
	const words = ["<unk>", "</s>", "a", "b", "ab", "▁a", "##b", "Ġa", "1"];
	const vocab = Object.fromEntries(words.map((word, id) => [word, id]));
	const model = dice.pick<object>([
		{ type: "BPE", vocab, merges: ["a b"], unk_token: "<unk>", byte_fallback: false },
		{ type: "BPE", vocab, merges: [["a", "b"]], unk_token: null, fuse_unk: true },
		{ type: "WordPiece", vocab, unk_token: "<unk>", continuing_subword_prefix: "##", max_input_chars_per_word: 100 },
		{ type: "Unigram", vocab: words.map((word, id) => [word, -id]), unk_id: 0 },
		{ type: "WordLevel", vocab, unk_token: "<unk>" },
	]);
	return {
		version: "1.0",
		added_tokens: [{ id: 1, content: "</s>", special: true, single_word: false, lstrip: false, rstrip: false, normalized: false }],
		normalizer: dice.pick<object | null>([
			null,
			{ type: "NFKC" },
			{ type: "Sequence", normalizers: [{ type: "Lowercase" }, { type: "Replace", pattern: { Regex: "(a|b)+" }, content: "a" }] },
			{ type: "Precompiled", precompiled_charsmap: "AAAA" },
		]),
		pre_tokenizer: dice.pick<object | null>([
			null,
			{ type: "ByteLevel", add_prefix_space: true, use_regex: true },
			{ type: "Metaspace", replacement: "▁", prepend_scheme: "always" },
			{ type: "Split", pattern: { Regex: "\\p{L}+| ?" }, behavior: "Isolated", invert: false },
			{ type: "Sequence", pretokenizers: [{ type: "Whitespace" }, { type: "Punctuation" }] },
		]),
		post_processor: dice.pick<object | null>([
			null,
			{
				type: "TemplateProcessing",
				single: [{ Sequence: { id: "A", type_id: 0 } }, { SpecialToken: { id: "</s>", type_id: 0 } }],
				pair: [],
				special_tokens: { "</s>": { id: "</s>", ids: [1], tokens: ["</s>"] } },
			},
			{ type: "RobertaProcessing", sep: ["</s>", 1], cls: ["</s>", 1] },
		]),
		decoder: dice.pick<object | null>([
			null,
			{ type: "ByteLevel" },
			{ type: "WordPiece", prefix: "##", cleanup: true },
			{ type: "Metaspace" },
		]),
		model,
	};
}

const text = (...lines: readonly string[]) => new TextEncoder().encode(lines.join("\n"));

function npy(shape: string, descr: string, body: Uint8Array): Uint8Array {
	const header = `{'descr': '${descr}', 'fortran_order': False, 'shape': (${shape}), }`;
	const padded = `${header.padEnd(118 - 1)}\n`;
	return join(
		text("\x93NUMPY")
			.map((byte, index) => (index === 0 ? 0x93 : byte))
			.slice(-6),
		Uint8Array.of(1, 0, padded.length, 0),
		text(padded),
		body,
	);
}

function safetensors(entries: object, body: Uint8Array): Uint8Array {
	const header = text(JSON.stringify(entries));
	return join(new Uint8Array(BigUint64Array.of(BigInt(header.byteLength)).buffer), header, body);
}

const ids = (...values: number[]) => new Uint8Array(Int32Array.from(values).buffer);

/** Data of language models, by file name. */
const TOKENS: readonly (readonly [string, Uint8Array])[] = [
	["a.txt", text("one two", "", "three")],
	["a.jsonl", text('{"text": "one"}', "[1, 2, 3]", '{"input_ids": [4, 5]}', '"six"')],
	["a.npy", npy("4,", "<i4", ids(1, 2, 3, 4))],
	["b.npy", npy("2, 2", "<i4", ids(1, 2, 3, 4))],
	["a.txt.gz", Uint8Array.from(gzipSync(text("one two", "three")))],
];

const PAIRS: readonly (readonly [string, Uint8Array])[] = [
	["a.tsv", text("one\tuno", "two\tdos")],
	["a.jsonl", text('{"source": "one", "target": "uno"}', "[[1, 2], [3]]", '{"translation": {"src": [1], "tgt": [2]}}')],
	[
		"a.safetensors",
		safetensors(
			{
				src_tokens: { dtype: "I32", shape: [4], data_offsets: [0, 16] },
				tgt_tokens: { dtype: "I32", shape: [4], data_offsets: [16, 32] },
				src_offsets: { dtype: "I32", shape: [3], data_offsets: [32, 44] },
				tgt_offsets: { dtype: "I32", shape: [3], data_offsets: [44, 56] },
			},
			join(ids(1, 2, 3, 4), ids(5, 6, 7, 8), ids(0, 2, 4), ids(0, 1, 4)),
		),
	],
	["a.tsv.gz", Uint8Array.from(gzipSync(text("one\tuno")))],
];

export function tokensCase(dice: Dice): FuzzCase {
	return dataCase("tokens", dice.pick(TOKENS), dice);
}

export function pairsCase(dice: Dice): FuzzCase {
	return dataCase("pairs", dice.pick(PAIRS), dice);
}

function dataCase(action: "tokens" | "pairs", [name, bytes]: readonly [string, Uint8Array], dice: Dice): FuzzCase {
	const isJson = name.endsWith(".jsonl");
	const hurt = dice.chance(0.2) ? truncated(bytes, dice) : isJson && dice.chance(0.6) ? rewordedLines(bytes, dice) : damaged(bytes, dice);
	const extension = /\..*$/.exec(name)?.[0] ?? "";
	const given = dice.chance(0.1) ? `a${dice.pick([".txt", ".npy", ".jsonl", ".safetensors", ".tsv", ".txt.gz", ".bin"])}` : `a${extension}`;
	const files = new Map([
		[given, hurt],
		["tokenizer.json", text(JSON.stringify(smallTokenizer(dice)))],
		["tokenizer_config.json", text('{ "eos_token": "</s>" }')],
	]);
	return { action, files, targets: [given] };
}

function rewordedLines(bytes: Uint8Array, dice: Dice): Uint8Array {
	const lines = new TextDecoder().decode(bytes).split("\n");
	const index = dice.below(lines.length);
	lines[index] = new TextDecoder().decode(reworded(text(lines[index] ?? "null"), dice));
	return text(...lines);
}

/** What a training of the tiny model left, damaged. */
export function checkpointCase(checkpoint: Uint8Array, dice: Dice): FuzzCase {
	const length = Number(new DataView(checkpoint.buffer, checkpoint.byteOffset).getBigUint64(0, true));
	const header = checkpoint.subarray(8, 8 + length);
	const rebuilt = (changed: Uint8Array) =>
		join(new Uint8Array(BigUint64Array.of(BigInt(changed.byteLength)).buffer), changed, checkpoint.subarray(8 + length));
	const choice = dice.below(4);
	const hurt =
		choice === 0
			? damaged(checkpoint, dice)
			: choice === 1
				? truncated(checkpoint, dice)
				: rebuilt(choice === 2 ? reworded(header, dice) : factsReworded(header, dice));
	return { action: "checkpoint", files: new Map([["checkpoint.safetensors", hurt]]), targets: ["."] };
}

/** The facts are JSON within JSON; what belongs to the run itself stays, so that they are looked at. */
function factsReworded(header: Uint8Array, dice: Dice): Uint8Array {
	const outer = JSON.parse(new TextDecoder().decode(header)) as { __metadata__: { facts: string } };
	const facts = JSON.parse(outer.__metadata__.facts) as { training: unknown };
	const training = new TextDecoder().decode(reworded(text(JSON.stringify(facts.training)), dice));
	const parsed = isJson(training) ? (JSON.parse(training) as unknown) : training;
	outer.__metadata__.facts = JSON.stringify({ ...facts, training: parsed });
	return text(JSON.stringify(outer));
}

function isJson(value: string): boolean {
	try {
		JSON.parse(value);
		return true;
	} catch {
		return false;
	}
}
