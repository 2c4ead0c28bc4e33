// What files of strangers cannot do: write to the terminal as they like, change what every object inherits, fill the memory with a small archive.
import { spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { gzipSync } from "node:zlib";
import { expect, it } from "vitest";
import { lines } from "../src/data/files.js";
import { openTokenizer } from "../src/data/tokenizer.js";
import { compile, inspect } from "../src/index.js";
import { renameValue } from "../src/ir/edit.js";
import { encodeToBytes } from "../src/onnx/index.js";
import { visible } from "../src/report/visible.js";
import { plainLines } from "../src/terminal.js";
import { FIXTURES, temporaryFolder, withModel } from "./support/models.js";

const CLI = path.resolve(import.meta.dirname, "../dist/src/cli.js");
const MODEL = path.join(FIXTURES, "patterns/p01-matmul-transposed-twin.onnx");

/** Sets a window's title, begins a line of its own, paints, and turns the text around. */
const ESCAPES = "\u001b]0;title\u0007\nverified \u001b[31m\u202e\u009b2J";

/** A model like MODEL, its table or its output called otherwise. */
function renamed(file: string, names: { table?: string; output?: string }): string {
	withModel(MODEL, ({ model, source }) => {
		const { graph } = model;
		const [table] = graph.initializers;
		const [output] = graph.outputs;
		if (names.table !== undefined && table !== undefined) renameValue(table, names.table);
		if (names.output !== undefined && output !== undefined) renameValue(output.value, names.output);
		writeFileSync(file, encodeToBytes(model, source));
	});
	return file;
}

function run(folder: string, ...args: string[]) {
	const { status, stdout, stderr } = spawnSync(process.execPath, [CLI, ...args], { encoding: "utf8", cwd: folder });
	return { status, text: stdout + stderr };
}

/** Everything that a terminal obeys, but for the ends of lines. */
const COMMANDS = /[^\P{C}\n\u{E000}-\u{F8FF}]/u;

it("names_with_escape_sequences_command_no_terminal_and_begin_no_line", { timeout: 300_000 }, () => {
	const folder = temporaryFolder();
	const file = renamed(path.join(folder, "model.onnx"), { table: `t${ESCAPES}`, output: `o${ESCAPES}` });
	expect(ESCAPES).toMatch(COMMANDS);
	const runs = [
		run(folder, "inspect", file),
		run(folder, file, "small.onnx", "--rank", "4", "--no-distill"),
		run(folder, file, "none.onnx", "--embedding", `x${ESCAPES}`),
		run(folder, path.join(FIXTURES, "patterns/refuse-third-reader.onnx"), `o${ESCAPES}/small.onnx`),
	];
	expect(runs.map(({ status }) => status)).toEqual([0, 0, 2, 1]);
	for (const { text } of runs) expect(text).not.toMatch(COMMANDS);
	// Shown, and not left out.
	for (const { text } of runs) expect(text).toContain(visible("\u001b]0;title\u0007"));
	expect(runs[0]?.text).not.toMatch(/^verified/m);
});

it("progress_shows_such_names_as_they_would_read", () => {
	const lines: string[] = [];
	plainLines({ write: (text: string | Uint8Array) => lines.push(String(text)) > 0 }).show({ pass: "p", fraction: 0, note: ESCAPES });
	expect(lines.join("")).toBe(`p\np 0 %: ${visible(ESCAPES)}\n`);
});

it.each([
	["__proto__", "constructor"],
	["constructor", "toString"],
	["hasOwnProperty", "valueOf"],
])("a_table_called_%s_and_an_output_called_%s_are_like_others", async (table, output) => {
	const folder = temporaryFolder();
	const before = Object.getOwnPropertyNames(Object.prototype);
	const [input, small] = ["model.onnx", "small.onnx"].map((name) => path.join(folder, name)) as [string, string];
	const report = await compile(renamed(input, { table, output }), small, { rank: 4, method: "svd" });
	expect(report.vocabularies[0]?.name).toBe(table);
	expect(report.verification[0]?.outputs.map((compared) => compared.output)).toEqual([output]);
	expect((await inspect(small)).vocabularies).toHaveLength(1);
	expect(Object.getOwnPropertyNames(Object.prototype)).toEqual(before);
	expect(({} as { polluted?: unknown }).polluted).toBeUndefined();
});

it("a_tokenizer_with_such_keys_changes_nothing_else", async () => {
	const folder = temporaryFolder();
	const sound = readFileSync(path.join(FIXTURES, "sotu-lm/tokenizer.json"), "utf8");
	const evil = '"__proto__": {"polluted": true}, "constructor": {"prototype": {"polluted": true}}';
	const file = path.join(folder, "tokenizer.json");
	writeFileSync(file, sound.replace("{", `{${evil},`).replace('"vocab": {', `"vocab": {"__proto__": 1,`));
	for (const name of ["tokenizer_config.json", "config.json", "generation_config.json"])
		writeFileSync(path.join(folder, name), `{${evil}}`);
	const tokenizer = await openTokenizer(file).catch(() => undefined);
	tokenizer?.document("one two");
	expect(({} as { polluted?: unknown }).polluted).toBeUndefined();
});

it("a_small_archive_of_one_huge_line_is_refused_within_bounds", async () => {
	const file = path.join(temporaryFolder(), "bomb.txt.gz");
	// Archives in a row are one archive.
	const member = gzipSync(Buffer.alloc(1 << 23, "a"));
	writeFileSync(file, Buffer.concat(Array.from({ length: 1000 }, () => member)));
	const read = async () => {
		for await (const { text } of lines(file)) expect(text).toBe("");
	};
	await expect(read()).rejects.toMatchObject({ code: "input", message: "is a line of more than 64 MiB", at: `${file}:1` });
});
