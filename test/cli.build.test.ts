// `build` as users meet it: the built program in a child process.
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { FIXTURES, temporaryFolder } from "./support/models.js";

const CLI = path.resolve(import.meta.dirname, "../dist/src/cli.js");
const work = temporaryFolder();
const inWork = (name: string) => path.join(work, name);

/** Of this run, not of the job that runs these tests. */
const { GITHUB_ACTIONS: _, GITHUB_STEP_SUMMARY: _summary, GITHUB_WORKSPACE: _workspace, ...ENVIRONMENT } = process.env;

function run(args: readonly string[], env: NodeJS.ProcessEnv = {}) {
	const { status, stdout, stderr } = spawnSync(process.execPath, [CLI, ...args], {
		encoding: "utf8",
		cwd: work,
		env: { ...ENVIRONMENT, ...env },
	});
	return { status, stdout, stderr, lines: stderr.trim().split("\n") };
}

/** Little text: a measurement takes a moment. */
writeFileSync(inWork("little.txt"), readFileSync(path.join(FIXTURES, "sotu-lm/test.txt"), "utf8").split(". ").slice(0, 150).join("\n"));
const MODEL = path.join(FIXTURES, "patterns/p01-matmul-transposed-twin.onnx");
const MISSED = {
	input: path.join(FIXTURES, "sotu-lm/model.onnx"),
	output: "missed.onnx",
	rank: 8,
	distill: false,
	data: ["little.txt"],
	maxPerplexityIncrease: "1%",
};
const SMALL = { input: MODEL, output: "small.onnx", rank: 4, method: "svd" };
const configure = (models: object) => writeFileSync(inWork("distemb.config.json"), JSON.stringify({ models }));

describe("build", () => {
	it("ends_with_3_when_one_model_misses_its_gate_and_builds_the_others", () => {
		configure({ missed: MISSED, small: SMALL });
		const env = { GITHUB_ACTIONS: "true", GITHUB_WORKSPACE: path.dirname(work), GITHUB_STEP_SUMMARY: inWork("summary.md") };
		const { status, stdout, stderr, lines } = run(["build", "--quiet"], env);
		const why = /perplexity rose by [\d.]+ % \(from [\d.]+ to [\d.]+\), more than 1 %; nothing was written/;
		expect(stdout.split("\n")).toEqual([
			expect.stringMatching(new RegExp(`^missed  gate missed  .*${why.source}`)),
			expect.stringMatching(/^small {3}built {8}.* → small\.onnx .* smaller \(new\)$/),
			"",
		]);
		expect(lines[0]).toMatch(new RegExp(`^onnx-distemb: missed: .*${why.source}`));
		expect(status).toBe(3);
		expect([existsSync(inWork("missed.onnx")), existsSync(inWork("small.onnx"))]).toEqual([false, true]);
		expect(stderr).toMatch(
			new RegExp(
				`^::error file=${path.basename(work)}/distemb\\.config\\.json,title=onnx-distemb%3A missed%2C gate missed::.* 1 %25;`,
				"m",
			),
		);
		expect(stderr).toMatch(/^::notice title=onnx-distemb%3A small%2C built::/m);
		expect(readFileSync(inWork("summary.md"), "utf8")).toMatch(/^\| missed \| gate missed \|.*\n\| small \| built \|/m);
	}, 120_000);

	it("skips_what_is_up_to_date_and_prints_only_json_when_asked", () => {
		configure({ small: SMALL });
		const models = (...args: string[]) => {
			const { stdout, stderr, status } = run(["build", "--quiet", "--json", "-", ...args]);
			expect([stderr, status]).toEqual(["", 0]);
			return (JSON.parse(stdout) as { models: unknown }).models;
		};
		expect(models("--force")).toMatchObject([{ status: "built", reason: "forced" }]);
		expect(models("small")).toMatchObject([{ status: "up-to-date", report: { factors: [{ rank: 4 }] } }]);
	});

	it("refuses_a_wrong_configuration_with_2_and_a_missing_one_with_1", () => {
		configure({ small: { ...SMALL, rnak: 4 } });
		const wrong = run(["build"], { GITHUB_ACTIONS: "true", GITHUB_WORKSPACE: work });
		expect(wrong.lines).toEqual([
			'::error file=distemb.config.json,title=onnx-distemb%3A usage::distemb.config.json: unknown key "rnak" in models.small; did you mean "rank"?',
			'onnx-distemb: distemb.config.json: unknown key "rnak" in models.small; did you mean "rank"?',
		]);
		expect(wrong.status).toBe(2);
		const missing = run(["build", "--config", "nowhere.json"]);
		expect(missing.lines).toEqual(["onnx-distemb: nowhere.json: does not exist; check the path of the configuration"]);
		expect(missing.status).toBe(1);
	});
});

describe("annotations", () => {
	it("of_a_single_conversion_are_made_only_in_a_job_of_github_actions", () => {
		const convert = (env: NodeJS.ProcessEnv) => run([MODEL, "one.onnx", "--rank", "4", "--method", "svd", "--quiet", "--overwrite"], env);
		expect(convert({ GITHUB_ACTIONS: "true" }).stderr).toMatch(/^::notice title=onnx-distemb%3A one\.onnx%2C built::.* smaller/);
		expect(convert({ CI: "true" }).stderr).toBe("");
	});
});
