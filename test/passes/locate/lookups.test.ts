// Lookups E1 to E11, one text each.
import { describe, expect, it } from "vitest";
import { located, summary } from "./support.js";

/** A model whose only output is made of `rows`; the lines before it compute them. */
const encoder = (lines: string, { inputs = "ids: int64[batch, length]", opset = "17", ir = 8 } = {}) => `
model ir ${ir}, opset ai.onnx ${opset}
graph main(${inputs})
${lines.replaceAll(/^[ \t]*/gm, "\t")}
	weight = float32[4, 4]
	hidden = MatMul(rows, weight)
	return hidden: float32[batch, length, 4]
`;

const found = async (text: string) => summary(await located(text));

describe("lookups", () => {
	it("finds_a_gather_on_the_table", async () => {
		expect(await found(encoder("table = float32[24, 4]\nrows = Gather(table, ids)"))).toEqual(["24x4: table VxD: E1 Gather"]);
	});

	it("does_not_take_a_gather_of_columns_for_a_lookup", async () => {
		await expect(found(encoder("table = float32[24, 4]\nrows = Gather<axis=1>(table, ids)"))).rejects.toThrow("no vocabulary");
	});

	it("finds_a_gather_on_a_transposed_store", async () => {
		const text = encoder("store = float32[4, 24]\ntable = Transpose(store)\nrows = Gather(table, ids)");
		expect(await found(text)).toEqual(["24x4: store DxV: E2 Gather"]);
	});

	it("finds_the_same_table_in_both_branches", async () => {
		const text = `
			model ir 8, opset ai.onnx 17
			graph main(ids: int64[batch, length], flag: bool[])
				table = float32[24, 4]
				rows = If(flag) "choose"
					then_branch:
					graph a()
						left = Gather(table, ids) "embed"
						return left
					else_branch:
					graph b()
						right = Gather(table, ids) "embed"
						return right
				return rows: float32[batch, length, 4]
		`;
		const state = await located(text);
		expect(summary(state)).toEqual(["24x4: table VxD: E3 embed, E3 embed"]);
		expect(state.vocabularies[0]?.lookups.map(({ owner, graph }) => [owner.name, graph.name])).toEqual([
			["main", "b"],
			["main", "a"],
		]);
	});

	it("finds_a_lookup_in_a_loop_by_the_captured_table", async () => {
		const text = `
			model ir 8, opset ai.onnx 17
			graph main(ids: int64[length], steps: int64[], go: bool[])
				table = float32[24, 4]
				zero = int64[1] {0}
				one = int64[1] {1}
				start = float32[1, 4] {0, 0, 0, 0}
				sum = Loop(steps, go, start)
					body:
					graph body(step: int64[], on: bool[], before: float32[1, 4])
						from = Unsqueeze(step, zero)
						to = Add(from, one)
						id = Slice(ids, from, to, zero)
						row = Gather(table, id)
						after = Add(before, row)
						still = Identity(on)
						return still, after
				return sum: float32[1, 4]
		`;
		expect(await found(text)).toEqual(["24x4: table VxD: E3 Gather"]);
	});

	it("finds_integers_dequantized_after_the_gather", async () => {
		const text = encoder(`
			table = uint8[24, 4]
			scale = float32[] {0.5}
			zero = uint8[] {128}
			codes = Gather(table, ids)
			rows = DequantizeLinear(codes, scale, zero)
		`);
		const state = await located(text);
		expect(summary(state)).toEqual(["24x4: table VxD: E4 Gather"]);
		expect(state.vocabularies[0]?.lookups[0]?.output?.name).toBe("rows");
		expect(state.vocabularies[0]?.copies[0]?.bytes).toBe(24 * 4 + 4 + 1);
	});

	it("finds_a_gather_behind_a_dequantized_table", async () => {
		const text = encoder(`
			table = int8[24, 4]
			scale = float32[24]
			wide = DequantizeLinear<axis=0>(table, scale)
			rows = Gather(wide, ids)
		`);
		expect(await found(text)).toEqual(["24x4: table VxD: E4 Gather"]);
	});

	it("finds_a_block_quantized_gather", async () => {
		const text = encoder(
			`
			table = uint8[24, 8]
			scales = float32[24, 1]
			rows16 = com.microsoft.GatherBlockQuantized<bits=4, block_size=16>(table, ids, scales)
			narrow = float32[16, 4]
			rows = MatMul(rows16, narrow)
		`,
			{ opset: "17, com.microsoft 1" },
		);
		expect(await found(text)).toEqual(["24x16: table VxD: E5 GatherBlockQuantized"]);
	});

	it("finds_the_word_table_of_a_fused_embedding_layer", async () => {
		const text = encoder(
			`
			words = float32[24, 4]
			positions = float32[20, 4]
			gamma = float32[4]
			beta = float32[4]
			rows, mask = com.microsoft.EmbedLayerNormalization(ids, _, words, positions, _, gamma, beta)
		`,
			{ opset: "17, com.microsoft 1", inputs: "ids: int32[batch, length]" },
		);
		const state = await located(text);
		expect(summary(state)).toEqual(["24x4: words VxD: E6 EmbedLayerNormalization"]);
		expect(state.vocabularies[0]?.lookups[0]?.output).toBeUndefined();
	});

	it("finds_a_product_with_a_one_hot_of_the_ids", async () => {
		const text = encoder(`
			table = float32[24, 4]
			depth = int64[] {24}
			values = float32[2] {0, 1}
			hot = OneHot(ids, depth, values)
			rows = MatMul(hot, table)
		`);
		const state = await located(text);
		expect(summary(state)).toEqual(["24x4: table VxD: E7 MatMul"]);
		expect(state.vocabularies[0]?.lookups[0]?.ids.name).toBe("ids");
	});

	it.each(["depth = int64[] {25}\nvalues = float32[2] {0, 1}", "depth = int64[] {24}\nvalues = float32[2] {0, 2}"])(
		"does_not_take_another_one_hot_for_a_lookup",
		async (constants) => {
			const text = encoder(`table = float32[24, 4]\n${constants}\nhot = OneHot(ids, depth, values)\nrows = MatMul(hot, table)`);
			await expect(found(text)).rejects.toThrow("no vocabulary");
		},
	);

	it("folds_a_mask_into_the_table", async () => {
		const text = encoder(`
			table = float32[24, 4]
			mask = float32[24, 1]
			masked = Mul(table, mask)
			rows = Gather(masked, ids)
		`);
		const mask = Float32Array.from({ length: 24 }, (_, row) => (row === 3 ? 0 : 1));
		const state = await located(text, { values: { mask } });
		expect(summary(state)).toEqual(["24x4: table VxD: E8 Gather"]);
		const table = state.vocabularies[0]?.table;
		expect([...(table?.read(3, 4) ?? [])].map(Math.abs)).toEqual([0, 0, 0, 0]);
		expect(table?.read(4, 5).some((value) => value !== 0)).toBe(true);
	});

	it("tells_the_mask_from_the_table_in_either_order", async () => {
		const mask = Float32Array.from({ length: 96 }, (_, index) => (index < 4 ? 0 : 1));
		const text = encoder("mask = float32[24, 4]\ntable = float32[24, 4]\nmasked = Mul(mask, table)\nrows = Gather(masked, ids)");
		expect(summary(await located(text, { values: { mask } }))).toEqual(["24x4: table VxD: E8 Gather"]);
	});

	it("folds_replaced_rows_into_the_table", async () => {
		const text = encoder(`
			table = float32[24, 4]
			at = int64[1, 1] {5}
			row = float32[1, 4] {1, 2, 3, 4}
			padded = ScatterND(table, at, row)
			rows = Gather(padded, ids)
		`);
		const state = await located(text);
		expect(summary(state)).toEqual(["24x4: table VxD: E8 Gather"]);
		expect([...(state.vocabularies[0]?.table.read(5, 6) ?? [])]).toEqual([1, 2, 3, 4]);
	});

	it("finds_a_table_passed_to_a_local_function", async () => {
		const text = `${encoder("table = float32[24, 4]\nrows = own.Embed(table, ids)", { opset: "17, own 1" })}
function own.Embed, opset ai.onnx 17
	graph Embed(w, i)
		r = Gather(w, i)
		return r
`;
		expect(await found(text)).toEqual(["24x4: table VxD: E9 Gather"]);
	});

	it("reports_a_table_that_is_factorized_already", async () => {
		const text = encoder(`
			table = float32[24, 2]
			wide = float32[2, 4]
			small = Gather(table, ids)
			rows = MatMul(small, wide)
		`);
		const state = await located(text);
		expect(summary(state)).toEqual(["24x2: table VxD: E10 Gather"]);
		expect(state.vocabularies[0]?.alreadyRank).toBe(2);
	});

	it("reports_no_rank_where_the_rows_reach_the_model_by_another_way_too", async () => {
		const text = encoder(`
			table = float32[24, 2]
			wide = float32[2, 4]
			small = Gather(table, ids)
			first = MatMul(small, wide)
			square = float32[2, 2]
			other = MatMul(small, square)
			third = MatMul(other, wide)
			rows = Add(first, third)
		`);
		const state = await located(text);
		expect(state.vocabularies[0]?.alreadyRank).toBeUndefined();
	});

	it.each([
		"index = Unsqueeze(ids, last)\nrows = GatherND(table, index)",
		"index = Unsqueeze(ids, last)\nequal = Equal(index, range)\nhot = Cast<to=1>(equal)\nrows = MatMul(hot, table)",
		"index = Unsqueeze(ids, last)\ncount = Range(zero, depth, one)\nequal = Equal(count, index)\nhot = Cast<to=1>(equal)\nrows = MatMul(hot, table)",
	])("finds_indexing_as_the_dynamo_exporter_writes_it", async (lines) => {
		const range = Array.from({ length: 24 }, (_, index) => index).join(", ");
		const text = encoder(
			`table = float32[24, 4]\nlast = int64[1] {-1}\nrange = int64[24] {${range}}\nzero = int64[] {0}\none = int64[] {1}\ndepth = int64[] {24}\n${lines}`,
		);
		const state = await located(text);
		expect(summary(state)).toEqual([`24x4: table VxD: E11 ${lines.includes("GatherND") ? "GatherND" : "MatMul"}`]);
		expect(state.vocabularies[0]?.lookups[0]?.ids.name).toBe("ids");
	});

	it("does_not_take_equality_with_other_numbers_for_a_one_hot", async () => {
		const range = Array.from({ length: 24 }, (_, index) => index + 1).join(", ");
		const text = encoder(`
			table = float32[24, 4]
			last = int64[1] {-1}
			range = int64[24] {${range}}
			index = Unsqueeze(ids, last)
			equal = Equal(index, range)
			hot = Cast<to=1>(equal)
			rows = MatMul(hot, table)
		`);
		await expect(found(text)).rejects.toThrow("no vocabulary");
	});

	it("follows_ids_through_operators_that_keep_them", async () => {
		const text = encoder(
			`
			table = float32[24, 4]
			flat = int64[1] {-1}
			shape = int64[2] {2, 3}
			turned = Transpose<perm=[1, 0]>(ids)
			line = Reshape(turned, flat)
			whole = Cast<to=7>(line)
			square = Reshape(whole, shape)
			rows = Gather(table, square)
		`,
			{ inputs: "ids: float32[batch, length]" },
		);
		expect(await found(text)).toEqual(["24x4: table VxD: E1 Gather"]);
	});

	it.each(["Add(ids, one)", "CumSum(ids, zero)", "Mul(ids, one)", "Sub(ids, one)"])(
		"does_not_follow_ids_that_are_calculated: %s",
		async (call) => {
			const text = encoder(`table = float32[24, 4]\none = int64[] {1}\nzero = int64[] {0}\nplaces = ${call}\nrows = Gather(table, places)`);
			await expect(found(text)).rejects.toThrow(`selected by ${call.split("(")[0]}`);
		},
	);
});
