// The command line as users meet it: the built program in a child process.
import { spawnSync } from "node:child_process";
import { accessSync, constants, cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";

const ROOT = path.resolve(import.meta.dirname, "..");
const CLI = path.join(ROOT, "dist/src/cli.js");
const MODEL = path.join(ROOT, "fixtures/patterns/p01-matmul-transposed-twin.onnx");
const SHARED = path.join(ROOT, "fixtures/patterns/external-shared");

let work: string;
beforeEach(() => {
	work = mkdtempSync(path.join(tmpdir(), "distemb-cli-"));
});
afterEach(() => {
	rmSync(work, { recursive: true, force: true });
});

/** Models as small as these are judged by what is written, not by what is learned. */
const FAST = ["--rank", "4", "--no-distill"] as const;

const inWork = (name: string) => path.join(work, name);

function run(...args: string[]) {
	const { status, stdout, stderr } = spawnSync(process.execPath, [CLI, ...args], { encoding: "utf8", cwd: work });
	return { status, stdout, stderr, lines: stderr.trim().split("\n") };
}

/** The last line on stderr is the error; nothing else but progress stands before it, and no stack. */
function expectOneLine(result: ReturnType<typeof run>, status: number, ...parts: (string | RegExp)[]) {
	expect(result.stderr).not.toMatch(/^\s+at /m);
	expect(result.status).toBe(status);
	const last = result.lines.at(-1) ?? "";
	expect(last).toMatch(/^onnx-distemb: /);
	for (const part of parts) expect(last).toMatch(part);
}

it("can_be_run_by_its_name_after_a_build", () => {
	expect(() => accessSync(CLI, constants.X_OK)).not.toThrow();
});

describe("compile", () => {
	it("writes_a_smaller_model_and_says_what_it_did", () => {
		const result = run(MODEL, "small.onnx", ...FAST);
		expect(result.stderr).not.toMatch(/error/i);
		expect(result.status).toBe(0);
		expect(result.stdout).toMatch(/→ small\.onnx .* smaller/);
		expect(result.stdout).toMatch(/rank 4, float32/);
		expect(result.stdout).toMatch(/verified .*logits: KL .* max \|Δ\|/);
		expect(readFileSync(inWork("small.onnx")).byteLength).toBeLessThan(readFileSync(MODEL).byteLength);
	});

	it("prints_only_json_on_stdout_when_asked", () => {
		const result = run(MODEL, "small.onnx", ...FAST, "--json", "-");
		const report: unknown = JSON.parse(result.stdout);
		expect(report).toMatchObject({ version: 1, factors: [{ rank: 4, side: "both" }], verification: [{ ran: true }] });
	});

	it("writes_the_same_bytes_for_the_same_seed", () => {
		run(MODEL, "a.onnx", ...FAST, "--threads", "2");
		run(MODEL, "b.onnx", ...FAST, "--threads", "2");
		expect(readFileSync(inWork("a.onnx")).equals(readFileSync(inWork("b.onnx")))).toBe(true);
	});

	it("writes_nothing_in_a_dry_run", () => {
		const result = run(MODEL, "small.onnx", "--rank", "4", "--dry-run");
		expect(result.status).toBe(0);
		expect(result.stdout).toMatch(/dry run/);
		expect(existsSync(inWork("small.onnx"))).toBe(false);
	});

	it("shows_no_progress_when_quiet", () => {
		expect(run(MODEL, "small.onnx", ...FAST, "--quiet").stderr).toBe("");
	});

	it("converts_a_directory_and_copies_what_is_no_model", () => {
		const result = run(SHARED, "out", ...FAST);
		expect(result.status).toBe(0);
		for (const name of ["encoder.onnx", "decoder.onnx", "shared.onnx_data", "config.json"])
			expect(existsSync(inWork(`out/${name}`))).toBe(true);
		expect(readFileSync(inWork("out/config.json"))).toEqual(readFileSync(path.join(SHARED, "config.json")));
		expect(readFileSync(inWork("out/shared.onnx_data")).byteLength).toBeLessThan(
			readFileSync(path.join(SHARED, "shared.onnx_data")).byteLength,
		);
	});

	it("replaces_an_existing_output_only_with_overwrite", () => {
		writeFileSync(inWork("small.onnx"), "something else");
		expectOneLine(run(MODEL, "small.onnx", "--rank", "4"), 1, /small\.onnx: already exists; use --overwrite/);
		expect(readFileSync(inWork("small.onnx"), "utf8")).toBe("something else");
		expect(run(MODEL, "small.onnx", ...FAST, "--overwrite").status).toBe(0);
		expect(readFileSync(inWork("small.onnx")).byteLength).toBeGreaterThan(100);
	});
});

describe("inspect", () => {
	it("shows_tables_readers_and_other_candidates", () => {
		const result = run("inspect", path.join(ROOT, "fixtures/patterns/decoy-position-table.onnx"));
		expect(result.status).toBe(0);
		expect(result.stdout).toMatch(/vocabulary ".*": \d+ × \d+, float32, tied/);
		expect(result.stdout).toMatch(/lookup +.*Gather/);
		expect(result.stdout).toMatch(/other candidates, left alone:/);
	});

	it("gives_the_same_as_json", () => {
		const result = run("inspect", MODEL, "--json", "-");
		expect(JSON.parse(result.stdout)).toMatchObject({ vocabularies: [{ tied: true, lookups: [{ op: "Gather" }] }] });
	});
});

describe("errors", () => {
	it("suggests_the_option_that_was_meant", () => {
		expectOneLine(run(MODEL, "small.onnx", "--rnak", "4"), 2, /unknown option or argument "rnak"; did you mean --rank\?/);
	});

	it("refuses_sizes_that_exclude_each_other", () => {
		expectOneLine(run(MODEL, "small.onnx", "--rank", "4", "--ratio", "2"), 2, /exclusive|exclude/);
	});

	it.each([["0"], ["-3"], ["2.5"], ["many"]])("refuses_rank_%s", (rank) => {
		expectOneLine(run(MODEL, "small.onnx", `--rank=${rank}`), 2, /--rank must be a whole number/);
	});

	it("refuses_a_method_that_does_not_exist", () => {
		expectOneLine(run(MODEL, "small.onnx", "--method", "magic"), 2, /method/, /svd/);
	});

	it("refuses_a_size_that_is_none", () => {
		expectOneLine(run(MODEL, "small.onnx", "--target-size", "big"), 2, /--target-size "big" is no size/);
	});

	it("needs_an_output", () => {
		expectOneLine(run(MODEL), 2);
	});

	it("names_a_missing_file", () => {
		expectOneLine(run("missing.onnx", "small.onnx"), 1, /missing\.onnx: no such file/);
	});

	it("refuses_a_directory_where_a_file_is_due", () => {
		mkdirSync(inWork("folder"));
		expectOneLine(run(MODEL, "folder"), 1, /folder: is a directory where a file is due/);
	});

	it("refuses_to_write_over_its_input", () => {
		cpSync(MODEL, inWork("model.onnx"));
		expectOneLine(run("model.onnx", "model.onnx", "--overwrite"), 2, /input and output are the same/);
		expect(readFileSync(inWork("model.onnx"))).toEqual(readFileSync(MODEL));
	});

	it("refuses_an_output_inside_the_input_folder", () => {
		cpSync(SHARED, inWork("in"), { recursive: true });
		expectOneLine(run("in", "in/out"), 2, /lies inside the input folder/);
	});

	it("says_when_a_folder_holds_no_model", () => {
		mkdirSync(inWork("empty"));
		expectOneLine(run("empty", "out"), 1, /empty: holds no \.onnx file/);
	});

	it("says_when_the_output_folder_does_not_exist", () => {
		expectOneLine(run(MODEL, "nowhere/small.onnx", "--rank", "4"), 1, /nowhere: the folder does not exist/);
	});

	it("ends_with_4_when_there_is_nothing_to_do", () => {
		expectOneLine(run(path.join(ROOT, "fixtures/patterns/nothing-no-table.onnx"), "small.onnx"), 4);
		expect(existsSync(inWork("small.onnx"))).toBe(false);
	});

	it("ends_with_4_when_the_rank_would_not_shrink_it", () => {
		expectOneLine(run(path.join(ROOT, "fixtures/patterns/e01-gather.onnx"), "small.onnx", "--rank", "16"), 4, /--allow-larger/);
	});

	it("refuses_a_third_reader_by_name_with_the_way_out", () => {
		expectOneLine(
			run(path.join(ROOT, "fixtures/patterns/refuse-third-reader.onnx"), "small.onnx"),
			1,
			/ReduceMean/,
			/--keep-other-readers/,
		);
	});

	it("leaves_no_trace_of_a_failed_conversion", () => {
		run(path.join(ROOT, "fixtures/broken/truncated-60.onnx"), "small.onnx");
		expect(existsSync(inWork("small.onnx"))).toBe(false);
		expect(spawnSync("ls", ["-A", work], { encoding: "utf8" }).stdout).toBe("");
	});
});
