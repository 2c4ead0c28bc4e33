// What newer exporters write: fields of a future schema, metadata, overloads, devices, small types. Nothing of it may get lost.
import path from "node:path";
import { describe, expect, it } from "vitest";
import { wireDifference } from "../support/compare.js";
import { roundTrip, temporaryFolder, withBytes } from "../support/models.js";
import { at, entry, fields, filled, fixed, float32, join, message, model, modelOf, node, number, raw, tensor } from "../support/wire.js";

const file = path.join(temporaryFolder(), "model.onnx");
const FUTURE = 8000;
const unknown = (text: string) =>
	join(message(FUTURE, text), number(FUTURE, 7), fixed(FUTURE, float32(1.5)), fixed(FUTURE, filled(8)), message(FUTURE, ""));
const input = (name: string, ...rest: Uint8Array[]) => message(11, message(1, name), floats(2), ...rest);
const output = (name: string, ...rest: Uint8Array[]) => message(12, message(1, name), floats(2), ...rest);
const floats = (...dims: number[]) => message(2, message(1, number(1, 1), message(2, ...dims.map((dim) => message(1, number(1, dim))))));

/** The round trip of a model keeps every field. */
function expectKept(bytes: Uint8Array): void {
	expect(wireDifference(bytes, roundTrip(file, bytes))).toBeUndefined();
}

describe("fields of a future schema", () => {
	const table = tensor("table", 1, [4], raw(float32(1, 2, 3, 4)), unknown("tensor"));
	const large = tensor("large", 1, [400], raw(filled(1600)), unknown("large tensor"));
	const constant = message(
		5,
		message(1, "value"),
		number(20, 4),
		message(5, tensor("c", 1, [2], raw(float32(1, 2)), unknown("inner tensor"))),
	);
	const attribute = message(5, message(1, "axis"), number(20, 2), number(3, 1), unknown("attribute"));
	const branch = join(
		message(2, "then"),
		message(1, node("Neg", ["x"], ["y"]), unknown("inner node")),
		message(12, message(1, "y")),
		unknown("body"),
	);
	const body = message(5, message(1, "then_branch"), number(20, 5), message(6, branch), unknown("graph attribute"));
	const bytes = model(
		join(
			message(1, node("Softmax", ["x"], ["s"], attribute), unknown("node")),
			message(1, node("Constant", [], ["k"], constant)),
			message(1, node("If", ["cond"], ["o"], body)),
			message(5, table),
			message(5, large),
			input("x", unknown("value info")),
			input("cond"),
			output("s"),
			output("o"),
			unknown("graph"),
		),
		unknown("model"),
	);

	it.each([
		["model", []],
		["graph", [7]],
		["node", [7, 1]],
		["attribute", [7, 1, 5]],
		["attribute with a graph", [7, 1, 5]],
		["body", [7, 1, 5, 6]],
		["inner node", [7, 1, 5, 6, 1]],
		["tensor", [7, 5]],
		["large tensor", [7, 5]],
		["inner tensor", [7, 1, 5, 5]],
		["value info", [7, 11]],
	])("survives_in_a_%s", (_name, route) => {
		const future = (source: Uint8Array) =>
			at(source, ...route).map((holder) =>
				fields(holder)
					.filter(({ field }) => field === FUTURE)
					.map(({ wire, bytes: held }) => [wire, ...held]),
			);
		const before = future(bytes);
		expect(before.flat().length).toBeGreaterThan(0);
		expect(future(roundTrip(file, bytes))).toEqual(before);
	});

	it("keeps_all_else_beside_them", () => expectKept(bytes));

	it("survives_a_second_round_trip", () => {
		const once = roundTrip(file, bytes);
		expect(Buffer.compare(roundTrip(file, once), once)).toBe(0);
	});
});

