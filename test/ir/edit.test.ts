// Edits: each keeps edges and uses in step; random sequences of them keep every invariant.
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { int } from "../../src/ir/attributes.js";
import { problems } from "../../src/ir/check.js";
import {
	addInitializer,
	addInput,
	addInt64,
	addNode,
	addOutput,
	describe as declare,
	freshName,
	giveDefault,
	importOpset,
	outputOf,
	removeInitializer,
	removeNode,
	removeUnused,
	renameValue,
	replaceUses,
	setAttribute,
	setInfo,
	setInput,
	setOutput,
	setTensor,
} from "../../src/ir/edit.js";
import type { Graph, Model, Node, Value } from "../../src/ir/graph.js";
import { parseModel } from "../../src/ir/parse.js";
import { printModel } from "../../src/ir/print.js";
import { int64Tensor } from "../../src/ir/tensor.js";
import { allGraphs, allNodes, readers, scopes } from "../../src/ir/walk.js";
import { nodeCalled, valueCalled } from "./support.js";

const TEXT = `
	model ir 8, opset ai.onnx 17
	graph main(x: float32[2], cond: bool[])
		w = float32[2] {1, 2}
		a: float32[2] = Add(x, w)
		b = Mul(a, w)
		y = If(cond) "choose"
			then_branch:
			graph then()
				v = float32[2] {3, 4}
				c = Neg(b)
				d = Add(c, v)
				return d
			else_branch:
			graph else()
				e = Sub(a, w)
				return e
		return y, a`;

function model(): Model {
	return parseModel(TEXT);
}

function sound(held: Model): void {
	expect([...problems(held)]).toEqual([]);
}

