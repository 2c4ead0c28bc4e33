// Tracing an input to the tables it indexes, and ids back to the input they come from.
import { describe, expect, it } from "vitest";
import type { Model, Value } from "../../src/ir/graph.js";
import { parseModel } from "../../src/ir/parse.js";
import { allGraphs, allNodes, valuesOf } from "../../src/ir/walk.js";
import { smallestTable, sourceInput } from "../../src/runtime/trace.js";

function named(model: Model, name: string): Value {
	for (const graph of allGraphs(model, true)) for (const value of valuesOf(graph)) if (value.name === name) return value;
	throw new Error(`no value ${name}`);
}

/** Rows that input `ids` may name in a graph with these lines. */
function rowsOf(lines: readonly string[], functions = ""): number | undefined {
	const body = lines.map((line) => `\t${line}`).join("\n");
	const text = `model ir 8, opset ai.onnx 17, com.microsoft 1, local 1\ngraph main(ids: int64[b, s])\n\ttable = float32[7, 2]\n\tsmall = float32[3, 2]\n${body}\n\treturn\n${functions}`;
	return smallestTable(named(parseModel(text, { seed: 1 }), "ids"));
}

describe("smallestTable", () => {
	it("is_the_number_of_rows_that_a_gather_reads", () => {
		expect(rowsOf(["y = Gather(table, ids)"])).toBe(7);
	});

	it("follows_the_axis_of_the_gather", () => {
		expect(rowsOf(["y = Gather<axis=1>(table, ids)"])).toBe(2);
	});

	it("is_unknown_where_the_ids_are_the_table_of_a_gather_and_nothing_else", () => {
		expect(rowsOf(["zero = int64[] {0}", "y = Gather(ids, zero)"])).toBeUndefined();
	});

	it("is_that_of_the_smallest_table_of_several", () => {
		expect(rowsOf(["y = Gather(table, ids)", "z = Cast<to=6>(ids)", "w = Gather(small, z)"])).toBe(3);
	});

	it("passes_operators_that_keep_elements", () => {
		expect(
			rowsOf(["shape = int64[1] {-1}", "a = Cast<to=6>(ids)", "b = Reshape(a, shape)", "c = Concat<axis=0>(b, b)", "y = Gather(small, c)"]),
		).toBe(3);
	});

	it("does_not_pass_through_the_shape_of_a_reshape", () => {
		expect(rowsOf(["x = int64[1] {0}", "a = Reshape(x, ids)", "y = Gather(small, a)"])).toBeUndefined();
	});

	it("takes_constants_that_are_added_off_the_limit", () => {
		expect(rowsOf(["two = int64[] {2}", "a = Add(two, ids)", "y = Gather(table, a)"])).toBe(5);
		expect(rowsOf(["two = int64[] {2}", "a = Sub(ids, two)", "y = Gather(table, a)"])).toBe(9);
	});

	it("stops_at_sums_of_two_inputs", () => {
		expect(rowsOf(["a = Add(ids, ids)", "y = Gather(table, a)"])).toBeUndefined();
	});

	it("sees_tables_through_transposes_casts_and_constant_nodes", () => {
		expect(rowsOf(["t = Transpose<perm=[1, 0]>(table)", "y = Gather(t, ids)"])).toBe(2);
		expect(rowsOf(["t = Cast<to=10>(small)", "y = Gather(t, ids)"])).toBe(3);
		expect(rowsOf(["t = Constant<value=float32[4, 1] {1, 2, 3, 4}>()", "y = Gather(t, ids)"])).toBe(4);
	});

	it("reads_the_depth_of_one_hot", () => {
		expect(rowsOf(["depth = int64[1] {6}", "values = float32[2] {0, 1}", "y = OneHot(ids, depth, values)"])).toBe(6);
	});

	it("knows_the_three_tables_of_the_fused_embedding", () => {
		expect(rowsOf(["y = com.microsoft.EmbedLayerNormalization(_, ids, table, table, small)"])).toBe(3);
		expect(rowsOf(["y = com.microsoft.EmbedLayerNormalization(ids, _, table, table, small)"])).toBe(7);
	});

	it("finds_readers_in_bodies", () => {
		const body = [
			"\tgraph step(i: int64[], c: bool[], x: int64[s])",
			"\t\ty = Gather(small, x)",
			"\t\tk = Identity(c)",
			"\t\treturn k, x, y",
		];
		expect(rowsOf(["m = int64[] {2}", "c = bool[] {1}", "o, r = Loop(m, c, ids)", "\tbody:", ...body])).toBe(3);
	});

	it("finds_a_table_that_is_an_argument_of_a_local_function", () => {
		const definition =
			"function local.Embed, opset ai.onnx 17\n\tgraph body(weight, indices)\n\t\trows = Gather(weight, indices)\n\t\treturn rows";
		expect(rowsOf(["y = local.Embed(small, ids)"], definition)).toBe(3);
	});
});

describe("sourceInput", () => {
	const sourceOf = (text: string, value: string) => sourceInput(named(parseModel(text, { seed: 1 }), value))?.name;

	it("walks_back_to_the_input_through_operators_that_keep_elements", () => {
		const text =
			"model ir 8, opset ai.onnx 17\ngraph main(ids: int64[b, s])\n\tone = int64[1] {1}\n\ta = Cast<to=6>(ids)\n\tb = Unsqueeze(a, one)\n\treturn b";
		expect(sourceOf(text, "b")).toBe("ids");
	});

	it("gives_up_at_values_that_are_computed", () => {
		const text = "model ir 8, opset ai.onnx 17\ngraph main(ids: int64[b, s])\n\ta = CumSum(ids, ids)\n\tb = Cast<to=6>(a)\n\treturn b";
		expect(sourceOf(text, "b")).toBeUndefined();
	});

	it("leaves_the_body_of_a_loop", () => {
		const model = parseModel(`
			model ir 8, opset ai.onnx 17
			graph main(ids: int64[s])
				m = int64[] {2}
				c = bool[] {1}
				o = Loop(m, c, ids)
					body:
					graph step(i: int64[], more: bool[], x: int64[s])
						z = Identity(x)
						k = Identity(more)
						return k, z
				return o
		`);
		const inner = [...allNodes(model)].find((node) => node.outputs[0]?.name === "z")?.outputs[0];
		expect(inner && sourceInput(inner)?.name).toBe("ids");
	});
});
