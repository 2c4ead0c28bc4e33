// --help as users meet it: a page for each command that fits a screen; all options on request.
import { spawnSync } from "node:child_process";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { OPTION_NAMES } from "../src/arguments.js";

const CLI = path.resolve(import.meta.dirname, "../dist/src/cli.js");

function run(args: readonly string[], env: NodeJS.ProcessEnv = {}) {
	const { status, stdout, stderr } = spawnSync(process.execPath, [CLI, ...args], { encoding: "utf8", env: { ...process.env, ...env } });
	return { status, stdout, stderr };
}

const pages = new Map<string, string>();

/** The page of a command, printed once. */
function help(...args: string[]): string {
	const key = args.join(" ");
	const page = pages.get(key) ?? run([...args, "--help"]).stdout.trimEnd();
	pages.set(key, page);
	return page;
}

describe("help", () => {
	it("of_compile_shows_what_is_needed_most", () => {
		expect(help()).toMatchInlineSnapshot(`
			"Makes the vocabulary of an ONNX translation or language model many times smaller.

			Commands:
			  onnx-distemb <in> <out>                   compile an .onnx file or a model's folder      [default]
			  onnx-distemb build [names..]              compile the models of distemb.config.{ts,js,json}
			  onnx-distemb inspect <in>                 show what would be rewritten, and what not and why
			  onnx-distemb plan <in>                    sizes, and what is lost with each; writes nothing
			  onnx-distemb compare <teacher> <student>  measure how well a smaller model still does

			Size:
			  --rank         columns of the left factor (default 64)
			  --ratio        or: make the vocabulary this many times smaller
			  --target-size  or: bytes of the whole result, like 20MB
			  --dtype        float32, float16, int8, mixed, auto; default: the table's; mixed: as pays

			Data and training:
			  --method      distemb (default): distilled; paper: ReLU factors; svd: not trained
			  --data        your text, token ids or pairs (default: the model writes)
			  --minutes     time to train (default 10, less for small models)
			  --steps       steps instead of minutes: the same seed gives the same bytes
			  --no-distill  do not train, which takes seconds
			  --resume      go on from the folder that an interrupted run left

			Output:
			  --max-perplexity-increase  gate, such as 1%; missed: exit code 3, nothing is written
			  --max-kl                   likewise: KL(original ‖ result) in nats per token, such as 0.01
			  --report                   write a page about the run to this file: report.html
			  --dry-run                  find and count, write nothing
			  --overwrite                replace an existing output
			  --json                     write the report as JSON to this file, or - for stdout
			  --quiet                    no progress on stderr
			  --help                     this page; after a command, the page of that command
			  --all                      with --help: the rarer options too
			  --version                  the version

			Examples:
			  onnx-distemb model.onnx small.onnx --ratio 8 --dtype mixed --data train.txt
			  onnx-distemb model.onnx small.onnx --rank 64 --data train.txt --max-perplexity-increase 5%
			  onnx-distemb marian/ marian-small/ --ratio 8 --data train.pt train.en --report report.html"
		`);
	});

	it("of_build", () => {
		expect(help("build")).toMatchInlineSnapshot(`
			"onnx-distemb build [names..]

			compile the models of distemb.config.{ts,js,json}

			Positionals:
			  names  models to build (default: all)

			Which:
			  --config     the configuration (default: distemb.config.ts, .js or .json here)
			  --force      build what is up to date, too
			  --overwrite  replace outputs that no build made
			  --resume     go on with interrupted trainings

			Output:
			  --json     write the report as JSON to this file, or - for stdout
			  --quiet    no progress on stderr
			  --threads  threads of the engine (default: one for each core)
			  --help     this page; after a command, the page of that command
			  --version  the version

			Examples:
			  onnx-distemb build
			  onnx-distemb build small --force
			  onnx-distemb build --config models/distemb.config.json --json built.json"
		`);
	});

	it("of_inspect", () => {
		expect(help("inspect")).toMatchInlineSnapshot(`
			"onnx-distemb inspect <in>

			show what would be rewritten, and what not and why

			Positionals:
			  in  an .onnx file, or a folder with all files of a model

			Where to look:
			  --embedding           name of the table or lookup, if the structure does not decide
			  --head                name of the projection
			  --keep-other-readers  rewrite though something else reads the table, which then stays

			Output:
			  --json     write the report as JSON to this file, or - for stdout
			  --quiet    no progress on stderr
			  --threads  threads of the engine (default: one for each core)
			  --help     this page; after a command, the page of that command
			  --version  the version

			Examples:
			  onnx-distemb inspect model.onnx
			  onnx-distemb inspect model/ --json inspected.json"
		`);
	});

	it("of_plan", () => {
		expect(help("plan")).toMatchInlineSnapshot(`
			"onnx-distemb plan <in>

			sizes, and what is lost with each; writes nothing

			Positionals:
			  in  an .onnx file, or a folder with all files of a model

			Size:
			  --ratio            make the vocabulary this many times smaller; one or more (default 4 8 16 32)
			  --rank             or: the bytes that factors of this rank would take
			  --target-size      or: bytes of the whole result, like 20MB
			  --blocks           most blocks of rows with bits of their own (mixed): auto, 1, N
			  --frequency-power  what rows weigh by (mixed): 0 to 1 (default 0.67); lower: more for rare tokens

			Data:
			  --data       your text, token ids or pairs (default: none, and no loss is predicted)
			  --tokenizer  tokenizer.json (default: beside the model)
			  --seed       of everything random (default 0)

			Where to look:
			  --embedding           name of the table or lookup, if the structure does not decide
			  --head                name of the projection
			  --keep-other-readers  rewrite though something else reads the table, which then stays

			Output:
			  --json     write the report as JSON to this file, or - for stdout
			  --quiet    no progress on stderr
			  --threads  threads of the engine (default: one for each core)
			  --help     this page; after a command, the page of that command
			  --version  the version

			Examples:
			  onnx-distemb plan model.onnx --data train.txt
			  onnx-distemb plan model.onnx --target-size 20MB --data train.txt"
		`);
	});

	it("of_compare", () => {
		expect(help("compare")).toMatchInlineSnapshot(`
			"onnx-distemb compare <teacher> <student>

			measure how well a smaller model still does

			Positionals:
			  teacher  the original: an .onnx file or a folder
			  student  the smaller model

			Data:
			  --data       texts, token ids, or pairs (two parallel files count as one)
			  --tokenizer  tokenizer.json (default: beside the teacher)
			  --counts     data to count tokens in, for the bins (default: --data)
			  --documents  each document from its own start, instead of windows
			  --window     tokens per window (default: the context, at most 256)
			  --batch      windows or pairs per run (default 8)
			  --tokens     tokens to measure at most (default 100000)
			  --pairs      pairs to measure at most (default 500)

			Measure:
			  --beam          beams of the translations (default 1: greedy)
			  --max-length    tokens of a translation at most (default 2.5 × source)
			  --start-id      id before a translation (default: the model's files)
			  --end-id        id that ends a translation (default: the model's files)
			  --mask-id       id of hidden tokens (default: the model's files)
			  --seed          of the choice of hidden tokens (default 0)
			  --no-footprint  leave out load time, memory and speed

			Output:
			  --json     write the report as JSON to this file, or - for stdout
			  --quiet    no progress on stderr
			  --threads  threads of the engine (default: one for each core)
			  --help     this page; after a command, the page of that command
			  --version  the version

			Examples:
			  onnx-distemb compare model.onnx small.onnx --data test.txt
			  onnx-distemb compare marian/ marian-small/ --data test.pt test.en"
		`);
	});

	it.each([[[]], [["build"]], [["inspect"]], [["plan"]], [["compare"]]])("fits_a_screen_of_40_rows_and_100_columns: %s", (command) => {
		const lines = help(...command).split("\n");
		expect(lines.length).toBeLessThanOrEqual(40);
		expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(100);
	});

	it("names_every_option_of_every_command_somewhere", () => {
		const all = [help("--all"), help("build"), help("inspect"), help("plan"), help("compare")].join("\n");
		const shown = new Set([...all.matchAll(/^ {2}--([a-z-]+) /gm)].map(([, name]) => name));
		expect([...shown].sort()).toEqual([...new Set(OPTION_NAMES)].sort());
	});

	it("speaks_english_whatever_the_system_speaks", () => {
		const { status, stderr } = run(["model.onnx", "small.onnx", "--rnak", "4"], { LC_ALL: "de_DE.UTF-8" });
		expect(status).toBe(2);
		expect(stderr).toMatch(/unknown option or argument "rnak"; did you mean --rank\?/);
	});

	it("is_where_a_missing_path_sends_the_user", () => {
		const { status, stderr } = run(["model.onnx"]);
		expect(status).toBe(2);
		expect(stderr).toBe("onnx-distemb: too few paths: 1 given, 2 needed; see --help\n");
	});
});
