// plan: sizes without a conversion.
import { readdirSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { compile, plan } from "../src/index.js";
import { planText } from "../src/report/plan.js";

const FOLDER = path.resolve(import.meta.dirname, "../fixtures/sotu-lm");
const MODEL = path.join(FOLDER, "model.onnx");

describe("plan", () => {
	it("predicts_a_loss_that_rises_as_bytes_fall_and_writes_nothing", async () => {
		const before = readdirSync(FOLDER);
		const { sizes, vocabularyBytes, calibrated } = await plan(MODEL, { data: [path.join(FOLDER, "valid.npy")] });
		expect(sizes.map(({ size }) => size)).toEqual(["ratio 4", "ratio 8", "ratio 16", "ratio 32"]);
		expect(calibrated.source).toBe("data");
		for (const [index, size] of sizes.entries()) {
			expect(size.vocabularyBytes).toBeLessThanOrEqual(vocabularyBytes / 4 / 2 ** index);
			expect(size.predictedLoss).toBeGreaterThan(sizes[index - 1]?.predictedLoss ?? 0);
			expect(size.headMilliseconds).toBeGreaterThan(0);
		}
		expect(readdirSync(FOLDER)).toEqual(before);
	});

	it("predicts_no_loss_without_text_and_says_what_cannot_be_had", async () => {
		const report = await plan(MODEL, { ratios: [8, 1000] });
		expect(report.calibrated).toEqual({ source: "id order", tokens: 0 });
		expect(report.sizes[0]?.predictedLoss).toBeUndefined();
		expect(report.sizes[1]?.reason).toMatch(/cannot be coded/);
		expect(planText(report)).toMatch(/give --data/);
	});

	it("agrees_with_a_conversion_of_that_size", async () => {
		const [size] = (await plan(MODEL, { ratios: [8] })).sizes;
		const report = await compile(MODEL, path.join(FOLDER, "unwritten.onnx"), { ratio: 8, dtype: "mixed", dryRun: true });
		const vocabulary = report.vocabularies[0]?.bytes ?? 0;
		expect(vocabulary - report.predictedSavedBytes).toBeLessThanOrEqual(vocabulary / 8);
		expect(size?.vocabularyBytes).toBeLessThanOrEqual(vocabulary / 8);
	});

	it("takes_one_size_in_bytes", async () => {
		const { sizes } = await plan(MODEL, { targetSize: 4_200_000 });
		expect(sizes).toHaveLength(1);
		expect(sizes[0]?.fileBytes).toBeLessThanOrEqual(4_200_000);
	});
});
