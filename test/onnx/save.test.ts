// Saving: the layout of external data is kept, nothing appears before it is complete, and failures leave no trace.
import {
	copyFileSync,
	cpSync,
	existsSync,
	mkdirSync,
	readdirSync,
	readFileSync,
	renameSync,
	rmSync,
	statSync,
	truncateSync,
	utimesSync,
	writeFileSync,
} from "node:fs";
import path from "node:path";
import { beforeEach, describe, expect, it } from "vitest";
import { type OpenModel, openModel, StagedOutput } from "../../src/onnx/index.js";
import { renamedLocation } from "../../src/onnx/layout.js";
import { SourceFile } from "../../src/onnx/source.js";
import { FIXTURES, soundFixtures, temporaryFolder, withModel } from "../support/models.js";
import { decodeByPeer, firstDifference, withPlainExternalData } from "../support/peer.js";
import { at, external, filled, float32, join, message, modelOf, raw, tensor } from "../support/wire.js";

const root = temporaryFolder();
let folder = root;
beforeEach(() => {
	folder = path.join(root, `${process.hrtime.bigint()}`);
	mkdirSync(folder);
});

/** Writes the models under the given names and moves them to `target`. */
async function save(
	target: string,
	kind: "file" | "directory",
	...models: readonly { open: OpenModel; name: string }[]
): Promise<StagedOutput> {
	const staged = new StagedOutput(target, kind);
	await staged.write(models);
	await staged.commit();
	return staged;
}

async function saveFile(input: string, target: string): Promise<void> {
	const open = openModel(input);
	await save(target, "file", { open, name: path.basename(target) });
	open.close();
}

/** Bytes of every tensor by its name in the main graph. */
const tensorsOf = (file: string) =>
	withModel(file, ({ model }) =>
		model.graph.initializers.map((value) => [value.name, Buffer.from(value.tensor?.bytes() ?? []).toString("base64")]),
	);

const locationsOf = (file: string) => at(readFileSync(file), 7, 5, 13, 2).map((text) => Buffer.from(text).toString());

describe("a saved model", () => {
	it.each(soundFixtures().filter((name) => /external|typed|sotu|fp16-int32|function/.test(name)))(
		"%s opens_again_with_equal_tensors",
		async (name) => {
			const input = path.join(FIXTURES, name);
			const output = path.join(folder, path.basename(name));
			await saveFile(input, output);
			expect(tensorsOf(output)).toEqual(tensorsOf(input));
			const [before, after] = [input, output].map((file) => withoutPlaces(withPlainExternalData(decodeByPeer(readFileSync(file)))));
			expect(firstDifference(before, after)).toBeUndefined();
		},
	);

	it("keeps_one_data_file_as_one_data_file", async () => {
		await saveFile(path.join(FIXTURES, "patterns/external-one-file/model.onnx"), path.join(folder, "model.onnx"));
		expect(readdirSync(folder).sort()).toEqual(["model.onnx", "model.onnx_data"]);
	});

	it("keeps_one_data_file_per_tensor", async () => {
		const input = path.join(FIXTURES, "patterns/external-per-tensor");
		await saveFile(path.join(input, "model.onnx"), path.join(folder, "model.onnx"));
		expect(readdirSync(folder).sort()).toEqual(readdirSync(input).sort());
	});

	it("stores_what_two_models_share_once", async () => {
		const input = path.join(FIXTURES, "patterns/external-shared");
		const models = ["decoder.onnx", "encoder.onnx"].map((name) => ({ name, open: openModel(path.join(input, name)) }));
		await save(path.join(folder, "out"), "directory", ...models);
		for (const { open } of models) open.close();
		expect(readdirSync(path.join(folder, "out")).sort()).toEqual(["decoder.onnx", "encoder.onnx", "shared.onnx_data"]);
		const size = (file: string) => statSync(file).size;
		expect(size(path.join(folder, "out/shared.onnx_data"))).toBeLessThan(size(path.join(input, "shared.onnx_data")) + 3 * 4096);
		for (const { name } of models) expect(tensorsOf(path.join(folder, "out", name))).toEqual(tensorsOf(path.join(input, name)));
	});

	it("writes_two_spellings_of_one_location_into_one_file", async () => {
		writeFileSync(path.join(folder, "w.bin"), filled(64));
		const part = (name: string, location: string, offset: number) => tensor(name, 2, [32], external({ location, offset: `${offset}` }));
		writeFileSync(path.join(folder, "m.onnx"), modelOf(part("a", "w.bin", 0), part("b", "./w.bin", 32)));
		mkdirSync(path.join(folder, "out"));
		await saveFile(path.join(folder, "m.onnx"), path.join(folder, "out/m.onnx"));
		expect(tensorsOf(path.join(folder, "out/m.onnx"))).toEqual(tensorsOf(path.join(folder, "m.onnx")));
		expect(readdirSync(path.join(folder, "out")).sort()).toEqual(["m.onnx", "w.bin"]);
	});

	it("moves_external_defaults_of_function_attributes_too", async () => {
		writeFileSync(path.join(folder, "w.bin"), filled(64));
		const value = message(11, message(1, "value"), message(5, tensor("", 2, [64], external({ location: "w.bin" }))));
		const definition = message(25, message(1, "F"), message(10, "local"), message(4, "a"), message(5, "a"), value);
		writeFileSync(path.join(folder, "m.onnx"), join(modelOf(), definition));
		await saveFile(path.join(folder, "m.onnx"), path.join(folder, "small.onnx"));
		const [location] = at(readFileSync(path.join(folder, "small.onnx")), 25, 11, 5, 13, 2);
		expect(Buffer.from(location ?? []).toString()).toBe("small.w.bin");
		expect(readFileSync(path.join(folder, "small.w.bin")).equals(filled(64))).toBe(true);
	});
});

