// Building several models by a configuration: what is up to date, what is built anew and why, what fails alone.
import { appendFileSync, cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { beforeEach, describe, expect, it } from "vitest";
import { type BuildOptions, type BuiltModel, build, type DistembConfig, type ModelConfig } from "../src/index.js";
import { exitCodeOf } from "../src/report/build.js";
import { FIXTURES, temporaryFolder } from "./support/models.js";

const MODEL = path.join(FIXTURES, "patterns/p01-matmul-transposed-twin.onnx");
const SHARED = path.join(FIXTURES, "patterns/external-shared");

const root = temporaryFolder();
let work = "";
let count = 0;
beforeEach(() => {
	work = path.join(root, String(count++));
	mkdirSync(work);
	cpSync(MODEL, inWork("model.onnx"));
});

const inWork = (name: string) => path.join(work, name);

const SMALL: ModelConfig = { input: "model.onnx", output: "dist/small.onnx", rank: 4, method: "svd" };

async function buildOf(models: DistembConfig["models"], options: BuildOptions = {}) {
	return (await build({ models }, { folder: work, threads: 1, ...options })).models;
}

/** Builds one model and says what became of it: `built: reason`, `up-to-date` or `failed: message`. */
async function outcome(model: ModelConfig, options: BuildOptions = {}): Promise<string> {
	const [built] = await buildOf({ small: model }, options);
	if (built === undefined) throw new Error("nothing was built");
	return told(built);
}

function told(model: BuiltModel): string {
	if (model.status === "up-to-date") return model.status;
	return `${model.status}: ${model.status === "built" ? model.reason : model.error.message}`;
}

describe("a_model", () => {
	it("is_built_once_and_then_up_to_date_with_the_same_report", async () => {
		const [first] = await buildOf({ small: SMALL });
		expect(first).toMatchObject({ name: "small", status: "built", reason: "new", report: { factors: [{ rank: 4 }] } });
		expect(readdirSync(inWork("dist")).sort()).toEqual(["small.onnx", "small.onnx.distemb.json"]);
		const before = readFileSync(inWork("dist/small.onnx"));
		const [second] = await buildOf({ small: SMALL });
		expect(second).toEqual({ ...first, status: "up-to-date", reason: undefined });
		expect(readFileSync(inWork("dist/small.onnx")).equals(before)).toBe(true);
	});

	it("is_built_anew_when_something_that_decides_on_it_changed_and_says_what", async () => {
		const steps: (readonly [() => ModelConfig, BuildOptions, string])[] = [
			[() => SMALL, {}, "built: new"],
			[() => SMALL, { force: true }, "built: forced"],
			[() => ({ ...SMALL, rank: 3 }), {}, "built: option rank changed"],
			[() => ({ ...SMALL, rank: 3, seed: 1 }), {}, "built: option seed is new"],
			[() => SMALL, {}, "built: option rank changed"],
			[touched("tokenizer_config.json", "{}"), {}, "built: tokenizer_config.json is new"],
			[touched("tokenizer_config.json", "{} "), {}, "built: tokenizer_config.json changed"],
			[removed("tokenizer_config.json"), {}, "built: tokenizer_config.json is gone"],
			[removed("dist/small.onnx"), {}, "built: small.onnx is missing"],
			[touched("dist/small.onnx", "x"), {}, "built: small.onnx is not as it was built"],
			[touched("dist/small.onnx.distemb.json", "{"), {}, "built: what was built before cannot be read"],
			[() => ({ ...SMALL, report: "small.html" }), {}, "built: small.html is missing"],
			[() => ({ ...SMALL, report: "small.html" }), {}, "up-to-date"],
			[() => SMALL, {}, "up-to-date"],
			[() => SMALL, { threads: 2 }, "built: option threads changed"],
		];
		for (const [change, options, expected] of steps) expect(await outcome(change(), options)).toBe(expected);
	});

	function touched(name: string, text: string): () => ModelConfig {
		return () => {
			writeFileSync(inWork(name), text);
			return SMALL;
		};
	}

	function removed(name: string): () => ModelConfig {
		return () => {
			rmSync(inWork(name));
			return SMALL;
		};
	}

	it("is_built_anew_by_another_version", async () => {
		await outcome(SMALL);
		const file = inWork("dist/small.onnx.distemb.json");
		writeFileSync(file, readFileSync(file, "utf8").replace(/"tool":"onnx-distemb [^"]+"/, '"tool":"onnx-distemb 0.0.1"'));
		expect(await outcome(SMALL)).toBe("built: onnx-distemb 0.0.1 built it before");
	});

	it("depends_on_every_file_of_its_folder_external_data_included", async () => {
		cpSync(SHARED, inWork("folder"), { recursive: true });
		const folder: ModelConfig = { ...SMALL, input: "folder", output: "dist/folder" };
		expect(await outcome(folder)).toBe("built: new");
		expect(await outcome(folder)).toBe("up-to-date");
		appendFileSync(inWork("folder/shared.onnx_data"), "\0");
		expect(await outcome(folder)).toBe("built: folder/shared.onnx_data changed");
		writeFileSync(inWork("folder/notes.txt"), "copied along");
		expect(await outcome(folder)).toBe("built: folder/notes.txt is new");
		rmSync(inWork("dist/folder/config.json"));
		expect(await outcome(folder)).toBe("built: folder/config.json is missing");
		expect(existsSync(inWork("dist/folder/notes.txt"))).toBe(true);
	});

	/** Token ids of a vocabulary of 24. */
	function writeIds(name: string): void {
		const rows = Array.from({ length: 40 }, (_, row) => Array.from({ length: 16 }, (_, index) => (row * 7 + index * 3) % 24));
		writeFileSync(inWork(name), rows.map((ids) => `${JSON.stringify(ids)}\n`).join(""));
	}

	it("depends_on_the_contents_of_its_data", async () => {
		writeIds("ids.jsonl");
		const model: ModelConfig = { input: "model.onnx", output: "small.onnx", rank: 4, distill: false, data: ["ids.jsonl"] };
		expect(await outcome(model)).toBe("built: new");
		expect(await outcome(model)).toBe("up-to-date");
		appendFileSync(inWork("ids.jsonl"), "[1, 2, 3]\n");
		expect(await outcome(model)).toBe("built: ids.jsonl changed");
	});

	it("goes_on_with_the_training_that_an_interruption_left_where_that_is_asked_for", async () => {
		writeIds("ids.jsonl");
		const training = { rank: 4, steps: 20, batch: 2, length: 8, train: "factors", data: ["ids.jsonl"] } as const;
		const model: ModelConfig = { input: "model.onnx", output: "small.onnx", ...training };
		expect(await outcome({ ...model, output: "whole.onnx" })).toBe("built: new");
		const abort = new AbortController();
		const interrupted = buildOf(
			{ small: model },
			{ signal: abort.signal, onProgress: ({ pass, note = "" }) => pass === "distill" && note.startsWith("step") && abort.abort() },
		);
		await expect(interrupted).rejects.toMatchObject({ code: "interrupted", hint: "go on with the same command and --resume" });
		expect(readdirSync(inWork("small.onnx.checkpoint"))).toEqual(["checkpoint.safetensors"]);
		expect(await outcome({ ...model, lr: 0.5 }, { resume: true })).toMatch(/^failed: was made with --lr left out, not 0\.5/);
		expect(await outcome(model, { resume: true })).toBe("built: new");
		expect(readFileSync(inWork("small.onnx")).equals(readFileSync(inWork("whole.onnx")))).toBe(true);
		expect(existsSync(inWork("small.onnx.checkpoint"))).toBe(false);
	});
});

describe("an_output_that_no_build_made", () => {
	it("stays_unless_it_may_be_replaced", async () => {
		writeFileSync(inWork("small.onnx"), "something else");
		const model = { ...SMALL, output: "small.onnx" };
		expect(await outcome(model)).toBe("failed: already exists");
		expect(readFileSync(inWork("small.onnx"), "utf8")).toBe("something else");
		expect(await outcome(model, { overwrite: true })).toBe("built: new");
	});
});

describe("models", () => {
	it("fail_alone_and_the_gravest_decides_on_the_exit_code", async () => {
		const models = await buildOf({
			missing: { ...SMALL, input: "nowhere.onnx", output: "missing.onnx" },
			nothing: { ...SMALL, input: path.join(FIXTURES, "patterns/nothing-no-table.onnx"), output: "nothing.onnx" },
			small: SMALL,
		});
		expect(models).toMatchObject([
			{ name: "missing", status: "failed", error: { code: "input", at: expect.stringMatching("nowhere.onnx") } },
			{ name: "nothing", status: "failed", error: { code: "nothing-to-do" } },
			{ name: "small", status: "built" },
		]);
		const exitCode = (...built: BuiltModel[]) => exitCodeOf({ version: 1, tool: { name: "", version: "" }, models: built });
		const [missing, nothing, small] = models;
		if (missing === undefined || nothing === undefined || small === undefined) throw new Error("a model is not reported");
		expect([exitCode(small), exitCode(small, nothing), exitCode(nothing, missing, small)]).toEqual([0, 4, 1]);
	});

	it("may_be_named", async () => {
		const two = { one: { ...SMALL, output: "one.onnx" }, other: { ...SMALL, output: "other.onnx" } };
		expect((await buildOf(two, { names: ["other"] })).map(({ name }) => name)).toEqual(["other"]);
		expect(existsSync(inWork("one.onnx"))).toBe(false);
		await expect(buildOf(two, { names: ["othr"] })).rejects.toMatchObject({ code: "usage", hint: 'did you mean "other"?' });
	});

	it("may_be_made_from_one_another", async () => {
		const models = await buildOf({ one: SMALL, next: { ...SMALL, input: "dist/small.onnx", output: "next.onnx", rank: 2 } });
		expect(models.map(told)).toEqual(["built: new", "built: new"]);
	});

	it("that_were_built_before_an_interruption_stay_and_the_rest_leaves_nothing", async () => {
		const abort = new AbortController();
		const two = { one: { ...SMALL, output: "one.onnx" }, other: { ...SMALL, output: "other.onnx" } };
		const seen: string[] = [];
		const running = buildOf(two, {
			signal: abort.signal,
			onModel: ({ name }) => seen.push(name),
			onProgress: ({ model, pass }) => model === "other" && pass === "write" && abort.abort(),
		});
		await expect(running).rejects.toMatchObject({ code: "interrupted", message: expect.stringMatching("model other") });
		expect(seen).toEqual(["one"]);
		expect(readdirSync(work).sort()).toEqual(["model.onnx", "one.onnx", "one.onnx.distemb.json"]);
		expect((await buildOf(two)).map(told)).toEqual(["up-to-date", "built: new"]);
	});
});
