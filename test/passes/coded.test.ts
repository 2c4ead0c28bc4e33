// Tables of columns of different precision: what is emitted computes what was encoded, in the bytes that were predicted.
import { describe, expect, it } from "vitest";
import { factorize } from "../../passes/factorize/index.js";
import { quantize } from "../../passes/quantize/index.js";
import { reconstruct } from "../../passes/reconstruct/index.js";
import { checkModel } from "../../src/ir/check.js";
import { parseModel } from "../../src/ir/parse.js";
import { decodedForm } from "../../src/linalg/coding.js";
import { runPass } from "../../src/pass.js";
import { type Case, calibrationOf, convert, D, GEMM, IDS, putEncodedSides, storedBytes, TIED, TRUTH, V } from "./coded-support.js";
import { difference, floats, int64s, locatedModel, outputsOf, runner } from "./support.js";

describe("a coded table", () => {
	it.each([
		["tied, in blocks sorted by importance", { text: TIED() }],
		["in one block", { text: TIED(), blocks: 1 }],
		["in blocks of ids, without calibration", { text: TIED(), calibrated: false }],
		["at a high precision", { text: TIED(), ratio: 1.2 }],
		["with little room", { text: TIED(), ratio: 6 }],
		["with an odd number of rows", { text: TIED(17, D, V - 1), feeds: { ids: int64s([0, 1499, 1500, V - 2], [2, 2]) } }],
		["in operator set 11", { text: TIED(11) }],
		["in operator set 12 and one block", { text: TIED(12), blocks: 1 }],
		["with ids from the end", { text: TIED(), blocks: 1, feeds: { ids: int64s([-1, -V, 7, 8], [2, 2]) } }],
		[
			"looked up in a branch",
			{
				text: `
	model ir 8, opset ai.onnx 17
	graph main(ids: int64[b, n], flag: bool[])
		table = float32[${V}, ${D}]
		out = If(flag)
			then_branch:
			graph yes()
				some = Gather(table, ids)
				return some
			else_branch:
			graph no()
				other = Gather(table, ids)
				turned = Neg(other)
				return turned
		return out: float32[b, n, ${D}]`,
				truth: {
					tables: ["table"],
					lookups: [
						{ output: "some", ids: "ids" },
						{ output: "other", ids: "ids" },
					],
					projections: [],
				},
				feeds: { ids: IDS, flag: { dtype: "bool", dims: [], data: Uint8Array.of(1) } },
			},
		],
		[
			"as a projection alone, on hidden states of any shape",
			{
				text: `
	model ir 8, opset ai.onnx 17
	graph main(h: float32[b, n, ${D}])
		table = float32[${V}, ${D}]
		twin = Transpose<perm=[1, 0]>(table)
		logits = MatMul(h, twin)
		return logits: float32[b, n, ${V}]`,
				truth: { tables: ["table"], lookups: [], projections: [{ output: "logits", hidden: "h" }] },
				feeds: { h: floats([2, 3, D]) },
			},
		],
		["as a Gemm with a bias and a factor", GEMM(D)],
	] as [string, Case][])("computes_what_was_encoded_%s", async (_, held) => {
		const { distance } = await convert(held);
		expect(distance).toBeLessThan(2e-5);
	});

	it.each([
		[8, 8, "int8"],
		[24, 8, "int8"],
		[2, 1.02, "float16"],
	] as const)("computes_what_was_encoded_in_at_most_%i_blocks_at_%f_with_W_in_%s", async (blocks, ratio, right) => {
		const { coding, distance } = await convert({ text: TIED(), blocks, ratio });
		expect(coding.blocks.length > 16).toBe(blocks > 16);
		expect(coding.right).toBe(right);
		expect(distance).toBeLessThan(2e-5);
	});

	/** Products by U or by what is made of it, without those that an engine computes when it loads the model. */
	const productsOf = ({ model }: Awaited<ReturnType<typeof convert>>) =>
		model.graph.nodes.filter((node) => node.is("Gemm") && node.outputs[0]?.name !== "logits/rank");

	it("is_multiplied_with_W_once_where_all_columns_are_kept", async () => {
		const found = await convert({ text: TIED(), ratio: 5 });
		const { layout, model, distance } = found;
		expect(layout.rank).toBe(D);
		expect(productsOf(found).map(({ inputs }) => inputs[1]?.name)).toEqual(["table.left/table"]);
		expect(model.graph.nodes.find(({ outputs }) => outputs[0]?.name === "rows")?.inputs[0]?.name).toBe("table.left/table");
		expect(distance).toBeLessThan(2e-5);
	});

	it.each([
		["all rows, which lookups read too, where blocks have dropped little", { text: TIED(17, 96), ratio: 40 }, true],
		["each block, where they have dropped much", { text: TIED(17, 96, 40_000), blocks: 8, ratio: 40 }, false],
	] as [string, Case, boolean][])("is_projected_by_one_product_for_%s", async (_, held, isOne) => {
		const found = await convert(held);
		const { layout, coding, model, distance } = found;
		expect(decodedForm(layout, 96, coding.positions !== undefined)).toBe(isOne ? "rows" : "blocks");
		expect(productsOf(found).some(({ inputs }) => inputs[1]?.name === "table.left/table")).toBe(false);
		expect(layout.blocks.length).toBeGreaterThan(1);
		expect(productsOf(found)).toHaveLength(isOne ? 1 : layout.blocks.length);
		expect(model.graph.nodes.some((node) => node.is("Less"))).toBe(!isOne);
		expect(distance).toBeLessThan(2e-5);
	});

	it("comes_near_the_original_where_there_is_room", async () => {
		const { quantized } = await convert({ text: TIED(), ratio: 1.2 });
		const coarse = await convert({ text: TIED(), ratio: 6 });
		expect(quantized.quantizations[0]?.relativeError).toBeLessThan(0.05);
		expect(coarse.quantized.quantizations[0]?.relativeError).toBeGreaterThan(0.05);
	});

	it.each([1.5, 3, 5])("takes_the_predicted_bytes_at_%f", async (ratio) => {
		const { quantized, factorized, model } = await convert({ text: TIED(), ratio });
		const before = V * D * 4;
		const after = storedBytes(model);
		expect(after).toBe(quantized.quantizations[0]?.bytes);
		expect(factorized.predictedSavedBytes).toBe(before - after);
		expect(after).toBeLessThanOrEqual(before / ratio);
	});

	it("keeps_important_rows_in_more_bytes", async () => {
		const { coding } = await convert({ text: TIED(), ratio: 4 });
		const bits = coding.blocks.map(({ perByte }) => perByte.reduce((sum, shared) => sum + (shared > 0 ? 8 / shared : 0), 0));
		expect(coding.positions).toBeDefined();
		expect(bits.length).toBeGreaterThan(1);
		expect(bits[0]).toBeGreaterThan(bits.at(-1) ?? Number.POSITIVE_INFINITY);
	});

	it("codes_each_side_by_itself_if_their_ranks_differ", async () => {
		const text = TIED();
		const apart = text.replace("rows = Gather", `other = float32[${V}, ${D}]\n\t\trows = Gather`).replace("(table)", "(other)");
		const [model, original] = [parseModel(text, { seed: 1 }), parseModel(apart, { seed: 1 })];
		const located = locatedModel(model, TRUTH);
		const calibrations = calibrationOf(located);
		const records = runner();
		const options = { size: {}, inputRank: 2, outputRank: 6, ops: "standard", dtype: "mixed", blocks: 2 } as const;
		const asked = { ...options, allowLarger: false, keepOtherReaders: false };
		const factorized = await runPass(factorize(asked), { ...located, calibrations }, records);
		expect(factorized.groups.map(({ side }) => side)).toEqual(["input", "output"]);
		const reconstructed = await runPass(reconstruct({ method: "distemb", calibrations }), factorized, records);
		await putEncodedSides(original, reconstructed);
		const { quantizations } = await runPass(quantize({ ops: "standard", dtype: "mixed" }), reconstructed, records);
		for (const [index, rank] of [2, 6].entries()) {
			const { bytes = 0 } = quantizations[index] ?? {};
			expect(bytes).toBeLessThanOrEqual((V + D) * rank * 4);
			expect(bytes).toBeGreaterThan(0.8 * (V + D) * rank * 4);
		}
		checkModel(model);
		expect(difference(await outputsOf(original, { ids: IDS }), await outputsOf(model, { ids: IDS }))).toBeLessThan(2e-5);
	});

	it("refuses_a_size_that_nothing_fits_in", async () => {
		await expect(convert({ text: TIED(), ratio: 500 })).rejects.toThrow(/cannot be coded in \d+ bytes/);
	});

	it("refuses_an_operator_set_without_bytes", async () => {
		await expect(convert({ text: TIED(10) })).rejects.toThrow(/operator set 10/);
	});
});
