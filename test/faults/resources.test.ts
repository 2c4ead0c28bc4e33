// File handles and sessions of the engine: whatever a call opens is closed when it ends, also by a failure or an interruption.
import { existsSync, readdirSync, readlinkSync, writeFileSync } from "node:fs";
import path from "node:path";
import { InferenceSession } from "onnxruntime-node";
import { beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import { type CompileOptions, compare, compile, inspect, plan } from "../../src/index.js";
import { temporaryFolder } from "../support/models.js";
import { LANGUAGE_MODEL, writeIds, writeModel } from "./support.js";

const work = temporaryFolder();
const MODEL = writeModel(path.join(work, "model.onnx"), LANGUAGE_MODEL.replace("16, 200]", '16, 200] external "head.bin"'));
const BROKEN = path.join(work, "broken.onnx");
writeFileSync(BROKEN, "no model");
const data = [writeIds(path.join(work, "ids.jsonl"))];
const TRAINED: CompileOptions = { rank: 4, steps: 2, batch: 2, length: 16, data, threads: 1 };
const PLAIN: CompileOptions = { rank: 4, method: "svd", threads: 1 };

let opened = 0;
let released = 0;
let output = "";
beforeAll(() => {
	const create = InferenceSession.create.bind(InferenceSession) as (...args: unknown[]) => Promise<InferenceSession>;
	vi.spyOn(InferenceSession, "create").mockImplementation(async (...args: unknown[]) => {
		const session = await create(...args);
		opened++;
		const release = session.release.bind(session);
		session.release = async () => {
			released++;
			await release();
		};
		return session;
	});
});
beforeEach(() => {
	output = path.join(work, `${process.hrtime.bigint()}.onnx`);
});

/** Files that this process has open. */
function handles(): string[] {
	const folder = "/proc/self/fd";
	if (!existsSync(folder)) return [];
	const open = readdirSync(folder).flatMap((name) => {
		try {
			return [readlinkSync(path.join(folder, name))];
		} catch {
			return []; // the one that reads the folder
		}
	});
	return open.filter((name) => name.startsWith("/") && !name.startsWith("/dev/") && !name.startsWith("/proc/"));
}

const failure = (work: Promise<unknown>) =>
	work.then(
		() => "none",
		(error: unknown) => (error instanceof Error && "code" in error ? String(error.code) : String(error)),
	);

function abortedAt(pass: string, options: CompileOptions): Promise<unknown> {
	const abort = new AbortController();
	const onProgress = (progress: { readonly pass: string }) => progress.pass === pass && abort.abort();
	return compile(MODEL, output, { ...options, signal: abort.signal, onProgress: (progress) => void onProgress(progress) });
}

const CALLS: readonly (readonly [string, () => Promise<unknown>, string])[] = [
	["inspect", () => inspect(MODEL), "none"],
	["inspect on what is no model", () => inspect(BROKEN), "input"],
	["plan", () => plan(MODEL, { ratios: [4], data, threads: 1 }), "none"],
	["plan on data that is none", () => plan(MODEL, { ratios: [4], data: [BROKEN], threads: 1 }), "input"],
	["compile", () => compile(MODEL, output, PLAIN), "none"],
	["compile with training", () => compile(MODEL, output, TRAINED), "none"],
	["compile without data", () => compile(MODEL, output, { rank: 4, steps: 1, batch: 2, length: 16, threads: 1 }), "none"],
	[
		"compile in columns of different precision",
		() => compile(MODEL, output, { ...TRAINED, rank: undefined, ratio: 2, dtype: "mixed" }),
		"none",
	],
	["compile of what is no model", () => compile(BROKEN, output, PLAIN), "input"],
	["compile to where nothing can be written", () => compile(MODEL, path.join(BROKEN, "out.onnx"), PLAIN), "output"],
	["compile with a gate that is missed", () => compile(MODEL, output, { rank: 4, data, distill: false, maxKl: 1e-12, threads: 1 }), "gate"],
	["compile interrupted while the data is read", () => abortedAt("data", TRAINED), "interrupted"],
	["compile interrupted while it is calibrated", () => abortedAt("calibrate", { ...TRAINED, dtype: "mixed" }), "interrupted"],
	["compile interrupted while it is reconstructed", () => abortedAt("reconstruct", PLAIN), "interrupted"],
	["compile interrupted while it is trained", () => abortedAt("distill", TRAINED), "interrupted"],
	["compile interrupted while it is written", () => abortedAt("write", PLAIN), "interrupted"],
	["compile interrupted while it is verified", () => abortedAt("verify", PLAIN), "interrupted"],
	["compile interrupted while it is measured", () => abortedAt("measure", TRAINED), "interrupted"],
	["compare", () => compare(MODEL, MODEL, { data, threads: 1 }), "none"],
	["compare with what is no model", () => compare(MODEL, BROKEN, { data, threads: 1 }), "input"],
];

describe("handles and sessions", () => {
	it.each(CALLS)("are_closed_after_%s", async (_name, call, ends) => {
		const before = handles();
		const sessions = opened - released;
		expect(await failure(call())).toBe(ends);
		expect(handles()).toEqual(before);
		expect(opened - released).toBe(sessions);
	});

	it("are_counted_at_all", async () => {
		expect(opened).toBeGreaterThan(20);
		const kept = await InferenceSession.create(path.join(work, "model.onnx"));
		expect(opened - released).toBe(1);
		await kept.release();
	});
});
