// Training graphs: functions and branches inlined, older operators brought to opset 18; the results stay the same.
import { describe, expect, it } from "vitest";
import { asParameter, prepareForTraining } from "../../src/gradient/prepare.js";
import { differentiate } from "../../src/gradient/sweep.js";
import { checkModel } from "../../src/ir/check.js";
import type { Model } from "../../src/ir/graph.js";
import { parseModel } from "../../src/ir/parse.js";
import { printGraph, printModel } from "../../src/ir/print.js";
import { tensorOf } from "../../src/runtime/numbers.js";
import { probe } from "../../src/runtime/probe.js";
import type { Feeds } from "../../src/runtime/session.js";
import { compute, doubles, valueNamed } from "./help.js";

const x = doubles([2, 3], [1, -2, 3, -4, 5, -6]);

function prepared(model: Model, feeds: Feeds, fixed: readonly string[] = []) {
	return prepareForTraining(model, (copy) => probe(copy, feeds, { threads: 1, fixed: new Set(fixed) }));
}

const MERGED = `
model ir 10, opset ai.onnx 16
graph main(x: float64[2, 3], use_past: bool[1])
	w = float64[3] {1, 2, 3}
	y = If(use_past) "decoder"
		then_branch:
		graph with()
			twice = float64[] {2}
			h = Mul(x, twice)
			return h: float64[2, 3]
		else_branch:
		graph without()
			s = Shape(x)
			n = Size(s)
			two = int64[] {2}
			flat = Equal(n, two)
			h = If(flat) "inner"
				then_branch:
				graph rows()
					g = Mul(x, w)
					return g: float64[2, 3]
				else_branch:
				graph other()
					g = Identity(x)
					return g: float64[2, 3]
			return h: float64[2, 3]
	loss = ReduceSum<keepdims=0>(y)
	return loss: float64[]
`;

describe("prepareForTraining", () => {
	it("inlines_the_branches_that_run_the_inner_ones_too", async () => {
		const model = parseModel(MERGED);
		const before = printModel(model);
		const feeds = { x, use_past: tensorOf("bool", [1], () => 0) };
		const training = await prepared(model, feeds, ["use_past"]);
		const { model: copy, ops, values } = training;
		checkModel(copy);
		expect(printModel(model)).toBe(before);
		expect(copy.graph.nodes.map(({ opType }) => opType)).not.toContain("If");
		const w = values.get(valueNamed(model, "w"));
		const loss = values.get(valueNamed(model, "loss"));
		if (w === undefined || loss === undefined) throw new Error("lost");
		const parameter = asParameter(training, w);
		const { dense } = differentiate(ops, loss, [parameter]).gradients.get(parameter) ?? {};
		const [found] = await compute(copy, dense === undefined ? [] : [dense], { ...feeds, w: doubles([3], [1, 2, 3]) });
		expect([...(found ?? [])]).toEqual([-3, 3, -3]);
	});

	it("leaves_an_if_whose_condition_is_not_said_to_be_fixed", async () => {
		const model = parseModel(MERGED);
		const { model: copy, ops, values } = await prepared(model, { x, use_past: tensorOf("bool", [1], () => 1) });
		expect(copy.graph.nodes.map(({ opType }) => opType)).toContain("If");
		const [input, loss] = [values.get(valueNamed(model, "x")), values.get(valueNamed(model, "loss"))];
		if (input === undefined || loss === undefined) throw new Error("lost");
		expect(differentiate(ops, loss, [input]).missing.map(({ node }) => node)).toEqual(['If "decoder"']);
	});

	it("inlines_functions_and_raises_the_opset", async () => {
		const model = parseModel(`
			model ir 8, opset ai.onnx 11, local 1
			graph main(x: float64[2, 3])
				y = local.Score(x)
				loss = ReduceMean<axes=[0, 1], keepdims=0>(y)
				return loss: float64[]
			function local.Score, opset ai.onnx 11
				graph body(a)
					s = Softmax<axis=0>(a)
					b = Relu(s)
					return b
		`);
		const { model: copy } = await prepared(model, { x });
		checkModel(copy);
		expect(copy.opset).toBe(18);
		expect(copy.functions).toEqual([]);
		expect(printGraph(copy.graph)).toMatchInlineSnapshot(`
			"graph main(x: float64[2, 3])
				loss/axes = int64[2] {0, 1}
				"constant/[2,3]" = int64[2] {2, 3}
				Score/s/flat = Flatten<axis=0>(x) "Score/s/flat"
				Score/s/shape = Shape(x) "Score/s/shape"
				Score/s/softmax = Softmax<axis=-1>(Score/s/flat) "Score/s/softmax"
				Score/s = Reshape(Score/s/softmax, "constant/[2,3]")
				y = Relu(Score/s)
				loss = ReduceMean<keepdims=0>(y, loss/axes)
				return loss"
		`);
	});

	it("computes_in_float32_what_is_stored_in_half_precision", async () => {
		const model = parseModel(`
			model ir 8, opset ai.onnx 17
			graph main(x: float16[2, 3])
				w = float16[3] {1, 2, 3}
				zero = Constant<value=float16[] {0}>()
				wide = Cast<to=1>(x)
				back = Cast<to=10>(wide)
				h = Mul(back, w)
				y = Max(h, zero)
				loss = ReduceSum<keepdims=0>(y)
				return loss: float16[]
		`);
		const half = tensorOf("float16", [2, 3], (index) => index - 2);
		const training = await prepared(model, { x: half });
		const { model: copy, ops, values } = training;
		checkModel(copy);
		const [w, loss] = [values.get(valueNamed(model, "w")), values.get(valueNamed(model, "loss"))];
		if (w === undefined || loss === undefined) throw new Error("lost");
		expect(ops.dtype(loss)).toBe("float32");
		const parameter = asParameter(training, w);
		expect([parameter.name, ops.dtype(parameter)]).toEqual(["w", "float32"]);
		const { dense } = differentiate(ops, loss, [parameter]).gradients.get(parameter) ?? {};
		const feeds = { x: half, w: tensorOf("float32", [3], (index) => index + 1) };
		const [found] = await compute(copy, dense === undefined ? [] : [dense], feeds);
		expect([...(found ?? [])]).toEqual([1, 2, 3]);
	});

	it("gives_range_the_scalars_that_it_asks_for_once_sizes_are_known", async () => {
		const model = parseModel(`
			model ir 8, opset ai.onnx 17
			graph main(x: float64[rows, 3])
				zero = int64[1] {0}
				one = int64[1] {1}
				two = int64[1] {2}
				sizes = Shape(x)
				rows = Slice(sizes, zero, one)
				columns = Slice(sizes, one, two)
				places = Range(zero, columns, one)
				steps = Cast<to=11>(places)
				y = Mul(x, steps)
				return y: float64[rows, 3]
		`);
		const { model: copy, values } = await prepared(model, { x });
		const y = values.get(valueNamed(model, "y"));
		const [found] = await compute(copy, y === undefined ? [] : [y], { x });
		expect([...(found ?? [])]).toEqual([0, -2, 6, -0, 5, -12]);
	});
});
