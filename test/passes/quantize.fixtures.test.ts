// Every fixture that can be rewritten, at full rank, in every form of storage: it runs, and is as near as the form allows.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { compile } from "../../src/index.js";
import { distinctBytes } from "../../src/ir/tensor.js";
import { openBundle } from "../../src/onnx/index.js";
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
	{ name: "columns", options: { dtype: "mixed" }, tolerance: 0.05 },
	{ name: "columns in blocks", options: { dtype: "mixed", ops: "onnxruntime" }, tolerance: 0.05 },
];

/** Milliseconds for all fixtures in one form, on a machine that does other things besides. */
const PATIENCE = 600_000;

/** Columns of different precision need Gathers of bytes. */
const CODED_OPSET = 11;

/** Its few directions differ ten thousandfold in what they cost: 8 bits of the largest lose more than there is in the smallest. */
const STEEP = "rank-deficient-table";

/** Of the default domain. */
function opsetOf(file: string): number {
	const bundle = openBundle(path.join(FIXTURES, file));
	try {
		return bundle.models[0]?.open.model.opset ?? 0;
	} finally {
		bundle.close();
	}
}

describe("fixtures", () => {
	it("are_many", () => {
		expect(ENTRIES.length).toBeGreaterThan(60);
	});

	for (const { name, options, tolerance } of FORMS) {
		it(
			`run with factors stored as ${name}`,
			async () => {
				for (const entry of ENTRIES) {
					if (options.dtype === "mixed" && (opsetOf(entry.path) < CODED_OPSET || entry.path.includes(STEEP))) continue;
					const output = path.join(WORK, `${name}-${path.basename(entry.path)}`);
					const size = options.dtype === "mixed" ? { ratio: 0.1 } : { rank: entry.dim ?? 32 };
					const settings = { ...options, ...size, method: "svd" as const, allowLarger: true, threads: 1 };
					const report = await compile(path.join(FIXTURES, entry.path), output, settings);
					for (const { ran, outputs } of report.verification) {
						expect(ran, entry.path).toBe(true);
						expect(outputs.length, entry.path).toBeGreaterThan(0);
						for (const { relativeDifference } of outputs) expect(relativeDifference, entry.path).toBeLessThan(tolerance);
					}
					expect(new Set(report.factors.map(({ dtype }) => dtype)), entry.path).toEqual(new Set([options.dtype]));
				}
			},
			PATIENCE,
		);
	}

	it.each(["standard", "onnxruntime"] as const)("share_columns_of_different_precision_between_files_in_%s_operators", async (ops) => {
		const output = path.join(WORK, `shared-${ops}`);
		const settings = { dtype: "mixed", ops, method: "svd", ratio: 0.5, allowLarger: true, threads: 1 } as const;
		const report = await compile(path.join(FIXTURES, "patterns/external-shared"), output, settings);
		for (const { relativeDifference } of report.verification.flatMap(({ outputs }) => outputs))
			expect(relativeDifference).toBeLessThan(0.05);
		const tensors = report.vocabularies.flatMap(({ copies }) => copies.map(({ tensor }) => tensor));
		const bundle = openBundle(output);
		try {
			const stored = bundle.models.map(({ open }) =>
				open.model.graph.initializers.flatMap(({ name, tensor }) =>
					tensors.some((table) => name.startsWith(`${table}.`)) && !name.includes("/") && tensor ? [tensor] : [],
				),
			);
			expect(stored.every((held) => held.length > 0)).toBe(true);
			expect(distinctBytes(stored.flat())).toBe(report.factors[0]?.bytes);
			expect(distinctBytes(stored[0] ?? []) + distinctBytes(stored[1] ?? [])).toBeGreaterThan(report.factors[0]?.bytes ?? 0);
		} finally {
			bundle.close();
		}
	});
});
