// External data: read by range where the model says, and never from outside the model's folder.
import { closeSync, linkSync, mkdirSync, openSync, symlinkSync, truncateSync, writeFileSync, writeSync } from "node:fs";
import path from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { wireDifference } from "../support/compare.js";
import { encodedInPlace, temporaryFolder, withBytes } from "../support/models.js";
import { external, filled, modelOf, tensor } from "../support/wire.js";

const outside = temporaryFolder();
const folder = path.join(outside, "model");
const file = path.join(folder, "model.onnx");
const data = filled(256);

beforeAll(() => {
	mkdirSync(path.join(folder, "sub"), { recursive: true });
	writeFileSync(path.join(outside, "secret.bin"), data);
	writeFileSync(path.join(folder, "data.bin"), data);
	writeFileSync(path.join(folder, "sub", "data.bin"), data);
	symlinkSync("data.bin", path.join(folder, "inside.bin"));
	symlinkSync("../secret.bin", path.join(folder, "escape.bin"));
	symlinkSync("..", path.join(folder, "up"));
	symlinkSync("nowhere.bin", path.join(folder, "dangling.bin"));
	linkSync(path.join(outside, "secret.bin"), path.join(outside, "second name.bin"));
});

/** The 16 bytes of a tensor whose external_data has these entries. */
function read(entries: Readonly<Record<string, string>>): Buffer {
	return withBytes(file, modelOf(tensor("t", 2, [16], external(entries))), ({ model }) =>
		Buffer.from(model.graph.initializers[0]?.tensor?.bytes() ?? []),
	);
}

const refusal = (reason: RegExp) =>
	expect.objectContaining({ name: "DistembError", code: "input", message: expect.stringMatching(reason) });

describe("locations", () => {
	it.each(["data.bin", "./data.bin", "sub/data.bin", "sub//data.bin", "inside.bin"])("%s is_read", (location) => {
		expect(read({ location, offset: "16", length: "16" }).equals(data.subarray(16, 32))).toBe(true);
	});

	it.each([
		["../secret.bin", /leads out of the folder/],
		["sub/../../secret.bin", /leads out of the folder/],
		["sub/../data.bin", /leads out of the folder/],
		["..", /leads out of the folder/],
		["/etc/hostname", /absolute path/],
		["..\\secret.bin", /no relative path/],
		["sub\\data.bin", /no relative path/],
		["C:data.bin", /no relative path/],
		["C:/data.bin", /no relative path/],
		["data.bin\0.txt", /no relative path/],
		["escape.bin", /link that leads out/],
		["up/secret.bin", /link that leads out/],
		["missing.bin", /does not exist/],
		["dangling.bin", /does not exist/],
		["sub", /no regular file/],
		[".", /no regular file/],
		["", /without a location/],
	])("%j is_refused", (location, reason) => {
		expect(() => read({ location, length: "16" })).toThrow(refusal(reason));
	});

	it("an_absolute_path_into_the_folder_itself_is_refused_too", () => {
		expect(() => read({ location: path.join(folder, "data.bin") })).toThrow(refusal(/absolute path/));
	});
});

describe("ranges", () => {
	it("start_at_0_and_have_the_length_of_the_dimensions_when_nothing_is_said", () => {
		expect(read({ location: "data.bin" }).equals(data.subarray(0, 16))).toBe(true);
	});

	it("may_end_exactly_at_the_end", () => {
		expect(read({ location: "data.bin", offset: "240" }).equals(data.subarray(240))).toBe(true);
	});

	it.each([
		["beyond the end", { offset: "241" }, /which ends at 256/],
		["far beyond the end", { offset: "9007199254740991" }, /which ends at 256/],
		["over 2^53", { offset: "9007199254740993" }, /no whole number/],
		["over 2^64", { offset: "18446744073709551617" }, /no whole number/],
		["negative", { offset: "-1" }, /no whole number/],
		["a word", { offset: "abc" }, /no whole number/],
		["empty", { offset: "" }, /no whole number/],
		["hexadecimal", { offset: "0x10" }, /no whole number/],
		["a fraction", { offset: "1.5" }, /no whole number/],
		["with an exponent", { offset: "1e2" }, /no whole number/],
		["too short", { length: "15" }, /15 bytes of external data where its dimensions say 16/],
		["too long", { length: "17" }, /17 bytes/],
		["with a negative length", { length: "-16" }, /no whole number/],
	])("%s are_refused", (_kind, entries, reason) => {
		expect(() => read({ location: "data.bin", ...entries })).toThrow(refusal(reason));
	});

	it("beyond_4_GiB_of_a_sparse_file_are_read", () => {
		const large = path.join(folder, "large.bin");
		const offset = 5 * 2 ** 30 + 64;
		writeFileSync(large, "");
		truncateSync(large, offset + 16);
		const descriptor = openSync(large, "r+");
		writeSync(descriptor, data, 32, 16, offset);
		closeSync(descriptor);
		expect(read({ location: "large.bin", offset: `${offset}`, length: "16" }).equals(data.subarray(32, 48))).toBe(true);
		expect(read({ location: "large.bin", offset: `${offset - 8}` }).equals(Buffer.concat([Buffer.alloc(8), data.subarray(32, 40)]))).toBe(
			true,
		);
	});
});

describe("what else an entry says", () => {
	it("checksums_and_keys_of_the_future_are_kept", () => {
		const bytes = modelOf(
			tensor("t", 2, [16], external({ location: "data.bin", offset: "16", length: "16", checksum: "abc", future: "yes" })),
		);
		expect(wireDifference(bytes, withBytes(file, bytes, encodedInPlace))).toBeUndefined();
	});

	it("a_data_file_is_opened_once_for_many_tensors", () => {
		const tensors = Array.from({ length: 2000 }, (_, index) =>
			tensor(`t${index}`, 2, [1], external({ location: "data.bin", offset: `${index % 256}` })),
		);
		withBytes(file, modelOf(...tensors), (open) => expect([...open.external.files.keys()]).toEqual(["data.bin"]));
	});
});