/** Offsets may change when a data file is written anew. */
function withoutPlaces(decoded: unknown): unknown {
	if (typeof decoded !== "object" || decoded === null || decoded instanceof Uint8Array) return decoded;
	if (Array.isArray(decoded)) return decoded.map(withoutPlaces);
	return Object.fromEntries(
		Object.entries(decoded).map(([key, value]) => [
			key,
			key === "externalData" ? Object.keys(value as object).join() : withoutPlaces(value),
		]),
	);
}

describe("data file names", () => {
	it.each([
		["model.onnx_data", "model.onnx", "small.onnx", "small.onnx_data"],
		["model.onnx.data", "model.onnx", "small.onnx", "small.onnx.data"],
		["model_0.bin", "model.onnx", "small.onnx", "small_0.bin"],
		["weights.bin", "model.onnx", "small.onnx", "small.weights.bin"],
		["sub/model.bin", "model.onnx", "small.onnx", "sub/small.bin"],
		["models.bin", "model.onnx", "small.onnx", "small.models.bin"],
		["weights.bin", "model.onnx", "model.onnx", "weights.bin"],
		["model.bin", "in/model.onnx", "out/model.onnx", "model.bin"],
	])("%s of %s is for %s %s", (location, from, to, expected) => {
		expect(renamedLocation(location, from, to)).toBe(expected);
	});

	it("of_the_input_are_never_those_of_an_output_beside_it", async () => {
		const input = path.join(folder, "model.onnx");
		cpSync(path.join(FIXTURES, "patterns/external-per-tensor"), folder, { recursive: true });
		const before = readdirSync(folder).map((name) => [name, readFileSync(path.join(folder, name)).toString("base64")]);
		await saveFile(input, path.join(folder, "small.onnx"));
		for (const [name = "", bytes] of before) expect(readFileSync(path.join(folder, name)).toString("base64")).toBe(bytes);
		expect(locationsOf(path.join(folder, "small.onnx")).some((text) => text.startsWith("small."))).toBe(true);
	});
});

describe("appearing whole or not at all", () => {
	const fixture = path.join(FIXTURES, "patterns/external-one-file/model.onnx");

	it("nothing_stands_at_the_target_before_the_commit", async () => {
		const open = openModel(fixture);
		const staged = new StagedOutput(path.join(folder, "out.onnx"), "file");
		await staged.write([{ open, name: "out.onnx" }]);
		expect(readdirSync(folder).filter((name) => !name.startsWith("."))).toEqual([]);
		expect(withModel(staged.pathOf("out.onnx"), ({ model }) => model.graph.nodes.length)).toBe(open.model.graph.nodes.length);
		await staged.commit();
		open.close();
		expect(readdirSync(folder).sort()).toEqual(["out.onnx", "out.onnx_data"]);
	});

	it("a_discarded_output_leaves_no_trace", async () => {
		const open = openModel(fixture);
		const staged = new StagedOutput(path.join(folder, "out.onnx"), "file");
		await staged.write([{ open, name: "out.onnx" }]);
		staged.discard();
		open.close();
		expect(readdirSync(folder)).toEqual([]);
	});

	it("a_directory_is_replaced_as_a_whole", async () => {
		mkdirSync(path.join(folder, "out"));
		writeFileSync(path.join(folder, "out/old.txt"), "old");
		const open = openModel(fixture);
		const staged = new StagedOutput(path.join(folder, "out"), "directory");
		await staged.write([{ open, name: "model.onnx" }]);
		await expect(staged.commit()).rejects.toMatchObject({ code: "output", hint: expect.stringMatching("--overwrite") });
		expect(readdirSync(path.join(folder, "out"))).toEqual(["old.txt"]);
		await staged.commit(true);
		open.close();
		expect(readdirSync(path.join(folder, "out")).sort()).toEqual(["model.onnx", "model.onnx_data"]);
		expect(readdirSync(folder)).toEqual(["out"]);
	});

	it("a_data_file_that_stands_beside_the_output_is_not_replaced_unasked", async () => {
		writeFileSync(path.join(folder, "out.onnx_data"), "of another model");
		const open = openModel(fixture);
		const staged = new StagedOutput(path.join(folder, "out.onnx"), "file");
		await staged.write([{ open, name: "out.onnx" }]);
		await expect(staged.commit()).rejects.toMatchObject({ code: "output", at: path.join(folder, "out.onnx_data") });
		staged.discard();
		open.close();
		expect(readdirSync(folder)).toEqual(["out.onnx_data"]);
		expect(readFileSync(path.join(folder, "out.onnx_data"), "utf8")).toBe("of another model");
	});

	it("an_aborted_write_ends_as_interrupted", async () => {
		const open = openModel(fixture);
		const staged = new StagedOutput(path.join(folder, "out.onnx"), "file");
		const writing = staged.write([{ open, name: "out.onnx" }], { signal: AbortSignal.abort() });
		await expect(writing).rejects.toMatchObject({ code: "interrupted" });
		staged.discard();
		open.close();
		expect(readdirSync(folder)).toEqual([]);
	});
});

