// Cases of LSTM, GRU and RNN: directions, starts, peepholes, clips and activations.
import type { GradientCase } from "../check.js";
import { f32, node } from "./node.js";

const LSTM = ["x: T[3, 2, 4]", "w: T[1, 12, 4]", "r: T[1, 12, 3]"];
const LSTM_BIASED = [...LSTM, "b: T[1, 24]"];
const GRU = ["x: T[3, 2, 4]", "w: T[1, 9, 4]", "r: T[1, 9, 3]"];
const GRU_BIASED = [...GRU, "b: T[1, 18]"];
const RNN = ["x: T[3, 2, 4]", "w: T[1, 3, 4]", "r: T[1, 3, 3]"];
const RNN_BIASED = [...RNN, "b: T[1, 6]"];
const PEEPHOLES = "p: T[1, 9]";
const BOTH_WAYS = ["x: T[3, 2, 2]", "w: T[2, 8, 2]", "r: T[2, 8, 2]", "b: T[2, 16]"];
const BOTH_WAYS_WITH_PEEPHOLES = [...BOTH_WAYS, "", "h0: T[2, 2, 2]", "c0: T[2, 2, 2]", "p: T[2, 6]"];

/** Biases of the input's side, then of the state's, for each direction: `levels` over and over, then none. */
function biases(levels: readonly number[], width: number, directions = 1): number[] {
	const one = Array.from({ length: 2 * width }, (_, index) => (index < width ? (levels[index % levels.length] ?? 0) : 0));
	return Array.from({ length: directions }, () => one).flat();
}

/** Small numbers around biases that keep what goes into an activation away from its corners, on both sides of them. */
function away(width: number, directions = 1, levels: readonly number[] = [-2, -1, 1, 2.5]): Partial<GradientCase> {
	return { range: [-0.3, 0.3], parameters: ["r", "b"], feeds: { b: biases(levels, width, directions) }, ...f32 };
}

/** Where a clip of 0.6 holds, and where it does not. */
const CLIPPED = [-1.2, -0.1, 0.1, 1.2];

const ENDS = { feeds: { n: [3, 1] }, ...f32 } as const;

/** The activations that onnxruntime knows, with numbers other than its own where it takes some. */
const ACTIVATIONS: readonly { readonly name: string; readonly alpha?: readonly number[]; readonly beta?: readonly number[] }[] = [
	{ name: "Sigmoid" },
	{ name: "Tanh" },
	{ name: "Relu" },
	{ name: "Affine", alpha: [0.6], beta: [0.1] },
	{ name: "LeakyRelu", alpha: [0.3] },
	{ name: "ThresholdedRelu", alpha: [0.05] },
	{ name: "ScaledTanh", alpha: [0.8], beta: [1.3] },
	{ name: "HardSigmoid", alpha: [0.3], beta: [0.4] },
	{ name: "Elu", alpha: [0.7] },
	{ name: "Softsign" },
	{ name: "Softplus" },
];

/** The attributes that name activations and their numbers. */
function listed(names: readonly string[], alpha: readonly number[] = [], beta: readonly number[] = []): string {
	const numbers = Object.entries({ activation_alpha: alpha, activation_beta: beta }).filter(([, list]) => list.length > 0);
	const texts = numbers.map(
		([name, list]) => `, ${name}=[${list.map((number) => (Number.isInteger(number) ? `${number}.0` : number)).join(", ")}]`,
	);
	return `activations=[${names.map((name) => `"${name}"`).join(", ")}]${texts.join("")}`;
}

