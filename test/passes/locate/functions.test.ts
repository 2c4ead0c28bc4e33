// Which functions are inlined (E9), and which stay.
import { describe, expect, it } from "vitest";
import { located, summary } from "./support.js";

const FUNCTIONS = `
function own.View, opset ai.onnx 17
	graph View(a, shape)
		b = Reshape(a, shape)
		return b
function own.Layer, opset ai.onnx 17, own 1
	graph Layer(x, weight)
		y = own.Linear(x, weight)
		z = own.Bend(y)
		return z
function own.Linear, opset ai.onnx 17
	graph Linear(x, weight)
		turned = Transpose(weight)
		y = MatMul(x, turned)
		return y
function own.Bend, opset ai.onnx 17
	graph Bend(x)
		y = Relu(x)
		return y
function own.Scores, opset ai.onnx 17
	graph Scores(x)
		y = LogSoftmax<axis=-1>(x)
		return y
function own.Held, opset ai.onnx 17
	graph Held(ids)
		table = Constant<value=float32[24, 4]>()
		rows = Gather(table, ids)
		return rows
`.trim();

const model = (lines: string, output: string) => `
model ir 8, opset ai.onnx 17, own 1
graph main(ids: int64[batch, length])
${lines.trim().replaceAll(/^[ \t]*/gm, "\t")}
	return ${output}
${FUNCTIONS}
`;

const called = ({ files }: Awaited<ReturnType<typeof located>>) =>
	files.flatMap(({ model: { functions } }) => functions.map(({ name }) => name));

describe("functions", () => {
	it("are_inlined_round_by_round_where_a_matrix_is_passed_and_stay_where_none_is", async () => {
		const text = model(
			`
			table = float32[24, 4]
			weight = float32[4, 4]
			rows = Gather(table, ids)
			h = own.Layer(rows, weight)
			scores = own.Linear(h, table)
			logits = own.Bend(scores)
		`,
			"logits: float32[batch, length, 24]",
		);
		const state = await located(text);
		expect(summary(state)).toEqual(["24x4: table VxD: E1 Gather, P2 MatMul"]);
		expect(called(state)).not.toContain("Layer");
		expect(called(state)).not.toContain("Linear");
		expect(called(state)).toContain("Bend");
	});

	it("are_inlined_between_ids_and_lookup_and_between_head_and_output", async () => {
		const text = model(
			`
			table = float32[24, 4]
			free = float32[4, 24]
			shape = int64[2] {0, -1}
			same = own.View(ids, shape)
			h = Gather(table, same)
			scores = MatMul(h, free)
			logits = own.Scores(scores)
		`,
			"logits: float32[batch, length, 24]",
		);
		const state = await located(text);
		expect(summary(state)).toEqual(["24x4: table VxD: E1 Gather", "24x4: free DxV: P1 MatMul"]);
		expect(called(state)).toEqual(["Layer", "Linear", "Bend", "Held"]);
	});

	it("are_inlined_where_their_body_holds_the_table", async () => {
		const state = await located(model("rows = own.Held(ids)", "rows: float32[batch, length, 4]"));
		expect(summary(state)).toEqual(["24x4: Held/table VxD: E9 Gather"]);
		expect(called(state)).not.toContain("Held");
	});
});
