// Some columns of what a graph computes, without the others: logits of a few tokens cost a fraction of those of all.
import { intOf, intsOf } from "../ir/attributes.js";
import type { Node, Value } from "../ir/graph.js";
import { sizeOf } from "./facts.js";
import type { Ops } from "./ops.js";

/** Operators that act on each element alone, with operands that repeat along the axes of the others. */
const ELEMENTWISE: ReadonlySet<string> = new Set([
	...["Add", "Sub", "Mul", "Div", "Pow", "Where", "Max", "Min"],
	...["Identity", "Cast", "Tanh", "Neg", "Clip", "Sigmoid", "Relu"],
]);

/**
 * Gives `value` at the columns `ids` (int64 [n]) of its last axis, [.., n]: computed anew from the product that gives the columns, of
 * which only these are multiplied. Gradients flow through it as through `value`.
 * @returns undefined if something on the way mixes columns, such as a Softmax or a Slice of the last axis
 */
export function columnSelector(ops: Ops, value: Value): ((ids: Value) => Value) | undefined {
	return canSelect(ops, value) ? (ids) => select(ops, value, ids) : undefined;
}

const columnsOf = (ops: Ops, value: Value): number => ops.dims(value).at(-1) ?? 1;

function canSelect(ops: Ops, value: Value): boolean {
	const { producer } = value;
	if (producer === undefined) return true;
	if (!ops.knows(value) || !["", "ai.onnx"].includes(producer.domain) || producer.outputs[0] !== value) return false;
	if (producer.opType === "Gemm") return true;
	const [first, second] = producer.inputs;
	if (producer.opType === "MatMul") return first !== undefined && second !== undefined && ops.rank(second) >= 2;
	if (producer.opType === "Transpose") return keepsColumns(ops, producer) && first !== undefined && canSelect(ops, first);
	if (producer.opType === "Reshape") return first !== undefined && columnsOf(ops, first) === columnsOf(ops, value) && canSelect(ops, first);
	if (!ELEMENTWISE.has(producer.opType)) return false;
	return producer.inputs.every((input) => input === undefined || isRepeated(ops, input, value) || canSelect(ops, input));
}

/** One column stands for all. */
function isRepeated(ops: Ops, input: Value, value: Value): boolean {
	return ops.rank(input) === 0 || columnsOf(ops, input) !== columnsOf(ops, value);
}

function keepsColumns(ops: Ops, node: Node): boolean {
	const rank = node.inputs[0] === undefined ? 0 : ops.rank(node.inputs[0]);
	return intsOf(node, "perm")?.at(-1) === rank - 1;
}

function select(ops: Ops, value: Value, ids: Value): Value {
	const { producer } = value;
	const last = ops.rank(value) - 1;
	if (producer === undefined) return ops.gather(value, ids, last);
	const [first, second, third] = producer.inputs as [Value, Value, Value | undefined];
	const near = ops.at(`${value.name}/columns`);
	const dims = [...ops.dims(value).slice(0, -1), sizeOf(ops.dims(ids))];
	switch (producer.opType) {
		case "Gemm": {
			const matrix = intOf(producer, "transB", 0) === 1 ? near.gather(second, ids, 0) : selectOfMatrix(near, second, ids);
			const picked = [first, matrix, third && selectTerm(near, third, value, ids)];
			return near.one("Gemm", picked, { dtype: ops.dtype(value), dims }, Object.fromEntries(producer.attributes));
		}
		case "MatMul":
			return near.matmul(first, selectOfMatrix(near, second, ids));
		case "Transpose":
			return near.one("Transpose", [select(ops, first, ids)], { dtype: ops.dtype(value), dims }, Object.fromEntries(producer.attributes));
		case "Reshape":
			return near.reshape(select(ops, first, ids), dims);
		default: {
			const inputs = producer.inputs.map((input) => input && selectTerm(near, input, value, ids));
			return near.one(producer.opType, inputs, { dtype: ops.dtype(value), dims }, Object.fromEntries(producer.attributes));
		}
	}
}

/** Columns of the right operand of a product; of a transposed matrix they are rows, which are copied faster. */
function selectOfMatrix(ops: Ops, matrix: Value, ids: Value): Value {
	const source = matrix.producer?.is("Transpose") === true ? matrix.producer.inputs[0] : undefined;
	if (source !== undefined && ops.knows(source) && ops.rank(source) === 2) return ops.transpose(ops.gather(source, ids, 0), [1, 0]);
	return ops.gather(matrix, ids, ops.rank(matrix) - 1);
}

function selectTerm(ops: Ops, input: Value, value: Value, ids: Value): Value {
	return isRepeated(ops, input, value) ? input : select(ops, input, ids);
}