export const recurrent = {
	LSTM: [
		node("plain", "LSTM<hidden_size=3>", LSTM, "y, h, c", f32),
		node("bias and start", "LSTM<hidden_size=3>", [...LSTM_BIASED, "", "h0: T[1, 2, 3]", "c0: T[1, 2, 3]"], "y, h, c", {
			opset: 7,
			...f32,
		}),
		node("backwards", 'LSTM<hidden_size=3, direction="reverse">', LSTM_BIASED, "y, h, c", { opset: 14, ...f32 }),
		node(
			"both ways",
			'LSTM<hidden_size=2, direction="bidirectional">',
			["x: T[3, 2, 2]", "w: T[2, 8, 2]", "r: T[2, 8, 2]", "b: T[2, 16]"],
			"y, h, c",
			f32,
		),
		node("peepholes", "LSTM<hidden_size=3>", [...LSTM_BIASED, "", "", "", PEEPHOLES], "y, h, c", f32),
		node("peepholes both ways, a start", 'LSTM<hidden_size=2, direction="bidirectional">', BOTH_WAYS_WITH_PEEPHOLES, "y, h, c", f32),
		node("the input gate forgets", "LSTM<hidden_size=3, input_forget=1>", [...LSTM, "", "", "", "", PEEPHOLES], "y, h, c", f32),
		node("a clip", "LSTM<hidden_size=3, clip=0.6>", [...LSTM_BIASED, "", "", "", PEEPHOLES], "y, h, c", away(12, 1, CLIPPED)),
		node("sequences that end, backwards", 'LSTM<hidden_size=3, direction="reverse">', [...LSTM_BIASED, "n: int32[2]"], "y, h, c", ENDS),
		node(
			"sequences that end, both ways",
			'LSTM<hidden_size=2, direction="bidirectional">',
			[...BOTH_WAYS, "n: int32[2]", "h0: T[2, 2, 2]", "c0: T[2, 2, 2]"],
			"y, h, c",
			ENDS,
		),
		node("as many steps as there are", "LSTM<hidden_size=3>", [...LSTM, "", "n: int32[2]"], "y, h, c", { feeds: { n: [3, 3] }, ...f32 }),
		...ACTIVATIONS.map(({ name, alpha = [], beta = [] }) => {
			const attributes = listed([name, name, name], [...alpha, ...alpha, ...alpha], [...beta, ...beta, ...beta]);
			return node(name, `LSTM<hidden_size=3, ${attributes}>`, LSTM_BIASED, "y, h, c", away(12));
		}),
		node(
			"activations in small letters with the engine's numbers",
			`LSTM<hidden_size=3, ${listed(["hardsigmoid", "leakyrelu", "elu"])}>`,
			LSTM_BIASED,
			"y, h, c",
			away(12),
		),
		node(
			"activations of either direction, the numbers in order",
			`LSTM<hidden_size=2, direction="bidirectional", ${listed(["HardSigmoid", "Tanh", "Elu", "Sigmoid", "LeakyRelu", "ScaledTanh"], [0.3, 0.7, 0.2, 1.5], [0.4, 0.6])}>`,
			BOTH_WAYS,
			"y, h, c",
			away(8, 2),
		),
	],
	GRU: [
		node("plain", "GRU<hidden_size=3>", GRU, "y, h", f32),
		node("bias and start", "GRU<hidden_size=3>", [...GRU_BIASED, "", "h0: T[1, 2, 3]"], "y, h", { opset: 7, ...f32 }),
		node("linear before reset", "GRU<hidden_size=3, linear_before_reset=1>", GRU_BIASED, "y, h", f32),
		node(
			"both ways",
			'GRU<hidden_size=2, direction="bidirectional">',
			["x: T[3, 2, 2]", "w: T[2, 6, 2]", "r: T[2, 6, 2]", "b: T[2, 12]"],
			"y, h",
			f32,
		),
		node("a clip", "GRU<hidden_size=3, clip=0.6>", GRU_BIASED, "y, h", away(9, 1, CLIPPED)),
		node("a clip, linear before reset", "GRU<hidden_size=3, clip=0.6, linear_before_reset=1>", GRU_BIASED, "y, h", away(9, 1, CLIPPED)),
		node("sequences that end", "GRU<hidden_size=3>", [...GRU_BIASED, "n: int32[2]", "h0: T[1, 2, 3]"], "y, h", ENDS),
		...ACTIVATIONS.map(({ name, alpha = [], beta = [] }) => {
			const attributes = listed([name, name], [...alpha, ...alpha], [...beta, ...beta]);
			return node(name, `GRU<hidden_size=3, ${attributes}>`, GRU_BIASED, "y, h", away(9));
		}),
	],
	RNN: [
		node("plain", "RNN<hidden_size=3>", RNN, "y, h", f32),
		node("a start, a clip", "RNN<hidden_size=3, clip=0.6>", [...RNN_BIASED, "", "h0: T[1, 2, 3]"], "y, h", away(3, 1, CLIPPED)),
		node("backwards", 'RNN<hidden_size=3, direction="reverse">', RNN_BIASED, "y, h", { opset: 7, ...f32 }),
		node("sequences that end", "RNN<hidden_size=3>", [...RNN_BIASED, "n: int32[2]", "h0: T[1, 2, 3]"], "y, h", ENDS),
		node("sequences that end, backwards", 'RNN<hidden_size=3, direction="reverse">', [...RNN_BIASED, "n: int32[2]"], "y, h", ENDS),
		...ACTIVATIONS.map(({ name, alpha = [], beta = [] }) =>
			node(name, `RNN<hidden_size=3, ${listed([name], alpha, beta)}>`, RNN_BIASED, "y, h", away(3)),
		),
		node(
			"both ways, a number too many",
			`RNN<hidden_size=2, direction="bidirectional", ${listed(["Relu", "LeakyRelu"], [0.9, 0.3])}>`,
			["x: T[3, 2, 2]", "w: T[2, 2, 2]", "r: T[2, 2, 2]", "b: T[2, 4]"],
			"y, h",
			away(2, 2, [-1, 1]),
		),
		node("the engine's number", `RNN<hidden_size=3, ${listed(["LeakyRelu"])}>`, RNN_BIASED, "y, h", away(3)),
	],
} satisfies Readonly<Record<string, readonly GradientCase[]>>;
