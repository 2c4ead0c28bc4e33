// Training as users meet it: the built program in a child process that is interrupted, goes on, or is told what does not fit.
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { FIXTURES, temporaryFolder } from "./support/models.js";

const CLI = path.resolve(import.meta.dirname, "../dist/src/cli.js");
const MODEL = path.join(FIXTURES, "sotu-lm/model.onnx");
const work = temporaryFolder();
const inWork = (name: string) => path.join(work, name);

/** The first 6000 tokens of the fixture's test text: little, so that a step and a validation take a moment. */
const DATA = inWork("little.jsonl");
writeFileSync(
	DATA,
	readFileSync(path.join(FIXTURES, "sotu-lm/test.txt"), "utf8")
		.split(". ")
		.slice(0, 150)
		.map((text) => `${JSON.stringify(text)}\n`)
		.join(""),
);

const SMALL = ["--rank", "16", "--batch", "2", "--length", "16", "--train", "factors", "--threads", "1", "--seed", "3"];
const TOKENIZER = ["--tokenizer", path.join(FIXTURES, "sotu-lm/tokenizer.json")];
const TRAINING = [...SMALL, "--steps", "20", "--data", DATA, ...TOKENIZER];

function run(...args: string[]) {
	const { status, stdout, stderr } = spawnSync(process.execPath, [CLI, ...args], { encoding: "utf8", cwd: work });
	return { status, stdout, stderr, last: stderr.trim().split("\n").at(-1) ?? "" };
}

/** Starts the program and sends it `signal` once it says that it trains. */
async function stopped(args: readonly string[], signal: NodeJS.Signals) {
	const child = spawn(process.execPath, [CLI, ...args], { cwd: work, stdio: ["ignore", "ignore", "pipe"] });
	let stderr = "";
	let sent = false;
	child.stderr.setEncoding("utf8").on("data", (text: string) => {
		stderr += text;
		if (sent || !/^distill \d+ %: step/m.test(stderr)) return;
		sent = true;
		child.kill(signal);
	});
	const [status] = await once(child, "exit");
	return { status: status as number | null, last: stderr.trim().split("\n").at(-1) ?? "" };
}

describe("interruption", () => {
	it("leaves_a_checkpoint_from_which_the_same_bytes_come_as_without_it", async () => {
		expect(run(MODEL, "whole.onnx", ...TRAINING)).toMatchObject({ status: 0 });
		const { status, last } = await stopped([MODEL, "small.onnx", ...TRAINING], "SIGINT");
		expect(last).toMatch(/interrupted; the training so far is kept; go on with the same command and --resume small\.onnx\.checkpoint$/);
		expect(status).toBe(130);
		expect(existsSync(inWork("small.onnx"))).toBe(false);
		expect(readdirSync(inWork("small.onnx.checkpoint"))).toEqual(["checkpoint.safetensors"]);

		const other = run(MODEL, "small.onnx", ...TRAINING, "--lr", "0.01", "--resume", "small.onnx.checkpoint");
		expect(other.last).toMatch(/was made with --lr left out, not 0\.01/);
		expect(other.status).toBe(2);
		const text = run(
			MODEL,
			"small.onnx",
			...SMALL,
			"--steps",
			"40",
			"--data",
			path.join(FIXTURES, "sotu-lm/valid.npy"),
			...TOKENIZER,
			"--resume",
			"small.onnx.checkpoint",
		);
		expect(text.last).toMatch(/belongs to another data/);

		const resumed = run(MODEL, "small.onnx", ...TRAINING, "--resume", "small.onnx.checkpoint");
		expect(resumed.last).not.toMatch(/onnx-distemb:/);
		expect(resumed.status).toBe(0);
		expect(readFileSync(inWork("small.onnx")).equals(readFileSync(inWork("whole.onnx")))).toBe(true);
		expect(existsSync(inWork("small.onnx.checkpoint"))).toBe(false);
	}, 180_000);

	it("by_force_leaves_nothing_broken", async () => {
		await stopped([MODEL, "killed.onnx", ...TRAINING], "SIGKILL");
		expect(existsSync(inWork("killed.onnx"))).toBe(false);
		const again = run(MODEL, "killed.onnx", ...TRAINING, "--resume", "killed.onnx.checkpoint");
		expect(again.last).toMatch(/killed\.onnx\.checkpoint: holds no checkpoint/);
		expect(again.status).toBe(1);
	}, 120_000);
});

