// Chains of new nodes: names, places, and constants under the rules of old IR versions.
import { describe, expect, it } from "vitest";
import { addConstant, Chain, smallTensor } from "../../src/ir/build.js";
import { problems } from "../../src/ir/check.js";
import { removeUnused } from "../../src/ir/edit.js";
import { parseModel } from "../../src/ir/parse.js";
import { printModel } from "../../src/ir/print.js";
import { nodeCalled, valueCalled } from "./support.js";

const textOf = (ir: number) => `
	model ir ${ir}, opset ai.onnx 17
	graph main(x, cond)
		y = Relu(x) "old"
		z = If(cond)
			then_branch:
			graph then()
				c = Neg(x)
				return c
		return y, z`;

describe("Chain", () => {
	it("stands_before_the_node_whose_value_it_takes_over", () => {
		const model = parseModel(textOf(8));
		const old = nodeCalled(model, "old");
		const chain = new Chain(model.graph, old, "y");
		const half = chain.cast(valueCalled(model, "x"), "float32", "float16", "half");
		expect(chain.cast(half, "float16", "float16", "same")).toBe(half);
		chain.add("Mul", [half, chain.constant("float32", [2], "two", [])], "scaled", { defines: valueCalled(model, "y") });
		removeUnused([old]);
		expect(printModel(model)).toMatchInlineSnapshot(`
			"model ir 8, opset ai.onnx 17
			graph main(x, cond)
				y/two = float32[] {2}
				y/half = Cast<to=10>(x) "y/half"
				y = Mul(y/half, y/two) "old"
				z = If(cond)
					then_branch:
					graph then()
						c = Neg(x)
						return c
				return y, z"
		`);
		expect([...problems(model)]).toEqual([]);
	});

	it("defines_a_value_by_Identity_where_no_conversion_is_needed", () => {
		const model = parseModel(textOf(8));
		const y = valueCalled(model, "y");
		new Chain(model.graph, nodeCalled(model, "old"), "y").cast(valueCalled(model, "x"), "float32", "float32", "same", y);
		expect(y.producer?.opType).toBe("Identity");
	});
});

describe("addConstant", () => {
	it("is_an_initializer_where_it_is_needed", () => {
		const model = parseModel(textOf(4));
		const { graph } = valueCalled(model, "c");
		expect(addConstant(graph, "k", smallTensor("int64", [1])).graph).toBe(graph);
		expect(model.graph.inputs).toHaveLength(2);
	});

	it("is_listed_as_an_input_of_the_main_graph_up_to_IR_3", () => {
		const model = parseModel(textOf(3));
		const value = addConstant(valueCalled(model, "c").graph, "k", smallTensor("int64", [1]));
		expect(value.graph).toBe(model.graph);
		expect(model.graph.inputs).toContain(value);
		expect([...problems(model)]).toEqual([]);
	});
});
