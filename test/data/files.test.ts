// Lines of text files: ends of lines, blocks, compression, and what is no UTF-8.
import path from "node:path";
import { gzipSync } from "node:zlib";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { extension, jsonLines, lines } from "../../src/data/files.js";
import { all, folder, refusal } from "./support.js";

const { root, write } = folder();
const texts = async (file: string) => (await all(lines(file))).map(({ text }) => text);

describe("lines", () => {
	it("numbers_every_line_and_leaves_out_its_end_and_a_byte_order_mark", async () => {
		const file = write("mixed.txt", "\ufeffone\r\n\ntwo\nthree");
		expect(await all(lines(file))).toEqual([
			{ text: "one", number: 1 },
			{ text: "", number: 2 },
			{ text: "two", number: 3 },
			{ text: "three", number: 4 },
		]);
	});

	it("reads_lines_and_characters_that_straddle_blocks", async () => {
		const line = `${"é😀x".repeat(60_000)}end`;
		const content = `${line}\n${line}\n\n${"y".repeat(300_000)}\n`;
		expect(await texts(write("long.txt", content))).toEqual(content.split("\n").slice(0, -1));
	});

	it("reads_compressed_files_alike", async () => {
		const content = Array.from({ length: 40_000 }, (_, index) => `line ${index} ç`).join("\n");
		expect(await texts(write("many.txt.gz", gzipSync(content)))).toEqual(content.split("\n"));
	});

	it("gives_back_any_lines_that_were_written", async () => {
		const line = fc.string({ unit: "grapheme" }).filter((text) => !/[\r\n]/.test(text) && !text.startsWith("\ufeff"));
		await fc.assert(
			fc.asyncProperty(fc.array(line, { minLength: 1 }), async (list) => {
				expect(await texts(write("any.txt", `${list.join("\n")}\n`))).toEqual(list);
			}),
			{ numRuns: 40 },
		);
	});

	it("has_no_lines_in_an_empty_file", async () => {
		expect(await texts(write("empty.txt", ""))).toEqual([]);
	});
});

describe("refusals", () => {
	it("names_the_line_that_is_not_utf8", async () => {
		const file = write("latin1.txt", Buffer.from("ok\nal\xe9m\nok\n", "latin1"));
		expect(await refusal(() => all(lines(file)))).toBe(
			`input: ${file}:2: is not UTF-8; convert the file to UTF-8, for instance with iconv`,
		);
	});

	it("names_utf16", async () => {
		const file = write("wide.txt", Buffer.from("\ufeffhello\n", "utf16le"));
		expect(await refusal(() => all(lines(file)))).toContain(`${file}:1: is UTF-16, not UTF-8`);
	});

	it("a_character_cut_off_at_the_end_is_not_utf8", async () => {
		const file = write("cut.txt", Buffer.from("ok\né").subarray(0, 4));
		expect(await refusal(() => all(lines(file)))).toContain(`${file}:2: is not UTF-8`);
	});

	it("names_a_missing_file_and_a_broken_archive", async () => {
		const missing = path.join(root, "missing.txt");
		expect(await refusal(() => all(lines(missing)))).toContain(`${missing}: does not exist`);
		const broken = write("broken.txt.gz", gzipSync("x".repeat(1000)).subarray(0, 20));
		expect(await refusal(() => all(lines(broken)))).toContain(`${broken}: is no intact gzip file`);
	});

	it("names_the_line_that_is_no_json", async () => {
		const file = write("bad.jsonl", '{"a": 1}\n\n{"a": \n');
		expect(await refusal(() => all(jsonLines(file)))).toContain(`${file}:3: is no JSON`);
	});

	it("stops_when_the_caller_asks", async () => {
		const file = write("stop.txt", "a\nb\n");
		await expect(all(lines(file, AbortSignal.abort()))).rejects.toMatchObject({ code: "interrupted" });
	});
});

describe("extension", () => {
	it("is_the_last_one_in_lower_case_without_gz", () => {
		expect(["a/b.TSV", "b.txt.gz", "c.en", "d", "e.jsonl.GZ", "a.b/c"].map(extension)).toEqual([".tsv", ".txt", ".en", "", ".jsonl", ""]);
	});
});
