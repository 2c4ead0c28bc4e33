// Projections P1 to P10, one text each, on a model whose lookup decides the vocabulary.
import { describe, expect, it } from "vitest";
import type { Located, Projection } from "../../../src/state.js";
import { type Given, located, numbers, summary, transposed } from "./support.js";

const TABLE = numbers(24 * 4);
const TWIN = transposed(TABLE, 24, 4);

/** A lookup on `table`, a layer, and the lines of the head, which define `logits` from `h`. */
const decoder = (head: string, { opset = "17", out = "batch, length, 24", h = "h" } = {}) => `
model ir 8, opset ai.onnx ${opset}
graph main(ids: int64[batch, length])
	table = float32[24, 4]
	weight = float32[4, 4]
	rows = Gather(table, ids)
	mixed = MatMul(rows, weight)
	${h} = Add(mixed, rows)
${head.trim().replaceAll(/^[ \t]*/gm, "\t")}
	return logits: float32[${out}]
`;

const find = (text: string, given: Given = {}): Promise<Located> =>
	located(text, { ...given, values: { table: TABLE, twin: TWIN, ...given.values } });

const projectionOf = (state: Located): Projection => {
	const found = state.vocabularies.flatMap(({ projections }) => projections);
	if (found[0] === undefined) throw new Error("no projection was found");
	return found[0];
};

