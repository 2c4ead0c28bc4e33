// What stays of fused operators because it cannot be taken apart: the sweep names the node and says why.
import { describe, expect, it } from "vitest";
import { decompose } from "../../src/gradient/decompose.js";
import type { Facts } from "../../src/gradient/facts.js";
import { Ops } from "../../src/gradient/ops.js";
import { differentiate, type MissingRule } from "../../src/gradient/sweep.js";
import { addOutput } from "../../src/ir/edit.js";
import type { Model, Value } from "../../src/ir/graph.js";
import { tensorOf } from "../../src/runtime/numbers.js";
import { probe } from "../../src/runtime/probe.js";
import type { EngineTensor } from "../../src/runtime/session.js";
import { grouped } from "./cases/group-query.js";
import { f32, node } from "./cases/node.js";
import { type GradientCase, modelOf } from "./check.js";

/** What is missing on the way from the first output to the first input. */
async function missing(given: GradientCase): Promise<readonly MissingRule[]> {
	const model = modelOf(given);
	const facts = await probe(model, feedsOf(model, given), { threads: 1 });
	const ops = Ops.on(model.graph, new Map(facts));
	decompose(ops);
	const [input] = model.graph.inputs;
	const [output] = model.graph.outputs;
	const loss = ops.total(output?.value as Value);
	addOutput(model.graph, loss);
	return differentiate(ops, loss, input === undefined ? [] : [input]).missing;
}

function feedsOf(model: Model, { feeds = {} }: GradientCase): Record<string, EngineTensor> {
	return Object.fromEntries(
		model.graph.inputs.map(({ name, type }) => {
			const dims = (type?.shape ?? []).map(Number);
			return [name, tensorOf((type?.dtype ?? "float32") as "float32", dims, (index) => feeds[name]?.[index] ?? Math.sin(index))];
		}),
	);
}

async function why(given: GradientCase): Promise<readonly string[]> {
	return (await missing(given)).map((rule) => rule.why);
}

describe("a node that stays", () => {
	it("is_named_with_its_operator", async () => {
		const given = grouped("", { attributes: "local_window_size=2, sliding_window_cache=1", past: 2 });
		expect(await missing({ ...given, graph: given.graph.replace(/\nreturn/, ' "attention"\nreturn') })).toEqual([
			{
				node: 'GroupQueryAttention "attention"',
				operator: "com.microsoft.GroupQueryAttention",
				why: "GroupQueryAttention with a past that slides",
			},
		]);
	});

	it("is_none_where_all_is_taken_apart", async () => {
		expect(await missing(grouped("", { past: 2 }))).toEqual([]);
	});

	it("says_which_output_is_read_that_is_not_made", async () => {
		const products = grouped("", { attributes: "qk_output=1", outputs: "y, k2, v2, products" });
		expect(await why(products)).toEqual(['output 3 ("products") of com.microsoft.GroupQueryAttention is read']);
	});
});

describe("GroupQueryAttention stays", () => {
	it("with_a_past_in_a_longer_buffer", async () => {
		const given = grouped("", { length: 1, past: 6 });
		expect(await why({ ...given, feeds: { l: [2], t: [3] } })).toEqual(["GroupQueryAttention with a past in a longer buffer"]);
	});

	it("with_pasts_that_are_said_to_be_of_different_lengths", async () => {
		const { graph, ...given } = grouped("", { batch: 2, length: 1, past: 3 });
		const constant = graph.replace("l: int32[2], ", "").replace("\ny,", "\nl = int32[2] {3, 2}\ny,");
		expect(await why({ ...given, graph: constant })).toEqual(["GroupQueryAttention with pasts of different lengths"]);
	});

	it("with_a_quantized_past", async () => {
		const given = grouped("", { past: 0 });
		const graph = given.graph
			.replace("pk: T", "pk: int8")
			.replace("pv: T", "pv: int8")
			.replace("t: int32[]", "t: int32[], a: float32[1], b: float32[1]")
			.replace("kv_num_heads=2", 'kv_num_heads=2, k_quant_type="PER_TENSOR", v_quant_type="PER_TENSOR", kv_cache_bit_width=8')
			.replace("l, t)", "l, t, _, _, _, _, _, a, b)");
		expect(await why({ ...given, graph, feeds: { ...given.feeds, a: [1], b: [1] } })).toEqual([
			"GroupQueryAttention with a quantized past",
		]);
	});
});

describe("attention stays", () => {
	it("with_a_past_in_a_longer_buffer", async () => {
		const [Q, K, V] = ["q", "k", "v"].map((name) => `${name}: T[2, 3, 4]`) as [string, string, string];
		const past = ["pk: T[2, 2, 5, 2]", "pv: T[2, 2, 5, 2]", "l: int32[1]"];
		const given = node("", "com.microsoft.MultiHeadAttention<num_heads=2>", [Q, K, V, "", "", "", ...past], "y, k2, v2", f32);
		expect(await why({ ...given, feeds: { l: [1] } })).toEqual(["MultiHeadAttention with a past in a longer buffer"]);
	});
});

/** Why the only node of a graph that the engine does not run stays; nothing is known of its results. */
function whyUnrun(given: GradientCase): string | undefined {
	const { graph } = modelOf(given);
	const [only] = graph.nodes;
	const facts = graph.inputs.map((value) => {
		const { dtype = "float32", shape = [] } = value.type ?? {};
		return [value, { dtype, dims: shape.map(Number) } as Facts] as const;
	});
	const ops = Ops.on(graph, new Map(facts));
	decompose(ops);
	return only === undefined ? undefined : ops.whyKept(only);
}

describe("what the engine does not run stays", () => {
	it.each([
		["LSTM with the batch first", node("", "LSTM<hidden_size=3, layout=1>", ["x: T[2, 3, 4]", "w: T[1, 12, 4]", "r: T[1, 12, 3]"], "y")],
		["GRU with the batch first", node("", "GRU<hidden_size=3, layout=1>", ["x: T[2, 3, 4]", "w: T[1, 9, 4]", "r: T[1, 9, 3]"], "y")],
		[
			'RNN with activation "Cosine"',
			node("", 'RNN<hidden_size=3, activations=["Cosine"]>', ["x: T[2, 3, 4]", "w: T[1, 3, 4]", "r: T[1, 3, 3]"], "y"),
		],
		["MultiHeadAttention of packed operands", node("", "com.microsoft.MultiHeadAttention<num_heads=2>", ["q: T[2, 3, 2, 3, 4]"], "y")],
		[
			"MultiHeadAttention of packed operands",
			node("", "com.microsoft.MultiHeadAttention<num_heads=2>", ["q: T[2, 3, 8]", "k: T[2, 5, 2, 2, 4]"], "y"),
		],
	])("%s", (why, given) => {
		expect(whyUnrun({ ...given, ...f32 })).toBe(why);
	});
});
