// Each invariant of the IR has a model that breaks it. The IR is read-only by type: these tests go behind it.
import { describe, expect, it } from "vitest";
import { checkModel, problems } from "../../src/ir/check.js";
import { addInitializer, addNode, addOutput } from "../../src/ir/edit.js";
import type { Model, Node, Use, Value } from "../../src/ir/graph.js";
import { parseModel } from "../../src/ir/parse.js";
import { int64Tensor } from "../../src/ir/tensor.js";
import { nodeCalled, valueCalled } from "./support.js";

const TEXT = `
	model ir 8, opset ai.onnx 17
	graph main(x: float32[2], cond: bool[])
		w = float32[2] {1, 2}
		a = Add(x, w)
		b = Mul(a, w)
		y = If(cond) "choose"
			then_branch:
			graph then()
				c = Neg(b)
				return c
			else_branch:
			graph else()
				return a
		return y`;

type Writable<T> = { -readonly [K in keyof T]: T[K] };

function broken(change: (model: Model) => void, text = TEXT): string[] {
	const model = parseModel(text);
	expect([...problems(model)]).toEqual([]);
	change(model);
	return [...problems(model)];
}

function listOf<T>(list: readonly T[]): T[] {
	return list as T[];
}

describe("checkModel", () => {
	it("refuses_a_new_value_that_hides_one_of_an_enclosing_scope", () => {
		const found = broken((model) => {
			const inner = nodeCalled(model, "Neg");
			addNode(inner.graph, { opType: "Relu", inputs: [inner.outputs[0]], outputs: ["a"] });
		});
		expect(found).toEqual([expect.stringMatching(/"a" of main\/choose\.then_branch hides a value of main/)]);
	});

	it("accepts_a_sound_model", () => {
		expect(() => checkModel(parseModel(TEXT))).not.toThrow();
	});

	it("throws_an_internal_error_with_the_first_problem", () => {
		const model = parseModel(TEXT);
		(valueCalled(model, "a").uses as Set<Use>).clear();
		expect(() => checkModel(model)).toThrow(expect.objectContaining({ code: "internal" }));
	});

	it("finds_a_name_that_is_defined_twice", () => {
		expect(broken((model) => void addInitializer(model.graph, "a", int64Tensor([1])))).toEqual(['"a" is defined twice in main']);
	});

	it("finds_a_value_of_another_scope_in_a_list", () => {
		const found = broken((model) => {
			(valueCalled(model, "c") as Writable<Value>).graph = model.graph;
		});
		expect(found.join()).toContain('"c" stands in main/choose.then_branch but belongs to main');
	});

	it("finds_a_node_of_another_graph", () => {
		const found = broken((model) => {
			(nodeCalled(model, "Neg") as Writable<Node>).graph = model.graph;
		});
		expect(found.join()).toContain('Neg → "c" stands in main/choose.then_branch but belongs to main');
	});

	it("finds_a_reader_before_its_value", () => {
		const found = broken((model) => listOf(model.graph.nodes).reverse());
		expect(found).toContain('Mul → "b" reads "a" before it is computed');
	});

	it("finds_a_body_that_reads_ahead", () => {
		const found = broken((model) => {
			const [choose] = listOf(model.graph.nodes).splice(2, 1);
			if (choose !== undefined) listOf(model.graph.nodes).splice(1, 0, choose);
		});
		expect(found).toContain('If "choose" reads "b" before it is computed');
	});

	it("finds_a_reader_of_a_value_in_a_scope_that_does_not_enclose_it", () => {
		const found = broken((model) => void addNode(model.graph, { opType: "Neg", inputs: [valueCalled(model, "c")], outputs: ["z"] }));
		expect(found).toContain('Neg → "z" in main reads "c" of main/choose.then_branch, which is no enclosing scope');
	});

	it("finds_an_output_that_nothing_defines", () => {
		const found = broken((model) => addOutput(model.graph, valueCalled(model, "c")));
		expect(found).toContain('output "c" of main is not defined');
	});

	it("finds_a_value_that_does_not_know_its_producer", () => {
		const found = broken((model) => {
			(valueCalled(model, "a") as Writable<Value>).source = { kind: "input" };
		});
		expect(found).toContain('"a" does not know that Add → "a" computes it');
	});

	it("finds_a_use_that_is_not_recorded", () => {
		const found = broken((model) => (valueCalled(model, "a").uses as Set<Use>).clear());
		expect(found).toContain('"a" records 0 uses but has 2');
		expect(found).toContain('a use of "a" is not recorded');
	});

	it("finds_a_use_that_is_gone", () => {
		const found = broken((model) => {
			(valueCalled(model, "x").uses as Set<Use>).add({ kind: "output", graph: model.graph, index: 0 });
		});
		expect(found).toEqual(['"x" records 2 uses but has 1']);
	});

	it("finds_an_operator_of_a_domain_that_is_not_imported", () => {
		const found = broken((model) => {
			addNode(model.graph, { opType: "Gelu", domain: "com.microsoft", inputs: [valueCalled(model, "a")], outputs: ["z"] });
		});
		expect(found).toEqual(['no operator set is imported for domain "com.microsoft"']);
	});

	it("needs_no_import_for_a_call_of_a_function_of_the_model", () => {
		const text = `
			model ir 8, opset ai.onnx 17
			graph main(x)
				y = own.Twice(x)
				return y
			function own.Twice, opset ai.onnx 17
				graph body(a)
					b = Add(a, a)
					return b`;
		expect([...problems(parseModel(text))]).toEqual([]);
	});
});
