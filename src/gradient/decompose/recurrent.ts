// LSTM and GRU, unrolled to the fixed length of the training graph.
import { intOf, stringOf } from "../../ir/attributes.js";
import type { Value } from "../../ir/graph.js";
import { axesFrom } from "../facts.js";
import type { Ops } from "../ops.js";
import type { RuleContext } from "../rule.js";

type Results = readonly (Value | undefined)[];

/** One direction of a recurrent layer. */
interface Direction {
	/** Inputs of each step with the gates' weights applied, [batch, gates · hidden], in the order of the walk. */
	readonly steps: readonly Value[];
	/** Recurrent weights, transposed: [hidden, gates · hidden]. */
	readonly recurrent: Value;
	/** [gates · hidden]. */
	readonly recurrentBias: Value | undefined;
	/** [batch, hidden]. */
	readonly start: Value;
	readonly cell: Value;
}

type Walk = (ops: Ops, direction: Direction, hidden: number) => { readonly outputs: readonly Value[]; readonly cell: Value };

function recurrent(context: RuleContext, gates: number, walk: Walk): Results {
	const { ops, x, has, node, dims, integers, unsupported } = context;
	if (intOf(node, "layout", 0) !== 0 || has(7) || node.attributes.has("clip") || node.attributes.has("activations")) {
		unsupported(`${node.opType} with peepholes, a clip, other activations or batch first`);
	}
	const [length = 1, batch = 1] = dims(0);
	if (has(4) && integers(4)?.some((size) => size !== length) === true) unsupported(`${node.opType} with lengths of its own`);
	const hidden = ops.dims(x(2))[2] ?? 1;
	const direction = stringOf(node, "direction", "forward");
	const walks = (direction === "bidirectional" ? [false, true] : [direction === "reverse"]).map((isReverse, index) => {
		const steps = stepsOf(context, index, gates * hidden);
		const found = walk(
			ops,
			{
				steps: isReverse ? steps.toReversed() : steps,
				recurrent: ops.transpose(part(ops, x(2), index), [1, 0]),
				recurrentBias: has(3)
					? ops.slice(part(ops, x(3), index), [{ axis: 0, start: gates * hidden, end: 2 * gates * hidden }])
					: undefined,
				start: has(5) ? part(ops, x(5), index) : ops.filled([batch, hidden], ops.dtype(x(0))),
				cell: has(6) ? part(ops, x(6), index) : ops.filled([batch, hidden], ops.dtype(x(0))),
			},
			hidden,
		);
		const inOrder = isReverse ? found.outputs.toReversed() : found.outputs;
		const all = ops.concat(
			inOrder.map((output) => ops.reshape(output, [1, 1, batch, hidden])),
			0,
		);
		const single = (value: Value) => ops.reshape(value, [1, batch, hidden]);
		return { all, last: single(found.outputs.at(-1) ?? found.cell), cell: single(found.cell) };
	});
	return [
		ops.concat(
			walks.map(({ all }) => all),
			1,
		),
		ops.concat(
			walks.map(({ last }) => last),
			0,
		),
		ops.concat(
			walks.map(({ cell }) => cell),
			0,
		),
	];
}

/** Entry `index` of the first axis, without that axis. */
function part(ops: Ops, value: Value, index: number): Value {
	const sliced = ops.dims(value)[0] === 1 ? value : ops.slice(value, [{ axis: 0, start: index, end: index + 1 }]);
	return ops.reshape(sliced, ops.dims(value).slice(1));
}

/** X Wᵀ + b for all steps at once, then one value per step. */
function stepsOf({ ops, x, has, dims }: RuleContext, index: number, width: number): Value[] {
	const [length = 1, batch = 1, size = 1] = dims(0);
	const flat = ops.gemm(ops.reshape(x(0), [length * batch, size]), part(ops, x(1), index), { transB: true });
	const biased = has(3) ? ops.add(flat, ops.slice(part(ops, x(3), index), [{ axis: 0, start: 0, end: width }])) : flat;
	return ops.split(
		biased,
		0,
		axesFrom(0, length).map(() => batch),
	);
}

function gatesOf(ops: Ops, value: Value, count: number, hidden: number): Value[] {
	return ops.split(value, 1, new Array<number>(count).fill(hidden));
}

function withBias(ops: Ops, value: Value, bias: Value | undefined): Value {
	return bias === undefined ? value : ops.add(value, bias);
}

/** i, o, f = σ(gates), c̃ = tanh; c ← f c + i c̃; h ← o tanh c. */
const walkLstm: Walk = (ops, { steps, recurrent: weights, recurrentBias, start, cell: first }, hidden) => {
	const outputs: Value[] = [];
	let [state, cell] = [start, first];
	for (const step of steps) {
		const gates = withBias(ops, ops.add(step, ops.gemm(state, weights)), recurrentBias);
		const [i, o, f, c] = gatesOf(ops, gates, 4, hidden) as [Value, Value, Value, Value];
		cell = ops.add(ops.mul(ops.sigmoid(f), cell), ops.mul(ops.sigmoid(i), ops.tanh(c)));
		state = ops.mul(ops.sigmoid(o), ops.tanh(cell));
		outputs.push(state);
	}
	return { outputs, cell };
};

/** z, r = σ(gates); h̃ = tanh(x + r (R h + b)) or tanh(x + R (r h) + b); h ← (1 − z) h̃ + z h. */
function walkGru(linearBeforeReset: boolean): Walk {
	return (ops, { steps, recurrent: weights, recurrentBias, start, cell }, hidden) => {
		const [ofGates, ofState] = ops.split(weights, 1, [2 * hidden, hidden]) as [Value, Value];
		const [gateBias, stateBias] = recurrentBias === undefined ? [] : ops.split(recurrentBias, 0, [2 * hidden, hidden]);
		const outputs: Value[] = [];
		let state = start;
		for (const step of steps) {
			const [gatePart, candidatePart] = ops.split(step, 1, [2 * hidden, hidden]) as [Value, Value];
			const gates = withBias(ops, ops.add(gatePart, ops.gemm(state, ofGates)), gateBias);
			const [z, r] = gatesOf(ops, ops.sigmoid(gates), 2, hidden) as [Value, Value];
			const inner = linearBeforeReset
				? ops.mul(r, withBias(ops, ops.gemm(state, ofState), stateBias))
				: withBias(ops, ops.gemm(ops.mul(r, state), ofState), stateBias);
			const candidate = ops.tanh(ops.add(candidatePart, inner));
			state = ops.add(ops.mul(ops.sub(1, z), candidate), ops.mul(z, state));
			outputs.push(state);
		}
		return { outputs, cell };
	};
}

export const lstm = (context: RuleContext): Results => recurrent(context, 4, walkLstm);
export const gru = (context: RuleContext): Results =>
	recurrent(context, 3, walkGru(intOf(context.node, "linear_before_reset", 0) !== 0)).slice(0, 2);
