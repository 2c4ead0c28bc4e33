// The activations that LSTM, GRU and RNN name, as onnxruntime computes them.
import { float, floatOf, floatsOf, stringsOf } from "../../ir/attributes.js";
import type { Value } from "../../ir/graph.js";
import type { Ops } from "../ops.js";
import type { RuleContext } from "../rule.js";

/** A function of a gate, element by element. */
export type Activation = (ops: Ops, value: Value) => Value;

interface Kind {
	/** The engine's defaults of the numbers that this one takes from the lists; it takes no others. */
	readonly defaults: readonly number[];
	readonly apply: (ops: Ops, value: Value, alpha: number, beta: number) => Value;
}

function one(ops: Ops, opType: string, value: Value, attributes: Readonly<Record<string, number>> = {}): Value {
	const facts = { dtype: ops.dtype(value), dims: ops.dims(value) };
	return ops.one(opType, [value], facts, Object.fromEntries(Object.entries(attributes).map(([name, number]) => [name, float(number)])));
}

const KINDS: Readonly<Record<string, Kind>> = {
	Affine: { defaults: [0, 0], apply: (ops, value, alpha, beta) => ops.add(ops.mul(value, alpha), beta) },
	Relu: { defaults: [], apply: (ops, value) => one(ops, "Relu", value) },
	LeakyRelu: { defaults: [0.01], apply: (ops, value, alpha) => one(ops, "LeakyRelu", value, { alpha }) },
	ThresholdedRelu: { defaults: [0], apply: (ops, value, alpha) => one(ops, "ThresholdedRelu", value, { alpha }) },
	Tanh: { defaults: [], apply: (ops, value) => ops.tanh(value) },
	ScaledTanh: { defaults: [0, 0], apply: (ops, value, alpha, beta) => ops.mul(ops.tanh(ops.mul(value, beta)), alpha) },
	Sigmoid: { defaults: [], apply: (ops, value) => ops.sigmoid(value) },
	HardSigmoid: { defaults: [0.2, 0.5], apply: (ops, value, alpha, beta) => one(ops, "HardSigmoid", value, { alpha, beta }) },
	Elu: { defaults: [1], apply: (ops, value, alpha) => one(ops, "Elu", value, { alpha }) },
	Softsign: { defaults: [], apply: (ops, value) => one(ops, "Softsign", value) },
	Softplus: { defaults: [], apply: (ops, value) => one(ops, "Softplus", value) },
};

/**
 * The activations of all directions one after another, `usual` where the node names none. The numbers that they take are read in order
 * from the lists of the node. Names are known in capitals and small letters.
 */
export function activationsOf({ node, unsupported }: RuleContext, usual: readonly string[]): Activation[] {
	const named = stringsOf(node, "activations");
	const [alphas, betas] = [[...floatsOf(node, "activation_alpha")], [...floatsOf(node, "activation_beta")]];
	return usual.map((otherwise, index) => {
		const name = named.length === 0 ? otherwise : (named[index] ?? "");
		const kind = Object.entries(KINDS).find(([known]) => known.toLowerCase() === name.toLowerCase())?.[1];
		if (kind === undefined) return unsupported(`${node.opType} with activation "${name}"`);
		const [alpha = 0, beta = 0] = kind.defaults.map((number, which) => (which === 0 ? alphas : betas).shift() ?? number);
		return (ops, value) => kind.apply(ops, value, alpha, beta);
	});
}

/** What goes into an activation, held between −clip and clip where the node has one. */
export function clipOf({ node }: RuleContext): Activation {
	const clip = floatOf(node, "clip", -1);
	if (clip < 0) return (_, value) => value;
	return (ops, value) => {
		const facts = { dtype: ops.dtype(value), dims: ops.dims(value) };
		return ops.one("Clip", [value, ops.scalar(-clip, facts.dtype), ops.scalar(clip, facts.dtype)], facts);
	};
}
