// The compare command as users meet it: the built program in a child process.
import { spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { bigrams, logits, writeModel } from "./support/bigrams.js";
import { FIXTURES, temporaryFolder } from "./support/models.js";

const CLI = path.resolve(import.meta.dirname, "../dist/src/cli.js");
const SOTU = path.join(FIXTURES, "sotu-lm/model.onnx");
const TEST = path.join(FIXTURES, "sotu-lm/test.npy");

const work = temporaryFolder();
const rows = [
	[0.25, 0.5, 0.25],
	[0.5, 0.25, 0.25],
	[0.2, 0.2, 0.6],
];
writeModel(path.join(work, "teacher.onnx"), bigrams(3), { table: logits(rows) });
writeModel(path.join(work, "student.onnx"), bigrams(3), { table: logits(rows.toReversed()) });
writeFileSync(path.join(work, "data.jsonl"), "[0, 1, 0, 1, 2]\n");

function run(...args: string[]) {
	const { status, stdout, stderr } = spawnSync(process.execPath, [CLI, "compare", ...args], { encoding: "utf8", cwd: work });
	return { status, stdout, stderr, last: stderr.trim().split("\n").at(-1) ?? "" };
}

describe("compare", () => {
	it("measures_memory_and_speed_in_processes_of_their_own", () => {
		const result = run(SOTU, SOTU, "--data", TEST, "--tokens", "256", "--threads", "1", "--json", "-");
		expect(result.status).toBe(0);
		const report: unknown = JSON.parse(result.stdout);
		const model = {
			bytes: 7840079,
			hasPast: true,
			peakBytes: expect.any(Number),
			loadMilliseconds: expect.any(Number),
			millisecondsPerToken: expect.any(Number),
		};
		expect(report).toMatchObject({ version: 1, kind: "causal", teacher: model, student: model, notes: [] });
		const { teacher } = report as { teacher: { peakBytes: number; millisecondsPerToken: number } };
		// The weights alone are 7.8 MB; the whole process is far below 400 MB.
		expect(teacher.peakBytes).toBeGreaterThan(7e6);
		expect(teacher.peakBytes).toBeLessThan(4e8);
		expect(teacher.millisecondsPerToken).toBeGreaterThan(0);
	});

	it("memory_is_the_models_own_whatever_the_caller_holds", () => {
		const script = `
			import { footprintApart } from ${JSON.stringify(path.resolve(CLI, "../compare/footprint.js"))};
			const held = Buffer.alloc(6e8, 1);
			const request = { input: ${JSON.stringify(SOTU)}, threads: 1, prompt: [0], source: [], steps: 1 };
			console.log((await footprintApart(request)).peakBytes, held.length);
		`;
		const { stdout } = spawnSync(process.execPath, ["--input-type=module", "-e", script], { encoding: "utf8" });
		const [peak = Number.NaN] = stdout.split(" ").map(Number);
		expect(peak).toBeGreaterThan(7e6);
		expect(peak).toBeLessThan(3e8);
	});

	it("prints_a_table_and_writes_the_same_figures_as_json", () => {
		const result = run(
			"teacher.onnx",
			"student.onnx",
			"--data",
			"data.jsonl",
			"--window",
			"5",
			"--no-footprint",
			"--quiet",
			"--json",
			"report.json",
		);
		expect(result.stderr).toBe("");
		expect(result.status).toBe(0);
		const { tokens } = JSON.parse(readFileSync(path.join(work, "report.json"), "utf8")) as {
			tokens: { all: { teacherPerplexity: number; studentPerplexity: number; divergence: number } };
		};
		const figures = [tokens.all.teacherPerplexity.toFixed(2), tokens.all.studentPerplexity.toFixed(2)];
		expect(result.stdout).toMatch(new RegExp(`^perplexity +${figures.join(" +")} +[+−]`, "m"));
		expect(result.stdout).toMatch(new RegExp(`^KL\\(teacher ‖ student\\), nats +${tokens.all.divergence.toFixed(4)}$`, "m"));
		expect(result.stdout).toMatch(/measured {3}4 next tokens in 1 window of 5 tokens/);
	});

	it("takes_options_before_and_several_files_after_data", () => {
		const result = run("--data", "data.jsonl", "data.jsonl", "--no-footprint", "--documents", "teacher.onnx", "student.onnx");
		expect(result.status).toBe(0);
		expect(result.stdout).toMatch(/8 next tokens in 2 documents/);
	});
});

describe("errors", () => {
	const failing: readonly (readonly [name: string, args: readonly string[], status: number, said: RegExp])[] = [
		["needs_data", ["teacher.onnx", "student.onnx"], 2, /compare needs data; give --data/],
		["needs_a_student", ["teacher.onnx", "--data", "data.jsonl"], 2, /onnx-distemb: /],
		["suggests_the_option_that_was_meant", ["teacher.onnx", "student.onnx", "--windw", "4"], 2, /"windw"; did you mean --window\?/],
		[
			"refuses_numbers_that_are_none",
			["teacher.onnx", "student.onnx", "--data", "data.jsonl", "--beam", "0"],
			2,
			/--beam must be a whole number of at least 1/,
		],
		["names_a_missing_model", ["teacher.onnx", "nothing.onnx", "--data", "data.jsonl"], 1, /nothing\.onnx/],
		["names_missing_data", ["teacher.onnx", "student.onnx", "--data", "nothing.npy"], 1, /nothing\.npy: does not exist/],
		[
			"refuses_another_vocabulary",
			["teacher.onnx", SOTU, "--data", "data.jsonl"],
			1,
			/model\.onnx: gives logits for a vocabulary of 6144, the teacher 3; /,
		],
	];

	it.each(failing)("%s", (_, args, status, said) => {
		const result = run(...args, "--quiet");
		expect(result.stderr).not.toMatch(/^\s+at /m);
		expect(result.status).toBe(status);
		expect(result.last).toMatch(said);
		expect(result.stdout).toBe("");
	});
});
