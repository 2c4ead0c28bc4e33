// States at the head of a merged decoder, which has a projection in each branch: trained on them alone, and without them where the original gives none.
import { cpSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { DistembError } from "../../src/errors.js";
import { type CompileOptions, compile } from "../../src/index.js";
import { FIXTURES } from "../support/models.js";

vi.mock("../../src/training/original.js", async (original) => ({
	...(await original<typeof import("../../src/training/original.js")>()),
	openWholeOriginal: () => Promise.reject(new DistembError("refused", "no states today")),
}));

let work: string;
beforeAll(() => {
	work = mkdtempSync(path.join(tmpdir(), "distemb-states-"));
	cpSync(path.join(FIXTURES, "numbers-translator"), path.join(work, "in"), { recursive: true });
	const numbers = ["one\tum", "two\tdois", "three\ttrês", "four\tquatro", "five\tcinco", "six\tseis", "seven\tsete", "eight\toito"];
	// Backwards, as the original never says it: what it is sure of, no change of its table is predicted to harm.
	const lines = numbers.map((pair, at) => `${pair} e ${numbers[(at + 3) % numbers.length]?.split("\t")[1]} e trinta\n`);
	writeFileSync(path.join(work, "pairs.tsv"), [...lines, ...lines, ...lines].join(""));
});
afterAll(() => {
	rmSync(work, { recursive: true, force: true });
});

describe("states at the head", () => {
	const run = async (name: string, own: CompileOptions = {}) => {
		const options = { rank: 2, dtype: "float32", data: [path.join(work, "pairs.tsv")], steps: 1, batch: 2, length: 8, ...own } as const;
		const { passes, training } = await compile(path.join(work, "in"), path.join(work, name), options);
		return { log: passes.find((pass) => pass.name === "distill")?.log ?? [], curve: training?.curve ?? [] };
	};

	it("are_what_a_head_is_trained_on_alone", async () => {
		const { curve } = await run("head", { phases: ["head"], steps: 8 });
		expect(new Set(curve.map(({ phase }) => phase))).toEqual(new Set(["head"]));
		expect(curve.at(-1)?.validation).toBeLessThan(curve[0]?.validation ?? 0);
	}, 60_000);

	it("are_left_out_where_the_original_does_not_give_them", async () => {
		const { log, curve } = await run("default");
		expect(log).toContainEqual(expect.stringMatching(/states at the head are not compared: .*no states today/));
		expect(curve.at(-1)?.step).toBe(1);
	}, 60_000);

	it("are_missed_by_name_where_they_were_asked_for", async () => {
		await expect(run("asked", { loss: { states: 1 } })).rejects.toMatchObject({ code: "refused", message: "no states today" });
	}, 60_000);
});
