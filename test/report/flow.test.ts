// The graph around a table as `inspect` draws it: from the nodes that are there.
import path from "node:path";
import { describe, expect, it } from "vitest";
import { inspect } from "../../src/index.js";
import type { GraphReport } from "../../src/report/flow.js";
import { graphText } from "../../src/report/flow-text.js";
import { FIXTURES } from "../support/models.js";
import { reportWith } from "./support.js";

async function drawn(fixture: string): Promise<string> {
	const { graph = [] } = await inspect(path.join(FIXTURES, "patterns", fixture));
	return graph.flatMap(graphText).join("\n");
}

describe("the graph around a table", () => {
	it("names_nodes_tensors_shapes_and_readers_before_and_after", async () => {
		expect(await drawn("p02-transpose.onnx")).toMatchInlineSnapshot(`
			"
			graph around "embed.weight"; after: as --rank 64 would make it
			  lookup (E1) in p02-transpose.onnx
			    before input_ids  int64[batch, length]
			           │ Gather ◀── embed.weight  float32[96, 16], 6.14 kB
			           ▼ gather_1  float32[…, 16] → Mul
			    after  input_ids  int64[batch, length]
			           │ Gather ◀── embed.weight.left  float32[96, 16], 6.14 kB
			           │ MatMul ◀── embed.weight.right  float32[16, 16], 1.02 kB
			           ▼ gather_1  float32[…, 16] → Mul
			  projection (P2) in p02-transpose.onnx
			    before add_16  float32[…, 16]
			           │ MatMul ◀── embed.weight  float32[96, 16], 6.14 kB (through Transpose on constants)
			           ▼ logits  float32[…, 96] → output of the model
			    after  add_16  float32[…, 16]
			           │ Reshape
			           │ Gemm ◀── embed.weight.right  float32[16, 16], 1.02 kB
			           │ Gemm ◀── embed.weight.left  float32[96, 16], 6.14 kB
			           │ Shape, Slice, Concat, Reshape
			           ▼ logits  float32[…, 96] → output of the model"
		`);
	});

	it("shows_quantized_tables_with_what_widens_them", async () => {
		expect(await drawn("e04-dequantize-gather.onnx")).toMatchInlineSnapshot(`
			"
			graph around "embed.weight_quantized"; after: as --rank 64 would make it
			  lookup (E4) in e04-dequantize-gather.onnx
			    before input_ids  int64[batch, length]
			           │ Gather ◀── embed.weight_quantized  int8[96, 16], 1.54 kB
			           │        ◀── const_1  float32[96], 384 B
			           │        ◀── const_2  int8[96], 96 B (through DequantizeLinear on constants)
			           ▼ gather_2  float32[…, 16] → Mul
			    after  input_ids  int64[batch, length]
			           │ Gather ◀── embed.weight_quantized.left  float32[96, 16], 6.14 kB
			           │ MatMul ◀── embed.weight_quantized.right  float32[16, 16], 1.02 kB
			           ▼ gather_2  float32[…, 16] → Mul
			  projection (P8) in e04-dequantize-gather.onnx
			    before add_17  float32[…, 16]
			           │ MatMul ◀── embed.weight_quantized  int8[96, 16], 1.54 kB
			           │        ◀── const_1  float32[96], 384 B
			           │        ◀── const_2  int8[96], 96 B (through Transpose, DequantizeLinear on constants)
			           ▼ logits  float32[…, 96] → output of the model
			    after  add_17  float32[…, 16]
			           │ Reshape
			           │ Gemm ◀── embed.weight_quantized.right  float32[16, 16], 1.02 kB
			           │ Gemm ◀── embed.weight_quantized.left  float32[96, 16], 6.14 kB
			           │ Shape, Slice, Concat, Reshape
			           ▼ logits  float32[…, 96] → output of the model"
		`);
	});

	it("goes_into_the_bodies_of_loops", async () => {
		expect(await drawn("e03-loop.onnx")).toContain(" in main/");
	});
});

describe("text of a graph", () => {
	it("hides_no_control_characters_of_names_and_shortens_long_ones", () => {
		const [graph] = reportWith().graph ?? [];
		const [flow] = graph?.before ?? [];
		if (graph === undefined || flow === undefined) throw new Error("no graph");
		const hostile: GraphReport = { ...graph, vocabulary: "\u001b[2Jtable", before: [{ ...flow, from: { name: "x".repeat(100) } }] };
		const text = graphText(hostile).join("\n");
		expect(text).toContain('"�[2Jtable"');
		expect(text).toContain(`${"x".repeat(23)}…${"x".repeat(23)}`);
		expect(text).not.toContain("x".repeat(30));
	});

	it("shows_flows_of_one_structure_once", () => {
		const [graph] = reportWith().graph ?? [];
		if (graph === undefined) throw new Error("no graph");
		const twice = { ...graph, before: [...graph.before, ...graph.before], after: [...(graph.after ?? []), ...(graph.after ?? [])] };
		expect(graphText(twice).join("\n")).toContain("and 1 more like it");
		expect(graphText(twice)).toHaveLength(graphText(graph).length);
	});
});