describe("gates", () => {
	it("missed_leave_no_output_and_name_the_figure", () => {
		const result = run(MODEL, "gate.onnx", "--rank", "8", "--no-distill", "--data", DATA, ...TOKENIZER, "--max-perplexity-increase", "1%");
		expect(result.last).toMatch(/perplexity rose by [\d.]+ % \(from [\d.]+ to [\d.]+\), more than 1 %; nothing was written/);
		expect(result.status).toBe(3);
		expect(existsSync(inWork("gate.onnx"))).toBe(false);
		const kl = run(MODEL, "gate.onnx", "--rank", "8", "--no-distill", "--data", DATA, ...TOKENIZER, "--max-kl", "0.001");
		expect(kl.last).toMatch(/KL\(original ‖ result\) is [\d.]+ nats, more than 0\.001/);
		expect(kl.status).toBe(3);
	}, 60_000);

	it("kept_show_original_and_result", () => {
		const result = run(
			MODEL,
			"kept.onnx",
			"--rank",
			"160",
			"--allow-larger",
			"--no-distill",
			"--data",
			DATA,
			...TOKENIZER,
			"--max-perplexity-increase",
			"0.01",
			"--max-kl",
			"0.001",
		);
		expect(result.stdout).toMatch(/original +result +difference/);
		expect(result.stdout).toMatch(/same first choice +100\.0 %/);
		expect(result.status).toBe(0);
	}, 60_000);
});

describe("usage", () => {
	it.each([
		[["--max-kl", "0.1"], /--max-kl is measured on held-out data; give --data/],
		[["--max-perplexity-increase", "much"], /"much" is no share; write it like 1% or 0\.01/],
		[["--minutes", "5", "--steps", "10"], /--minutes and --steps exclude each other/],
		[["--no-distill", "--minutes", "5"], /--minutes is for training, and --no-distill trains nothing/],
		[["--method", "svd", "--steps", "5"], /--steps is for training, and --method svd trains nothing/],
		[["--minutes", "0"], /--minutes must be a positive number/],
		[["--steps", "1.5"], /--steps must be a whole number/],
		[["--frequency-power", "0.5"], /--frequency-power is for columns of different precision/],
		[["--lr", "nan"], /--lr must be a positive number/],
		[["--length", "1"], /--length 1 leaves nothing to predict/],
		[["--train", "some"], /some.*factors.*norms.*all/],
		[["--phases", "some"], /--phases "some" is no phase; write some of head,factors,all/],
		[["--phases", "all,head"], /--phases all,head is no order/],
		[["--phases", "all", "--train", "norms"], /--phases are for training everything/],
		[["--method", "paper", "--phases", "factors,all"], /--method paper trains everything at once/],
		[["--loss", "kl"], /--loss "kl" is no weight; write it like kl=1,ce=0\.5/],
		[["--loss", "magic=1"], /--loss "magic=1" is no weight/],
		[["--loss", "temperature=0"], /--loss temperature must be a positive number/],
		[["--method", "paper", "--loss", "kl=1"], /--method paper has no loss "kl"/],
		[["--dtype", "float16", "--ops", "onnxruntime"], /--ops onnxruntime is for quantized factors.*--dtype mixed/],
		[["--tokenizer", "tokenizer.json"], /--tokenizer is for --data/],
		[["--data", "x.txt", "--max-kl", "1", "--dry-run"], /--max-kl needs a result to measure/],
	])("refuses_%j", (args, message) => {
		const result = run(MODEL, "small.onnx", ...args);
		expect(result.last).toMatch(message);
		expect(result.status).toBe(2);
	});
});

const OTHER = {
	version: "1.0",
	added_tokens: [],
	normalizer: null,
	pre_tokenizer: { type: "Whitespace" },
	post_processor: null,
	decoder: null,
};

describe("data", () => {
	const given = (name: string, content: string | Uint8Array, ...args: string[]) => {
		writeFileSync(inWork(name), content);
		return run(MODEL, "refused.onnx", "--no-distill", "--rank", "8", "--data", name, ...args);
	};

	it.each([
		["beyond.jsonl", "[1, 2]\n[3, 6144]\n", /beyond\.jsonl:2: token id 6144 at position 1 is beyond the vocabulary of 6144 rows/],
		["empty.txt", "", /empty\.txt: holds no tokens/],
		["latin.txt", Buffer.from("caf\xe9\n", "latin1"), /latin\.txt:1: is not UTF-8/],
		["pairs.tsv", "a\tb\n", /pairs\.tsv: holds pairs, but the model is a language model/],
		["tiny.txt", "Hello.\n", /too little data/],
	])("%s_is_refused_by_name_and_line", (name, content, message) => {
		const result = given(name, content);
		expect(result.last).toMatch(message);
		expect(result.status).toBe(1);
		expect(existsSync(inWork("refused.onnx"))).toBe(false);
	});

	it("a_tokenizer_of_another_size_is_refused", () => {
		const vocab = { a: 0, b: 1 };
		writeFileSync(inWork("other.json"), JSON.stringify({ ...OTHER, model: { type: "WordLevel", vocab, unk_token: "a" } }));
		const result = given("words.txt", "a b\n", "--tokenizer", "other.json");
		expect(result.last).toMatch(/other\.json: has only 2 tokens for the 6144 rows of the model's vocabulary/);
		expect(result.status).toBe(1);
	});
});
