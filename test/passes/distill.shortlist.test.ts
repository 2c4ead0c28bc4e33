// Tokens whose logits a step looks at: all frequent ones, what is right, and some that stand for the others.
import { describe, expect, it } from "vitest";
import { INPUTS } from "../../passes/distill/objective.js";
import { Shortlist, shortlistSize } from "../../passes/distill/shortlist.js";
import { uniform } from "../../src/random.js";

const VOCABULARY = 20_000;
const counts = Float64Array.from({ length: VOCABULARY }, (_, id) => VOCABULARY - id);
const labels = Int32Array.of(19_999, -1, 3, 19_998, 19_999);
const SIZE = 6000;

describe("shortlistSize", () => {
	it("is_none_for_small_vocabularies", () => {
		expect(shortlistSize(28_000, 1024)).toBeUndefined();
		expect(shortlistSize(28_672, 1024)).toBe(7168);
		expect(shortlistSize(300_000, 100_000)).toBe(10_240);
	});
});

describe("Shortlist", () => {
	it("holds_what_is_right_and_what_is_frequent_once_each", () => {
		const { ids, places } = new Shortlist(counts).draw(SIZE, labels, 1);
		expect(new Set(ids).size).toBe(SIZE);
		expect([...places].map((place) => (place < 0 ? -1 : ids[place]))).toEqual([...labels]);
		for (let id = 0; id < 4096; id++) expect(ids).toContain(id);
	});

	it("lets_drawn_tokens_stand_for_those_that_are_missing", () => {
		const random = uniform(5);
		const weights = Float64Array.from({ length: VOCABULARY }, () => random());
		const all = weights.reduce((sum, weight) => sum + weight, 0);
		const shortlist = new Shortlist(counts);
		const sums = Array.from({ length: 200 }, (_, seed) => {
			const { ids, offsets } = shortlist.draw(SIZE, labels, seed);
			return ids.reduce((sum, id, at) => sum + (weights[id] ?? 0) * Math.exp(offsets[at] ?? 0), 0);
		});
		const mean = sums.reduce((total, sum) => total + sum, 0) / sums.length;
		expect(Math.abs(mean / all - 1)).toBeLessThan(2e-3);
		expect(Math.max(...sums.map((sum) => Math.abs(sum / all - 1)))).toBeGreaterThan(2e-3);
	});

	it("is_the_same_for_the_same_seed_whatever_was_drawn_before", () => {
		const [one, other] = [new Shortlist(counts), new Shortlist(counts)];
		other.draw(SIZE, labels, 7);
		expect(other.draw(SIZE, labels, 1)).toEqual(one.draw(SIZE, labels, 1));
		expect(other.draw(SIZE, labels, 2).ids).not.toEqual(one.draw(SIZE, labels, 1).ids);
	});

	it("feeds_ids_offsets_and_places_of_labels", () => {
		const feeds = new Shortlist(counts).feeds(SIZE, labels, 1);
		expect(Object.values(feeds).map(({ dtype, dims }) => `${dtype} ${dims}`)).toEqual([`int64 ${SIZE}`, `float32 ${SIZE}`, "int64 5"]);
		expect(Number(feeds[INPUTS.shortlist.labels]?.data[1])).toBe(-1);
	});
});
