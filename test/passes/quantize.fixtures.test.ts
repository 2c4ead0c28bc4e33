// Every fixture that can be rewritten, at full rank, in every form of storage: it runs, and is as near as the form allows.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { compile } from "../../src/index.js";
import type { CompileOptions } from "../../src/options.js";
import { readManifest } from "../zoo/manifest.js";

const FIXTURES = path.resolve("fixtures");
const WORK = mkdtempSync(path.join(tmpdir(), "storage-"));

afterAll(() => rmSync(WORK, { recursive: true, force: true }));

const ENTRIES = readManifest(FIXTURES).filter(
	({ expect: expected, runs_in_ort_cpu, bundle }) => expected === "rewrite" && runs_in_ort_cpu !== false && bundle === undefined,
);

const FORMS: readonly { readonly name: string; readonly options: CompileOptions; readonly tolerance: number }[] = [
	{ name: "float16", options: { dtype: "float16" }, tolerance: 0.02 },
	{ name: "int8", options: { dtype: "int8" }, tolerance: 0.05 },
	{ name: "blocks", options: { dtype: "int8", ops: "onnxruntime" }, tolerance: 0.05 },
];

describe("fixtures", () => {
	it("are_many", () => {
		expect(ENTRIES.length).toBeGreaterThan(60);
	});

	for (const { name, options, tolerance } of FORMS) {
		it(`run with factors stored as ${name}`, async () => {
			for (const entry of ENTRIES) {
				const output = path.join(WORK, `${name}-${path.basename(entry.path)}`);
				const settings = { ...options, method: "svd" as const, rank: entry.dim ?? 32, allowLarger: true, threads: 1 };
				const report = await compile(path.join(FIXTURES, entry.path), output, settings);
				for (const { ran, outputs } of report.verification) {
					expect(ran, entry.path).toBe(true);
					expect(outputs.length, entry.path).toBeGreaterThan(0);
					for (const { relativeDifference } of outputs) expect(relativeDifference, entry.path).toBeLessThan(tolerance);
				}
				expect(new Set(report.factors.map(({ dtype }) => dtype)), entry.path).toEqual(new Set([options.dtype]));
			}
		});
	}
});
