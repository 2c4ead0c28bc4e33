// Token data: .npy, .jsonl and text, against the fixture's own token files, and what is refused.
import { closeSync, openSync, statSync, truncateSync, writeSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { countTokens, type Data, type Piece, pieceTokens, remembered } from "../../src/data/data.js";
import { readNpyTokens } from "../../src/data/npy.js";
import { openTokenizer } from "../../src/data/tokenizer.js";
import { openTokens } from "../../src/data/tokens.js";
import { all, dataOf, folder, npy, piece, refusal, SOTU } from "./support.js";

const { root, write } = folder();
const ROWS = 6144;
const sequences = async (data: Data<Piece>) => (await all(data.read())).map(({ ids }) => [...ids]);
const shape = async (data: Data<Piece>) => (await all(data.read())).map(({ ids, starts }) => [ids.length, starts]);

describe("npy", () => {
	it.each([
		["<u2", Uint16Array.from([1, 65535, 3])],
		["<i4", Int32Array.from([1, 65535, 3])],
		["<u4", Uint32Array.from([1, 65535, 3])],
		["<i8", BigInt64Array.from([1n, 65535n, 3n])],
		["<u8", BigUint64Array.from([1n, 65535n, 3n])],
	])("reads_streams_of_%s", async (descr, array) => {
		const file = write("stream.npy", npy(descr, [3], new Uint8Array(array.buffer)));
		expect(await sequences(await openTokens([file]))).toEqual([[1, 65535, 3]]);
		expect([...readNpyTokens(file)]).toEqual([1, 65535, 3]);
	});

	it("a_long_stream_comes_in_pieces_of_one_sequence", async () => {
		const file = path.join(SOTU, "train.npy");
		const data = await openTokens([file], { rows: ROWS });
		expect(await shape(data)).toEqual([
			[65_536, true],
			[65_536, false],
			[65_536, false],
			[3392, false],
		]);
		expect((await sequences(data)).flat()).toEqual([...readNpyTokens(file)]);
	});

	it("two_dimensions_are_a_list_of_sequences", async () => {
		const file = write("rows.npy", npy("<u2", [2, 3], new Uint8Array(Uint16Array.from([1, 2, 3, 4, 5, 6]).buffer)));
		expect(await sequences(await openTokens([file]))).toEqual([
			[1, 2, 3],
			[4, 5, 6],
		]);
		expect(await shape(await openTokens([file]))).toEqual([
			[3, true],
			[3, true],
		]);
	});

	it("begins_a_file_of_8_gib_at_once_and_finds_a_wrong_id_in_its_midst", async () => {
		// A file with a hole takes no space on the disk; no buffer is large enough to hold it.
		const count = 2 ** 32;
		const file = write("huge.npy", npy("<u2", [count], new Uint8Array(0)));
		const start = statSync(file).size;
		truncateSync(file, start + 2 * count);
		const handle = openSync(file, "r+");
		writeSync(handle, Uint16Array.from([7000]), 0, 2, start + 2 * 200_000);
		closeSync(handle);
		const data = await openTokens([file], { rows: ROWS });
		expect(await refusal(() => all(data.read()))).toContain("token id 7000 at position 200000");
	});

	it("names_the_file_and_the_position_of_an_id_beyond_the_vocabulary", async () => {
		const ids = new Uint16Array(70_000);
		ids[66_001] = 6144;
		const file = write("beyond.npy", npy("<u2", [70_000], new Uint8Array(ids.buffer)));
		const data = await openTokens([file], { rows: ROWS });
		expect(await refusal(() => all(data.read()))).toBe(
			`input: ${file}: token id 6144 at position 66001 is beyond the vocabulary of 6144 rows; the data must come from this model's tokenizer`,
		);
	});

	it.each([
		["negative ids", "<i4", [1], new Uint8Array(Int32Array.from([-1]).buffer), /-1 at position 0 is no token id/],
		["floats", "<f4", [1], new Uint8Array(4), /holds <f4 that are no token ids/],
		["big-endian numbers", ">i4", [1], new Uint8Array(4), /holds >i4 that are no token ids/],
		["three dimensions", "<u2", [1, 1, 1], new Uint8Array(2), /has 3 dimensions/],
		["a file that was cut off", "<u2", [5], new Uint8Array(4), /ends before its last value/],
		["no tokens", "<u2", [0], new Uint8Array(0), /holds no tokens/],
	] as const)("refuses_%s", async (_, descr, dims, body, message) => {
		const file = write("refused.npy", npy(descr, dims, body));
		expect(await refusal(() => openTokens([file]))).toMatch(message);
	});
});

describe("text", () => {
	it("documents_get_the_tokens_that_the_model_was_trained_on", async () => {
		const tokenizer = await openTokenizer(path.join(SOTU, "tokenizer.json"), ROWS);
		const data = await openTokens([path.join(SOTU, "valid.txt")], { rows: ROWS, tokenizer });
		const read = await sequences(data);
		expect(read.length).toBe(3);
		expect(read.flat()).toEqual([...readNpyTokens(path.join(SOTU, "valid.npy"))]);
	});

	it("paragraphs_are_documents_on_request_with_their_line_ends", async () => {
		const tokenizer = await openTokenizer(path.join(SOTU, "tokenizer.json"));
		const file = write("paragraphs.txt", "\none two\nthree\n\n \nfour\n");
		const read = async (documents: "lines" | "paragraphs") =>
			(await sequences(await openTokens([file], { tokenizer, documents }))).map((ids) => tokenizer.decode(ids));
		expect(await read("paragraphs")).toEqual(["one two\nthree", "four"]);
		expect(await read("lines")).toEqual(["one two", "three", "four"]);
	});

	it("needs_a_tokenizer", async () => {
		const file = write("plain.txt", "hello\n");
		expect(await refusal(() => openTokens([file]))).toBe(
			`input: ${file}:1: text needs a tokenizer; give the model's tokenizer.json, or token ids`,
		);
	});
});

describe("jsonl", () => {
	it("takes_texts_arrays_and_objects_and_passes_over_empty_ones", async () => {
		const tokenizer = await openTokenizer(path.join(SOTU, "tokenizer.json"));
		const hello = tokenizer.document("hello");
		const file = write(
			"mixed.jsonl",
			'{"text": "hello"}\n"hello"\n\n[1, 2]\n[]\n{"input_ids": [3]}\n{"body": "hello", "text": 1, "ids": [4]}\n',
		);
		expect(await sequences(await openTokens([file], { tokenizer }))).toEqual([hello, hello, [1, 2], [3], [4]]);
		const named = write("named.jsonl", '{"body": "hello"}\n');
		expect(await sequences(await openTokens([named], { tokenizer, textField: "body" }))).toEqual([hello]);
	});

	it("names_the_line_and_position_of_a_wrong_id", async () => {
		const beyond = write("beyond.jsonl", "[1, 2]\n[5, 9]\n");
		const data = await openTokens([beyond], { rows: 9 });
		expect(await refusal(() => all(data.read()))).toContain(`${beyond}:2: token id 9 at position 1 is beyond the vocabulary of 9 rows`);
		const half = write("half.jsonl", "[1.5]\n");
		expect(await refusal(() => openTokens([half]))).toContain(`${half}:1: 1.5 at position 0 is no token id`);
	});

	it("names_the_line_without_text_or_ids", async () => {
		const file = write("neither.jsonl", '{"title": "x"}\n');
		expect(await refusal(() => openTokens([file]))).toContain(`${file}:1: has neither a text in "text" nor token ids`);
	});
});

describe("files", () => {
	it("come_in_the_order_given_and_can_be_read_again", async () => {
		const data = await openTokens([write("b.jsonl", "[2]\n"), write("a.jsonl", "[1]\n")]);
		expect(await sequences(data)).toEqual([[2], [1]]);
		expect(await sequences(data)).toEqual([[2], [1]]);
	});

	it("refuses_no_files_unknown_kinds_missing_and_empty_ones", async () => {
		expect(await refusal(() => openTokens([]))).toContain("no data was given");
		expect(await refusal(() => openTokens([write("x.parquet", "PAR1")]))).toContain("is no kind of data");
		expect(await refusal(() => openTokens([path.join(root, "none.npy")]))).toContain("does not exist");
		const empty = write("empty.jsonl", "\n\n");
		expect(await refusal(() => openTokens([write("one.jsonl", "[1]\n"), empty]))).toContain(`${empty}: holds no tokens`);
	});
});

describe("counts and memory", () => {
	it("counts_every_occurrence", async () => {
		const ids = dataOf([Int32Array.from([0, 2, 2]), Int32Array.from([2, 1])]);
		expect([...(await countTokens(ids.read(), 4))]).toEqual([1, 1, 3, 0]);
	});

	it("remembers_short_data_and_reads_long_data_anew", async () => {
		for (const [limit, passes] of [
			[3, 1],
			[2, 2],
		] as const) {
			let reads = 0;
			const source: Data<Piece> = {
				async *read() {
					reads++;
					yield piece([1, 2]);
					yield piece([3]);
				},
			};
			const data = remembered(source, pieceTokens, limit);
			expect(await sequences(data)).toEqual(await sequences(data));
			expect(reads).toBe(passes);
		}
	});

	it("does_not_remember_a_pass_that_was_broken_off", async () => {
		const data = remembered(dataOf([piece([1]), piece([2])]), pieceTokens);
		for await (const first of data.read()) {
			expect([...first.ids]).toEqual([1]);
			break;
		}
		expect(await sequences(data)).toEqual([[1], [2]]);
	});
});
