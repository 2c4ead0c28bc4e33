// The sweep: names, sums, rows of tables, what stops and what is missing.
import { describe, expect, it } from "vitest";
import { differentiate } from "../../src/gradient/sweep.js";
import { printGraph } from "../../src/ir/print.js";
import { compute, doubles, integers, written } from "./help.js";

const x = doubles([2, 3], [1, -2, 3, -4, 5, -6]);

describe("differentiate", () => {
	it("names_gradients_after_their_values_and_adds_no_node_that_is_not_needed", async () => {
		const { model, ops, value } = await written(
			`main(x: float64[2, 3], w: float64[3, 2])
			h = MatMul(x, w)
			r = Relu(h)
			loss = ReduceSum<keepdims=0>(r)
			return loss`,
			{ x, w: doubles([3, 2], (index) => index - 2) },
		);
		const { gradients } = differentiate(ops, value("loss"), [value("w")]);
		expect(gradients.get(value("w"))?.dense?.name).toBe("w_grad");
		expect(printGraph(model.graph)).toMatchInlineSnapshot(`
			"graph main(x: float64[2, 3], w: float64[3, 2])
				"constant/[]" = int64[0] {}
				"constant/[1,1]" = int64[2] {1, 1}
				"constant/[2,2]" = int64[2] {2, 2}
				constant/float64_0 = float64[] {0}
				h = MatMul(x, w)
				r = Relu(h)
				loss = ReduceSum<keepdims=0>(r)
				loss_grad = ConstantOfShape<value=float64[1] {1}>("constant/[]") "loss_grad/ConstantOfShape"
				loss_grad/Reshape = Reshape<allowzero=0>(loss_grad, "constant/[1,1]") "loss_grad/Reshape"
				r_grad = Expand(loss_grad/Reshape, "constant/[2,2]") "r_grad/Expand"
				r_grad/Greater = Greater(r, constant/float64_0) "r_grad/Greater"
				r_grad/Cast = Cast<to=11>(r_grad/Greater) "r_grad/Cast"
				h_grad = Mul(r_grad, r_grad/Cast) "r_grad/Mul"
				w_grad = Gemm<transA=1, transB=0, alpha=1.0>(x, h_grad) "h_grad/Gemm"
				return loss"
		`);
	});

	it("adds_up_what_comes_from_several_readers", async () => {
		const feeds = { x };
		const { model, ops, value } = await written(
			`main(x: float64[2, 3])
			a = Mul(x, x)
			b = Add(a, x)
			c = Add(b, x)
			loss = ReduceSum<keepdims=0>(c)
			return loss`,
			feeds,
		);
		const { gradients } = differentiate(ops, value("loss"), [value("x")]);
		const dense = gradients.get(value("x"))?.dense;
		expect(dense?.name).toBe("x_grad");
		const [found] = await compute(model, dense === undefined ? [] : [dense], feeds);
		expect([...(found ?? [])]).toEqual([4, -2, 8, -6, 12, -10]);
	});

	it("gives_every_parameter_an_output_of_its_own", async () => {
		const feeds = { a: x, b: x };
		const { ops, value } = await written(
			`main(a: float64[2, 3], b: float64[2, 3])
			c = Add(a, b)
			loss = ReduceSum<keepdims=0>(c)
			return loss`,
			feeds,
		);
		const { gradients } = differentiate(ops, value("loss"), [value("a"), value("b")]);
		expect([...gradients.values()].map(({ dense }) => dense?.name)).toEqual(["a_grad", "b_grad"]);
	});

	it("differentiates_with_respect_to_a_value_inside_the_graph", async () => {
		const { ops, value } = await written(
			`main(x: float64[2, 3])
			h = Tanh(x)
			s = Mul(h, h)
			loss = ReduceSum<keepdims=0>(s)
			return loss`,
			{ x },
		);
		const { gradients } = differentiate(ops, value("loss"), [value("h")]);
		expect(gradients.get(value("h"))?.dense?.name).toBe("h_grad");
	});

	it("refuses_a_loss_of_several_elements", async () => {
		const { ops, value } = await written("main(x: float64[2, 3])\ny = Tanh(x)\nreturn y", { x });
		expect(() => differentiate(ops, value("y"), [value("x")])).toThrow(/"y" has \[2, 3\] elements/);
	});
});

