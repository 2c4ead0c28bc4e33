// Configurations: found, loaded in every form, and refused by name.
import { mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { loadConfig } from "../../src/index.js";
import { temporaryFolder } from "../support/models.js";

const root = temporaryFolder();
const home = process.cwd();
let count = 0;
beforeEach(() => {
	const work = path.join(root, String(count++));
	mkdirSync(work);
	process.chdir(work);
});
afterEach(() => process.chdir(home));

const SMALL = { input: "model.onnx", output: "small.onnx", rank: 8 };

describe("a_configuration", () => {
	it.each([
		["distemb.config.json", JSON.stringify({ $schema: "./config.schema.json", models: { small: SMALL } })],
		["distemb.config.js", `module.exports = { models: { small: ${JSON.stringify(SMALL)} } };`],
		["distemb.config.js", `export default { models: { small: ${JSON.stringify(SMALL)} } };`],
		[
			"distemb.config.ts",
			`import { type DistembConfig, defineConfig } from "onnx-distemb";
			const rank: number = 8;
			export default defineConfig({ models: { small: { input: "model.onnx", output: "small.onnx", rank } } } satisfies DistembConfig);`,
		],
	])("is_found_as_%s", async (name, text) => {
		writeFileSync(name, text);
		const { file, folder, config } = await loadConfig();
		expect([file, folder, config.models]).toEqual([name, ".", { small: SMALL }]);
	});

	it("is_loaded_from_where_it_is_named", async () => {
		mkdirSync("models");
		writeFileSync("models/own.json", JSON.stringify({ models: { small: SMALL } }));
		expect(await loadConfig("models/own.json")).toMatchObject({ folder: "models" });
	});

	it("is_read_anew_each_time", async () => {
		for (const rank of [4, 5]) {
			writeFileSync("distemb.config.ts", `export default { models: { small: ${JSON.stringify({ ...SMALL, rank })} } };`);
			expect((await loadConfig()).config.models.small?.rank).toBe(rank);
		}
	});

	it("must_be_there_and_only_once", async () => {
		await expect(loadConfig()).rejects.toMatchObject({ code: "input", hint: expect.stringMatching("--config") });
		await expect(loadConfig("own.json")).rejects.toMatchObject({ code: "input", at: "own.json" });
		for (const name of ["distemb.config.json", "distemb.config.js"]) writeFileSync(name, "{}");
		await expect(loadConfig()).rejects.toMatchObject({ code: "usage", message: "there are distemb.config.js and distemb.config.json" });
	});

	it.each([
		["distemb.config.json", "{"],
		["distemb.config.ts", "export default {"],
		["distemb.config.ts", 'throw new Error("no such folder")'],
	])("that_cannot_be_loaded_is_named_%s", async (name, text) => {
		writeFileSync(name, text);
		await expect(loadConfig()).rejects.toMatchObject({ code: "input", at: name, message: expect.stringMatching(/^cannot be loaded: .+/) });
	});

	it.each<[string, unknown, string, (string | RegExp)?]>([
		["no_object", 7, "the configuration must be an object, not 7"],
		["nothing", {}, 'the configuration has no "models"'],
		["no_model", { models: {} }, "models is empty"],
		["a_key_of_its_own", { model: {}, models: {} }, 'unknown key "model" in the configuration', 'did you mean "models"?'],
		["a_mistyped_key", { models: { small: { ...SMALL, rnak: 4 } } }, 'unknown key "rnak" in models.small', 'did you mean "rank"?'],
		["a_run's_option", { models: { small: { ...SMALL, overwrite: true } } }, 'unknown key "overwrite" in models.small', /^known are /],
		["no_output", { models: { small: { input: "model.onnx" } } }, 'models.small has no "output"'],
		["a_text_as_number", { models: { small: { ...SMALL, rank: "8" } } }, 'models.small.rank must be a number, not "8"'],
		[
			"a_wrong_choice",
			{ models: { small: { ...SMALL, method: "magic" } } },
			'models.small.method must be "distemb", "paper" or "svd", not "magic"',
		],
		[
			"a_wrong_alternative",
			{ models: { small: { ...SMALL, blocks: "many" } } },
			'models.small.blocks must be a number or "auto", not "many"',
		],
		["a_list_of_numbers", { models: { small: { ...SMALL, data: ["a.txt", 1] } } }, "models.small.data[1] must be a text, not 1"],
		[
			"no_size",
			{ models: { small: { input: "a", output: "b", targetSize: "big" } } },
			'models.small: targetSize "big" is no size; write it like 20MB, 1.5GiB or 300000',
		],
		["two_sizes", { models: { small: { ...SMALL, ratio: 2 } } }, "models.small: --rank and --ratio exclude each other"],
		[
			"a_gate_without_data",
			{ models: { small: { ...SMALL, maxPerplexityIncrease: "1%" } } },
			"models.small: --max-perplexity-increase is measured on held-out data",
		],
		[
			"one_output_twice",
			{ models: { small: SMALL, other: { ...SMALL, output: "./small.onnx" } } },
			"models.small and models.other have the same output",
		],
	])("is_refused_with_%s", async (_, config, message, hint = /^|/) => {
		writeFileSync("distemb.config.json", JSON.stringify(config));
		const error = await loadConfig().catch((reason: unknown) => reason);
		// A number is no JSON object: the file is refused before its contents are.
		if (typeof config !== "object") expect(error).toMatchObject({ code: "input", message: expect.stringMatching("is no JSON object") });
		else expect(error).toMatchObject({ code: "usage", at: "distemb.config.json", message });
		expect((error as { hint?: string }).hint ?? "").toMatch(hint);
	});
});
