// The textual notation: what is printed is read back to the same text; errors name their line.
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { checkModel } from "../../src/ir/check.js";
import { readElements } from "../../src/ir/elements.js";
import { parseModel } from "../../src/ir/parse.js";
import { printModel } from "../../src/ir/print.js";

const EVERYTHING = `
model ir 8, opset ai.onnx 17, com.microsoft 1, Some 3
graph main(ids: int64[batch, "length + 1"], cond: bool[], free, table: float32[3, 2], odd: float32[…], unknown: ?[?, 2])
	table = float32[3, 2] {1, 2, 3, 4, -0.5, 1e-7}
	"has space" = float16[2] {1.5, -2}
	big = float32[100, 200] external "model.onnx_data"
	shape = int64[2] {-1, 9007199254740993}
	packed = uint4[3] {1, 15, 7}
	signed = int4[4] {-8, 7, 0, -1}
	scalar = float32[] {0.1}
	halves = bfloat16[3] {1, inf, nan}
	s = sparse
	/embed/Gather_output_0: float32[batch, ?, 2] = Gather<axis=0>(table, ids) "/embed/Gather"
	onnx::MatMul_837 = com.microsoft.FusedMatMul<alpha=2.0, transB=1, note="a \\"b\\"", perm=[1, 0], f=[1.5, 2.0], e=[], fe=floats[], se=strings[], names=["x"], value=int64[1] {3}, odd=?>(/embed/Gather_output_0, table)
	a, _, "return" = Some.Op:over(onnx::MatMul_837, _, odd)
	y = If(cond) "choose"
		then_branch:
		graph then()
			c = float32[1] {1}
			z = Add(c, a)
			return z
		else_branch:
		graph else()
			c = float32[1] {2}
			z = Add(c, a)
			return z
	w = Some.Case()
		branches[]:
		graph one()
			return y
		branches[]:
		graph two()
			return y
	return y: float32[batch], a
function Some.Op:over<axis, alpha=1.0>, opset ai.onnx 17
	graph body(p, q, r)
		t = Relu<axis=@axis>(p)
		return t, q, t
`.trim();

const HEAD = "model ir 8, opset ai.onnx 17\n";

describe("parseModel", () => {
	it("reads_back_what_is_printed", () => {
		const model = parseModel(EVERYTHING);
		expect(printModel(model)).toBe(EVERYTHING);
		expect(printModel(parseModel(printModel(model)))).toBe(EVERYTHING);
		checkModel(model);
	});

	it("takes_text_that_is_indented_as_a_whole_with_comments", () => {
		const model = parseModel(`
			# a comment
			model ir 8, opset ai.onnx 17

			graph main(x)
				# another
				return x`);
		expect(printModel(model)).toBe("model ir 8, opset ai.onnx 17\ngraph main(x)\n\treturn x");
	});

	it("round_trips_every_name_and_number", () => {
		const name = fc.string({ minLength: 1, unit: "binary" });
		const float = fc.float();
		fc.assert(
			fc.property(
				name,
				name,
				fc.array(float, { minLength: 1, maxLength: 8 }),
				fc.array(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n })),
				(label, operator, numbers, whole) => {
					const written = JSON.stringify;
					const text = `${HEAD}graph g(${written(label)})\n\t${written(`${label}2`)} = float32[${numbers.length}]\n\t${written(`${label}3`)} = X<i=[${whole.join(", ")}]>(${written(label)}) ${written(operator)}\n\treturn`;
					const model = parseModel(text, { values: { [`${label}2`]: numbers } });
					const again = parseModel(printModel(model));
					expect(printModel(again)).toBe(printModel(model));
					expect(again.graph.inputs[0]?.name).toBe(label);
					expect(again.graph.nodes[0]?.name).toBe(operator);
					expect(again.graph.nodes[0]?.attributes.get("i")).toEqual({ kind: "ints", value: whole });
					expect(again.graph.initializers[0]?.tensor?.bytes()).toEqual(model.graph.initializers[0]?.tensor?.bytes());
				},
			),
			{ seed: 1, numRuns: 300 },
		);
	});

	it("fills_tensors_repeatably_only_if_a_seed_is_given", () => {
		const text = `${HEAD}graph g()\n\tf = float32[4]\n\tb = uint8[4]\n\ti = int64[4]\n\th = float16[2]\n\treturn`;
		expect(parseModel(text).graph.initializers.map(({ tensor }) => tensor?.data)).toEqual([undefined, undefined, undefined, undefined]);
		const bytes = (seed: number) => parseModel(text, { seed }).graph.initializers.map(({ tensor }) => tensor?.bytes());
		expect(bytes(1)).toEqual(bytes(1));
		expect(bytes(1)).not.toEqual(bytes(2));
		const floats = parseModel(text, { seed: 1 }).graph.initializers[0]?.tensor;
		expect(readElements("float32", floats?.bytes() ?? new Uint8Array(), 4).every((value) => Math.abs(Number(value)) < 1)).toBe(true);
	});

	it.each([
		["x", "line 1: a model starts with"],
		["model ir 8, opset ai.onnx", "line 1: expected a version"],
		[`${HEAD}`, "line 1: expected a line `graph NAME(…)`, but the text ends"],
		[`${HEAD}graph g(x`, 'line 2: expected ")"'],
		[`${HEAD}graph g(x)\n\ty = Relu(z)\n\treturn y`, 'line 3: "z" is not defined'],
		[`${HEAD}graph g(x)\n\ty = Relu(y)\n\treturn y`, 'line 3: "y" is not defined'],
		[`${HEAD}graph g(x)\n\tx = Relu(x)\n\treturn x`, 'line 3: "x" is defined twice in graph "g"'],
		[`${HEAD}graph g(x)\n\ty = Relu<a=1, a=2>(x)\n\treturn y`, 'line 3: attribute "a" is given twice'],
		[`${HEAD}graph g(x)\n\ty = Relu(x`, 'line 3: expected ")"'],
		[`${HEAD}graph g(x)\n\ty = Relu(x) extra\n\treturn y`, 'line 3: unexpected "extra"'],
		[`${HEAD}graph g(x)\n\ty = Relu(x)`, "line 3: expected a line `return …`, but the text ends"],
		[`${HEAD}graph g(x)\n\t\ty = Relu(x)\n\treturn y`, "line 3: expected a line `return …`, indented by 1 tabs instead of 2"],
		[`${HEAD}graph g(x)\n    y = Relu(x)\n\treturn y`, "line 3: indent with tabs"],
		[`${HEAD}graph g(x)\n\tw = float32[2] {1}\n\treturn x`, "line 3: float32[2] takes 2 values, got 1"],
		[`${HEAD}graph g(x: float33[2])\n\treturn x`, "line 2: expected an element type"],
		[`${HEAD}graph g(x)\n\ty = Relu<a=[1, "b"]>(x)\n\treturn y`, "line 3: a list holds numbers or strings, not both"],
		[`${HEAD}graph g(x)\n\ty = If(x)\n\t\tthen_branch:\n\t\tgraph t()\n\t\t\treturn y\n\treturn y`, 'line 6: "y" is not defined'],
		[`${HEAD}graph g(x)\n\treturn x\nnonsense`, "line 4: expected `function`"],
	])("says what is wrong with %j", (text, message) => {
		let line = "";
		try {
			parseModel(text);
		} catch (error) {
			line = error instanceof Error && "toLine" in error && typeof error.toLine === "function" ? String(error.toLine()) : String(error);
		}
		expect(line).toContain(message);
	});
});
