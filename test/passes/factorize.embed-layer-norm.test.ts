// EmbedLayerNormalization taken apart: all its inputs and outputs, below and above the opset of LayerNormalization.
import { describe, expect, it } from "vitest";
import { parseModel } from "../../src/ir/parse.js";
import type { Feeds } from "../../src/runtime/session.js";
import { countOf, difference, factorized, int32s, locatedModel, outputsOf, quantized, RANK, type Truth, valueNamed } from "./support.js";

interface Form {
	readonly segments: "ids" | "first row" | "none";
	readonly mask: boolean;
	readonly positions: boolean;
	readonly sum: boolean;
	readonly attributes?: string;
}

function textOf(opset: number, { segments, mask, positions, sum, attributes = "" }: Form): string {
	const inputs = ["ids: int32[b, n]", "segment_ids: int32[b, n]", "mask: int32[b, n]", "position_ids: int32[b, n]"];
	const segment = segments === "ids" ? "segment_ids" : "_";
	const segmentTable = segments === "none" ? "_" : "segments";
	const optional = `${mask ? "mask" : "_"}${positions ? ", position_ids" : ""}`;
	return `
		model ir 7, opset ai.onnx ${opset}, com.microsoft 1
		graph main(${inputs.join(", ")})
			table = float32[40, 8]
			positions = float32[16, 8]
			segments = float32[2, 8]
			gamma = float32[8]
			beta = float32[8]
			normal, index${sum ? ", sum" : ""} = com.microsoft.EmbedLayerNormalization<epsilon=0.001${attributes}>(ids, ${segment}, table, positions, ${segmentTable}, gamma, beta, ${optional}) "fused"
			return normal: float32[b, n, 8], index: int32[b]${sum ? ", sum: float32[b, n, 8]" : ""}`;
}

const FEEDS: Feeds = {
	ids: int32s([3, 0, 39, 7, 7, 12], [2, 3]),
	segment_ids: int32s([0, 0, 1, 0, 1, 1], [2, 3]),
	mask: int32s([1, 1, 0, 1, 1, 1], [2, 3]),
	position_ids: int32s([4, 5, 6, 0, 1, 15], [2, 3]),
};

const FORMS: Record<string, Form> = {
	"all inputs and outputs": { segments: "ids", mask: true, positions: true, sum: true },
	"mask index of type 1": { segments: "ids", mask: true, positions: false, sum: false, attributes: ", mask_index_type=1" },
	"no mask: the index is zero": { segments: "ids", mask: false, positions: false, sum: true },
	"no segments": { segments: "none", mask: true, positions: false, sum: true },
	"a segment table without ids": { segments: "first row", mask: true, positions: false, sum: false },
};

function truthOf(model: ReturnType<typeof parseModel>): Truth {
	const node = valueNamed(model, "normal").producer;
	if (node === undefined) throw new Error("no node");
	return { tables: ["table"], lookups: [{ output: "normal", ids: "ids", pattern: "E6", node }] };
}

describe("EmbedLayerNormalization", () => {
	for (const opset of [11, 13, 17, 18]) {
		for (const [name, form] of Object.entries(FORMS)) {
			it(`equals the fused node at full rank: ${name}, opset ${opset}`, async () => {
				const model = parseModel(textOf(opset, form), { seed: 3 });
				const feeds = Object.fromEntries(Object.entries(FEEDS).filter(([input]) => valueNamed(model, input).uses.size >= 0));
				const before = await outputsOf(model, feeds);
				await quantized(locatedModel(model, truthOf(model)), RANK(8));
				expect(difference(before, await outputsOf(model, feeds))).toBeLessThan(1e-5);
				expect(countOf(model, "EmbedLayerNormalization")).toBe(0);
				expect(countOf(model, "LayerNormalization")).toBe(opset >= 17 ? 1 : 0);
			});
		}
	}

	it("refuses_positions_without_ids_below_opset_10_before_any_change", async () => {
		const model = parseModel(textOf(9, { segments: "ids", mask: true, positions: false, sum: false }), { seed: 3 });
		const nodes = [...model.graph.nodes];
		await expect(factorized(locatedModel(model, truthOf(model)), RANK(8))).rejects.toMatchObject({ code: "refused" });
		expect(model.graph.nodes).toEqual(nodes);
	});
});
