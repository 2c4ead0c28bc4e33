// What must hold before a table is replaced; each refusal names the offender and the way out.
import { describe, expect, it } from "vitest";
import { located, numbers, refusal, summary, transposed } from "./support.js";

const tied = (lines: string, { inputs = "ids: int64[batch, length]", outputs = "logits: float32[batch, length, 24]", ir = 8 } = {}) => `
model ir ${ir}, opset ai.onnx 17
graph main(${inputs})
	table = float32[24, 4]
	h = Gather(table, ids) "embed"
	turned = Transpose(table)
	logits = MatMul(h, turned)
${lines.trim().replaceAll(/^[ \t]*/gm, "\t")}
	return ${outputs}
`;

describe("refusals", () => {
	it("refuses_when_a_third_node_reads_the_table", async () => {
		const text = tied('mean = ReduceMean(table) "stats"', { outputs: "logits: float32[batch, length, 24], mean: float32[1, 1]" });
		const error = await refusal(text);
		expect(error.code).toBe("refused");
		expect(error.toLine()).toBe(
			'model.onnx: table "table" is also read by ReduceMean "stats", which is no lookup or projection of it; ' +
				"--keep-other-readers keeps the table for it; the file then does not shrink",
		);
		expect(summary(await located(text, { keepOtherReaders: true }))).toEqual(["24x4: table VxD: E1 embed, P2 MatMul"]);
	});

	it("refuses_when_an_alias_has_another_reader", async () => {
		const text = tied("same = Identity(turned)\ntop = ReduceMax<keepdims=0>(same)", {
			outputs: "logits: float32[batch, length, 24], top: float32[]",
		});
		expect((await refusal(text)).message).toContain('ReduceMax → "top"');
	});

	it("refuses_when_a_branch_reads_the_table_in_another_way", async () => {
		const text = `
			model ir 8, opset ai.onnx 17
			graph main(ids: int64[batch, length], flag: bool[])
				table = float32[24, 4]
				h = Gather(table, ids)
				bound = If(flag)
					then_branch:
					graph a()
						top = ReduceMax<keepdims=0>(table) "inside"
						return top
					else_branch:
					graph b()
						none = float32[] {0}
						same = Identity(none)
						return same
				return h: float32[batch, length, 4], bound: float32[]
		`;
		expect((await refusal(text)).message).toContain('ReduceMax "inside"');
	});

	it("does_not_mind_readers_whose_results_go_nowhere", async () => {
		expect(summary(await located(tied("dead = ReduceMax(table)\ndeader = Relu(dead)")))).toHaveLength(1);
	});

	it("does_not_mind_who_reads_the_rows", async () => {
		const text = tied("shape = Shape(h)", { outputs: "logits: float32[batch, length, 24], shape: int64[3], h: float32[batch, length, 4]" });
		expect(summary(await located(text))).toEqual(["24x4: table VxD: E1 embed, P2 MatMul"]);
	});

	it.each(["table: float32[24, 4]", "turned: float32[4, 24]"])("refuses_when_the_table_is_an_output: %s", async (output) => {
		const error = await refusal(tied("", { outputs: `logits: float32[batch, length, 24], ${output}` }));
		expect(error.code).toBe("refused");
		expect(error.message).toContain("is a graph output");
	});

	it("refuses_a_table_that_a_caller_may_override_but_not_at_ir_3", async () => {
		const inputs = "ids: int64[batch, length], table: float32[24, 4]";
		const error = await refusal(tied("", { inputs }));
		expect(error.code).toBe("refused");
		expect(error.message).toContain('table "table" is a graph input too');
		expect(summary(await located(tied("", { inputs, ir: 3 })))).toEqual(["24x4: table VxD: E1 embed, P2 MatMul"]);
	});

	it("refuses_to_rewrite_the_table_for_one_reader_and_a_changed_one_for_another", async () => {
		const text = `
			model ir 8, opset ai.onnx 17
			graph main(ids: int64[batch, length])
				table = float32[24, 4]
				at = int64[1, 1] {5}
				row = float32[1, 4] {0, 0, 0, 0}
				padded = ScatterND(table, at, row)
				h = Gather(padded, ids)
				turned = Transpose(table)
				logits = MatMul(h, turned)
				return logits: float32[batch, length, 24]
		`;
		expect((await refusal(text)).code).toBe("refused");
		const zero = numbers(96);
		zero.fill(0, 20, 24);
		// With a row of zeros in the table itself both are the same numbers: a proved tie.
		expect(summary(await located(text, { values: { table: zero } }))).toEqual(["24x4: table VxD: E8 Gather, P2 MatMul"]);
	});

	it.each([Number.NaN, Number.POSITIVE_INFINITY])("names_tensor_and_row_of_a_number_that_is_not_finite: %s", async (value) => {
		const table = numbers(96);
		table[41] = value;
		const error = await refusal(tied(""), { values: { table } });
		expect(error.code).toBe("input");
		expect(error.message).toBe(`table "table" holds ${value} in row 10`);
	});

	it("refuses_one_file_of_a_bundle_by_its_name", async () => {
		const other = tied("mean = ReduceMean(table)", { outputs: "logits: float32[batch, length, 24], mean: float32[1, 1]" });
		expect((await refusal([tied(""), other])).at).toBe("model_1.onnx");
	});

	it("needs_a_vocabulary_in_one_file_of_a_bundle_only", async () => {
		const table = numbers(96);
		const without = "model ir 8, opset ai.onnx 17\ngraph main(x: float32[2])\n\ty = Relu(x)\n\treturn y: float32[2]";
		const state = await located([without, tied("")], { values: { table } });
		expect(summary(state)).toHaveLength(1);
		expect((await refusal([without, without])).code).toBe("nothing-to-do");
	});

	it("counts_a_twin_nobody_reads_as_a_copy", async () => {
		const table = numbers(96);
		const values = { table, a: table, b: transposed(table, 24, 4), c: numbers(96, 2) };
		const state = await located(tied("a = float32[24, 4]\nb = float32[4, 24]\nc = float32[24, 4]"), { values });
		expect(summary(state)).toEqual(["24x4: table VxD, a VxD unused, b DxV unused: E1 embed, P2 MatMul"]);
		expect(state.vocabularies[0]?.bytes).toBe(3 * 96 * 4);
	});
});
