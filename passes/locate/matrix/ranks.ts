// Number of axes of a node's output, for the operators where it follows for certain.
import { intOf, intsOf } from "../../../src/ir/attributes.js";
import type { Node, Value } from "../../../src/ir/graph.js";
import type { Facts } from "./facts.js";

const words = (...lines: string[]): string[] => lines.flatMap((line) => line.split(" "));

/** Output 0 has as many axes as input 0. */
const SAME: ReadonlySet<string> = new Set(
	words(
		"Identity Cast Softmax LogSoftmax LayerNormalization RMSNormalization SimplifiedLayerNormalization SkipLayerNormalization",
		"SkipSimplifiedLayerNormalization Relu Tanh Sigmoid Erf Gelu FastGelu QuickGelu BiasGelu Elu LeakyRelu Softplus Sqrt Reciprocal",
		"Neg Abs Exp Log Floor Ceil Sign Sin Cos Not IsNaN Slice Clip Dropout Transpose Concat Pad CumSum Tile Trilu TopK ScatterND",
		"ScatterElements DequantizeLinear QuantizeLinear DynamicQuantizeLinear Conv MatMulNBits MatMulBnb4 RotaryEmbedding",
		"Attention MultiHeadAttention GroupQueryAttention",
	),
);

/** As many as the input with most axes. */
const BROADCAST: ReadonlySet<string> = new Set(
	words("Add Sub Mul Div Pow Mod Min Max Sum Where Equal Greater GreaterOrEqual Less LessOrEqual And Or Xor"),
);

/** Always the same number, per output. */
const FIXED: Readonly<Record<string, readonly number[]>> = {
	Gemm: [2],
	FusedGemm: [2],
	Flatten: [2],
	Shape: [1],
	Size: [0],
	Range: [1],
	NonZero: [2],
	LSTM: [4, 3, 3],
	GRU: [4, 3],
	RNN: [4, 3],
	EmbedLayerNormalization: [3, 1, 3],
};

type Ranks = readonly (number | undefined)[];
type Rule = (ranks: Ranks, node: Node, facts: Facts) => number | undefined;

const RULES: Readonly<Record<string, Rule>> = {
	Gather: ([data, ids]) => (data === undefined || ids === undefined ? undefined : data + ids - 1),
	GatherBlockQuantized: ([data, ids]) => (data === undefined || ids === undefined ? undefined : data + ids - 1),
	GatherElements: ([, ids]) => ids,
	MatMul: productRank,
	FusedMatMul: productRank,
	MatMulInteger: productRank,
	Reshape: (_, node, facts) => intsOf(node, "shape")?.length ?? lengthOf(node.inputs[1], facts),
	ConstantOfShape: (_, node, facts) => lengthOf(node.inputs[0], facts),
	Expand: ([data], node, facts) => {
		const length = lengthOf(node.inputs[1], facts);
		return data === undefined || length === undefined ? undefined : Math.max(data, length);
	},
	OneHot: ([ids]) => (ids === undefined ? undefined : ids + 1),
	Unsqueeze: ([data], node, facts) => shifted(data, axesOf(node, facts)?.length),
	Squeeze: ([data], node, facts) => shifted(data, negative(axesOf(node, facts)?.length)),
	ReduceMean: reducedRank,
	ReduceSum: reducedRank,
	ReduceMax: reducedRank,
	ReduceL2: reducedRank,
	ArgMax: ([data], node) => (intOf(node, "keepdims", 1) === 1 ? data : shifted(data, -1)),
};

/** Number of axes of output `index` of `node`; undefined where it does not follow. */
export function rankOf(node: Node, index: number, facts: Facts): number | undefined {
	const ranks = node.inputs.map((value) => facts.rank(value));
	const fixed = FIXED[node.opType]?.[index];
	if (fixed !== undefined) return fixed;
	if (SAME.has(node.opType) || node.is("Split")) return index === 0 || node.is("Split") || node.is("TopK") ? ranks[0] : undefined;
	if (index > 0) return undefined;
	if (BROADCAST.has(node.opType)) return largest(ranks);
	return RULES[node.opType]?.(ranks, node, facts);
}

function largest(ranks: Ranks): number | undefined {
	let found = 0;
	for (const rank of ranks) {
		if (rank === undefined) return undefined;
		found = Math.max(found, rank);
	}
	return found;
}

function productRank([left, right]: Ranks): number | undefined {
	return left === undefined || right === undefined || Math.min(left, right) < 2 ? undefined : Math.max(left, right);
}

function reducedRank([data]: Ranks, node: Node): number | undefined {
	return intOf(node, "keepdims", 1) === 1 ? data : undefined;
}

function shifted(rank: number | undefined, by: number | undefined): number | undefined {
	return rank === undefined || by === undefined ? undefined : rank + by;
}

function negative(count: number | undefined): number | undefined {
	return count === undefined ? undefined : -count;
}

function axesOf(node: Node, facts: Facts): readonly number[] | undefined {
	return intsOf(node, "axes") ?? facts.numbers(node.inputs[1]);
}

/** How many numbers a shape given as a value has. */
function lengthOf(shape: Value | undefined, facts: Facts): number | undefined {
	const known = facts.view(shape)?.shape[0];
	if (known !== undefined) return known;
	const declared = shape?.type?.shape?.[0];
	if (typeof declared === "number" && declared > 0) return declared;
	const node = shape?.producer;
	if (node?.is("Shape") === true && node.attributes.size === 0) return facts.rank(node.inputs[0]);
	if (node?.is("Concat") === true) return sum(node.inputs.map((part) => lengthOf(part, facts)));
	if (node?.is("Unsqueeze") === true) return facts.rank(node.inputs[0]) === 0 ? 1 : undefined;
	if (node !== undefined && ["Where", "Mul", "Cast", "Identity"].includes(node.opType)) {
		const lengths = node.inputs.map((part) => lengthOf(part, facts));
		return lengths.find((length) => length !== undefined && length > 1);
	}
	return undefined;
}

function sum(lengths: Ranks): number | undefined {
	return lengths.reduce((total, length) => (total === undefined || length === undefined ? undefined : total + length), 0);
}
