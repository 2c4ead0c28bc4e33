// The textual notation: what is printed is read back to the same text.
import { describe, expect, it } from "vitest";
import { DistembError } from "../../src/errors.js";
import { checkModel } from "../../src/ir/check.js";
import { parseModel } from "../../src/ir/parse.js";
import { printModel } from "../../src/ir/print.js";

const EVERYTHING = `
model ir 8, opset ai.onnx 17, com.microsoft 1
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
	w = Case()
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

describe("parseModel", () => {
	it("reads_back_what_is_printed", () => {
		const model = parseModel(EVERYTHING);
		expect(printModel(model)).toBe(EVERYTHING);
		expect(printModel(parseModel(printModel(model)))).toBe(EVERYTHING);
	});
});
