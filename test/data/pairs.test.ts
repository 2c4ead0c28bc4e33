// Pairs of sentences from every kind of file, and what is refused.
import path from "node:path";
import { gzipSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import type { Data, Pair } from "../../src/data/data.js";
import { openPairs } from "../../src/data/pairs.js";
import { openTokenizer } from "../../src/data/tokenizer.js";
import { all, folder, refusal, SOTU, safetensors } from "./support.js";

const { root, write } = folder();
const tokenizer = await openTokenizer(path.join(SOTU, "tokenizer.json"));
const ids = async (data: Data<Pair>) => (await all(data.read())).map(({ source, target }) => [[...source], [...target]]);
const texts = async (data: Data<Pair>) =>
	(await all(data.read())).map(({ source, target }) => [tokenizer.decode([...source]), tokenizer.decode([...target])]);

describe("text", () => {
	it("tsv_is_source_tab_target", async () => {
		const file = write("pairs.tsv", "um dia\tone day\r\n\ndois\ttwo\n");
		expect(await texts(await openPairs([file], { tokenizer }))).toEqual([
			["um dia", "one day"],
			["dois", "two"],
		]);
	});

	it("both_sides_end_with_the_end_of_sentence", async () => {
		const data = await openPairs([write("end.tsv", "um\tone\n")], { tokenizer });
		for (const sides of await ids(data)) for (const side of sides) expect(side.at(-1)).toBe(tokenizer.conventions.eos);
	});

	it("parallel_files_come_in_twos_whatever_their_extension", async () => {
		const files = [
			write("a.pt", "um\n\ndois"),
			write("a.en", "one\n\ntwo\n"),
			write("b.txt", "três\n"),
			write("c.txt.gz", gzipSync("three\n")),
		];
		expect(await texts(await openPairs(files, { tokenizer }))).toEqual([
			["um", "one"],
			["dois", "two"],
			["três", "three"],
		]);
	});

	it("jsonl_takes_two_fields_arrays_of_two_and_nested_translations", async () => {
		const content = [{ source: "um", target: "one" }, ["dois", "two"], { translation: { src: "três", tgt: "three" } }];
		const file = write("pairs.jsonl", content.map((value) => JSON.stringify(value)).join("\n"));
		expect(await texts(await openPairs([file], { tokenizer }))).toEqual([
			["um", "one"],
			["dois", "two"],
			["três", "three"],
		]);
		const named = write("named.jsonl", '{"translation": {"pt": "um", "en": "one"}}\n');
		expect(await texts(await openPairs([named], { tokenizer, fields: ["pt", "en"] }))).toEqual([["um", "one"]]);
	});

	it("tells_of_pairs_with_one_empty_side", async () => {
		const file = write("holes.tsv", "um\tone\n\ttwo\ntrês\t \n\t\nquatro\tfour\n");
		const leftOut: string[] = [];
		const data = await openPairs([file], { tokenizer, onLeftOut: (at) => leftOut.push(at) });
		expect((await texts(data)).length).toBe(2);
		expect(leftOut).toEqual([`${file}:2`, `${file}:3`]);
	});
});

describe("ids", () => {
	it("are_taken_as_they_are", async () => {
		const file = write("ids.jsonl", '[[1, 2], [3]]\n{"input_ids": [4], "labels": [5, 6]}\n');
		expect(await ids(await openPairs([file], { rows: 7 }))).toEqual([
			[[1, 2], [3]],
			[[4], [5, 6]],
		]);
	});

	it("come_from_safetensors_sentence_by_sentence_across_blocks", async () => {
		const count = 2500;
		const lengths = Array.from({ length: count }, (_, index) => 1 + (index % 3));
		const offsets = Uint32Array.from([0, ...lengths]);
		for (let index = 1; index <= count; index++) offsets[index] = (offsets[index] ?? 0) + (offsets[index - 1] ?? 0);
		const tokens = Uint16Array.from({ length: offsets[count] ?? 0 }, (_, index) => index);
		const targets = Uint16Array.from({ length: count }, (_, index) => count - index);
		const file = write(
			"pairs.safetensors",
			safetensors({
				src_tokens: tokens,
				src_offsets: offsets,
				tgt_tokens: targets,
				tgt_offsets: Uint32Array.from({ length: count + 1 }, (_, index) => index),
			}),
		);
		const read = await ids(await openPairs([file], { rows: 6000 }));
		expect(read.length).toBe(count);
		expect(read.flatMap(([source]) => source)).toEqual([...tokens]);
		expect(read.map(([source]) => source?.length)).toEqual(lengths);
		expect(read.flatMap(([, target]) => target)).toEqual([...targets]);
	});

	it("beyond_the_vocabulary_are_named_with_their_place_and_side", async () => {
		const file = write("beyond.jsonl", "[[1], [2]]\n[[1, 4], [6, 5]]\n");
		const rows = async (source: number, target?: number) => {
			const data = await openPairs([file], { rows: source, targetRows: target });
			return refusal(() => all(data.read()));
		};
		expect(await rows(4, 9)).toContain(`${file}:2: token id 4 at position 1 is beyond the vocabulary of 4 rows`);
		expect(await rows(6)).toContain(`${file}:2: token id 6 at position 0 is beyond the vocabulary of 6 rows`);
		const arrays = {
			src_tokens: Uint16Array.from([1, 9]),
			src_offsets: Uint32Array.from([0, 2]),
			tgt_tokens: Uint16Array.from([1]),
			tgt_offsets: Uint32Array.from([0, 1]),
		};
		const packed = write("beyond.safetensors", safetensors(arrays));
		expect(await refusal(() => openPairs([packed], { rows: 9 }))).toContain(`${packed}: token id 9 at position 1 is beyond`);
	});
});

describe("refusals", () => {
	const opened = (files: readonly string[]) => refusal(async () => all((await openPairs(files, { tokenizer })).read()));

	it.each([
		["no_tab", "x.tsv", "um one\n", "x.tsv:1: has 1 columns, not two"],
		["two_tabs", "x.tsv", "a\tb\nc\td\te\n", "x.tsv:2: has 3 columns, not two"],
		["a_jsonl_object_with_other_fields", "x.jsonl", '{"pt": "um", "en": "one"}\n', "x.jsonl:1: is no pair"],
		["a_side_that_is_a_number", "x.jsonl", '[1, "one"]\n', "x.jsonl:1: has a side that is neither text nor token ids"],
		["an_empty_file", "x.tsv", "", "x.tsv: holds no pairs"],
		["a_lone_text_file", "x.txt", "um\n", "x.txt: has no parallel file after it"],
		["a_file_of_another_kind", "x.npy", "", "x.npy: is no kind of data for a translator"],
		["what_is_no_safetensors_file", "x.safetensors", "hello, this is text", "x.safetensors: is no .safetensors file"],
	])("%s", async (_, name, content, message) => {
		expect(await opened([write(name, content)])).toContain(message);
	});

	it("parallel_files_of_different_length_name_the_shorter_one", async () => {
		const short = write("short.pt", "um\ndois\n");
		const long = write("long.en", "one\ntwo\nthree\n");
		expect(await opened([short, long])).toContain(`${short}: ends after line 2, but ${long} goes on`);
		expect(await opened([long, short])).toContain(`${short}: ends after line 2, but ${long} goes on`);
	});

	it("safetensors_without_an_array_or_with_offsets_that_do_not_fit", async () => {
		const good = {
			src_tokens: Uint16Array.from([1, 2]),
			src_offsets: Uint32Array.from([0, 1, 2]),
			tgt_tokens: Uint16Array.from([1, 2]),
			tgt_offsets: Uint32Array.from([0, 1, 2]),
		};
		const { tgt_tokens: _, ...lacking } = good;
		expect(await opened([write("a.safetensors", safetensors(lacking))])).toContain('lacks "tgt_tokens"');
		for (const offsets of [
			[0, 2, 1],
			[0, 1, 3],
		])
			expect(await opened([write("b.safetensors", safetensors({ ...good, src_offsets: Uint32Array.from(offsets) }))])).toContain(
				'"src_offsets" that do not fit',
			);
		expect(await opened([write("c.safetensors", safetensors({ ...good, src_offsets: Uint32Array.from([0, 2]) }))])).toContain(
			"1 sources and 2 targets",
		);
		expect(await opened([write("d.safetensors", safetensors(good).subarray(0, -3))])).toContain("ends before its last value");
	});

	it("missing_files_and_text_without_a_tokenizer", async () => {
		expect(await opened([path.join(root, "none.tsv")])).toContain("none.tsv: does not exist");
		const file = write("plain.tsv", "um\tone\n");
		expect(await refusal(() => openPairs([file]))).toContain(`${file}:1: text needs a tokenizer`);
		expect(await refusal(() => openPairs([]))).toContain("no data was given");
	});
});
