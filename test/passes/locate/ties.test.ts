// Ties are decided by contents: across dtypes, orientations, scopes and files; soft ties on request only.
import { describe, expect, it } from "vitest";
import { readElements, writeElements } from "../../../src/ir/elements.js";
import { located, numbers, summary, transposed } from "./support.js";

const TABLE = numbers(24 * 4);

const encoder = (name: string, extra = "") => `
model ir 8, opset ai.onnx 17
graph main(ids: int64[batch, length]${extra === "" ? "" : ", places: int64[batch, length]"})
	${name} = float32[24, 4]
	rows = Gather(${name}, ids)
	${extra}
	return rows: float32[batch, length, 4]
`;

const decoder = `
model ir 8, opset ai.onnx 17
graph main(ids: int64[batch, length])
	shared = float32[24, 4]
	twin = float32[4, 24]
	h = Gather(shared, ids)
	logits = MatMul(h, twin)
	return logits: float32[batch, length, 24]
`;

describe("ties", () => {
	it("makes_one_vocabulary_of_equal_tables_in_several_files", async () => {
		const values = { words: TABLE, shared: TABLE, twin: transposed(TABLE, 24, 4) };
		const state = await located([encoder("words"), decoder], { values });
		expect(summary(state)).toEqual(["24x4: words VxD, shared VxD, twin DxV: E1 Gather, E1 Gather, P1 MatMul"]);
		expect(state.vocabularies[0]?.copies.map(({ file }) => file.name)).toEqual(["model_0.onnx", "model_1.onnx", "model_1.onnx"]);
	});

	it("keeps_tables_apart_that_have_equal_names_only", async () => {
		const state = await located([encoder("shared"), decoder]);
		expect(summary(state)).toEqual(["24x4: shared VxD: E1 Gather", "24x4: shared VxD: E1 Gather", "24x4: twin DxV: P1 MatMul"]);
	});

	it("finds_by_contents_what_a_file_alone_could_not_decide", async () => {
		const undecided = `
			model ir 8, opset ai.onnx 17
			graph main(ids: int64[batch, length], places: int64[batch, length])
				words = float32[24, 4]
				position = float32[20, 4]
				a = Gather(words, ids)
				b = Gather(position, places)
				rows = Add(a, b)
				return rows: float32[batch, length, 4]
		`;
		const values = { words: TABLE, shared: TABLE, twin: transposed(TABLE, 24, 4) };
		expect(summary(await located([undecided, decoder], { values }))).toHaveLength(1);
	});

	it("finds_equal_copies_in_the_branches", async () => {
		const text = `
			model ir 8, opset ai.onnx 17
			graph main(ids: int64[batch, length], flag: bool[])
				table = float32[24, 4]
				h = Gather(table, ids)
				logits = If(flag)
					then_branch:
					graph a()
						copy = float32[4, 24]
						x = MatMul(h, copy) "left"
						return x
					else_branch:
					graph b()
						copy = float32[4, 24]
						x = MatMul(h, copy) "right"
						return x
				return logits: float32[batch, length, 24]
		`;
		const state = await located(text, { values: { table: TABLE, copy: transposed(TABLE, 24, 4) } });
		expect(summary(state)[0]?.split(": ")[1]).toBe("table VxD, copy DxV, copy DxV");
	});

	it("ties_a_float16_copy_to_its_float32_twin_where_all_numbers_are_equal", async () => {
		const halves = readElements("float16", writeElements("float16", TABLE), TABLE.length).map(Number);
		const text = `
			model ir 8, opset ai.onnx 17
			graph main(ids: int64[batch, length])
				table = float16[24, 4]
				twin = float32[4, 24]
				rows = Gather(table, ids)
				h = Cast<to=1>(rows)
				logits = MatMul(h, twin)
				return logits: float32[batch, length, 24]
		`;
		const equal = await located(text, { values: { table: TABLE, twin: transposed(halves, 24, 4) } });
		expect(summary(equal)).toEqual(["24x4: table VxD, twin DxV: E1 Gather, P1 MatMul"]);
		const rounded = await located(text, { values: { table: TABLE, twin: transposed(TABLE, 24, 4) } });
		expect(rounded.vocabularies).toHaveLength(2);
	});

	it("takes_a_quantized_copy_for_the_same_table_on_request_only", async () => {
		const codes = Array.from(transposed(TABLE, 24, 4), (value) => Math.round(value / 0.01));
		const text = `
			model ir 8, opset ai.onnx 17
			graph main(ids: int64[batch, length])
				table = float32[24, 4]
				codes = int8[4, 24]
				scale = float32[] {0.01}
				h = Gather(table, ids)
				wide = DequantizeLinear(codes, scale)
				logits = MatMul(h, wide)
				return logits: float32[batch, length, 24]
		`;
		const log: string[] = [];
		const values = { table: TABLE, codes };
		const apart = await located(text, { values, log });
		expect(apart.vocabularies).toHaveLength(2);
		expect(log[0]).toBe('"table" and "codes" differ by no more than a quantization step: a soft tie, treated as two tables');
		const together = await located(text, { values, tieSoft: true });
		expect(summary(together)).toEqual(["24x4: table VxD, codes DxV: E1 Gather, P8 MatMul"]);
		expect(together.vocabularies[0]?.table.stored).toBe("float32");
		const other = await located(text, { values: { table: TABLE, codes: codes.toReversed() }, tieSoft: true });
		expect(other.vocabularies).toHaveLength(2);
	});
});
