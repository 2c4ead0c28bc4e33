// Forms of a training graph that cost less and compute the same: joins with nothing, and the Gelu that exporters write as a chain.

import { intOf } from "../ir/attributes.js";
import { addNode, importOpset, removeNode, removeUnused } from "../ir/edit.js";
import type { Node, Value } from "../ir/graph.js";
import { frontAxis } from "./facts.js";
import type { Ops } from "./ops.js";

/** Changes nodes of the graph of `ops` before it is differentiated; results keep their names. */
export function simplify(ops: Ops): void {
	for (const node of [...ops.graph.nodes]) {
		if (node.is("Concat")) joinOne(ops, node);
		else if (node.is("Tanh")) fuseTanhGelu(ops, node);
	}
}

/** A Concat of which only one part has elements (a past of length 0 before keys) is that part. */
function joinOne(ops: Ops, node: Node): void {
	const [output] = node.outputs;
	const parts = node.inputs.filter((value) => value !== undefined);
	if (output === undefined || ![output, ...parts].every((value) => ops.knows(value))) return;
	const axis = frontAxis(intOf(node, "axis", 0), ops.rank(output));
	const [part, second] = parts.filter((value) => ops.dims(value)[axis] !== 0);
	if (part !== undefined && second === undefined) supersede(ops, node, output, "Identity", part);
}

/** ½ x (1 + tanh(√(2/π) (x + 0.044715 x³))) is one node, in one pass; the engine has it for float32. */
function fuseTanhGelu(ops: Ops, node: Node): void {
	const scaled = timesConstant(ops, node.inputs[0], Math.sqrt(2 / Math.PI));
	const [tanh] = node.outputs;
	if (scaled === undefined || tanh === undefined) return;
	for (const [x, cubic] of bothWays(scaled, "Add")) {
		const cube = timesConstant(ops, cubic, 0.044715);
		const result = cube !== undefined && isCube(ops, cube, x) ? halfTimes(ops, tanh, x) : undefined;
		if (result?.producer === undefined || !ops.knows(x) || ops.dtype(x) !== "float32") continue;
		importOpset(ops.graph.model, "com.microsoft", 1);
		supersede(ops, result.producer, result, "FastGelu", x, "com.microsoft");
		return;
	}
}

/** The operands of the node that makes `value`, in both orders, if it is an `opType`. */
function bothWays(value: Value | undefined, opType: string): [Value, Value][] {
	const [a, b] = value?.producer?.is(opType) === true ? value.producer.inputs : [];
	return a === undefined || b === undefined
		? []
		: [
				[a, b],
				[b, a],
			];
}

/** What is multiplied with the constant, where `value` is such a product. */
function timesConstant(ops: Ops, value: Value | undefined, constant: number): Value | undefined {
	return bothWays(value, "Mul").find(([factor]) => isConstant(ops, factor, constant))?.[1];
}

function isConstant(ops: Ops, value: Value, constant: number): boolean {
	const values = ops.knows(value) ? ops.facts(value).values : undefined;
	return values?.length === 1 && Math.abs((values[0] ?? 0) - constant) <= 1e-6 * constant;
}

function isCube(ops: Ops, value: Value, x: Value): boolean {
	const [base, exponent] = value.producer?.is("Pow") === true ? value.producer.inputs : [];
	if (base === x && exponent !== undefined && isConstant(ops, exponent, 3)) return true;
	return bothWays(value, "Mul").some(([one, other]) => one === x && bothWays(other, "Mul").some(([a, b]) => a === x && b === x));
}

/** ½ x (1 + tanh) where it is computed from `tanh`, in whichever order the factors come. */
function halfTimes(ops: Ops, tanh: Value, x: Value): Value | undefined {
	const sum = onlyResult(tanh, "Add");
	if (sum === undefined || !bothWays(sum, "Add").some(([one, other]) => other === tanh && isConstant(ops, one, 1))) return undefined;
	const inner = onlyResult(sum, "Mul");
	if (inner === undefined) return undefined;
	if (bothWays(inner, "Mul").some(([half, other]) => other === sum && timesConstant(ops, half, 0.5) === x)) return inner;
	const outer = onlyResult(inner, "Mul");
	if (outer === undefined) return undefined;
	const isFirst = (first: Value, second: (factor: Value) => boolean) =>
		bothWays(inner, "Mul").some(([factor, other]) => other === sum && factor === first) &&
		bothWays(outer, "Mul").some(([factor, other]) => other === inner && second(factor));
	const isHalf = (factor: Value) => isConstant(ops, factor, 0.5);
	if (isFirst(x, isHalf)) return outer;
	const half = bothWays(inner, "Mul").find(([, other]) => other === sum)?.[0];
	return half !== undefined && isHalf(half) && isFirst(half, (factor) => factor === x) ? outer : undefined;
}

/** The result of the only node that reads `value`, if it is an `opType`. */
function onlyResult(value: Value, opType: string): Value | undefined {
	const [use, second] = value.uses;
	return use !== undefined && second === undefined && use.kind === "node" && use.node.is(opType) ? use.node.outputs[0] : undefined;
}

/** Another node that makes `output`, from `input` alone, in the place of `node` and of what only it read. */
function supersede(ops: Ops, node: Node, output: Value, opType: string, input: Value, domain = ""): void {
	const before = node.inputs.flatMap((value) => value?.producer ?? []);
	addNode(ops.graph, { opType, domain, name: node.name, inputs: [input], outputs: [output] }, node);
	removeNode(node);
	removeUnused(before);
}
