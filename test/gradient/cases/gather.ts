// Cases of rules/gather.ts: repeated and negative indices, every axis.
import type { GradientCase } from "../check.js";

export const gather = {
	Gather: [
		{
			about: "rows of a table, repeated",
			graph: "main(t: T[5, 3], i: int64[2, 3])\ny = Gather(t, i)\nreturn y",
			feeds: { i: [4, 1, 1, 0, 4, 4] },
		},
		{ about: "negative ids", graph: "main(t: T[5, 3], i: int64[4])\ny = Gather(t, i)\nreturn y", feeds: { i: [-1, 4, 0, -5] } },
		{ about: "int32 ids", graph: "main(t: T[5, 3], i: int32[3])\ny = Gather(t, i)\nreturn y", feeds: { i: [2, 2, 3] } },
		{ about: "a single id", graph: "main(t: T[5, 3], i: int64[])\ny = Gather(t, i)\nreturn y", feeds: { i: [2] } },
		{
			about: "axis 1, repeated",
			graph: "main(t: T[2, 4, 3], i: int64[2, 2])\ny = Gather<axis=1>(t, i)\nreturn y",
			feeds: { i: [3, 0, 3, 3] },
		},
		{ about: "last axis, one id", graph: "main(t: T[2, 4], i: int64[])\ny = Gather<axis=-1>(t, i)\nreturn y", feeds: { i: [1] } },
		{
			about: "a table that is also multiplied",
			graph: "main(t: T[4, 3], i: int64[3], w: T[3, 4])\nr = Gather(t, i)\np = MatMul(t, w)\nreturn r, p",
			feeds: { i: [1, 1, 2] },
		},
		{
			about: "two reads of one table",
			graph: "main(t: T[4, 3], i: int64[3])\na = Gather(t, i)\nb = Gather(t, i)\ny = Mul(a, b)\nreturn y",
			feeds: { i: [1, 1, 2] },
			opset: 11,
		},
	],
	GatherElements: [
		{
			about: "axis 0, repeated",
			graph: "main(x: T[3, 2], i: int64[2, 2])\ny = GatherElements(x, i)\nreturn y",
			feeds: { i: [2, 0, 2, 1] },
		},
		{
			about: "last axis, negative",
			graph: "main(x: T[2, 3], i: int64[2, 4])\ny = GatherElements<axis=-1>(x, i)\nreturn y",
			feeds: { i: [0, 0, -1, 1, 2, 2, 2, 0] },
		},
	],
	GatherND: [
		{ about: "rows, repeated", graph: "main(x: T[4, 3], i: int64[2, 2, 1])\ny = GatherND(x, i)\nreturn y", feeds: { i: [3, 0, 3, 3] } },
		{ about: "elements", graph: "main(x: T[4, 3], i: int64[3, 2])\ny = GatherND(x, i)\nreturn y", feeds: { i: [3, 0, 1, 1, 3, 0] } },
	],
	ScatterND: [
		{
			about: "overwritten",
			graph: "main(x: T[4, 3], i: int64[2, 1], u: T[2, 3])\ny = ScatterND(x, i, u)\nreturn y",
			feeds: { i: [2, 0] },
			opset: 11,
		},
		{
			about: "added, repeated",
			graph: 'main(x: T[4, 3], i: int64[3, 1], u: T[3, 3])\ny = ScatterND<reduction="add">(x, i, u)\nreturn y',
			feeds: { i: [2, 0, 2] },
		},
	],
	ScatterElements: [
		{
			about: "overwritten",
			graph: "main(x: T[2, 4], i: int64[2, 2], u: T[2, 2])\ny = ScatterElements<axis=1>(x, i, u)\nreturn y",
			feeds: { i: [1, 3, 0, 2] },
			opset: 11,
		},
		{
			about: "added, repeated",
			graph: 'main(x: T[2, 4], i: int64[2, 2], u: T[2, 2])\ny = ScatterElements<axis=-1, reduction="add">(x, i, u)\nreturn y',
			feeds: { i: [1, 1, 0, 2] },
		},
		{
			about: "Scatter of opset 9",
			graph: "main(x: T[2, 4], i: int64[1, 4], u: T[1, 4])\ny = Scatter<axis=0>(x, i, u)\nreturn y",
			feeds: { i: [1, 0, 0, 1] },
			opset: 9,
		},
	],
	TopK: [
		{ about: "two largest", graph: "main(x: T[3, 4])\nk = int64[1] {2}\ny, i = TopK(x, k)\nreturn y" },
		{ about: "attribute of opset 9", graph: "main(x: T[3, 4])\ny, i = TopK<axis=0, k=2>(x)\nreturn y", opset: 9 },
	],
} satisfies Readonly<Record<string, readonly GradientCase[]>>;
