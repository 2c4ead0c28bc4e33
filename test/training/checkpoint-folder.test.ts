// A checkpoint comes back as it was saved; what is not whole, or not of this training, is refused by name.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { loadArrays, saveArrays } from "../../src/data/arrays.js";
import type { Checkpoint, CheckpointFacts } from "../../src/training/checkpoint.js";
import { CHECKPOINT_NAME, checkpointFolder } from "../../src/training/checkpoint-folder.js";

const root = mkdtempSync(path.join(tmpdir(), "distemb-checkpoint-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));

const FACTS: CheckpointFacts = {
	run: "factors of a small model",
	phase: 1,
	held: 4,
	step: 12,
	updates: 7,
	epoch: 0,
	batch: 12,
	seconds: 3.5,
	tokens: 768,
	rollbacks: 1,
	plateaus: 0,
	firstLoss: 2.25,
	lossSum: 4.5,
	lossCount: 2,
	best: { step: 10, updates: 5, validation: 0.125 },
	stale: 0,
	curve: [{ phase: "all", step: 0, seconds: 0, loss: 2.25, validation: 0.5, rate: 0 }],
};
const CHECKPOINT: Checkpoint = { facts: FACTS, arrays: new Map([["values/wte.left", Float32Array.of(1, 2, 3)]]) };
const IDENTITY = { model: "a hash", "--rank": "4" };

/** A folder in which a checkpoint with these facts was saved. */
async function savedWith(checkpoint: Checkpoint): Promise<string> {
	const folder = mkdtempSync(path.join(root, "case-"));
	await checkpointFolder(folder, IDENTITY, undefined).save(checkpoint);
	return folder;
}

const resumed = (folder: string, identity: Readonly<Record<string, string>> = IDENTITY) =>
	checkpointFolder(folder, identity, folder).load();

describe("a checkpoint", () => {
	it("comes_back_as_it_was_saved", async () => {
		expect(await resumed(await savedWith(CHECKPOINT))).toEqual(CHECKPOINT);
	});

	it("without_a_finite_validation_so_far_comes_back_with_one_that_any_other_beats", async () => {
		const best = { ...FACTS.best, validation: Number.POSITIVE_INFINITY };
		const kept = await resumed(await savedWith({ ...CHECKPOINT, facts: { ...FACTS, held: undefined, firstLoss: undefined, best } }));
		expect(kept?.facts.best.validation).toBe(Number.POSITIVE_INFINITY);
		expect(kept?.facts.firstLoss).toBeUndefined();
	});

	it.each([
		["phase", -1],
		["phase", 0.5],
		["step", "12"],
		["updates", undefined],
		["batch", 2 ** 60],
		["held", -4],
		["firstLoss", null],
		["lossSum", "4.5"],
		["seconds", null],
		["run", 3],
		["best", null],
		["best", { ...FACTS.best, step: -1 }],
		["best", { ...FACTS.best, validation: "low" }],
		["curve", {}],
		["curve", [1]],
	])("whose_%s_is_%j_is_refused_as_damaged", async (name, value) => {
		const folder = await savedWith(CHECKPOINT);
		const file = path.join(folder, CHECKPOINT_NAME);
		const kept = await loadArrays(file);
		const facts = { ...(kept?.facts as object), training: { ...FACTS, [name]: value } };
		await saveArrays(file, { facts, arrays: CHECKPOINT.arrays });
		await expect(resumed(folder)).rejects.toMatchObject({ code: "input", message: expect.stringContaining("damaged checkpoint") });
	});

	it.each([
		[{ ...IDENTITY, "--rank": "8" }, "was made with --rank 4, not 8"],
		[{ model: "a hash" }, "was made with --rank 4, not left out"],
		[{ ...IDENTITY, model: "another hash" }, "belongs to another model"],
	])("of_another_training_is_refused_by_name_%#", async (identity, message) => {
		const folder = await savedWith(CHECKPOINT);
		await expect(resumed(folder, identity as Readonly<Record<string, string>>)).rejects.toMatchObject({
			code: "usage",
			message: expect.stringContaining(message),
		});
	});
});
