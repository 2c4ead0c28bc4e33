// Small graphs that are written without the schema: what readers that know the schema find in them.
import path from "node:path";
import { describe, expect, it } from "vitest";
import { printModel } from "../../src/ir/print.js";
import { type DirectGraph, encodeDirect } from "../../src/onnx/direct.js";
import { gramGraph, reflectGraph, reluGraph, residualsGraph } from "../../src/runtime/products/graphs.js";
import { temporaryFolder, withBytes } from "../support/models.js";
import { decodeByPeer } from "../support/peer.js";

const file = path.join(temporaryFolder(), "direct.onnx");

const printed = (graph: DirectGraph) => withBytes(file, encodeDirect(graph), ({ model }) => printModel(model));

describe("a graph that is written directly", () => {
	it("is_read_as_it_was_described", () => {
		expect(printed(residualsGraph())).toMatchInlineSnapshot(`
			"model ir 8, opset ai.onnx 17
			graph product(x: float32[b, d], u: float32[b, r], w: float32[r, d])
				difference = Gemm<beta=-1.0>(u, w, x)
				errors = ReduceSumSquare<axes=[1], keepdims=0>(difference)
				norms = ReduceSumSquare<axes=[1], keepdims=0>(x)
				return errors: float32[b], norms: float32[b]"
		`);
		expect(printed(reluGraph())).toMatchInlineSnapshot(`
			"model ir 8, opset ai.onnx 17
			graph product(target: float32[b, d], u: float32[b, r], w: float32[r, d])
				a = Relu(u)
				product = MatMul(a, w)
				error = Sub(product, target)
				loss = ReduceSumSquare<keepdims=0>(error)
				a_grad = Gemm<alpha=2.0, transB=1>(error, w)
				zero = Constant<value_float=0.0>()
				reached = GreaterOrEqual(u, zero)
				active = Cast<to=1>(reached)
				u_grad = Mul(a_grad, active)
				w_grad = Gemm<alpha=2.0, transA=1>(a, error)
				return loss: float32[], u_grad: float32[b, r], w_grad: float32[r, d]"
		`);
		expect(printed(gramGraph("float64", 200, true))).toMatchInlineSnapshot(`
			"model ir 8, opset ai.onnx 17
			graph product(x: float32[p, b, 200], factors: float32[p, b, 1])
				sizes = Constant<value_ints=[128, 72]>()
				parts = Constant<value_ints=[0]>()
				scaled = Mul(x, factors)
				wide = Cast<to=11>(scaled)
				x0, x1 = Split<axis=2>(wide, sizes)
				t0 = Transpose<perm=[0, 2, 1]>(x0)
				t1 = Transpose<perm=[0, 2, 1]>(x1)
				pg0_0 = MatMul(t0, x0)
				g0_0 = ReduceSum<keepdims=0>(pg0_0, parts)
				pg1_0 = MatMul(t1, x0)
				g1_0 = ReduceSum<keepdims=0>(pg1_0, parts)
				pg1_1 = MatMul(t1, x1)
				g1_1 = ReduceSum<keepdims=0>(pg1_1, parts)
				return g0_0: float64[128, 128], g1_0: float64[72, 128], g1_1: float64[72, 72]"
		`);
	});

	it("says_the_same_to_an_independent_reader", () => {
		const bytes = encodeDirect(reflectGraph(2));
		expect(decodeByPeer(bytes)).toMatchObject({
			irVersion: "8",
			opsetImport: [{ version: "17" }],
			graph: {
				node: [
					{ opType: "Gemm" },
					{ opType: "Gemm" },
					{ opType: "Gemm" },
					{ opType: "Gemm" },
					{ opType: "Gemm" },
					{ opType: "Gemm", output: ["z2"] },
				],
				input: [{ name: "z0" }, { name: "v0" }, { name: "s0" }, { name: "v1" }, { name: "s1" }],
				output: [{ name: "z2", type: { tensorType: { elemType: 11, shape: { dim: [{ dimParam: "c" }, { dimParam: "n" }] } } } }],
			},
		});
	});

	it("holds_sizes_of_more_than_one_byte", () => {
		const value = { name: "x", dtype: "float32", shape: [151_936, 2 ** 40] } as const;
		expect(printed({ inputs: [value], nodes: [], outputs: [value] })).toContain("float32[151936, 1099511627776]");
	});

	it.each([-1, 0.5, Number.NaN])("refuses_%s_where_a_whole_number_is_due", (int) => {
		const node = { opType: "Cast", inputs: ["x"], outputs: ["y"], attributes: { to: { int } } };
		expect(() => encodeDirect({ inputs: [], nodes: [node], outputs: [] })).toThrow("no whole number");
	});
});
