// Every pattern among the fixtures runs on inputs that are made without its recipe.
import path from "node:path";
import { describe, expect, it } from "vitest";
import { openModel } from "../../src/onnx/index.js";
import { runOnMadeInputs } from "../../src/runtime/attempts.js";
import { openSession } from "../../src/runtime/session.js";
import { readManifest } from "../zoo/manifest.js";

const FIXTURES = path.resolve(import.meta.dirname, "../../fixtures");
const entries = readManifest(FIXTURES).filter(
	(entry) => entry.expect !== "error" && entry.runs_in_ort_cpu !== false && entry.inputs.length > 0,
);

describe("made inputs", () => {
	it.each(entries.map((entry) => [entry.path, entry] as const))("run_%s", async (file, entry) => {
		const open = openModel(path.join(FIXTURES, file));
		const session = await openSession(open.path, { threads: 1 });
		try {
			const { runs, failures } = await runOnMadeInputs(session, open.model, { tokenInputs: new Map(), seed: 3 });
			expect(failures).toEqual([]);
			expect(runs.length).toBeGreaterThan(0);
			expect(Object.keys(runs[0]?.feeds ?? {}).sort()).toEqual(entry.inputs.map(({ name }) => name).sort());
		} finally {
			await session.close();
			open.close();
		}
	});
});
