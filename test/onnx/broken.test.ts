// Broken files: each one is refused with one line that names the reason, never with another error.
import { execFileSync } from "node:child_process";
import { readdirSync, symlinkSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { DistembError } from "../../src/errors.js";
import { openModel } from "../../src/onnx/index.js";
import { FIXTURES, temporaryFolder, withBytes } from "../support/models.js";
import { external, filled, fixed, float32, join, message, model, modelOf, node, number, raw, tensor } from "../support/wire.js";

const folder = temporaryFolder();
const file = path.join(folder, "model.onnx");

/** What opening `name` throws. */
function errorOf(name: string): DistembError {
	try {
		openModel(name).close();
	} catch (error) {
		if (error instanceof DistembError) return error;
		throw error;
	}
	throw new Error(`${name} was opened`);
}

/** The line in which the model with these bytes is refused. */
function lineOf(bytes: Uint8Array): string {
	try {
		withBytes(file, bytes, () => {});
	} catch (error) {
		if (error instanceof DistembError && error.code === "input") return error.toLine();
		throw error;
	}
	throw new Error("the model was opened");
}

const REASONS: Readonly<Record<string, RegExp>> = {
	cyclic: /cycle/,
	"dangling-input": /which nothing defines/,
	"deep-nesting": /nested more than/,
	"dims-overflow": /overflows/,
	"duplicate-names": /two nodes write/,
	empty: /is empty/,
	"endless-varint": /longer than 10 bytes/,
	"external-absolute": /absolute path/,
	"external-beyond-end": /which ends at/,
	"external-dotdot": /leads out of the folder/,
	"external-length-differs": /bytes of external data where its dimensions say/,
	"external-missing": /does not exist beside the model/,
	"external-negative-offset": /offset "-\d+", which is no whole number/,
	"external-no-location": /without a location/,
	"external-offset-not-a-number": /is no whole number/,
	"field-zero": /number 0/,
	"length-bomb": /announces 42949672\d\d bytes/,
	"negative-dims": /negative dimension/,
	"no-graph": /holds no graph/,
	"not-protobuf": /is not an ONNX model/,
	"opset-99": /opset 99/,
	"raw-length": /bytes where its dimensions say/,
	"recursive-function": /calls itself/,
	"truncated-60": /announces \d+ bytes where \d+ are left/,
	"truncated-last-byte": /where \d+ are left|beyond the end/,
	"typed-length": /numbers? where its dimensions say|bytes where its dimensions say/,
	"unknown-dtype": /data type 77/,
	"wire-type-7": /wire type 7/,
	zip: /is not an ONNX model/,
};

describe("committed broken files", () => {
	const names = readdirSync(path.join(FIXTURES, "broken")).filter((name) => name.endsWith(".onnx"));

	it("are_all_expected_here", () => {
		expect(names.map((name) => path.basename(name, ".onnx")).sort()).toEqual(Object.keys(REASONS).sort());
	});

	it.each(names)("%s is_refused_in_one_line_that_names_file_and_reason", (name) => {
		const full = path.join(FIXTURES, "broken", name);
		const error = errorOf(full);
		expect(error.code).toBe("input");
		expect(error.toLine()).not.toContain("\n");
		expect(error.toLine().startsWith(`${full}: `)).toBe(true);
		expect(error.message).toMatch(REASONS[path.basename(name, ".onnx")] ?? /^$/);
	});
});

describe("paths that are no model", () => {
	it("a_missing_file_a_path_below_a_file_and_a_folder_are_named", () => {
		expect(errorOf(path.join(folder, "none.onnx")).toLine()).toMatch(/none\.onnx: no such file/);
		withBytes(file, modelOf(), () => {});
		expect(errorOf(path.join(file, "below.onnx")).code).toBe("input");
		expect(errorOf(folder).message).toMatch(/is a directory/);
	});

	it("a_pipe_is_refused_without_waiting_for_a_writer", () => {
		const pipe = path.join(folder, "pipe.onnx");
		execFileSync("mkfifo", [pipe]);
		expect(errorOf(pipe).message).toMatch(/regular file/);
	});

	it("links_in_a_circle_and_devices_are_refused", () => {
		symlinkSync("loop.onnx", path.join(folder, "loop.onnx"));
		expect(errorOf(path.join(folder, "loop.onnx")).code).toBe("input");
		expect(errorOf("/dev/zero").message).toMatch(/regular file/);
	});
});

describe("models that are protobuf but not sound", () => {
	const io = join(message(11, message(1, "x")), message(12, message(1, "y")));
	const neg = message(1, node("Neg", ["x"], ["y"]));

	it.each([
		[
			"two_attributes_of_one_name",
			model(join(message(1, node("Neg", ["x"], ["y"], message(5, message(1, "a")), message(5, message(1, "a")))), io)),
			/two attributes "a"/,
		],
		["names_that_are_no_utf8", model(join(message(1, node("Neg", ["x"], ["y"], message(3, Uint8Array.of(0xff)))), io)), /utf-8/],
		["an_initializer_without_a_name", modelOf(tensor("", 1, [1], raw(float32(1)))), /has no name/],
		["a_node_without_operator", model(join(message(1, message(1, "x")), message(11, message(1, "x")))), /names no operator/],
		["an_initializer_twice", modelOf(tensor("t", 1, [1], raw(float32(1))), tensor("t", 1, [1], raw(float32(1)))), /defined twice/],
		["an_input_twice", model(join(message(11, message(1, "x")), io, neg)), /defined twice/],
		["an_output_that_nothing_defines", model(io), /nothing defines the output "y"/],
		["a_node_that_writes_an_input", model(join(io, message(1, node("Neg", ["x"], ["x"])), neg)), /cycle|defined twice/],
		["no_ir_version", join(message(7, join(neg, io)), message(8, number(2, 21))), /no IR version/],
		["a_domain_without_opset", model(join(message(1, node("Odd", ["x"], ["y"], message(7, "com.example"))), io)), /no operator set/],
		["opset_0", join(number(1, 8), message(7, join(neg, io)), message(8, number(2, 0))), /opset 0/],
		["a_group_of_protobuf_1", join(Uint8Array.of(0x0b, 0x0c), model(io)), /wire type 3/],
		["a_name_with_line_breaks", model(join(message(12, message(1, "a\nb\r\nc")))), /nothing defines the output/],
	])("%s is_refused", (_name, bytes, reason) => {
		const line = lineOf(bytes);
		expect(line).toMatch(reason);
		expect(line).not.toMatch(/[\n\r]/);
	});

	it("external_data_where_it_would_not_be_moved_is_refused", () => {
		const outside = tensor("t", 1, [2], external({ location: "data.bin" }));
		const list = message(5, message(1, "list"), number(20, 9), message(10, outside));
		const sparse = message(5, message(1, "sparse"), number(20, 11), message(22, message(1, outside)));
		const training = message(20, message(1, message(5, outside)));
		for (const bytes of [
			model(join(message(1, node("Odd", ["x"], ["y"], list)), io)),
			model(join(message(1, node("Odd", ["x"], ["y"], sparse)), io)),
			model(message(15, message(1, outside))),
			model(join(neg, io), training),
		]) {
			expect(() => withBytes(file, bytes, () => {})).toThrow(expect.objectContaining({ name: "DistembError", code: "refused" }));
		}
	});

	it("a_chain_of_5000_functions_is_no_reason_to_crash", () => {
		const definition = (index: number) =>
			message(
				25,
				message(1, `F${index}`),
				message(10, "local"),
				message(9, number(2, 21)),
				message(4, "a"),
				message(5, "b"),
				message(7, node(`F${index + 1}`, ["a"], ["b"], message(7, "local"))),
			);
		const chain = Array.from({ length: 5000 }, (_, index) => definition(index));
		const last = message(25, message(1, "F5000"), message(10, "local"), message(4, "a"), message(5, "a"));
		withBytes(file, model(join(neg, io), ...chain, last, message(8, message(1, "local"), number(2, 1))), ({ model: opened }) => {
			expect(opened.functions.length).toBe(5001);
		});
	});

	it("types_nested_3000_deep_are_refused", () => {
		let type = filled(0);
		for (let depth = 0; depth < 3000; depth++) type = message(4, message(1, type));
		expect(lineOf(model(message(11, message(1, "x"), message(2, type))))).toMatch(/is not an ONNX model/);
	});

	it("numbers_of_the_wrong_wire_type_are_carried_and_not_believed", () => {
		expect(lineOf(modelOf(join(fixed(2, filled(4)), message(8, "t"))))).toMatch(/data type 0/);
	});
});
