// Cases of rules/shape.ts.
import type { GradientCase } from "../check.js";

export const shape = {
	Reshape: [
		{ about: "with −1 and 0", graph: "main(x: T[2, 3, 4])\ns = int64[2] {0, -1}\ny = Reshape(x, s)\nreturn y" },
		{ about: "target from a Shape", graph: "main(x: T[2, 3], z: T[3, 2])\ns = Shape(z)\nr = Reshape(x, s)\ny = Mul(r, z)\nreturn y" },
	],
	Flatten: [
		{ about: "axis 2", graph: "main(x: T[2, 3, 4])\ny = Flatten<axis=2>(x)\nreturn y" },
		{ about: "negative axis", graph: "main(x: T[2, 3, 4])\ny = Flatten<axis=-1>(x)\nreturn y" },
	],
	Squeeze: [
		{ about: "axes as input", graph: "main(x: T[2, 1, 3, 1])\na = int64[2] {1, -1}\ny = Squeeze(x, a)\nreturn y" },
		{ about: "axes as attribute", graph: "main(x: T[2, 1, 3])\ny = Squeeze<axes=[1]>(x)\nreturn y", opset: 11 },
		{ about: "all of size one", graph: "main(x: T[2, 1, 3])\ny = Squeeze(x)\nreturn y", opset: 12 },
	],
	Unsqueeze: [
		{ about: "axes as input", graph: "main(x: T[2, 3])\na = int64[2] {0, -1}\ny = Unsqueeze(x, a)\nreturn y" },
		{ about: "axes as attribute", graph: "main(x: T[2, 3])\ny = Unsqueeze<axes=[1]>(x)\nreturn y", opset: 9 },
	],
	Transpose: [
		{ about: "perm", graph: "main(x: T[2, 3, 4])\ny = Transpose<perm=[1, 2, 0]>(x)\nreturn y" },
		{ about: "reversed by default", graph: "main(x: T[2, 3, 4])\ny = Transpose(x)\nreturn y" },
	],
	Expand: [
		{ about: "new and repeated axes", graph: "main(x: T[3, 1])\ns = int64[3] {2, 3, 4}\ny = Expand(x, s)\nreturn y" },
		{ about: "a target that is smaller", graph: "main(x: T[3, 1])\ns = int64[2] {1, 4}\ny = Expand(x, s)\nreturn y" },
	],
	Concat: [
		{ about: "three parts", graph: "main(a: T[2, 1], b: T[2, 3], c: T[2, 2])\ny = Concat<axis=-1>(a, b, c)\nreturn y" },
		{ about: "with a constant", graph: "main(a: T[1, 2])\nz = T[2, 2] {1, 2, 3, 4}\ny = Concat<axis=0>(z, a)\nreturn y" },
		{ about: "the same part twice", graph: "main(a: T[2, 2])\ny = Concat<axis=1>(a, a)\nreturn y" },
	],
	Split: [
		{ about: "sizes as input", graph: "main(x: T[2, 6])\ns = int64[3] {1, 2, 3}\na, b, c = Split<axis=-1>(x, s)\nreturn a, b, c" },
		{ about: "a part that nobody reads", graph: "main(x: T[2, 6])\ns = int64[3] {1, 2, 3}\na, b, c = Split<axis=1>(x, s)\nreturn b" },
		{ about: "sizes as attribute", graph: "main(x: T[5, 2])\na, b = Split<split=[2, 3]>(x)\nreturn a, b", opset: 11 },
		{ about: "equal parts of opset 13", graph: "main(x: T[4, 2])\na, b = Split<axis=0>(x)\nreturn a, b", opset: 13 },
		{ about: "num_outputs, uneven", graph: "main(x: T[5, 2])\na, b = Split<axis=0, num_outputs=2>(x)\nreturn a, b", opset: 18 },
	],
	Slice: [
		{
			about: "two axes, one negative",
			graph:
				"main(x: T[4, 5])\ns = int64[2] {1, -3}\ne = int64[2] {3, 9223372036854775807}\na = int64[2] {0, -1}\ny = Slice(x, s, e, a)\nreturn y",
		},
		{ about: "axes by default", graph: "main(x: T[4, 5])\ns = int64[1] {-2}\ne = int64[1] {100}\ny = Slice(x, s, e)\nreturn y" },
		{
			about: "steps of two",
			graph: "main(x: T[2, 6])\ns = int64[1] {1}\ne = int64[1] {6}\na = int64[1] {1}\nt = int64[1] {2}\ny = Slice(x, s, e, a, t)\nreturn y",
		},
		{
			about: "backwards",
			graph:
				"main(x: T[2, 6])\ns = int64[2] {0, -1}\ne = int64[2] {2, -9223372036854775807}\na = int64[2] {0, 1}\nt = int64[2] {1, -2}\ny = Slice(x, s, e, a, t)\nreturn y",
		},
		{ about: "attributes of opset 9", graph: "main(x: T[4, 5])\ny = Slice<axes=[1], starts=[1], ends=[-1]>(x)\nreturn y", opset: 9 },
	],
	Pad: [
		{ about: "zeros", graph: "main(x: T[2, 3])\np = int64[4] {1, 0, 0, 2}\ny = Pad(x, p)\nreturn y" },
		{ about: "axes", graph: "main(x: T[2, 3])\np = int64[2] {1, 2}\nv = T[] {3}\na = int64[1] {-1}\ny = Pad(x, p, v, a)\nreturn y" },
		{ about: "negative: cut", graph: "main(x: T[2, 4])\np = int64[4] {0, -1, 1, -1}\ny = Pad(x, p)\nreturn y" },
		{ about: "attributes of opset 7", graph: "main(x: T[2, 3])\ny = Pad<pads=[0, 1, 0, 2], value=1.5>(x)\nreturn y", opset: 7 },
	],
	Tile: [{ about: "two axes", graph: "main(x: T[2, 3])\nr = int64[2] {2, 3}\ny = Tile(x, r)\nreturn y" }],
	Trilu: [
		{ about: "upper", graph: "main(x: T[2, 3, 3])\ny = Trilu(x)\nreturn y" },
		{ about: "lower, shifted", graph: "main(x: T[3, 4])\nk = int64[] {-1}\ny = Trilu<upper=0>(x, k)\nreturn y" },
	],
} satisfies Readonly<Record<string, readonly GradientCase[]>>;
