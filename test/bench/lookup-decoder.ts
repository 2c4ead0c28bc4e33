// Another decoder at the lookups of a factorized model: a W of their own, or a hidden layer, ReLU(uA + a)B.
import { balance } from "../../passes/distill/balance.js";
import { floatsOf, writeFactor } from "../../passes/distill/write.js";
import { addConstant, Chain } from "../../src/ir/build.js";
import { removeUnused } from "../../src/ir/edit.js";
import type { Value } from "../../src/ir/graph.js";
import { float32Tensor } from "../../src/ir/tensor.js";
import { normal, seedFor } from "../../src/random.js";
import type { FactorGroup } from "../../src/state.js";

export interface DecoderOptions {
	/** How much faster it learns than the body's weights do. */
	readonly rate: number;
	/** Of random units. */
	readonly seed: number;
}

/**
 * Gives the lookups a decoder of their own that computes uW until it is trained: W itself, or with hidden units
 * ReLU(u·[I, −I, random] + 0)·[W; −W; 0]. It is stored divided by the rate, which a Mul behind it makes up for (ReLU is positively
 * homogeneous): steps of Adam have one size whatever the values have, so that they change as much more.
 * @param hidden units, at least two for each rank; undefined: W itself
 * @returns the new initializers
 */
export function decodeLookups(group: FactorGroup, hidden: number | undefined, { rate, seed }: DecoderOptions): Value[] {
	const [owner] = group.vocabulary.lookups.map((lookup) => lookup.owner);
	if (owner === undefined) throw new Error("there is no lookup");
	const { rank: r } = group;
	const d = group.vocabulary.table.cols;
	const W = balanced(group);
	const put = (label: string, values: Float32Array, dims: readonly number[]) =>
		addConstant(
			owner,
			`decoder/${label}`,
			float32Tensor(
				values.map((value) => value / rate),
				dims,
			),
		);
	const added =
		hidden === undefined
			? [put("W", W, [r, d])]
			: [
					put("A", split(r, hidden, seed), [r, hidden]),
					put("a", new Float32Array(hidden), [hidden]),
					put("B", joined(W, hidden, d), [hidden, d]),
				];
	for (const { output, graph } of group.vocabulary.lookups) {
		const product = output?.producer;
		const [codes, right] = product?.inputs ?? [];
		if (output === undefined || product?.is("MatMul") !== true || !group.values.some(({ value }) => value === right))
			throw new Error(`"${output?.name}" is not Gather(U)·W`);
		const chain = new Chain(graph, product, output.name);
		const [first, bias, last] = added;
		const narrow = chain.add("MatMul", [codes, first], "decoded");
		const raised = hidden === undefined ? narrow : chain.add("Relu", [chain.add("Add", [narrow, bias], "shifted")], "active");
		const rows = hidden === undefined ? raised : chain.add("MatMul", [raised, last], "joined");
		const scale = chain.constant("float32", [hidden === undefined ? rate : rate ** 2], "rate", []);
		chain.add("Mul", [rows, scale], "rows", { defines: output });
		removeUnused([product]);
	}
	return added;
}

/** [I, −I, random], r×hidden; a random unit is of the size of a column of U. */
function split(r: number, hidden: number, seed: number): Float32Array {
	const random = normal(seedFor(seed, "decoder"));
	return Float32Array.from({ length: r * hidden }, (_, at) => {
		const [k, unit] = [Math.floor(at / hidden), at % hidden];
		if (unit >= 2 * r) return random() / Math.sqrt(r);
		return unit % r === k ? (unit < r ? 1 : -1) : 0;
	});
}

/** [W; −W; 0], hidden×d. */
function joined(W: Float32Array, hidden: number, d: number): Float32Array {
	const B = new Float32Array(hidden * d);
	B.set(W);
	B.set(
		W.map((value) => -value),
		W.length,
	);
	return B;
}

/** Brings U and W into the gauge that distillation would begin in, which a decoder of the lookups' own could not follow. Returns W. */
function balanced(group: FactorGroup): Float32Array {
	const [left, right] = (["left", "right"] as const).map((factor) => {
		const stored = group.values.find(({ role }) => role === factor);
		if (stored === undefined) throw new Error(`there is no ${factor} factor as the lookups read it`);
		const { value } = stored;
		return { group, factor, stored, value, dims: value.tensor?.dims ?? [], initial: floatsOf(value) };
	});
	if (left === undefined || right === undefined) throw new Error("a factor is missing");
	balance(left, right, group.rank);
	for (const { factor, stored, initial } of [left, right]) writeFactor(group, factor, stored.role, initial);
	return right.initial;
}
