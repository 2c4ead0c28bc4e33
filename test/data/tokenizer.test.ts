// Conventions of special tokens, from the files beside a tokenizer, and tokenizers that do not fit.
import { mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { openTokenizer } from "../../src/data/tokenizer.js";
import { folder, refusal, SOTU } from "./support.js";

const { root, write } = folder();
const VOCABULARY = { "<unk>": 0, "<s>": 1, "</s>": 2, "<pad>": 3, a: 4, b: 5 };
let made = 0;

/** A word tokenizer in a folder of its own, with the given files beside it. */
function tokenizerFile(files: Readonly<Record<string, unknown>> = {}, changes: Readonly<Record<string, unknown>> = {}): string {
	const own = path.join(root, `tokenizer-${made++}`);
	mkdirSync(own);
	const tokenizer = {
		version: "1.0",
		added_tokens: [],
		normalizer: null,
		pre_tokenizer: { type: "WhitespaceSplit" },
		post_processor: null,
		decoder: null,
		model: { type: "WordPiece", unk_token: "<unk>", continuing_subword_prefix: "##", max_input_chars_per_word: 100, vocab: VOCABULARY },
		...changes,
	};
	for (const [name, content] of Object.entries({ "tokenizer.json": tokenizer, ...files }))
		writeFileSync(path.join(own, name), JSON.stringify(content));
	return path.join(own, "tokenizer.json");
}

/** A post-processor that puts `before` and `after` around a text. */
function template(before: string | undefined, after: string | undefined) {
	const special = (id: string | undefined) => (id === undefined ? [] : [{ SpecialToken: { id, type_id: 0 } }]);
	return {
		post_processor: {
			type: "TemplateProcessing",
			single: [...special(before), { Sequence: { id: "A", type_id: 0 } }, ...special(after)],
			pair: [],
		},
	};
}

const BOTH = { bos_token: "<s>", eos_token: { content: "</s>" } };

describe("a document", () => {
	it.each([
		["begins_with_bos", { "tokenizer_config.json": BOTH }, {}, [1, 4, 5]],
		["ends_with_eos_too_if_the_configuration_says_so", { "tokenizer_config.json": { ...BOTH, add_eos_token: true } }, {}, [1, 4, 5, 2]],
		["ends_with_eos_where_bos_is_switched_off", { "tokenizer_config.json": { ...BOTH, add_bos_token: false } }, {}, [4, 5, 2]],
		[
			"ends_with_eos_where_there_is_no_bos",
			{ "tokenizer_config.json": { ...BOTH, bos_token: null }, "config.json": { bos_token_id: 1 } },
			{},
			[4, 5, 2],
		],
		["takes_ids_from_config_json", { "config.json": { bos_token_id: 1, eos_token_id: 2 } }, {}, [1, 4, 5]],
		[
			"prefers_generation_config_json",
			{ "config.json": { bos_token_id: 3 }, "generation_config.json": { bos_token_id: 1 } },
			{},
			[1, 4, 5],
		],
		["is_as_the_post_processor_makes_it", { "tokenizer_config.json": BOTH }, template("<pad>", "</s>"), [3, 4, 5, 2]],
		["ends_with_a_usual_end_if_no_file_says_anything", {}, {}, [4, 5, 2]],
		["has_no_special_tokens_if_the_files_name_none", { "config.json": { vocab_size: 6 } }, {}, [4, 5]],
	] as const)("%s", async (_, files, changes, expected) => {
		const tokenizer = await openTokenizer(tokenizerFile(files, changes));
		expect(tokenizer.document("a b")).toEqual(expected);
		expect(tokenizer.plain("a b")).toEqual([4, 5]);
	});
});

describe("a sentence of a translation", () => {
	it.each([
		["gets_its_end", {}, [4, 2]],
		["has_one_end_if_the_post_processor_puts_it", template(undefined, "</s>"), [4, 2]],
		["keeps_what_the_post_processor_puts_in_front", template("<s>", undefined), [1, 4, 2]],
	] as const)("%s", async (_, changes, expected) => {
		const tokenizer = await openTokenizer(tokenizerFile({ "tokenizer_config.json": BOTH }, changes));
		expect(tokenizer.sentence("a")).toEqual(expected);
	});

	it("is_refused_if_no_end_is_known", async () => {
		const tokenizer = await openTokenizer(tokenizerFile({ "config.json": {} }));
		expect(await refusal(() => tokenizer.sentence("a"))).toContain("names no end-of-sentence token");
	});
});

describe("conventions", () => {
	it("the_decoder_starts_with_its_own_token_or_padding_or_the_end", async () => {
		const start = async (files: Readonly<Record<string, unknown>>) => (await openTokenizer(tokenizerFile(files))).conventions;
		expect(await start({ "config.json": { decoder_start_token_id: 3, pad_token_id: 0, eos_token_id: [2, 0] } })).toMatchObject({
			decoderStart: 3,
			pad: 0,
			eos: 2,
		});
		expect(await start({ "config.json": { pad_token_id: 3, eos_token_id: 2 } })).toMatchObject({ decoderStart: 3, pad: 3 });
		expect(await start({ "config.json": { eos_token_id: 2 } })).toMatchObject({ decoderStart: 2, pad: 2 });
		expect(await start({ "config.json": {} })).toMatchObject({ decoderStart: 0, pad: 0, bos: undefined, eos: undefined });
	});

	it("of_the_fixture_are_read_and_its_text_comes_back", async () => {
		const tokenizer = await openTokenizer(path.join(SOTU, "tokenizer.json"), 6144);
		expect(tokenizer.conventions).toMatchObject({ bos: 0, eos: 0, pad: 0 });
		expect(tokenizer.size).toBe(6144);
		const text = "Fellow citizens, 1872: naïve £5 – “so”.";
		expect(tokenizer.decode(tokenizer.document(text))).toBe(text);
		expect(tokenizer.decode([])).toBe("");
	});
});

describe("a tokenizer that does not fit", () => {
	it.each([
		[5, "has 6 tokens, but the model's vocabulary 5 rows"],
		[7, "has only 6 tokens for the 7 rows"],
	])("is_refused_for_%i_rows", async (rows, message) => {
		const file = tokenizerFile();
		expect(await refusal(() => openTokenizer(file, rows))).toBe(
			`input: ${file}: ${message}${rows === 7 ? " of the model's vocabulary" : ""}; give the tokenizer.json of this model, or token ids instead of text`,
		);
	});

	it("may_be_a_little_smaller_than_a_padded_vocabulary", async () => {
		expect((await openTokenizer(path.join(SOTU, "tokenizer.json"), 6272)).size).toBe(6144);
	});

	it("is_refused_if_it_is_missing_no_json_or_of_an_unknown_kind", async () => {
		expect(await refusal(() => openTokenizer(path.join(root, "none.json")))).toContain("does not exist");
		expect(await refusal(() => openTokenizer(write("text.json", "hello")))).toContain("is no JSON");
		expect(await refusal(() => openTokenizer(write("list.json", "[1]")))).toContain("is no JSON object");
		expect(await refusal(() => openTokenizer(write("other.json", '{"model": {"type": "Other"}}')))).toContain(
			"is no tokenizer that is understood",
		);
	});
});