describe("edits", () => {
	it("replaceUses_reaches_bodies_and_outputs", () => {
		const held = model();
		replaceUses(valueCalled(held, "a"), valueCalled(held, "x"));
		expect(valueCalled(held, "a").uses.size).toBe(0);
		expect(readers(valueCalled(held, "x")).map(({ opType }) => opType)).toEqual(["Add", "Mul", "Sub"]);
		expect(held.graph.outputs[1]?.value.name).toBe("x");
		sound(held);
	});

	it("addNode_takes_over_an_existing_value_with_its_name_and_readers", () => {
		const held = model();
		const a = valueCalled(held, "a");
		const old = nodeCalled(held, "Add");
		const node = addNode(held.graph, { opType: "Relu", inputs: [valueCalled(held, "x")], outputs: [a] }, old);
		expect(a.producer).toBe(node);
		expect(old.outputs).toEqual([undefined]);
		expect(readers(a)).toHaveLength(2);
		removeUnused([old]);
		sound(held);
		expect(held.graph.nodes.map(({ opType }) => opType)).toEqual(["Relu", "Mul", "If"]);
	});

	it("addNode_refuses_a_place_in_another_graph", () => {
		const held = model();
		const inner = nodeCalled(held, "Neg");
		expect(() => addNode(held.graph, { opType: "Relu", inputs: [], outputs: ["z"] }, inner)).toThrow("another graph");
	});

	it("setInput_fills_the_gap_with_left_out_inputs", () => {
		const held = model();
		const node = nodeCalled(held, "Add");
		setInput(node, 4, valueCalled(held, "w"));
		expect(node.inputs.map((value) => value?.name)).toEqual(["x", "w", undefined, undefined, "w"]);
		setInput(node, 4, undefined);
		sound(held);
	});

	it("removeNode_refuses_while_somebody_reads_and_forgets_what_bodies_read", () => {
		const held = model();
		expect(() => removeNode(nodeCalled(held, "Mul"))).toThrow('still has readers of "b"');
		setOutput(held.graph, 0, valueCalled(held, "x"));
		removeNode(nodeCalled(held, "choose"));
		expect(valueCalled(held, "b").uses.size).toBe(0);
		expect(readers(valueCalled(held, "a")).map(({ opType }) => opType)).toEqual(["Mul"]);
		sound(held);
	});

	it("removeUnused_removes_what_fed_only_that_node_upwards_and_through_scopes", () => {
		const held = model();
		setOutput(held.graph, 0, valueCalled(held, "x"));
		setOutput(held.graph, 1, valueCalled(held, "x"));
		removeUnused([nodeCalled(held, "choose")]);
		// The bodies' readers are gone with the If, but only its own inputs are followed upwards.
		sound(held);
		removeUnused(held.graph.nodes.slice());
		expect(held.graph.nodes).toEqual([]);
		expect(held.graph.initializers).toEqual([]);
		sound(held);
	});

	it("removeInitializer_refuses_while_somebody_reads_and_cleans_the_input_list", () => {
		const held = parseModel("model ir 3, opset ai.onnx 8\ngraph main(x, w: float32[1])\n\tw = float32[1] {1}\n\ty = Add(x, w)\n\treturn y");
		const w = valueCalled(held, "w");
		expect(() => removeInitializer(w)).toThrow('"w" still has readers');
		setInput(nodeCalled(held, "Add"), 1, valueCalled(held, "x"));
		removeInitializer(w);
		expect(held.graph.inputs.map(({ name }) => name)).toEqual(["x"]);
		sound(held);
	});

	it("giveDefault_makes_an_input_an_initializer_that_is_listed_twice", () => {
		const held = model();
		const input = addInput(held.graph, "k");
		giveDefault(input, int64Tensor([1]));
		expect(held.graph.inputs).toContain(input);
		expect(held.graph.initializers).toContain(input);
		sound(held);
	});

	it("setTensor_is_for_initializers_only", () => {
		const held = model();
		setTensor(valueCalled(held, "w"), int64Tensor([5]));
		expect(valueCalled(held, "w").tensor?.dtype).toBe("int64");
		expect(() => setTensor(valueCalled(held, "a"), int64Tensor([5]))).toThrow("no initializer");
	});

	it("setInfo_drops_a_stale_declaration_from_the_list", () => {
		const held = model();
		expect(held.graph.described.map(({ name }) => name)).toEqual(["a"]);
		setInfo(valueCalled(held, "a"), undefined);
		expect(held.graph.described).toEqual([]);
		expect(valueCalled(held, "a").type).toBeUndefined();
	});

	it("freshName_avoids_every_name_of_every_scope_and_its_own_answers", () => {
		const held = model();
		expect([freshName(held, "c"), freshName(held, "c"), freshName(held, "new"), freshName(held, "new")]).toEqual([
			"c_1",
			"c_2",
			"new",
			"new_1",
		]);
		renameValue(valueCalled(held, "x"), "later");
		addInitializer(held.graph, "even_later", int64Tensor([1]));
		expect([freshName(held, "later"), freshName(held, "even_later")]).toEqual(["later_1", "even_later_1"]);
		expect(addInt64(held.graph, "w", [1, 2]).name).toBe("w_1");
	});

	it("importOpset_never_changes_a_version", () => {
		const held = model();
		importOpset(held, "", 21);
		importOpset(held, "com.microsoft", 1);
		expect([...held.opsets]).toEqual([
			["", 17],
			["com.microsoft", 1],
		]);
	});

	it("setAttribute_sets_and_removes", () => {
		const held = model();
		const node = nodeCalled(held, "Add");
		setAttribute(node, "k", int(3));
		expect(printModel(held)).toContain("Add<k=3>(x, w)");
		setAttribute(node, "k", undefined);
		expect(printModel(held)).toContain("Add(x, w)");
	});

	it("outputOf_is_an_error_of_ours_where_there_is_none", () => {
		const held = model();
		expect(outputOf(nodeCalled(held, "Add")).name).toBe("a");
		expect(() => outputOf(nodeCalled(held, "Add"), 1)).toThrow("has no output 1");
	});
});

// --- random sequences ---------------------------------------------------------

/** Numbers that choose one of several things each. */
class Choices {
	private next = 0;
	constructor(private readonly numbers: readonly number[]) {}

	of<T>(things: readonly T[]): T | undefined {
		const number = this.numbers[this.next++ % this.numbers.length] ?? 0;
		return things[number % Math.max(1, things.length)];
	}
}

/** What a node at place `index` of `graph` may read. */
function visible(graph: Graph, index: number): Value[] {
	const found: Value[] = [];
	let limit = index;
	for (const scope of scopes(graph)) {
		found.push(...scope.inputs, ...scope.initializers);
		for (const node of scope.nodes.slice(0, limit)) found.push(...node.outputs.filter((value) => value !== undefined));
		limit = scope.owner?.graph.nodes.indexOf(scope.owner) ?? 0;
	}
	return [...new Set(found)];
}

type Edit = (model: Model, choices: Choices) => void;

