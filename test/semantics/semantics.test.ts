// At full rank a rewritten model computes what the original does, however its vocabulary is disguised; and only what must be is refused.
// SEMANTICS_CASES=5000 SEMANTICS_SEED=7 npx vitest run test/semantics: more cases, others.
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { printModel } from "../../src/ir/print.js";
import { temporaryFolder } from "../support/models.js";
import { modelOf, textOf } from "./build.js";
import { type Disguise, disguises, truthOf } from "./disguise.js";
import { judge } from "./run.js";

const CASES = Number(process.env.SEMANTICS_CASES ?? 200);
const SEED = Number(process.env.SEMANTICS_SEED ?? 1);
const work = temporaryFolder();

/** The model as text, behind what it is made of. */
const shown = (disguise: Disguise) => `${JSON.stringify(disguise)}\n${printModel(modelOf(textOf(disguise)))}`;

describe("random disguises", () => {
	it("at_full_rank_compute_what_the_original_does_and_are_refused_only_where_they_must_be", async () => {
		const property = fc.asyncProperty(disguises, async (disguise) => {
			const problem = await judge(disguise, work);
			if (problem !== undefined) throw new Error(`${problem}\n${shown(disguise)}`);
		});
		await fc.assert(property, { seed: SEED, numRuns: CASES });
	}, 1_000_000);

	const plain: Disguise = {
		rows: 24,
		cols: 4,
		store: "plain",
		aliases: [],
		lookup: "gather",
		twice: false,
		masked: false,
		scaled: false,
		positions: false,
		head: "same",
		product: "matmul",
		endings: [],
		twoHeads: false,
		reader: "none",
		keepOtherReaders: false,
		seed: 0,
	};

	it("that_lose_a_dimension_are_told_from_the_original", async () => {
		expect(await judge(plain, work, 4)).toBeUndefined();
		expect(await judge(plain, work, 3)).toMatch(/^output ".*" differs by/);
	});

	it.each<[Partial<Disguise>, string]>([
		[{ reader: "reduce" }, "refused"],
		[{ reader: "reduce", keepOtherReaders: true }, "rewrite"],
		[{ reader: "dead" }, "rewrite"],
		[{ reader: "overridable", keepOtherReaders: true }, "refused"],
		[{ masked: true }, "refused"],
		[{ reader: "not a number" }, "input"],
	])("with_%j_are_%s_in_truth", (change, expected) => {
		expect(truthOf({ ...plain, ...change }).expected).toBe(expected);
	});

	it("are_of_every_kind_and_mostly_such_as_must_be_rewritten", () => {
		const sample = fc.sample(disguises, { seed: SEED, numRuns: 300 });
		const counts = (key: keyof Disguise) => new Set(sample.flatMap((disguise) => [disguise[key]].flat())).size;
		const keys = ["store", "aliases", "lookup", "head", "product", "endings", "reader"] as const;
		expect(keys.map(counts)).toEqual([5, 4, 7, 6, 5, 5, 9]);
		const rewritten = sample.filter((disguise) => truthOf(disguise).expected === "rewrite").length;
		expect(rewritten).toBeGreaterThan(150);
		expect(rewritten).toBeLessThan(290);
	});
});
