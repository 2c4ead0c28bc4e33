// The engine that is missing, broken, or out of memory: one line that says so, and no output.
import { cpSync, existsSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from "node:fs";
import path from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { temporaryFolder } from "../support/models.js";
import { contentOf, LANGUAGE_MODEL, ROOT, run, writeIds, writeModel } from "./support.js";

const work = temporaryFolder();
const MODEL = writeModel(path.join(work, "model.onnx"), LANGUAGE_MODEL);
const FAST = ["--rank", "4", "--method", "svd", "--quiet"];
const input = contentOf(MODEL);

/** The program installed with all its packages but the engine, of which `bindings` are what is in its bin folder. */
function installed(name: string, bindings: (folder: string) => void): string {
	const home = path.join(work, name);
	for (const part of ["dist/src", "dist/passes", "package.json"]) cpSync(path.join(ROOT, part), path.join(home, part), { recursive: true });
	const packages = path.join(ROOT, "node_modules");
	mkdirSync(path.join(home, "node_modules"));
	for (const entry of readdirSync(packages)) {
		if (!entry.startsWith(".") && entry !== "onnxruntime-node")
			symlinkSync(path.join(packages, entry), path.join(home, "node_modules", entry));
	}
	const engine = path.join(home, "node_modules/onnxruntime-node");
	for (const part of ["dist", "package.json"])
		cpSync(path.join(packages, "onnxruntime-node", part), path.join(engine, part), { recursive: true });
	bindings(engine);
	return path.join(home, "dist/src/cli.js");
}

async function refused(args: readonly string[], reason: RegExp, program?: string, through?: readonly string[]) {
	const { status, stderr, last } = await run([...args], { cwd: work, ...(program && { program }), ...(through && { through }) });
	expect(last).toMatch(reason);
	expect(stderr.trim().split("\n")).toHaveLength(1);
	expect(status).toBe(1);
	expect(contentOf(MODEL)).toEqual(input);
	expect(readdirSync(work).filter((name) => name.includes("small"))).toEqual([]);
}

describe("an engine whose native module", () => {
	let missing = "";
	let alone = "";
	beforeAll(() => {
		missing = installed("missing", () => {});
		alone = installed("alone", (engine) => {
			const from = path.join(ROOT, "node_modules/onnxruntime-node/bin");
			const binding = (readdirSync(from, { recursive: true }) as string[]).find(
				(name) => name.endsWith(".node") && name.includes(process.platform) && name.includes(process.arch),
			);
			if (binding === undefined) throw new Error("the engine has no native module for this machine");
			mkdirSync(path.dirname(path.join(engine, "bin", binding)), { recursive: true });
			cpSync(path.join(from, binding), path.join(engine, "bin", binding));
		});
	});

	it("is_missing_ends_a_conversion_with_one_line", async () => {
		await refused(
			[MODEL, "small.onnx", ...FAST],
			/native module of onnxruntime-node cannot be loaded: .*; reinstall the package's dep/,
			missing,
		);
	});

	it("has_lost_its_library_ends_a_conversion_with_one_line", async () => {
		await refused([MODEL, "small.onnx", ...FAST], /native module of onnxruntime-node cannot be loaded: .*onnxruntime.*; reinstall/, alone);
	});

	it("is_missing_does_not_stop_what_needs_no_engine", async () => {
		const { status, stdout } = await run(["inspect", MODEL, "--quiet"], { program: missing });
		expect(stdout).toMatch(/vocabulary "table": 200 × 16/);
		expect(status).toBe(0);
	});
});

describe("memory that is wanting", () => {
	/** Adds up 2·10¹³ numbers. */
	const huge = LANGUAGE_MODEL.replace(
		"	logits =",
		`	sizes = int64[2] {10000000, 2000000}
		zero = float32[1] {0}
		big = Expand(zero, sizes)
		none = ReduceMax<keepdims=0>(big)
		shifted = Add(hidden, none)
		logits =`,
	).replace("MatMul(hidden, head)", "MatMul(shifted, head)");

	it("in_the_engine_ends_a_measurement_with_one_line", async () => {
		const model = writeModel(path.join(work, "huge.onnx"), huge);
		const ids = writeIds(path.join(work, "ids.jsonl"));
		await refused(
			["compare", model, model, "--data", ids, "--quiet"],
			/huge\.onnx: onnxruntime cannot run the model: .*llocate.*; there is not enough memory/,
		);
	});

	it.runIf(existsSync("/proc/self/limits"))("in_the_process_ends_a_conversion_with_one_line", async () => {
		// Enough to start, and not for what the conversion takes besides.
		const through = ["sh", "-c", 'ulimit -v 1200000; exec "$@"', "sh"];
		await refused([MODEL, "small.onnx", ...FAST], /model\.onnx: .*memory/, undefined, through);
	});
});

describe("the engine's telemetry", () => {
	/** What a run leaves in the user's folders. */
	async function leftBy(name: string, args: readonly string[], program?: string): Promise<string[]> {
		const home = path.join(work, name);
		mkdirSync(home);
		// On machines of builds, which it knows by these, the engine has it off by itself.
		const builds = { CI: undefined, GITHUB_ACTIONS: undefined };
		const env = { HOME: home, XDG_CACHE_HOME: path.join(home, ".cache"), ORT_DISABLE_TELEMETRY: undefined, ...builds };
		const { status } = await run(args, { cwd: work, env, ...(program !== undefined && { program }) });
		expect(status).toBe(0);
		return readdirSync(home);
	}

	it("is_off", async () => {
		expect(await leftBy("home", [MODEL, "quiet.onnx", ...FAST])).toEqual([]);
	});

	// The engine's own default; where it has none any more, what switches it off can go.
	it.runIf(process.platform === "linux")("would_be_on", async () => {
		const program = path.join(work, "engine.mjs");
		writeFileSync(
			program,
			`import { createRequire } from "node:module";
			const { InferenceSession } = createRequire(${JSON.stringify(path.join(ROOT, "package.json"))})("onnxruntime-node");
			await InferenceSession.create(process.argv[2]);`,
		);
		expect(await leftBy("home of others", [MODEL], program)).toEqual([".cache"]);
	});
});