describe("targets that cannot be written", () => {
	it("a_missing_folder_and_a_folder_that_is_a_file_are_output_errors", () => {
		const file = path.join(folder, "file");
		writeFileSync(file, "");
		for (const target of [path.join(folder, "none/out.onnx"), path.join(file, "out.onnx"), path.join(file, "below/out.onnx")]) {
			expect(() => new StagedOutput(target, "file")).toThrow(expect.objectContaining({ name: "DistembError", code: "output" }));
		}
		expect(readdirSync(folder)).toEqual(["file"]);
	});

	it("a_folder_at_the_place_of_the_file_is_an_output_error_and_the_folder_stays", async () => {
		mkdirSync(path.join(folder, "out.onnx"));
		writeFileSync(path.join(folder, "out.onnx/kept.txt"), "kept");
		const open = openModel(path.join(FIXTURES, "patterns/e01-gather.onnx"));
		await expect(save(path.join(folder, "out.onnx"), "file", { open, name: "out.onnx" })).rejects.toMatchObject({ code: "output" });
		open.close();
		expect(readFileSync(path.join(folder, "out.onnx/kept.txt"), "utf8")).toBe("kept");
	});

	it("a_data_file_with_the_model's_own_name_is_refused_before_anything_is_written", () => {
		const bytes = modelOf(tensor("a", 2, [4], external({ location: "m.onnx" })));
		writeFileSync(path.join(folder, "m.onnx"), bytes);
		expect(() => openModel(path.join(folder, "m.onnx"))).toThrow(expect.objectContaining({ name: "DistembError" }));
	});
});

describe("a file that changes while it is read", () => {
	it.each<[string, (file: string) => void, "changed" | "removed" | undefined]>([
		["nothing", () => undefined, undefined],
		["its time", (file) => utimesSync(file, 1, 1), "changed"],
		["its size", (file) => writeFileSync(file, filled(101)), "changed"],
		[
			"another file in its place, of the same size and time",
			(file) => {
				const { atime, mtime } = statSync(file);
				writeFileSync(`${file}.new`, filled(100, 2));
				utimesSync(`${file}.new`, atime, mtime);
				renameSync(`${file}.new`, file);
			},
			"changed",
		],
		["its removal", (file) => rmSync(file), "removed"],
	])("is_noticed_by_%s", (_what, edit, expected) => {
		const file = path.join(folder, "f.bin");
		writeFileSync(file, filled(100));
		utimesSync(file, 1000, 1000);
		const source = new SourceFile(file);
		edit(file);
		expect(source.change()).toBe(expected);
		source.close();
	});

	it("and_became_shorter_is_an_input_error_when_its_payload_is_written", async () => {
		const file = path.join(folder, "m.onnx");
		writeFileSync(file, modelOf(tensor("t", 2, [5000], raw(filled(5000))), tensor("u", 1, [1], raw(float32(1)))));
		const open = openModel(file);
		truncateSync(file, 3000);
		const staged = new StagedOutput(path.join(folder, "out.onnx"), "file");
		await expect(staged.write([{ open, name: "out.onnx" }])).rejects.toMatchObject({ code: "input", at: file });
		staged.discard();
		open.close();
	});
});

describe("files that are no models", () => {
	it("are_copied_with_their_folders", async () => {
		const staged = new StagedOutput(path.join(folder, "out"), "directory");
		await staged.copy(path.join(FIXTURES, "sotu-lm/config.json"), "a/b/config.json");
		await staged.commit();
		copyFileSync(path.join(folder, "out/a/b/config.json"), path.join(folder, "copy"));
		expect(readFileSync(path.join(folder, "copy")).equals(readFileSync(path.join(FIXTURES, "sotu-lm/config.json")))).toBe(true);
		expect(existsSync(staged.folder)).toBe(false);
	});

	it("that_are_missing_are_an_input_error", async () => {
		const staged = new StagedOutput(path.join(folder, "out"), "directory");
		await expect(staged.copy(path.join(folder, "none"), "none")).rejects.toMatchObject({ code: "input", at: path.join(folder, "none") });
		staged.discard();
	});
});