describe("fields that IR 8 does not know", () => {
	it("keeps_metadata_of_nodes_values_tensors_graphs_and_functions", () => {
		const definition = join(message(1, "F"), message(4, "a"), message(5, "b"), message(10, "local"), message(9, number(2, 21)));
		expectKept(
			model(
				join(
					message(1, node("Neg", ["x"], ["y"]), entry(9, "namespace", "model/neg"), entry(9, "namespace", "twice")),
					message(5, tensor("t", 1, [1], raw(float32(1)), entry(16, "quant", "no"))),
					input("x", entry(4, "role", "ids")),
					output("y", entry(4, "", "")),
					message(13, message(1, "t"), floats(1), entry(4, "k", "v")),
					entry(16, "graph", "yes"),
				),
				message(25, definition, message(7, node("Neg", ["a"], ["b"])), entry(14, "function", "yes"), message(13, "variant")),
				entry(14, "model", "yes"),
				message(8, message(1, "local"), number(2, 1)),
			),
		);
	});

	it("keeps_overloads", () => {
		const definition = (overload: string) =>
			message(
				25,
				...[message(1, "F"), message(10, "local"), message(13, overload), message(4, "a"), message(5, "b"), message(9, number(2, 21))],
				message(7, node("Neg", ["a"], ["b"])),
			);
		const call = (overload: string, to: string) => message(1, node("F", ["x"], [to], message(7, "local"), message(8, overload)));
		const graph = join(call("one", "y"), call("two", "z"), input("x"), output("y"), output("z"));
		const bytes = model(graph, definition("one"), definition("two"), message(8, message(1, "local"), number(2, 1)));
		expectKept(bytes);
		withBytes(file, bytes, (open) => expect(open.model.functions.map(({ overload }) => overload)).toEqual(["one", "two"]));
	});

	it("keeps_device_configurations", () => {
		const sharding = message(
			2,
			message(1, "x"),
			number(2, 0),
			number(2, 1),
			message(4, number(1, 0), message(2, number(1, 2), number(3, 2))),
		);
		const configuration = message(10, message(1, "conf"), sharding, number(3, 1));
		const graph = join(message(1, node("Neg", ["x"], ["y"]), configuration), input("x"), output("y"));
		expectKept(model(graph, message(26, message(1, "conf"), number(2, 2), message(3, "cpu"), message(3, "gpu"))));
	});

	it.each([
		["uint4", 21, 3],
		["int4", 22, 3],
		["float4e2m1", 23, 3],
		["uint2", 25, 2],
		["int2", 26, 2],
		["float8e4m3fn", 17, 5],
		["float8e4m3fnuz", 18, 5],
		["float8e5m2", 19, 5],
		["float8e5m2fnuz", 20, 5],
		["float8e8m0", 24, 5],
		["bfloat16", 16, 10],
	])("keeps_five_elements_of_type_%s", (name, code, bytes) => {
		const contents = filled(bytes);
		const source = modelOf(tensor("t", code, [5], raw(contents)));
		expectKept(source);
		withBytes(file, source, ({ model: opened }) => {
			expect(opened.graph.initializers[0]?.tensor?.dtype).toBe(name);
			expect(Buffer.from(opened.graph.initializers[0]?.tensor?.bytes() ?? [])).toEqual(Buffer.from(contents));
		});
	});
});

