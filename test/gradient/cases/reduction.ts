// Cases of rules/reduction.ts: axes as attribute and as input, negative, all, none; axes kept and dropped.
import type { GradientCase } from "../check.js";

/** `inputSince`: the opset from which on the axes are an input. */
function reductions(op: string, inputSince: number, more: Partial<GradientCase> = {}): GradientCase[] {
	const attribute = inputSince - 1;
	return [
		{
			about: "axes as input",
			graph: `main(x: T[2, 3, 4])\naxes = int64[2] {0, -1}\ny = ${op}<keepdims=0>(x, axes)\nreturn y`,
			opset: inputSince,
			...more,
		},
		{ about: "kept", graph: `main(x: T[2, 3])\naxes = int64[1] {1}\ny = ${op}<keepdims=1>(x, axes)\nreturn y`, ...more },
		{ about: "all axes", graph: `main(x: T[2, 3])\ny = ${op}<keepdims=0>(x)\nreturn y`, ...more },
		{ about: "nothing to do", graph: `main(x: T[2, 3])\ny = ${op}<noop_with_empty_axes=1>(x)\nreturn y`, ...more },
		{ about: "axes as attribute", graph: `main(x: T[2, 3, 4])\ny = ${op}<axes=[-2], keepdims=0>(x)\nreturn y`, opset: attribute, ...more },
		{ about: "all axes of opset 7", graph: `main(x: T[2, 3])\ny = ${op}(x)\nreturn y`, opset: 7, ...more },
	];
}

export const reduction = {
	ReduceSum: reductions("ReduceSum", 13),
	ReduceMean: reductions("ReduceMean", 18),
	ReduceMax: reductions("ReduceMax", 18),
	ReduceMin: reductions("ReduceMin", 18),
	ReduceL1: reductions("ReduceL1", 18),
	ReduceL2: reductions("ReduceL2", 18),
	ReduceSumSquare: reductions("ReduceSumSquare", 18),
	ReduceLogSumExp: reductions("ReduceLogSumExp", 18),
	CumSum: ["", "<exclusive=1>", "<reverse=1>", "<exclusive=1, reverse=1>"].map((flags) => ({
		about: flags === "" ? "plain" : flags,
		graph: `main(x: T[2, 3])\naxis = int64[] {-1}\ny = CumSum${flags}(x, axis)\nreturn y`,
	})),
} satisfies Readonly<Record<string, readonly GradientCase[]>>;
