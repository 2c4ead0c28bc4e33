// Data files in pieces: their numbers have no gaps, and config.json says how many there are.
import { copyFileSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { compile } from "../../src/index.js";
import { setTensor } from "../../src/ir/edit.js";
import { Tensor } from "../../src/ir/tensor.js";
import { openModel, StagedOutput } from "../../src/onnx/index.js";
import { configWithPieces, renumbered } from "../../src/onnx/pieces.js";
import { FIXTURES, temporaryFolder } from "../support/models.js";

const config = (setting: unknown) =>
	JSON.stringify({ model_type: "gpt2", "transformers.js_config": { use_external_data_format: setting } });
const settingIn = (text: string | undefined): unknown =>
	text === undefined ? undefined : JSON.parse(text)["transformers.js_config"].use_external_data_format;

describe("renumbered", () => {
	it("closes_gaps_in_order", () => {
		const locations = ["model.onnx_data_10", "model.onnx_data_2", "other.onnx_data", "model.onnx_data_x"];
		expect([...renumbered(locations, "onnx/model.onnx")]).toEqual([
			["model.onnx_data_2", "model.onnx_data"],
			["model.onnx_data_10", "model.onnx_data_1"],
		]);
	});
});

describe("config.json", () => {
	const models = [
		{ model: "encoder_model.onnx", before: 1, after: 1 },
		{ model: "decoder_model_merged_q4.onnx", before: 3, after: 2 },
	];

	it.each([
		[
			"a_number_by_file_name",
			{ "encoder_model.onnx": true, "decoder_model_merged_q4.onnx": 3 },
			{ "encoder_model.onnx": true, "decoder_model_merged_q4.onnx": 2 },
		],
		["a_number_by_short_name", { decoder_model_merged: 3 }, { decoder_model_merged: 3, "decoder_model_merged_q4.onnx": 2 }],
		["one_number_for_all", 3, { "encoder_model.onnx": 3, "decoder_model_merged_q4.onnx": 2 }],
	])("is_corrected_from_%s", (_, before, after) => {
		expect(settingIn(configWithPieces(config(before), models))).toEqual(after);
	});

	it.each([
		["what_it_says_holds", config({ "encoder_model.onnx": 1 })],
		["it_says_nothing", "{}"],
		["it_is_broken", "{"],
	])("stays_if_%s", (_, text) => {
		expect(configWithPieces(text, models)).toBeUndefined();
	});
});

describe("a compiled folder", () => {
	/** A folder with a model whose transposed copy of the table lies in a piece of its own. */
	async function folderWith(root: string, transposed: string, others: string): Promise<string> {
		const folder = path.join(root, "model");
		const inner = path.join(root, "model.onnx");
		copyFileSync(path.join(FIXTURES, "patterns/p01-matmul-transposed-twin.onnx"), inner);
		const open = openModel(inner);
		const [, twin] = open.model.graph.initializers.filter(({ tensor }) => tensor?.dims.length === 2).sort((a, b) => sizeOf(b) - sizeOf(a));
		for (const value of open.model.graph.initializers) {
			const { tensor } = value;
			if (tensor === undefined || tensor.dtype === "int64") continue;
			const location = value === twin ? transposed : others;
			setTensor(value, new Tensor(tensor.dtype, tensor.dims, tensor.data, { kind: "external", location }));
		}
		const staged = new StagedOutput(folder, "directory");
		await staged.write([{ open, name: "onnx/model.onnx" }]);
		await staged.commit();
		open.close();
		writeFileSync(path.join(folder, "config.json"), config({ "model.onnx": 2 }));
		return folder;
	}
	const sizeOf = ({ tensor }: { readonly tensor?: Tensor | undefined }) => tensor?.size ?? 0;

	it.each([
		["last", "model.onnx_data_1", "model.onnx_data"],
		["first", "model.onnx_data", "model.onnx_data_1"],
	])("has_one_piece_left_when_the_%s_held_only_a_copy_of_the_table", async (name, transposed, others) => {
		const root = path.join(temporaryFolder(), name);
		mkdirSync(root);
		const folder = await folderWith(root, transposed, others);
		expect(readdirSync(path.join(folder, "onnx")).sort()).toEqual(["model.onnx", "model.onnx_data", "model.onnx_data_1"]);
		const output = path.join(root, "small");
		await compile(folder, output, { rank: 4, method: "svd", allowLarger: true });
		expect(readdirSync(path.join(output, "onnx")).sort()).toEqual(["model.onnx", "model.onnx_data"]);
		expect(settingIn(readFileSync(path.join(output, "config.json"), "utf8"))).toEqual({ "model.onnx": 1 });
	});
});
