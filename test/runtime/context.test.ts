// How many tokens a model can read: what a run shows.
import { copyFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { DistembError } from "../../src/errors.js";
import { compare } from "../../src/index.js";
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
});
