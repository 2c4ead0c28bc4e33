// LSTM, GRU and RNN, unrolled to the fixed length of the training graph.
import { intOf, stringOf } from "../../ir/attributes.js";
import type { Value } from "../../ir/graph.js";
import { axesFrom } from "../facts.js";
import type { Ops } from "../ops.js";
import type { RuleContext } from "../rule.js";
import { type Activation, activationsOf, clipOf } from "./recurrent-activations.js";

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
	/** For each step the sequences that have not ended, [batch, 1]; undefined: all of them are as long as the batch. */
	readonly going: readonly Value[] | undefined;
	/** [hidden] each, of the input, output and forget gate. */
	readonly peepholes: readonly Value[];
	/** The operator's f, g, h. */
	readonly activations: readonly Activation[];
	/** Comes before every activation of a gate. */
	readonly clip: Activation;
}

type Walk = (ops: Ops, direction: Direction, hidden: number) => Walked;

interface Walked {
	/** Per step, in the order of the walk; zeros where a sequence has ended. */
	readonly outputs: readonly Value[];
	/** At the end of every sequence. */
	readonly state: Value;
	readonly cell: Value;
}

/** `usual`: the activations of one direction, unless the node names others. */
function recurrent(context: RuleContext, gates: number, usual: readonly string[], walk: Walk): Results {
	const { ops, x, has, node, dims, unsupported } = context;
	if (intOf(node, "layout", 0) !== 0) unsupported(`${node.opType} with the batch first`);
	const [length = 1, batch = 1] = dims(0);
	const going = goingOf(context, length, batch);
	const hidden = ops.dims(x(2))[2] ?? 1;
	const direction = stringOf(node, "direction", "forward");
	const directions = direction === "bidirectional" ? [false, true] : [direction === "reverse"];
	const activations = activationsOf(
		context,
		directions.flatMap(() => usual),
	);
	const walks = directions.map((isReverse, index) => {
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
				going: isReverse ? going?.toReversed() : going,
				peepholes: has(7) ? ops.split(part(ops, x(7), index), 0, [hidden, hidden, hidden]) : [],
				activations: activations.slice(index * usual.length, (index + 1) * usual.length),
				clip: clipOf(context),
			},
			hidden,
		);
		const inOrder = isReverse ? found.outputs.toReversed() : found.outputs;
		const all = ops.concat(
			inOrder.map((output) => ops.reshape(output, [1, 1, batch, hidden])),
			0,
		);
		const single = (value: Value) => ops.reshape(value, [1, batch, hidden]);
		return { all, last: single(found.state), cell: single(found.cell) };
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

/** For each step the sequences, [batch, 1], that are longer (their lengths are at least one); undefined if all have all steps. */
function goingOf({ ops, x, has }: RuleContext, length: number, batch: number): Value[] | undefined {
	if (!has(4) || ops.facts(x(4)).values?.every((size) => size === length) === true) return undefined;
	const lengths = ops.reshape(x(4), [batch, 1]);
	return axesFrom(0, length).map((step) => ops.greater(lengths, step));
}

/** `now` of the sequences that go on at a step, `before` of those that have ended. */
function held(ops: Ops, going: Value | undefined, now: Value, before: Value | number): Value {
	return going === undefined ? now : ops.where(going, now, before);
}

function gatesOf(ops: Ops, value: Value, count: number, hidden: number): Value[] {
	return ops.split(value, 1, new Array<number>(count).fill(hidden));
}

function withBias(ops: Ops, value: Value, bias: Value | undefined): Value {
	return bias === undefined ? value : ops.add(value, bias);
}

/**
 * i = f(gate + P c), f = f(gate + P c) or 1 − i, c ← f c + i g(gate); o = f(gate + P c) of the new cell; state ← o h(c).
 * f is σ, g and h are tanh, unless the node says otherwise.
 */
function walkLstm(inputForget: boolean): Walk {
	return (ops, { steps, recurrent: weights, recurrentBias, start, cell: first, going, peepholes, activations, clip }, hidden) => {
		const [f, g, h] = activations as [Activation, Activation, Activation];
		const [ofInput, ofOutput, ofForget] = peepholes;
		const gate = (value: Value, seen: Value, peephole: Value | undefined) =>
			f(ops, clip(ops, peephole === undefined ? value : ops.add(value, ops.mul(seen, peephole))));
		const outputs: Value[] = [];
		let [state, cell] = [start, first];
		for (const [at, step] of steps.entries()) {
			const gates = withBias(ops, ops.add(step, ops.gemm(state, weights)), recurrentBias);
			const [i, o, forget, c] = gatesOf(ops, gates, 4, hidden) as [Value, Value, Value, Value];
			const input = gate(i, cell, ofInput);
			const kept = inputForget ? ops.sub(1, input) : gate(forget, cell, ofForget);
			const next = ops.add(ops.mul(kept, cell), ops.mul(input, g(ops, clip(ops, c))));
			const result = ops.mul(gate(o, next, ofOutput), h(ops, next));
			cell = held(ops, going?.[at], next, cell);
			state = held(ops, going?.[at], result, state);
			outputs.push(held(ops, going?.[at], result, 0));
		}
		return { outputs, state, cell };
	};
}

/** z, r = f(gates); h̃ = g(x + r (R h + b)) or g(x + R (r h) + b); h ← (1 − z) h̃ + z h. f is σ, g tanh, unless the node says otherwise. */
function walkGru(linearBeforeReset: boolean): Walk {
	return (ops, { steps, recurrent: weights, recurrentBias, start, cell, going, activations, clip }, hidden) => {
		const [f, g] = activations as [Activation, Activation];
		const [ofGates, ofState] = ops.split(weights, 1, [2 * hidden, hidden]) as [Value, Value];
		const [gateBias, stateBias] = recurrentBias === undefined ? [] : ops.split(recurrentBias, 0, [2 * hidden, hidden]);
		const outputs: Value[] = [];
		let state = start;
		for (const [at, step] of steps.entries()) {
			const [gatePart, candidatePart] = ops.split(step, 1, [2 * hidden, hidden]) as [Value, Value];
			const gates = withBias(ops, ops.add(gatePart, ops.gemm(state, ofGates)), gateBias);
			const [z, r] = gatesOf(ops, f(ops, clip(ops, gates)), 2, hidden) as [Value, Value];
			const inner = linearBeforeReset
				? ops.mul(r, withBias(ops, ops.gemm(state, ofState), stateBias))
				: withBias(ops, ops.gemm(ops.mul(r, state), ofState), stateBias);
			const candidate = g(ops, clip(ops, ops.add(candidatePart, inner)));
			const result = ops.add(ops.mul(ops.sub(1, z), candidate), ops.mul(z, state));
			state = held(ops, going?.[at], result, state);
			outputs.push(held(ops, going?.[at], result, 0));
		}
		return { outputs, state, cell };
	};
}

/** h ← f(x + R h + b); f is tanh, unless the node says otherwise. */
const walkRnn: Walk = (ops, { steps, recurrent: weights, recurrentBias, start, cell, going, activations, clip }) => {
	const [f] = activations as [Activation];
	const outputs: Value[] = [];
	let state = start;
	for (const [at, step] of steps.entries()) {
		const result = f(ops, clip(ops, withBias(ops, ops.add(step, ops.gemm(state, weights)), recurrentBias)));
		state = held(ops, going?.[at], result, state);
		outputs.push(held(ops, going?.[at], result, 0));
	}
	return { outputs, state, cell };
};

export const lstm = (context: RuleContext): Results =>
	recurrent(context, 4, ["Sigmoid", "Tanh", "Tanh"], walkLstm(intOf(context.node, "input_forget", 0) !== 0));
export const gru = (context: RuleContext): Results =>
	recurrent(context, 3, ["Sigmoid", "Tanh"], walkGru(intOf(context.node, "linear_before_reset", 0) !== 0)).slice(0, 2);
export const rnn = (context: RuleContext): Results => recurrent(context, 1, ["Tanh"], walkRnn).slice(0, 2);
