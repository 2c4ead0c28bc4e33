// Memory stays where it is while a training goes on; `npm run bench:long` looks at a longer one.
import path from "node:path";
import { describe, expect, it } from "vitest";
import { temporaryFolder } from "../support/models.js";
import { longRun, type Sample, slopeOf } from "./long-run.js";
import { LANGUAGE_MODEL, writeIds, writeModel } from "./support.js";

const work = temporaryFolder();

describe("a training of 600 steps", () => {
	it("grows_by_less_than_16_kiB_a_step_and_opens_no_files", async () => {
		const model = writeModel(path.join(work, "model.onnx"), LANGUAGE_MODEL);
		const data = writeIds(path.join(work, "ids.jsonl"));
		const samples = await longRun({ model, data, steps: 600, batch: 2, length: 16 }, 20);
		expect(samples.length).toBeGreaterThan(20);
		// A step's own tensors (ids, logits of both models, gradients) take 100 kB: one of them kept would show.
		expect(slopeOf(samples)).toBeLessThan(16 * 1024);
		expect(samples.at(-1)?.handles).toBe(samples[0]?.handles);
	}, 600_000);

	it("shows_growth_where_there_is_some", () => {
		const growing = Array.from(
			{ length: 30 },
			(_, index): Sample => ({ step: index * 20, resident: 1e8 + index * 20 * 30_000, handles: 0 }),
		);
		expect(slopeOf(growing)).toBeCloseTo(30_000, 3);
	});
});
