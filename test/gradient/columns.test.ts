// Some columns of logits without the others: the same numbers and gradients as columns of all, for every form of a head.
import { describe, expect, it } from "vitest";
import { columnSelector } from "../../src/gradient/columns.js";
import type { Ops } from "../../src/gradient/ops.js";
import { differentiate } from "../../src/gradient/sweep.js";
import type { Value } from "../../src/ir/graph.js";
import { normal } from "../../src/random.js";
import type { Feeds } from "../../src/runtime/session.js";
import { compute, doubles, integers, written } from "./help.js";

const random = (dims: readonly number[], seed: number) => doubles(dims, normal(seed));

/** States [2, 3, 4], factors of rank 4 for 7 tokens and for 7 columns, a bias. */
const FEEDS: Feeds = {
	h: random([2, 3, 4], 1),
	u: random([7, 4], 2),
	ut: random([4, 7], 3),
	bias: random([7], 4),
	ids: integers([3], [5, 0, 2]),
};
const HEAD = "main(h: float64[2, 3, 4], u: float64[7, 4], ut: float64[4, 7], bias: float64[7], ids: int64[3])";

const HEADS: Readonly<Record<string, string>> = {
	a_product_with_a_twin: "y = MatMul(h, ut)",
	a_product_with_a_transposed_table: "t = Transpose<perm=[1, 0]>(u)\ny = MatMul(h, t)",
	a_gemm_between_reshapes:
		"flat = int64[2] {6, 4}\nback = int64[3] {2, 3, 7}\nh2 = Reshape(h, flat)\ng = Gemm<transB=1, alpha=0.5>(h2, u, bias)\ny = Reshape(g, back)",
	a_gemm_with_a_twin: "flat = int64[2] {6, 4}\nback = int64[3] {2, 3, 7}\nh2 = Reshape(h, flat)\ng = Gemm(h2, ut)\ny = Reshape(g, back)",
	a_bias_and_a_soft_cap: "cap = float64[] {30}\nm = MatMul(h, ut)\na = Add(bias, m)\nd = Div(a, cap)\nt = Tanh(d)\ny = Mul(t, cap)",
	words_before_time: "m = MatMul(h, ut)\ny = Transpose<perm=[1, 0, 2]>(m)",
};

async function both(body: string) {
	const { model, ops, value } = await written([HEAD, ...body.split("\n").map((line) => `  ${line}`), "  return y"].join("\n"), FEEDS);
	const select = columnSelector(ops, value("y"));
	return { model, ops, value, select };
}

function gradientsOf(ops: Ops, logits: Value, values: readonly Value[]): (Value | undefined)[] {
	const { gradients } = differentiate(ops, ops.total(ops.mul(logits, logits)), values);
	return values.map((value) => gradients.get(value)?.dense);
}

describe("columnSelector", () => {
	for (const [name, body] of Object.entries(HEADS)) {
		it(`gives_columns_of_${name}_and_their_gradients`, async () => {
			const { model, ops, value, select } = await both(body);
			const few = select?.(value("ids"));
			if (few === undefined) throw new Error("nothing was selected");
			const all = ops.gather(value("y"), value("ids"), 2);
			expect(ops.dims(few)).toEqual(ops.dims(all));
			const trained = ["h", "u", "ut", "bias"].map(value);
			const wanted = gradientsOf(ops, all, trained);
			const found = gradientsOf(ops, few, trained);
			const present = trained.flatMap((_, index) => (wanted[index] === undefined ? [] : [index]));
			expect(found.map((gradient) => gradient === undefined)).toEqual(wanted.map((gradient) => gradient === undefined));
			const values = [all, few, ...present.flatMap((index) => [wanted[index], found[index]])].filter((one) => one !== undefined);
			const results = await compute(model, values, FEEDS);
			for (let index = 0; index < results.length; index += 2) {
				expect(Math.max(...(results[index] ?? []).map(Math.abs))).toBeGreaterThan(0);
				for (const [at, number] of (results[index] ?? []).entries()) expect(results[index + 1]?.[at]).toBeCloseTo(number, 12);
			}
		});
	}

	it("multiplies_nothing_but_the_columns_asked_for", async () => {
		const { model, value, select } = await both(HEADS.a_product_with_a_twin ?? "");
		const before = new Set(model.graph.nodes);
		select?.(value("ids"));
		expect(model.graph.nodes.filter((node) => !before.has(node)).map(({ opType }) => opType)).toEqual(["Gather", "MatMul"]);
	});

	for (const [name, body] of Object.entries({
		a_softmax: "m = MatMul(h, ut)\ny = Softmax(m)",
		a_slice_of_the_words: "from = int64[1] {0}\nto = int64[1] {5}\nlast = int64[1] {2}\nm = MatMul(h, ut)\ny = Slice(m, from, to, last)",
		words_that_move: "m = MatMul(h, ut)\ny = Transpose<perm=[0, 2, 1]>(m)",
	})) {
		it(`gives_none_behind_${name}`, async () => {
			const { model, select } = await both(body);
			const count = model.graph.nodes.length;
			expect(select).toBeUndefined();
			expect(model.graph.nodes.length).toBe(count);
		});
	}
});
