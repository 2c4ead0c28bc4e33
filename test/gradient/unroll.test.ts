// Loops of a known number of steps have gradients; the others are named with the reason.
import { describe, expect, it } from "vitest";
import type { Facts } from "../../src/gradient/facts.js";
import { asParameter, prepareForTraining } from "../../src/gradient/prepare.js";
import { differentiate } from "../../src/gradient/sweep.js";
import { unrollLoops } from "../../src/gradient/unroll.js";
import { checkModel } from "../../src/ir/check.js";
import { readElements } from "../../src/ir/elements.js";
import type { Value } from "../../src/ir/graph.js";
import { parseModel } from "../../src/ir/parse.js";
import { probe } from "../../src/runtime/probe.js";
import type { Feeds } from "../../src/runtime/session.js";
import { loops } from "./cases/loops.js";
import { checkGradients, TOLERANCE } from "./check.js";
import { compute, doubles, integers, valueNamed } from "./help.js";

const x = doubles([2, 3], [1, -2, 3, -4, 5, -6]);

describe("gradients through loops agree with central differences", () => {
	it.each(loops.map((given) => [given.about, given] as const))("%s", async (_, given) => {
		const { parameters, outputs, result } = await checkGradients(given);
		expect(result.missing).toEqual([]);
		expect([...parameters, ...outputs].filter(({ error }) => !(error <= TOLERANCE.float64))).toEqual([]);
		expect(outputs.length).toBeGreaterThan(0);
		expect(parameters.length + result.untrainable.length).toBe(given.graph.split("\n")[0]?.match(/: T\[/g)?.length);
	});
});

function prepared(text: string, feeds: Feeds) {
	const model = parseModel(`model ir 10, opset ai.onnx 18\n${text}`);
	return { model, training: prepareForTraining(model, (copy) => probe(copy, feeds, { threads: 1 })) };
}

/** A Loop over float64[2, 3] with these lines before it and in its body. */
function loop(before: readonly string[], inputs: string, body: readonly string[], results = ["h2"]): string {
	const outputs = results.map((_, index) => `y${index}`);
	return [
		"graph main(x: float64[2, 3], n: int64[], c0: bool[])",
		...before.map((line) => `\t${line}`),
		`\t${outputs.join(", ")} = Loop(${inputs}, x) "repeat"`,
		"\t\tbody:",
		"\t\tgraph inner(i: int64[], c: bool[], h: float64[2, 3])",
		...body.map((line) => `\t\t\t${line}`),
		`\t\t\treturn c2: bool[], ${results.map((name) => `${name}: float64[2, 3]`).join(", ")}`,
		...outputs.map((name) => `\ts${name} = ReduceSum<keepdims=0>(${name})`),
		`\tloss = Sum(${outputs.map((name) => `s${name}`).join(", ")})`,
		"\treturn loss: float64[]",
	].join("\n");
}

function ofConstants({ tensor }: Value): Facts | undefined {
	if (tensor === undefined) return undefined;
	return { dtype: tensor.dtype, dims: tensor.dims, values: readElements(tensor.dtype, tensor.bytes(), tensor.size).map(Number) };
}

const SAME = ["c2 = Identity(c)", "h2 = Mul(h, h)"];

async function why(text: string, feeds: Feeds): Promise<readonly unknown[]> {
	const { model, training } = prepared(text, feeds);
	const { ops, values } = await training;
	const [input, loss] = [values.get(valueNamed(model, "x")), values.get(valueNamed(model, "loss"))];
	if (input === undefined || loss === undefined) throw new Error("lost");
	return differentiate(ops, loss, [input]).missing.map((missing) => [missing.node, missing.why]);
}

const on = { ...doubles([], [1]), dtype: "bool", data: Uint8Array.of(1) } as const;
const feeds = { x, n: integers([], [2]), c0: on };

describe("a loop stays and is named", () => {
	it("where_the_number_of_steps_depends_on_data", async () => {
		expect(await why(loop([], "n, _", SAME), feeds)).toEqual([['Loop "repeat"', "Loop whose number of steps depends on data"]]);
	});

	it("where_a_condition_may_end_it", async () => {
		const body = ["t = ReduceSum<keepdims=0>(h)", "z = float64[] {0}", "c2 = Less(t, z)", "h2 = Neg(h)"];
		const before = ["k = int64[] {2}"];
		const computed = [['Loop "repeat"', "Loop with a condition that is computed"]];
		expect(await why(loop(before, "k, _", body), feeds)).toEqual(computed);
		expect(await why(loop(before, "_, c0", body), feeds)).toEqual(computed);
		expect(await why(loop(before, "k, c0", SAME), feeds)).toEqual(computed);
	});

	it("where_it_has_too_many_steps", async () => {
		const text = loop(["k = int64[] {10000}"], "k, _", ["c2 = Identity(c)", "h2 = Neg(h)"]);
		expect(await why(text, feeds)).toEqual([['Loop "repeat"', "Loop of 10000 steps, 2 nodes each"]]);
	});

	it("where_it_has_no_step_and_slices", async () => {
		const text = loop(["k = int64[] {0}"], "k, _", [...SAME, "z = Neg(h)"], ["h2", "z"]);
		expect(await why(text, feeds)).toEqual([['Loop "repeat"', "Loop without a step"]]);
	});

	it("where_loops_in_loops_would_make_too_many_nodes", () => {
		const within = ["k2 = int64[] {20}", "h2 = Loop(k2, c, h)", "\tbody:", "\tgraph within(j: int64[], d: bool[], u: float64[2, 3])"];
		const lines = ["\t\td2 = Identity(d)", "\t\tv = Neg(u)", "\t\treturn d2: bool[], v: float64[2, 3]"];
		const text = loop(["k = int64[] {10}"], "k, _", ["c2 = Identity(c)", ...within, ...lines]);
		const model = parseModel(`model ir 10, opset ai.onnx 18\n${text}`);
		const kept = new Map<Value, string>();
		const options = { known: ofConstants, most: 200, moved: new Map(), kept };
		expect([unrollLoops(model, options), kept.size]).toEqual([1, 0]);
		const unrolled = unrollLoops(model, options);
		expect(unrolled).toBeGreaterThan(0);
		expect(kept.size).toBe(10 - unrolled);
		expect(new Set(kept.values())).toEqual(new Set(["Loop of 20 steps, 2 nodes each"]));
		expect(model.graph.nodes.length).toBeLessThanOrEqual(200);
		checkModel(model);
	});

	it("not_where_it_is_unrolled", async () => {
		expect(await why(loop(["k = int64[] {2}"], "k, _", SAME), feeds)).toEqual([]);
	});
});

describe("an unrolled loop", () => {
	const WEIGHT = ["c2 = Identity(c)", "w = float64[3] {1, 2, 3}", "v = Neg(w)", "h2 = Mul(h, v)"];

	it("has_constants_and_nodes_that_are_the_same_in_all_steps_once", async () => {
		const { training } = prepared(loop(["k = int64[] {3}"], "k, _", WEIGHT), feeds);
		const { model } = await training;
		const operators = model.graph.nodes.map(({ opType }) => opType);
		expect(operators.filter((operator) => operator === "Neg")).toHaveLength(1);
		expect(operators.filter((operator) => operator === "Mul")).toHaveLength(3);
		expect(operators).not.toContain("Loop");
	});

	it("trains_a_constant_of_its_body_through_all_steps", async () => {
		const { model, training } = prepared(loop(["k = int64[] {2}"], "k, _", WEIGHT), feeds);
		const done = await training;
		const inner = model.graph.nodes.find(({ opType }) => opType === "Loop")?.attributes.get("body");
		const weight = inner?.kind === "graph" ? inner.value.initializers[0] : undefined;
		const [w, loss] = [weight && done.values.get(weight), done.values.get(valueNamed(model, "loss"))];
		if (w === undefined || loss === undefined) throw new Error("lost");
		const parameter = asParameter(done, w);
		const { dense } = differentiate(done.ops, loss, [parameter]).gradients.get(parameter) ?? {};
		const [found] = await compute(done.model, dense === undefined ? [] : [dense], { ...feeds, [parameter.name]: doubles([3], [1, 2, 3]) });
		// loss = Σ x w², so dw = 2 w Σ x over the rows
		expect([...(found ?? [])]).toEqual([2 * 1 * -3, 2 * 2 * 3, 2 * 3 * -3]);
	});
});
