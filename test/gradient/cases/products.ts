// Cases of rules/products.ts: weights, batches that broadcast, vectors, transposed operands.
import type { GradientCase } from "../check.js";

function product(op: string, a: string, b: string, about = `${a} × ${b}`): GradientCase {
	return { about, graph: `main(a: T[${a}], b: T[${b}])\ny = ${op}(a, b)\nreturn y` };
}

const TRANSPOSED = ["transA=0, transB=1", "transA=1, transB=0", "transA=1, transB=1"];

export const products = {
	MatMul: [
		product("MatMul", "2, 3", "3, 4"),
		product("MatMul", "2, 5, 3", "3, 4"),
		product("MatMul", "2, 2, 5, 3", "2, 2, 3, 4"),
		product("MatMul", "2, 1, 2, 3", "4, 3, 2"),
		product("MatMul", "2, 3", "4, 3, 2"),
		product("MatMul", "3", "3, 4"),
		product("MatMul", "2, 3", "3"),
		product("MatMul", "3", "3"),
		{
			about: "a factor for each row of the result",
			graph: "main(a: T[2, 3, 2], b: T[2, 5], d: T[5], c: T[2, 3, 1])\nx = MatMul(a, b)\nz = Add(x, d)\ny = Mul(z, c)\nreturn y",
		},
		product("MatMul", "3", "2, 3, 4"),
		product("MatMul", "2, 4, 3", "3"),
		{ ...product("MatMul", "2, 5, 3", "3, 4", "opset 9"), opset: 9 },
	],
	Gemm: [
		{
			about: "a factor for each row, between reshapes",
			graph:
				"main(a: T[2, 3, 2], b: T[5, 2], c: T[2, 3, 1])\nrows = int64[2] {6, 2}\nback = int64[3] {2, 3, 5}\nr = Reshape(a, rows)\nx = Gemm<transB=1, alpha=0.5>(r, b)\nz = Reshape(x, back)\ny = Mul(z, c)\nreturn y",
		},
		{
			about: "a factor for each row, transposed",
			graph: "main(a: T[2, 6], b: T[2, 5], c: T[6, 1])\nx = Gemm<transA=1>(a, b)\ny = Mul(x, c)\nreturn y",
		},
		{ about: "bias row", graph: "main(a: T[2, 3], b: T[3, 4], c: T[4])\ny = Gemm(a, b, c)\nreturn y" },
		...TRANSPOSED.map((flags) => ({
			about: flags,
			graph: `main(a: T[${flags.startsWith("transA=1") ? "3, 2" : "2, 3"}], b: T[${flags.endsWith("1") ? "4, 3" : "3, 4"}], c: T[2, 1])\ny = Gemm<${flags}, alpha=0.5, beta=0.25>(a, b, c)\nreturn y`,
		})),
		{ about: "no bias", graph: "main(a: T[2, 3], b: T[3, 4])\ny = Gemm<alpha=2.0>(a, b)\nreturn y", opset: 11 },
		{ about: "scalar bias of opset 7", graph: "main(a: T[2, 3], b: T[3, 4], c: T[])\ny = Gemm(a, b, c)\nreturn y", opset: 7 },
	],
	"com.microsoft.FusedMatMul": [
		product("com.microsoft.FusedMatMul<alpha=0.5>", "2, 3", "3, 4", "alpha"),
		product("com.microsoft.FusedMatMul<transB=1, alpha=0.25>", "2, 2, 5, 3", "2, 2, 4, 3", "batched, transB"),
		product("com.microsoft.FusedMatMul<transA=1, alpha=0.5>", "2, 3, 5", "2, 3, 4", "batched, transA"),
		product("com.microsoft.FusedMatMul<transA=1, transB=1>", "2, 3, 5", "2, 4, 3", "batched, both"),
		product("com.microsoft.FusedMatMul<transB=1>", "2, 5, 3", "4, 3", "weights, transB"),
		// The engine has these for single precision only.
		{
			...product("com.microsoft.FusedMatMul<transBatchA=1, alpha=0.5>", "5, 2, 2, 3", "2, 2, 3, 4", "batch axes of A last"),
			precision: "float32",
		},
		{
			...product("com.microsoft.FusedMatMul<transBatchB=1, transB=1>", "2, 5, 3", "4, 2, 3", "batch axes of B last, transB"),
			precision: "float32",
		},
		{
			...product("com.microsoft.FusedMatMul<transBatchA=1, transA=1>", "3, 2, 5", "2, 3, 4", "batch axes of A last, transA"),
			precision: "float32",
		},
	],
	Einsum: [
		{ about: "bsd,vd->bsv", graph: 'main(a: T[2, 3, 4], b: T[5, 4])\ny = Einsum<equation="bsd,vd->bsv">(a, b)\nreturn y' },
		{ about: "attention", graph: 'main(a: T[2, 2, 3, 2], b: T[2, 2, 4, 2])\ny = Einsum<equation="bhqd, bhkd -> bhqk">(a, b)\nreturn y' },
		{ about: "a letter that is summed alone", graph: 'main(a: T[2, 3], b: T[3, 4])\ny = Einsum<equation="ij,jk->j">(a, b)\nreturn y' },
		{ about: "no arrow", graph: 'main(a: T[2, 3], b: T[3, 4])\ny = Einsum<equation="ij,jk">(a, b)\nreturn y' },
		{ about: "three operands", graph: 'main(a: T[2, 3], b: T[3, 4], c: T[4])\ny = Einsum<equation="ij,jk,k->i">(a, b, c)\nreturn y' },
		{ about: "an ellipsis", graph: 'main(a: T[2, 3, 4], b: T[4, 5])\ny = Einsum<equation="...d,dv->...v">(a, b)\nreturn y' },
		{
			about: "ellipses of both, no arrow",
			graph: 'main(a: T[2, 5, 3, 4], b: T[2, 5, 4, 2])\ny = Einsum<equation="...ij,...jk">(a, b)\nreturn y',
		},
		{ about: "one operand", graph: 'main(a: T[2, 3])\ny = Einsum<equation="ij->ji">(a)\nreturn y' },
	],
	"com.microsoft.MatMulNBits": [4, 8].map((bits) => ({
		about: `${bits} bits`,
		graph: `main(x: T[2, 3, 32], s: T[8])\nb = uint8[4, 2, ${bits * 2}]\ny = com.microsoft.MatMulNBits<K=32, N=4, bits=${bits}, block_size=16>(x, b, s)\nreturn y`,
		parameters: ["x"],
		precision: "float32" as const,
	})),
	"com.microsoft.MatMulBnb4": [
		{
			about: "4 bits",
			graph:
				"main(x: T[2, 3, 32])\nb = uint8[64]\ns = T[8] {1, 2, 0.5, 1, 1, 3, 1, 2}\ny = com.microsoft.MatMulBnb4<K=32, N=4, block_size=16, quant_type=1>(x, b, s)\nreturn y",
			precision: "float32",
		},
	],
	Conv: [
		{ about: "one axis", graph: "main(x: T[2, 3, 7], w: T[4, 3, 3], b: T[4])\ny = Conv(x, w, b)\nreturn y", precision: "float32" },
		{
			about: "strides, dilations and uneven pads",
			graph: "main(x: T[2, 3, 9], w: T[4, 3, 2])\ny = Conv<strides=[2], dilations=[3], pads=[2, 1]>(x, w)\nreturn y",
			precision: "float32",
		},
		{
			about: "groups",
			graph: "main(x: T[2, 4, 5], w: T[6, 2, 3], b: T[6])\ny = Conv<group=2, pads=[1, 1]>(x, w, b)\nreturn y",
			precision: "float32",
		},
		{
			about: "each channel alone",
			graph: "main(x: T[1, 3, 6], w: T[3, 1, 4])\ny = Conv<group=3, pads=[3, 0]>(x, w)\nreturn y",
			precision: "float32",
		},
		{
			about: "two axes",
			graph: "main(x: T[1, 2, 5, 4], w: T[3, 2, 3, 2])\ny = Conv<strides=[2, 1], pads=[1, 0, 1, 1]>(x, w)\nreturn y",
			precision: "float32",
		},
	],
} satisfies Readonly<Record<string, readonly GradientCase[]>>;
