// Cases of rules/activation.ts.
import type { GradientCase } from "../check.js";
import { f32 } from "./node.js";

function unary(op: string, more: Partial<GradientCase> = {}): GradientCase {
	return { about: op, graph: `main(x: T[3, 4])\ny = ${op}(x)\nreturn y`, ...more };
}

/** Last axis, another axis, a negative one; before opset 13 all axes from the given one on. */
function softmaxes(op: string): GradientCase[] {
	return [
		unary(op, { about: "last axis by default" }),
		unary(`${op}<axis=0>`, { about: "first axis" }),
		{ about: "axis −2 of three", graph: `main(x: T[2, 3, 2])\ny = ${op}<axis=-2>(x)\nreturn y` },
		{ about: "opset 11, default axis 1 of three", graph: `main(x: T[2, 3, 2])\ny = ${op}(x)\nreturn y`, opset: 11 },
		{ about: "opset 7, axis 2 of three", graph: `main(x: T[2, 3, 2])\ny = ${op}<axis=2>(x)\nreturn y`, opset: 7 },
		{ about: "opset 12, axis 0: all elements", graph: `main(x: T[2, 3])\ny = ${op}<axis=0>(x)\nreturn y`, opset: 12 },
		{ about: "opset 11, axis −1", graph: `main(x: T[2, 3, 2])\ny = ${op}<axis=-1>(x)\nreturn y`, opset: 11 },
	];
}

export const activation = {
	Tanh: [unary("Tanh")],
	Sigmoid: [unary("Sigmoid")],
	Relu: [unary("Relu")],
	LeakyRelu: [unary("LeakyRelu"), unary("LeakyRelu<alpha=0.3>", { about: "alpha" })],
	Elu: [unary("Elu"), unary("Elu<alpha=0.5>", { about: "alpha" })],
	ThresholdedRelu: [unary("ThresholdedRelu", f32), unary("ThresholdedRelu<alpha=0.2>", { about: "alpha", ...f32 })],
	HardSigmoid: [
		unary("HardSigmoid", f32),
		unary("HardSigmoid<alpha=0.6, beta=0.3>", { about: "alpha and beta", feeds: { x: [-2, -1, -0.3, 0, 0.5, 1, 1.3, 2] }, ...f32 }),
	],
	Softsign: [unary("Softsign", f32)],
	Softplus: [unary("Softplus")],
	Gelu: [unary("Gelu", { opset: 20, ...f32 }), unary('Gelu<approximate="tanh">', { about: "tanh", opset: 20, ...f32 })],
	Swish: [unary("Swish", { opset: 24, ...f32 }), unary("Swish<alpha=1.5>", { about: "alpha", opset: 24, ...f32 })],
	"com.microsoft.Gelu": [unary("com.microsoft.Gelu", f32)],
	"com.microsoft.BiasGelu": [{ about: "bias", graph: "main(x: T[2, 3, 4], b: T[4])\ny = com.microsoft.BiasGelu(x, b)\nreturn y", ...f32 }],
	"com.microsoft.FastGelu": [
		unary("com.microsoft.FastGelu", f32),
		{ about: "bias", graph: "main(x: T[2, 3, 4], b: T[4])\ny = com.microsoft.FastGelu(x, b)\nreturn y", ...f32 },
	],
	"com.microsoft.QuickGelu": [
		unary("com.microsoft.QuickGelu", f32),
		unary("com.microsoft.QuickGelu<alpha=1.0>", { about: "alpha", ...f32 }),
	],
	Softmax: softmaxes("Softmax"),
	LogSoftmax: softmaxes("LogSoftmax"),
} satisfies Readonly<Record<string, readonly GradientCase[]>>;
