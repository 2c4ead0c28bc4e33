// Number of axes of a node's output, for the operators where it follows for certain.
import { intOf, intsOf } from "../../src/ir/attributes.js";
import type { Node } from "../../src/ir/graph.js";
import type { Facts } from "./facts.js";

/** Output 0 has as many axes as input 0. */
const SAME: ReadonlySet<string> = new Set(
	[
		"Identity Cast Softmax LogSoftmax LayerNormalization RMSNormalization SimplifiedLayerNormalization Relu Tanh Sigmoid Erf Gelu FastGelu",
		"QuickGelu BiasGelu Sqrt Reciprocal Neg Abs Exp Log Not Slice Clip Dropout Transpose Concat Expand1 Pad CumSum SkipLayerNormalization",
		"SkipSimplifiedLayerNormalization DequantizeLinear QuantizeLinear DynamicQuantizeLinear Elu LeakyRelu Softplus Split Trilu",
	].flatMap((line) => line.split(" ")),
);

/** The larger one of both inputs. */
const BROADCAST: ReadonlySet<string> = new Set("Add Sub Mul Div Pow Min Max Where Equal Greater Less And Or Mod".split(" "));

/** Number of axes of output `index` of `node`; undefined where it does not follow. */
export function rankOf(node: Node, index: number, facts: Facts): number | undefined {
	const ranks = node.inputs.map((value) => facts.rank(value));
	const [first, second] = ranks;
	if (SAME.has(node.opType)) return index === 0 || node.is("Split") ? first : undefined;
	if (index > 0) return undefined;
	if (BROADCAST.has(node.opType)) return ranks.some((rank) => rank === undefined) ? undefined : Math.max(...ranks.map((rank) => rank ?? 0));
	switch (node.opType) {
		case "Gather":
		case "GatherBlockQuantized":
			return first === undefined || second === undefined ? undefined : first + second - 1;
		case "MatMul":
		case "FusedMatMul":
			return first === undefined || second === undefined || Math.min(first, second) < 2 ? undefined : Math.max(first, second);
		case "MatMulInteger":
			return second === 2 ? first : undefined;
		case "MatMulNBits":
		case "MatMulBnb4":
			return first;
		case "Gemm":
		case "FusedGemm":
		case "Flatten":
			return 2;
		case "Reshape":
			return sizeOfList(node, facts);
		case "Shape":
			return 1;
		case "OneHot":
			return first === undefined ? undefined : first + 1;
		case "Unsqueeze":
		case "Squeeze":
			return shifted(node, first, facts);
		case "ReduceMean":
		case "ReduceSum":
		case "ReduceMax":
			return intOf(node, "keepdims", 1) === 1 ? first : undefined;
		default:
			return undefined;
	}
}

function shifted(node: Node, rank: number | undefined, facts: Facts): number | undefined {
	const axes = intsOf(node, "axes") ?? facts.numbers(node.inputs[1]);
	if (axes === undefined || rank === undefined) return undefined;
	return node.is("Unsqueeze") ? rank + axes.length : rank - axes.length;
}

/** How many numbers the target shape of a Reshape has. */
function sizeOfList(node: Node, facts: Facts): number | undefined {
	const given = intsOf(node, "shape")?.length ?? facts.view(node.inputs[1])?.shape[0];
	if (given !== undefined) return given;
	const target = node.inputs[1];
	const declared = target?.type?.shape?.[0];
	if (typeof declared === "number" && declared > 0) return declared;
	const producer = target?.producer;
	if (producer?.is("Concat") !== true) return undefined;
	let size = 0;
	for (const part of producer.inputs) {
		const length =
			facts.view(part)?.shape[0] ?? (part?.producer?.is("Unsqueeze") === true ? scalarLength(part.producer, facts) : undefined);
		if (length === undefined) return undefined;
		size += length;
	}
	return size;
}

/** Unsqueeze of a scalar gives a list of one. */
function scalarLength(node: Node, facts: Facts): number | undefined {
	return facts.rank(node.inputs[0]) === 0 ? 1 : undefined;
}