function somePlace(held: Model, choices: Choices): { graph: Graph; index: number } {
	const graph = choices.of([...allGraphs(held)]) ?? held.graph;
	return { graph, index: choices.of([...graph.nodes.keys(), graph.nodes.length]) ?? 0 };
}

const EDITS: Readonly<Record<string, Edit>> = {
	"add a node": (held, choices) => {
		const { graph, index } = somePlace(held, choices);
		const inputs = [choices.of(visible(graph, index)), choices.of([undefined, ...visible(graph, index)])];
		addNode(graph, { opType: "Add", inputs, outputs: [freshName(held, "n"), undefined] }, graph.nodes[index]);
	},
	"let a new node define an old value": (held, choices) => {
		const node = choices.of([...allNodes(held)]);
		if (node === undefined) return;
		const value = choices.of(node.outputs.filter((output) => output !== undefined));
		const inputs = [choices.of(visible(node.graph, node.graph.nodes.indexOf(node)))];
		if (value !== undefined) addNode(node.graph, { opType: "Relu", inputs, outputs: [value] }, node);
	},
	"set an input": (held, choices) => {
		const node = choices.of([...allNodes(held)]);
		if (node === undefined) return;
		setInput(node, choices.of([0, 1, 2]) ?? 0, choices.of([undefined, ...visible(node.graph, node.graph.nodes.indexOf(node))]));
	},
	"replace uses": (held, choices) => {
		const from = choices.of([...visible(held.graph, held.graph.nodes.length)]);
		const to = choices.of([...held.graph.inputs, ...held.graph.initializers]);
		if (from !== undefined && to !== undefined) replaceUses(from, to);
	},
	"remove what is unused": (held, choices) => {
		const node = choices.of([...allNodes(held)]);
		if (node !== undefined) removeUnused([node]);
	},
	"remove a node": (held, choices) => {
		const idle = (node: Node) => node.outputs.every((value) => value === undefined || value.uses.size === 0);
		const node = choices.of([...allNodes(held)].filter(idle));
		if (node !== undefined) removeNode(node);
	},
	"remove an initializer": (held, choices) => {
		const unread = [...allGraphs(held)].flatMap(({ initializers }) => initializers.filter(({ uses }) => uses.size === 0));
		const value = choices.of(unread);
		if (value !== undefined) removeInitializer(value);
	},
	"add an initializer": (held, choices) => {
		const graph = choices.of([...allGraphs(held)]) ?? held.graph;
		addInitializer(graph, freshName(held, "k"), int64Tensor([1]));
	},
	"add an input": (held) => {
		giveDefault(addInput(held.graph, freshName(held, "i")), int64Tensor([1]));
	},
	"add an output": (held, choices) => {
		const graph = choices.of([...allGraphs(held)]) ?? held.graph;
		const value = choices.of(visible(graph, graph.nodes.length));
		if (value !== undefined) addOutput(graph, value);
	},
	"set an output": (held, choices) => {
		const graph = choices.of([...allGraphs(held)]) ?? held.graph;
		const value = choices.of(visible(graph, graph.nodes.length));
		const index = choices.of([...graph.outputs.keys()]);
		if (value !== undefined && index !== undefined) setOutput(graph, index, value);
	},
	"rename a value": (held, choices) => {
		const value = choices.of(visible(held.graph, held.graph.nodes.length));
		if (value !== undefined) renameValue(value, freshName(held, "r"));
	},
	"declare a type": (held, choices) => {
		const node = choices.of([...allNodes(held)]);
		const value = node?.outputs.find((output) => output !== undefined);
		if (value === undefined) return;
		if (value.graph.described.includes(value)) setInfo(value, undefined);
		else declare(value, { type: { dtype: "float32", shape: [2] }, carried: undefined });
	},
};

describe("random sequences of edits", () => {
	it("keep_every_invariant", () => {
		const step = fc.tuple(fc.constantFrom(...Object.keys(EDITS)), fc.array(fc.nat(1000), { minLength: 4, maxLength: 4 }));
		let applied = 0;
		fc.assert(
			fc.property(fc.array(step, { minLength: 5, maxLength: 30 }), (steps) => {
				const held = model();
				for (const [name, numbers] of steps) {
					EDITS[name]?.(held, new Choices(numbers));
					applied++;
					expect([...problems(held)], name).toEqual([]);
				}
				const text = printModel(held);
				expect(printModel(parseModel(text))).toBe(text);
			}),
			{ seed: 7, numRuns: 300 },
		);
		expect(applied).toBeGreaterThan(2000);
	});
});
