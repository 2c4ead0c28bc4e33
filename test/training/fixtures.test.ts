// Every committed model that the compiler rewrites: one step on random ids moves all factors, or the reason is a known one.
import path from "node:path";
import { describe, expect, it } from "vitest";
import { DistembError } from "../../src/errors.js";
import { FIXTURES } from "../support/models.js";
import { readManifest } from "../zoo/manifest.js";
import { bothOutputs, openLesson } from "./support.js";

/** What cannot be trained, and the beginning of why. */
const REFUSED: Readonly<Record<string, RegExp>> = {
	"patterns/decoy-classification-head.onnx": /not one row of scores per token/,
	"patterns/decoy-codebooks.onnx": /Invalid rank for input: codes/,
	"patterns/e03-greedy-search.onnx": /no output holds logits or states/,
	"patterns/e03-loop.onnx": /not one row of scores per token/,
	"patterns/e03-scan.onnx": /not one row of scores per token/,
	"patterns/head-only.onnx": /no input holds token ids/,
	"patterns/p03-gemm.onnx": /not one row of scores per token/,
	"patterns/p04-fused-gemm.onnx": /not one row of scores per token/,
	// Reshapes to the size that they were exported with.
	"patterns/p04-gemm-untransposed.onnx": /cannot be reshaped/,
	"patterns/typed-fields.onnx": /cannot be reshaped/,
	"patterns/unknown-operator-on-path.onnx": /com.vendor:Mixer\(-1\) is not a registered/,
};

/** The original rounds products to half precision (2⁻¹¹), the training graph does not. */
const ROUNDED: ReadonlySet<string> = new Set(["patterns/fp16-table-float-boundary.onnx"]);

const rewritten = readManifest(FIXTURES).filter(({ expect: expected }) => expected === "rewrite");

const trained = rewritten.filter(({ path: file }) => REFUSED[file] === undefined).map((entry) => [entry.path, entry] as const);

function inputOf({ path: file, bundle }: (typeof rewritten)[number]): string {
	return path.join(FIXTURES, bundle ?? file);
}

describe("training graphs of the fixtures", () => {
	it.each(trained)("%s_moves_all_factors", async (_path, entry) => {
		const { training, factors, untrainable, feeds, close } = await openLesson(inputOf(entry));
		const loss = await training.measure(feeds);
		const norms = [...training.gradients.values()].map((gradient) => Math.hypot(...gradient));
		await close();
		expect(untrainable).toEqual([]);
		expect(factors.length).toBeGreaterThan(0);
		expect(norms.length).toBe(factors.length);
		expect(Number.isFinite(loss)).toBe(true);
		for (const norm of norms) expect(norm).toSatisfy((length: number) => Number.isFinite(length) && length > 0);
	});

	it.each(trained)("%s_computes_what_the_original_computes", async (file, entry) => {
		const { batch, own, original } = await bothOutputs(inputOf(entry));
		expect(own.dims).toEqual(original.dims);
		const width = original.dims.at(-1) ?? 1;
		let [largest, difference] = [0, 0];
		for (const [index, value] of (original.data as Float32Array).entries()) {
			if (batch.weights[Math.floor(index / width)] === 0 || !Number.isFinite(value)) continue;
			largest = Math.max(largest, Math.abs(value));
			difference = Math.max(difference, Math.abs(value - Number(own.data[index])));
		}
		expect(difference / largest).toBeLessThan(ROUNDED.has(file) ? 2 ** -11 : 1e-5);
	});

	it.each(Object.entries(REFUSED))("%s_is_refused", async (file, reason) => {
		const error: unknown = await openLesson(path.join(FIXTURES, file)).catch((caught: unknown) => caught);
		expect(error).toBeInstanceOf(DistembError);
		expect(error).toMatchObject({ code: "refused", message: expect.stringMatching(reason) });
	});
});
