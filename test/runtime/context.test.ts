// How many tokens a model can read: what a run shows.
import { copyFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { DistembError } from "../../src/errors.js";
import { compare, compile } from "../../src/index.js";
import { contextOf } from "../../src/runtime/decode/context.js";
import type { TextModel } from "../../src/runtime/decode/model.js";
import { temporaryFolder } from "../support/models.js";

/** A model that reads so many tokens, in rows of as many as it fixes. */
function reader(most: number, fixed: Partial<TextModel["fixed"]> = {}) {
	const tried: number[] = [];
	const forward = async ({ batch, length, ids }: { batch: number; length: number; ids: ArrayLike<number> }) => {
		expect(ids.length).toBe(batch * length);
		tried.push(length);
		if (length > most) throw new DistembError("engine", `indices element out of data bounds, idx=${most}`);
		return { count: length, width: 1, at: () => new Float32Array(1) };
	};
	const model = {
		kind: "causal",
		fixed: { batch: undefined, length: undefined, source: undefined, ...fixed },
		forward,
		encode: async () => fail(),
	} as const;
	return { tried, model };
}

function fail(): never {
	throw new Error("a language model has no source");
}

describe("context", () => {
	it.each([2, 3, 127, 128, 130, 255])("of_%s_tokens_is_found", async (most) => {
		const { model, tried } = reader(most);
		expect(await contextOf(model)).toBe(most);
		expect(tried.length).toBeLessThan(10);
	});

	it("is_not_sought_beyond_what_is_read_unasked", async () => {
		const { model, tried } = reader(256, { batch: 3 });
		expect(await contextOf(model)).toBeUndefined();
		expect(tried).toEqual([256]);
	});

	it("is_the_graph_s_own_matter_where_it_fixes_the_length", async () => {
		const { model, tried } = reader(2, { length: 64 });
		expect(await contextOf(model)).toBeUndefined();
		expect(tried).toEqual([]);
	});

	it("other_errors_are_errors", async () => {
		const broken = { ...reader(2).model, forward: async () => fail() };
		await expect(contextOf(broken)).rejects.toThrow("no source");
	});

	it("of_a_model_that_comes_without_its_config_limits_the_windows", async () => {
		const model = path.join(temporaryFolder(), "model.onnx");
		copyFileSync("fixtures/sotu-lm/model.onnx", model);
		const asked = compare(model, model, { data: ["fixtures/sotu-lm/test.npy"], window: 200, footprint: false });
		await expect(asked).rejects.toMatchObject({ code: "usage", message: expect.stringMatching(/longer than the model's context of 128/) });
	});

	it("of_such_a_model_limits_what_it_is_trained_on", async () => {
		const folder = temporaryFolder();
		const [model, data] = [path.join(folder, "model.onnx"), path.join(folder, "ids.jsonl")];
		copyFileSync("fixtures/sotu-lm/model.onnx", model);
		const documents = Array.from({ length: 40 }, (_d, start) => Array.from({ length: 200 }, (_t, at) => (7 * start + 13 * at) % 6000));
		writeFileSync(data, documents.map((ids) => JSON.stringify(ids)).join("\n"));
		const options = { rank: 8, method: "paper", data: [data], steps: 1, batch: 1, length: 200, threads: 1 } as const;
		const { training } = await compile(model, path.join(folder, "small.onnx"), options);
		expect(training?.tokens).toBe(128);
	});
});
