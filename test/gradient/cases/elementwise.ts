// Cases of rules/elementwise.ts: pairs that broadcast, ties, constants that are not trained.
import type { GradientCase } from "../check.js";

const POSITIVE = [0.5, 2] as const;

function unary(op: string, more: Partial<GradientCase> = {}): GradientCase[] {
	return [{ about: op, graph: `main(x: T[2, 3])\ny = ${op}(x)\nreturn y`, ...more }];
}

/** Both sides broadcast; a scalar; more axes on one side. */
function binary(op: string, more: Partial<GradientCase> = {}): GradientCase[] {
	return [
		{ about: "same sizes", graph: `main(a: T[2, 3], b: T[2, 3])\ny = ${op}(a, b)\nreturn y`, ...more },
		{ about: "both repeated", graph: `main(a: T[2, 1, 3], b: T[4, 1])\ny = ${op}(a, b)\nreturn y`, ...more },
		{ about: "a scalar", graph: `main(a: T[], b: T[2, 3])\ny = ${op}(a, b)\nreturn y`, ...more },
		{ about: "a row", graph: `main(a: T[2, 4, 3], b: T[3])\ny = ${op}(a, b)\nreturn y`, ...more },
		{ about: "twice the same", graph: `main(a: T[2, 3])\ny = ${op}(a, a)\nreturn y`, ...more },
		{ about: "opset 7", graph: `main(a: T[2, 3], b: T[3])\ny = ${op}(a, b)\nreturn y`, opset: 7, ...more },
	];
}

export const elementwise = {
	Add: binary("Add"),
	Sub: binary("Sub"),
	Mul: binary("Mul"),
	Div: binary("Div", { range: POSITIVE }),
	Neg: unary("Neg"),
	Pow: [
		...binary("Pow", { range: POSITIVE }),
		...[2, 3, 0.5, -1].map((power) => ({
			about: `constant exponent ${power}`,
			graph: `main(x: T[2, 3])\np = T[] {${power}}\ny = Pow(x, p)\nreturn y`,
			range: POSITIVE,
		})),
		{ about: "square of negative numbers", graph: "main(x: T[2, 3])\np = T[1] {2}\ny = Pow(x, p)\nreturn y", range: [-2, -1] },
		{ about: "whole exponent of another type", graph: "main(x: T[2, 3])\np = int64[] {4}\ny = Pow(x, p)\nreturn y", opset: 13 },
	],
	Sqrt: unary("Sqrt", { range: POSITIVE }),
	Reciprocal: unary("Reciprocal", { range: POSITIVE }),
	Exp: unary("Exp"),
	Log: unary("Log", { range: POSITIVE }),
	Erf: unary("Erf", { precision: "float32" }),
	Sin: unary("Sin"),
	Cos: unary("Cos"),
	Abs: unary("Abs"),
	Max: [
		...binary("Max").slice(0, 4),
		{ about: "three operands", graph: "main(a: T[2, 3], b: T[3], c: T[2, 1])\ny = Max(a, b, c)\nreturn y" },
		{ about: "with a constant", graph: "main(a: T[2, 3])\nzero = T[] {0}\ny = Max(a, zero)\nreturn y", opset: 8 },
	],
	Min: [
		...binary("Min").slice(0, 4),
		{ about: "three operands", graph: "main(a: T[2, 3], b: T[3], c: T[2, 1])\ny = Min(a, b, c)\nreturn y" },
	],
	Sum: [{ about: "three operands", graph: "main(a: T[2, 3], b: T[3], c: T[2, 1])\ny = Sum(a, b, c)\nreturn y" }],
	Mean: [{ about: "three operands", graph: "main(a: T[2, 3], b: T[3], c: T[2, 1])\ny = Mean(a, b, c)\nreturn y", precision: "float32" }],
	Where: [
		{
			about: "a guard behind a softmax",
			graph: "main(x: T[2, 3])\nzero = T[] {0}\ns = Softmax(x)\nc = IsNaN(s)\ny = Where(c, zero, s)\nreturn y",
		},
		{
			about: "both sides repeated",
			graph: "main(c: bool[2, 1], a: T[3], b: T[4, 1, 1])\ny = Where(c, a, b)\nreturn y",
			feeds: { c: [1, 0] },
		},
		{
			about: "a constant side",
			graph: "main(c: bool[2, 3], a: T[2, 3])\nz = T[] {-9}\ny = Where(c, a, z)\nreturn y",
			feeds: { c: [1, 0, 0, 1, 1, 0] },
		},
	],
	Clip: [
		{
			about: "both bounds",
			graph: "main(x: T[6])\nlow = T[] {-0.5}\nhigh = T[] {0.75}\ny = Clip(x, low, high)\nreturn y",
			feeds: { x: [-2, -0.6, -0.4, 0.2, 0.7, 0.9] },
		},
		{ about: "lower bound only", graph: "main(x: T[4, 5])\nlow = T[] {0}\ny = Clip(x, low)\nreturn y" },
		{
			about: "attributes of opset 7",
			graph: "main(x: T[6])\ny = Clip<min=-0.5, max=0.75>(x)\nreturn y",
			opset: 7,
			precision: "float32",
			feeds: { x: [-2, -0.6, -0.4, 0.2, 0.65, 0.9] },
		},
	],
	Identity: unary("Identity"),
	Dropout: [
		...unary("Dropout"),
		{ about: "attribute of opset 10", graph: "main(x: T[2, 3])\ny = Dropout<ratio=0.5>(x)\nreturn y", opset: 10 },
		{
			about: "inputs of opset 13",
			graph: "main(x: T[2, 3])\nr = float32[] {0.5}\noff = bool[] {0}\ny = Dropout(x, r, off)\nreturn y",
			opset: 13,
		},
	],
	Cast: [
		{
			about: "to float32 and back",
			graph: "main(x: float32[2, 3])\nd = Cast<to=11>(x)\ns = Mul(d, d)\ny = Cast<to=1>(s)\nreturn y",
			precision: "float32",
		},
		{
			about: "an integer beside it",
			graph: "main(x: T[2], n: int64[2])\nf = Cast<to=11>(n)\ny = Mul(x, f)\nreturn y",
			feeds: { n: [3, -2] },
		},
	],
	CastLike: [
		{
			about: "like a trained value",
			graph: "main(x: float32[2, 3], z: float32[1])\nd = CastLike(x, z)\ny = Mul(d, z)\nreturn y",
			precision: "float32",
		},
	],
} satisfies Readonly<Record<string, readonly GradientCase[]>>;