describe("fields that the compiler has no use for", () => {
	it("keeps_training_information_with_large_tensors", () => {
		const training = message(1, message(2, "init"), message(5, tensor("t", 1, [500], raw(filled(2000)))));
		expectKept(model(join(input("x"), output("x")), message(20, training, entry(3, "t", "x"))));
	});

	it("keeps_sparse_initializers_with_large_values", () => {
		const sparse = join(
			message(1, tensor("s", 1, [300], raw(filled(1200)))),
			message(2, tensor("", 7, [300], raw(filled(2400)))),
			number(3, 9000),
		);
		expectKept(model(message(15, sparse)));
	});

	it("keeps_lists_of_tensors_and_of_sparse_tensors_in_attributes", () => {
		const large = tensor("a", 1, [300], raw(filled(1200)));
		const attribute = message(5, message(1, "list"), number(20, 9), message(10, large), message(10, large), unknown("list"));
		const sparse = message(5, message(1, "sparse"), number(20, 11), message(22, message(1, large), message(2, large), number(3, 4)));
		expectKept(model(join(message(1, node("Odd", ["x"], ["y"], attribute, sparse)), input("x"), output("y"))));
	});

	it("keeps_defaults_of_function_attributes_with_large_tensors", () => {
		const value = message(11, message(1, "value"), number(20, 4), message(5, tensor("", 1, [300], raw(filled(1200)))));
		const definition = join(message(1, "F"), message(10, "local"), message(4, "a"), message(5, "a"), value, message(9, number(2, 21)));
		expectKept(model(join(input("x"), output("x")), message(25, definition)));
	});

	it("keeps_quantization_annotations_types_and_doc_strings", () => {
		const sequence = message(2, message(4, message(1, message(1, number(1, 7)))), message(6, "TEXT"));
		expectKept(
			model(
				join(
					message(11, message(1, "x"), sequence, message(3, "a list of ids")),
					message(12, message(1, "x"), sequence),
					message(14, message(1, "x"), entry(2, "SCALE_TENSOR", "s")),
					message(10, "graph doc"),
				),
				message(6, "model doc"),
				message(2, "producer"),
				number(5, -1),
			),
		);
	});
});

describe("order and presence", () => {
	it("keeps_the_order_of_value_info_entries_that_describe_inputs_and_nothing", () => {
		const info = (name: string, dim: number) => message(13, message(1, name), floats(dim));
		const entries = [info("gone", 1), info("y", 2), info("x", 2), info("z", 3), info("also gone", 4), info("y", 5)];
		expectKept(
			model(join(message(1, node("Neg", ["x"], ["y"])), message(1, node("Neg", ["y"], ["z"])), input("x"), output("z"), ...entries)),
		);
	});

	it("keeps_empty_strings_that_are_written_out", () => {
		const named = node("Neg", ["x"], ["y", ""], message(3, ""), message(6, ""), message(7, ""), message(8, ""));
		expectKept(model(join(message(1, named), message(10, ""), input("x"), output("y"))));
	});

	it("keeps_the_absence_of_a_graph_name", () => {
		expectKept(join(number(1, 10), message(7, input("x"), output("x")), message(8, number(2, 21))));
	});

	it("keeps_the_spelling_of_the_default_domain_and_repeated_imports", () => {
		const graph = join(message(1, node("Neg", ["x"], ["y"], message(7, "ai.onnx"))), input("x"), output("y"));
		expectKept(
			join(number(1, 10), message(7, message(2, "g"), graph), message(8, message(1, "ai.onnx"), number(2, 21)), message(8, number(2, 21))),
		);
	});

	it("keeps_texts_that_are_no_utf8", () => {
		const latin = Uint8Array.from([0x67, 0x72, 0xfc, 0xdf, 0x65]);
		const graph = join(
			message(1, node("Neg", ["x"], ["y"], message(6, latin))),
			input("x", message(3, latin)),
			output("y"),
			message(10, latin),
		);
		expectKept(model(graph, message(6, latin), message(2, latin), message(14, message(1, latin), message(2, latin))));
	});

	it("keeps_signalling_nans_in_attributes_and_typed_fields", () => {
		const signalling = Uint8Array.from([1, 0, 0x80, 0x7f]);
		const attribute = message(5, message(1, "alpha"), number(20, 1), fixed(2, signalling));
		const graph = join(message(1, node("Elu", ["x"], ["y"], attribute)), input("x"), output("y"));
		expectKept(model(join(graph, message(5, tensor("t", 1, [1], message(4, signalling))))));
	});
});
