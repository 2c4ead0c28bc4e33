// Calls of model-local functions replaced by their bodies.
import { describe, expect, it } from "vitest";
import { checkModel } from "../../src/ir/check.js";
import { calledFunctions, definitionOf, inlineCalls } from "../../src/ir/inline.js";
import { parseModel } from "../../src/ir/parse.js";
import { printModel } from "../../src/ir/print.js";

/** The main graph after one round of inlining everything, as text. */
function inlined(text: string, rounds = 1): string {
	const model = parseModel(text);
	for (let round = 0; round < rounds; round++) inlineCalls(model, () => true);
	checkModel(model);
	return (
		printModel(model)
			.split("\nfunction ")[0]
			?.split("\n")
			.slice(1)
			.map((line) => line.replace(/^\t/, ""))
			.join("\n") ?? ""
	);
}

describe("inlineCalls", () => {
	it("keeps_the_names_of_the_call's_outputs", () => {
		expect(
			inlined(`
				model ir 8, opset ai.onnx 17, own 1
				graph main(x: float32[2])
					y = own.Twice(x) "call"
					z = Relu(y)
					return z, y
				function own.Twice, opset ai.onnx 17
					graph Twice(a)
						b = Add(a, a) "add"
						c = Neg(b)
						return c
			`),
		).toMatchInlineSnapshot(`
			"graph main(x: float32[2])
			call/b = Add(x, x) "call/add"
			y = Neg(call/b)
			z = Relu(y)
			return z, y"
		`);
	});

	it("puts_attributes_defaults_and_nothing_in_the_place_of_references", () => {
		expect(
			inlined(`
				model ir 8, opset ai.onnx 17, own 1
				graph main(x: float32[2, 2])
					y = own.F<axis=0>(x)
					return y
				function own.F<axis, other, alpha=0.5>, opset ai.onnx 17
					graph F(a)
						b = Softmax<axis=@axis>(a)
						c = LeakyRelu<alpha=@alpha>(b)
						d = Flatten<axis=@other>(c)
						return d
			`),
		).toMatchInlineSnapshot(`
			"graph main(x: float32[2, 2])
			F/b = Softmax<axis=0>(x)
			F/c = LeakyRelu<alpha=0.5>(F/b)
			y = Flatten(F/c)
			return y"
		`);
	});

	it("leaves_out_what_the_call_leaves_out", () => {
		expect(
			inlined(`
				model ir 8, opset ai.onnx 17, own 1
				graph main(x: float32[2], high: float32[])
					y = own.Bound(x, _, high)
					z = own.Bound(x)
					return y, z
				function own.Bound, opset ai.onnx 17
					graph Bound(a, low, top)
						b = Clip(a, low, top)
						return b
			`),
		).toMatchInlineSnapshot(`
			"graph main(x: float32[2], high: float32[])
			y = Clip(x, _, high)
			z = Clip(x)
			return y, z"
		`);
	});

	it("passes_inputs_through_and_returns_one_value_twice", () => {
		expect(
			inlined(`
				model ir 8, opset ai.onnx 17, own 1
				graph main(x: float32[2])
					p, q, r = own.F(x)
					return p, q, r
				function own.F, opset ai.onnx 17
					graph F(a)
						b = Relu(a)
						return a, b, b
			`),
		).toMatchInlineSnapshot(`
			"graph main(x: float32[2])
			q = Relu(x)
			p = Identity(x) "F/p"
			r = Identity(q) "F/r"
			return p, q, r"
		`);
	});

	it("copies_bodies_below_nodes_and_shadows_nothing", () => {
		const text = `
			model ir 8, opset ai.onnx 17, own 1
			graph main(x: float32[2], flag: bool[])
				u = own.F(x, flag)
				v = own.F(u, flag)
				return v
			function own.F, opset ai.onnx 17
				graph F(a, c)
					b = If(c)
						then_branch:
						graph t()
							k = float32[1] {3}
							m = Add(a, k)
							return m
						else_branch:
						graph e()
							n = Relu(a)
							return n
					return b
		`;
		expect(inlined(text)).toMatchInlineSnapshot(`
			"graph main(x: float32[2], flag: bool[])
			u = If(flag)
				then_branch:
				graph t()
					k_1 = float32[1] {3}
					m_1 = Add(x, k_1)
					return m_1
				else_branch:
				graph e()
					n_1 = Relu(x)
					return n_1
			v = If(flag)
				then_branch:
				graph t()
					k_2 = float32[1] {3}
					m_2 = Add(u, k_2)
					return m_2
				else_branch:
				graph e()
					n_2 = Relu(u)
					return n_2
			return v"
		`);
	});

	it("takes_nested_calls_round_by_round", () => {
		const text = `
			model ir 8, opset ai.onnx 17, own 1
			graph main(x: float32[2])
				y = own.Outer(x)
				return y
			function own.Outer, opset ai.onnx 17, own 1
				graph Outer(a)
					b = own.Inner(a)
					return b
			function own.Inner, opset ai.onnx 17
				graph Inner(a)
					b = Relu(a)
					return b
		`;
		expect(inlined(text, 1)).toContain("own.Inner(x)");
		expect(inlined(text, 2)).toContain("y = Relu(x)");
	});

	it("leaves_a_function_of_other_operator_sets_and_one_that_is_not_wanted", () => {
		const model = parseModel(`
			model ir 8, opset ai.onnx 17, own 1
			graph main(x: float32[2])
				y = own.Old(x)
				z = own.New(y)
				return z
			function own.Old, opset ai.onnx 16
				graph Old(a)
					b = Relu(a)
					return b
			function own.New, opset ai.onnx 17
				graph New(a)
					b = Relu(a)
					return b
		`);
		expect(inlineCalls(model, () => true).map(({ opType }) => opType)).toEqual(["Relu"]);
		expect([...calledFunctions(model)].map(({ name }) => name)).toEqual(["Old"]);
		expect(inlineCalls(model, () => false)).toEqual([]);
		expect(model.graph.nodes.map((node) => definitionOf(node)?.name)).toEqual(["Old", undefined]);
	});
});