const TABLE = `main(table: float64[4, 2], ids: int64[3], w: float64[2, 4])
	rows = Gather(table, ids)
	square = Mul(rows, rows)
	first = ReduceSum<keepdims=0>(square)
	again = MatMul(table, w)
	second = ReduceSum<keepdims=0>(again)
	loss = Add(first, second)
	return loss`;

describe("rows of a table", () => {
	const feeds = { table: doubles([4, 2], (index) => index + 1), ids: integers([3], [2, -2, 0]), w: doubles([2, 4], () => 1) };

	it("are_added_into_the_whole_table_unless_asked_for", async () => {
		const { model, ops, value } = await written(TABLE, feeds);
		const { gradients } = differentiate(ops, value("loss"), [value("table")]);
		const { dense, rows } = gradients.get(value("table")) ?? {};
		expect(rows).toEqual([]);
		const [found] = await compute(model, dense === undefined ? [] : [dense], feeds);
		expect([...(found ?? [])]).toEqual([2 + 4, 4 + 4, 4, 4, 20 + 4, 24 + 4, 4, 4]);
	});

	it("stay_rows_with_ids_from_the_front_beside_what_is_dense", async () => {
		const { model, ops, value } = await written(TABLE, feeds);
		const table = value("table");
		const { gradients } = differentiate(ops, value("loss"), [table], { keepRows: new Set([table]) });
		const { dense, rows = [] } = gradients.get(table) ?? {};
		expect(rows.map(({ ids, rows: values }) => [ids.name, values.name])).toEqual([["table_grad_ids", "table_grad_rows"]]);
		const wanted = [dense, rows[0]?.ids, rows[0]?.rows].filter((value) => value !== undefined);
		const [whole, ids, parts] = await compute(model, wanted, feeds);
		expect([...(whole ?? [])]).toEqual([4, 4, 4, 4, 4, 4, 4, 4]);
		expect([...(ids ?? [])]).toEqual([2, 2, 0]);
		expect([...(parts ?? [])]).toEqual([10, 12, 10, 12, 2, 4]);
	});

	it("need_no_tensor_of_the_tables_size_when_only_looked_up", async () => {
		const { model, ops, value } = await written(
			"main(table: float64[4, 2], ids: int64[3])\nrows = Gather(table, ids)\nloss = ReduceSum<keepdims=0>(rows)\nreturn loss",
			feeds,
		);
		const table = value("table");
		const { gradients } = differentiate(ops, value("loss"), [table], { keepRows: new Set([table]) });
		expect(gradients.get(table)?.dense).toBeUndefined();
		expect(model.graph.nodes.map(({ opType }) => opType)).not.toContain("ScatterND");
	});

	it("add_up_exactly_with_many_repeats_on_two_threads", async () => {
		const count = 20_000;
		const many = {
			table: doubles([7, 4], () => 0),
			ids: integers(
				[count],
				Array.from({ length: count }, (_, index) => (index * 7919) % 5),
			),
		};
		const { model, ops, value } = await written(
			`main(table: float64[7, 4], ids: int64[${count}])\nrows = Gather(table, ids)\nloss = ReduceSum<keepdims=0>(rows)\nreturn loss`,
			many,
		);
		const { dense } = differentiate(ops, value("loss"), [value("table")]).gradients.get(value("table")) ?? {};
		const [found] = await compute(model, dense === undefined ? [] : [dense], many, 2);
		expect([...(found ?? [])]).toEqual(Array.from({ length: 28 }, (_, index) => (index < 20 ? count / 5 : 0)));
	});
});

