// Ways through a model with bodies and functions.
import { describe, expect, it } from "vitest";
import { floatOf, intOf, intsOf, stringOf } from "../../src/ir/attributes.js";
import { parseModel } from "../../src/ir/parse.js";
import { allGraphs, allNodes, nodeLabel, readers, scopePath, scopes, subgraphs, valuesOf } from "../../src/ir/walk.js";
import { nodeCalled, valueCalled } from "./support.js";

const MODEL = parseModel(`
	model ir 8, opset ai.onnx 17, own 1
	graph main(x, w: float32[1], cond)
		w = float32[1] {1}
		k = float32[1] {2}
		a = own.Twice<alpha=1.5, n=3, s="t", l=[1, 2]>(x)
		y = If(cond) "outer"
			then_branch:
			graph then()
				z = If(cond) "inner"
					then_branch:
					graph deep()
						c = Add(a, w)
						return c
				return z
			others[]:
			graph first()
				return a
			others[]:
			graph second()
				return a
		return y
	function own.Twice, opset ai.onnx 17
		graph body(p)
			q = Add(p, p)
			return q`);

describe("walk", () => {
	it("finds_every_graph_and_function_bodies_only_if_asked", () => {
		expect([...allGraphs(MODEL)].map(({ name }) => name).sort()).toEqual(["deep", "first", "main", "second", "then"]);
		expect([...allGraphs(MODEL, true)].map(({ name }) => name)).toContain("body");
		expect([...allNodes(MODEL)].map(({ opType }) => opType).sort()).toEqual(["Add", "If", "If", "Twice"]);
	});

	it("lists_each_value_once", () => {
		expect([...valuesOf(MODEL.graph)].map(({ name }) => name)).toEqual(["x", "w", "cond", "k", "a", "y"]);
	});

	it("names_scopes_by_node_and_attribute", () => {
		const { graph } = valueCalled(MODEL, "c");
		expect(scopePath(graph)).toBe("main/outer.then_branch/inner.then_branch");
		expect([...scopes(graph)].map(({ name }) => name)).toEqual(["deep", "then", "main"]);
		expect([...subgraphs(nodeCalled(MODEL, "outer"))].map(({ attribute }) => attribute)).toEqual(["then_branch", "others", "others"]);
	});

	it("labels_nodes_by_name_or_by_what_they_compute", () => {
		expect(nodeLabel(nodeCalled(MODEL, "outer"))).toBe('If "outer"');
		expect(nodeLabel(nodeCalled(MODEL, "Add"))).toBe('Add → "c"');
	});

	it("finds_readers_in_every_scope", () => {
		expect(readers(valueCalled(MODEL, "w")).map(({ opType }) => opType)).toEqual(["Add"]);
	});
});

describe("attributes", () => {
	it("are_read_with_a_default_for_what_is_absent_or_of_another_kind", () => {
		const node = nodeCalled(MODEL, "Twice");
		expect([intOf(node, "n", 0), intOf(node, "m", 7), intOf(node, "s", 7)]).toEqual([3, 7, 7]);
		expect([floatOf(node, "alpha", 0), floatOf(node, "n", 2)]).toEqual([1.5, 2]);
		expect([stringOf(node, "s", ""), stringOf(node, "n", "d")]).toEqual(["t", "d"]);
		expect([intsOf(node, "l"), intsOf(node, "n")]).toEqual([[1, 2], undefined]);
	});
});