describe("projections", () => {
	it("finds_a_transposed_twin_by_its_numbers", async () => {
		const state = await find(decoder("twin = float32[4, 24]\nlogits = MatMul(h, twin)"));
		expect(summary(state)).toEqual(["24x4: table VxD, twin DxV: E1 Gather, P1 MatMul"]);
		expect(state.vocabularies[0]?.tied).toBe(true);
		expect(projectionOf(state)).toMatchObject({ alpha: 1, hiddenRank: 3, dtype: "float32", gemm: undefined, bias: undefined });
	});

	it("takes_a_twin_that_differs_in_one_number_for_another_table", async () => {
		const twin = Float32Array.from(TWIN);
		twin[40] = (twin[40] ?? 0) + 1e-6; // in row 16, away from the rows that are compared first
		const state = await find(decoder("twin = float32[4, 24]\nlogits = MatMul(h, twin)"), { values: { twin } });
		expect(summary(state)).toEqual(["24x4: table VxD: E1 Gather", "24x4: twin DxV: P1 MatMul"]);
		expect(state.vocabularies.map(({ tied }) => tied)).toEqual([false, false]);
	});

	it("finds_a_product_with_the_transposed_table", async () => {
		const state = await find(decoder("turned = Transpose(table)\nlogits = MatMul(h, turned)"));
		expect(summary(state)).toEqual(["24x4: table VxD: E1 Gather, P2 MatMul"]);
	});

	it("finds_a_gemm_between_reshapes", async () => {
		const state = await find(
			decoder(`
				flat = int64[2] {-1, 4}
				back = int64[3] {2, -1, 24}
				bias = float32[24]
				h2 = Reshape(h, flat)
				scores = Gemm<transB=1, alpha=0.5, beta=2.0>(h2, table, bias)
				logits = Reshape(scores, back)
			`),
		);
		expect(summary(state)).toEqual(["24x4: table VxD: E1 Gather, P3 Gemm"]);
		const { alpha, gemm, hiddenRank } = projectionOf(state);
		expect({ alpha, hiddenRank, transA: gemm?.transA, c: gemm?.c?.name, beta: gemm?.beta }).toEqual({
			alpha: 0.5,
			hiddenRank: 2,
			transA: false,
			c: "bias",
			beta: 2,
		});
	});

	it("finds_fused_products", async () => {
		const matmul = await find(
			decoder("logits = com.microsoft.FusedMatMul<transB=1, alpha=0.25>(h, table)", { opset: "17, com.microsoft 1" }),
		);
		expect(summary(matmul)).toEqual(["24x4: table VxD: E1 Gather, P4 FusedMatMul"]);
		expect(projectionOf(matmul).alpha).toBe(0.25);
		const gemm = await find(
			decoder('flat = int64[2] {-1, 4}\nh2 = Reshape(h, flat)\nlogits = com.microsoft.FusedGemm<transB=1, activation="Tanh">(h2, table)', {
				opset: "17, com.microsoft 1",
				out: "n, 24",
			}),
		);
		expect(summary(gemm)).toEqual(["24x4: table VxD: E1 Gather, P4 FusedGemm"]);
		expect([...(projectionOf(gemm).gemm?.activation?.keys() ?? [])]).toEqual(["activation"]);
	});

	it.each(["bsd,vd->bsv", "B s D, v D -> B s v", "...d,vd->...v"])("finds_an_einsum: %s", async (equation) => {
		const state = await find(decoder(`logits = Einsum<equation="${equation}">(h, table)`));
		expect(summary(state)).toEqual(["24x4: table VxD: E1 Gather, P5 Einsum"]);
	});

	it.each(["bsd,vd->bvs", "bsd,vd->bs", "bds,vd->bsv"])("refuses_an_einsum_that_is_no_such_product: %s", async (equation) => {
		await expect(find(decoder(`logits = Einsum<equation="${equation}">(h, table)`))).rejects.toThrow("Einsum");
	});

	it("finds_a_product_in_integers", async () => {
		const head = `
			codes = int8[4, 24]
			scale = float32[1] {0.01}
			zero = int8[1] {0}
			q, s, z = DynamicQuantizeLinear(h)
			product = MatMulInteger(q, codes, z, zero)
			float = Cast<to=1>(product)
			both = Mul(s, scale)
			logits = Mul(float, both)
		`;
		const state = await find(decoder(head));
		expect(summary(state)).toEqual(["24x4: table VxD: E1 Gather", "24x4: codes DxV: P6 MatMulInteger"]);
		const projection = projectionOf(state);
		expect([projection.hidden.name, projection.output.name]).toEqual(["h", "logits"]);
	});

	it.each([
		"q, s, z = DynamicQuantizeLinear(h)\nlogits = com.microsoft.MatMulIntegerToFloat(q, codes, s, scale, z, zero, bias)",
		"logits = com.microsoft.DynamicQuantizeMatMul(h, codes, scale, zero, bias)",
	])("finds_a_fused_product_in_integers_with_its_bias: %s", async (lines) => {
		const head = `codes = int8[4, 24]\nscale = float32[24]\nzero = int8[24]\nbias = float32[24]\n${lines}`;
		const state = await find(decoder(head, { opset: "17, com.microsoft 1" }));
		expect(summary(state)[1]).toMatch(/^24x4: codes DxV: P6 /);
		const { hidden, output, bias } = projectionOf(state);
		expect([hidden.name, output.name, bias?.name]).toEqual(["h", "logits", "bias"]);
	});

	it("finds_packed_four_bit_blocks", async () => {
		const head = `
			packed = uint8[24, 1, 8]
			scales = float32[24]
			wide = float32[4, 16]
			h16 = MatMul(h, wide)
			logits = com.microsoft.MatMulNBits<K=16, N=24, bits=4, block_size=16>(h16, packed, scales)
		`;
		const state = await find(decoder(head, { opset: "17, com.microsoft 1" }));
		expect(summary(state)).toEqual(["24x4: table VxD: E1 Gather", "24x16: packed VxD: P7 MatMulNBits"]);
	});

	it("refuses_reordered_blocks_by_name", async () => {
		const head = `
			packed = uint8[24, 1, 8]
			scales = float32[24]
			order = int32[16]
			wide = float32[4, 16]
			h16 = MatMul(h, wide)
			logits = com.microsoft.MatMulNBits<K=16, N=24, bits=4, block_size=16>(h16, packed, scales, _, order) "head"
		`;
		await expect(find(decoder(head, { opset: "17, com.microsoft 1" }))).rejects.toThrow(/MatMulNBits "head" .*g_idx/);
	});

	it("finds_integers_transposed_before_they_are_dequantized", async () => {
		const text = `
			model ir 8, opset ai.onnx 17
			graph main(ids: int64[batch, length])
				table = int8[24, 4]
				scale = float32[] {0.01}
				rows8 = Gather(table, ids)
				h = DequantizeLinear(rows8, scale)
				turned = Transpose<perm=[1, 0]>(table)
				wide = DequantizeLinear(turned, scale)
				logits = MatMul(h, wide)
				return logits: float32[batch, length, 24]
		`;
		expect(summary(await find(text))).toEqual(["24x4: table VxD: E4 Gather, P8 MatMul"]);
	});

	it("takes_a_head_with_more_columns_for_a_table_of_its_own", async () => {
		const head = "more = float32[4, 26]\nlogits = MatMul(h, more)";
		expect(summary(await find(decoder(head, { out: "batch, length, 26" })))).toEqual([
			"24x4: table VxD: E1 Gather",
			"26x4: more DxV: P9 MatMul",
		]);
	});

	it("finds_both_of_two_heads_on_one_table", async () => {
		const head = `
			twin = float32[4, 24]
			same = Identity(twin)
			logits = MatMul(h, twin) "one"
			other = Relu(h)
			next = MatMul(other, same) "two"
		`;
		const text = decoder(head).replace("return logits", "return next: float32[batch, length, 24], logits");
		expect(summary(await find(text))).toEqual(["24x4: table VxD, twin DxV: E1 Gather, P10 one, P10 two"]);
	});

	it.each([
		"bias = float32[24]\nscores = MatMul(h, free)\nlogits = Add(bias, scores)",
		"c = float32[] {30}\nscores = MatMul(h, free)\nsmall = Div(scores, c)\ncap = Tanh(small)\nlogits = Mul(cap, c)",
		"scores = MatMul(h, free)\nlogits = LogSoftmax<axis=-1>(scores)",
		"mask = bool[24]\nlow = float32[] {-1000}\nscores = MatMul(h, free)\nlogits = Where(mask, scores, low)",
		"scores = MatMul(h, free)\nhalf = Cast<to=10>(scores)\nlogits = Cast<to=1>(half)",
	])("recognizes_an_untied_head_through_what_stands_behind_it: %s", async (lines) => {
		const state = await find(decoder(`free = float32[4, 24]\n${lines}`));
		expect(summary(state)).toEqual(["24x4: table VxD: E1 Gather", "24x4: free DxV: P1 MatMul"]);
	});

	it("does_not_take_a_product_inside_the_model_for_a_head", async () => {
		const head = `
			up = float32[4, 24]
			down = float32[24, 4]
			turned = Transpose(table)
			wide = MatMul(h, up)
			bent = Relu(wide)
			back = MatMul(bent, down)
			logits = MatMul(back, turned)
		`;
		const state = await find(decoder(head));
		expect(summary(state)).toEqual(["24x4: table VxD: E1 Gather, P2 MatMul"]);
		expect(state.rejected.map(({ tensor, reason }) => [tensor, reason])).toEqual([
			["up", "its product reaches no output as scores over a vocabulary"],
		]);
	});

	it("finds_logits_behind_an_argmax", async () => {
		const head = "free = float32[4, 24]\nscores = MatMul(h, free)\nlogits = ArgMax<axis=-1>(scores)";
		const text = decoder(head).replace("return logits: float32[batch, length, 24]", "return logits: int64[batch, length, 1]");
		expect(summary(await find(text))).toEqual(["24x4: table VxD: E1 Gather", "24x4: free DxV: P1 MatMul"]);
	});
});