describe("operators without a gradient", () => {
	it("stops_are_silent", async () => {
		const { ops, value } = await written(
			`main(x: float64[2, 3], y: float64[2, 3])
			mask = Greater(x, y)
			one = float64[] {1}
			zero = float64[] {0}
			m = Where(mask, one, zero)
			f = Floor(x)
			p = Mul(m, y)
			q = Add(p, f)
			loss = ReduceSum<keepdims=0>(q)
			return loss`,
			{ x, y: x },
		);
		const { gradients, untrainable, missing } = differentiate(ops, value("loss"), [value("x"), value("y")]);
		expect(missing).toEqual([]);
		expect([...gradients.keys()].map(({ name }) => name)).toEqual(["y"]);
		expect(untrainable.map(({ parameter, because }) => [parameter.name, because])).toEqual([["x", []]]);
	});

	it("missing_rules_make_what_lies_behind_them_untrainable_and_name_the_node", async () => {
		const { ops, value } = await written(
			`main(x: float64[2, 3], w: float64[2, 3], v: float64[2, 3])
			a = Mul(x, w)
			b = Selu(a) "curve"
			c = Mul(b, v)
			loss = ReduceSum<keepdims=0>(c)
			return loss`,
			{ x, w: x, v: x },
		);
		const because = [{ node: 'Selu "curve"', operator: "Selu", why: "there is no rule for Selu" }];
		const result = differentiate(ops, value("loss"), [value("x"), value("w"), value("v")]);
		expect(result.missing).toEqual(because);
		expect([...result.gradients.keys()].map(({ name }) => name)).toEqual(["v"]);
		expect(result.untrainable).toEqual([
			{ parameter: value("x"), because },
			{ parameter: value("w"), because },
		]);
	});

	it("says_which_gradients_lack_a_part", async () => {
		const { ops, value } = await written(
			`main(x: float64[2, 3])
			a = Selu(x)
			b = Mul(a, x)
			loss = ReduceSum<keepdims=0>(b)
			return loss`,
			{ x },
		);
		const { gradients, untrainable } = differentiate(ops, value("loss"), [value("x")]);
		expect(untrainable).toEqual([]);
		expect(gradients.get(value("x"))?.lacks.map(({ operator }) => operator)).toEqual(["Selu"]);
	});

	it("a_use_that_a_rule_does_not_cover_is_missing_too", async () => {
		const { ops, value } = await written(
			`main(x: float64[2, 3], n: int64[1])
			k = int64[1] {1}
			y = Slice(x, n, k)
			loss = ReduceSum<keepdims=0>(y)
			return loss`,
			{ x, n: integers([1], [0]) },
		);
		const { missing, untrainable } = differentiate(ops, value("loss"), [value("x")]);
		expect(missing.map(({ why }) => why)).toEqual(['input 1 ("n") depends on data']);
		expect(untrainable).toHaveLength(1);
	});

	it("a_loop_is_missing_with_what_its_body_reads", async () => {
		const { ops, value } = await written(
			`main(x: float64[2, 3], w: float64[2, 3])
			n = int64[] {2}
			on = bool[] {1}
			y = Loop(n, on, x) "repeat"
				body:
				graph inner(i: int64[], c: bool[], h: float64[2, 3])
					k = Identity(c)
					g = Mul(h, w)
					return k: bool[], g: float64[2, 3]
			loss = ReduceSum<keepdims=0>(y)
			return loss`,
			{ x, w: x },
		);
		const { untrainable } = differentiate(ops, value("loss"), [value("x"), value("w")]);
		expect(untrainable.map(({ parameter, because }) => [parameter.name, because[0]?.node])).toEqual([
			["x", 'Loop "repeat"'],
			["w", 'Loop "repeat"'],
		]);
	});
});
