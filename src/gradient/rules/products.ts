// Rules of matrix products. Weights of two axes are met by Gemm on flattened rows, which needs no Transpose.
import { floatOf, intOf } from "../../ir/attributes.js";
import type { Value } from "../../ir/graph.js";
import { axesFrom, inverse, sizeOf } from "../facts.js";
import type { Ops } from "../ops.js";
import { reshaped, rowScaledOf } from "../row-scaled.js";
import { type RuleContext, rule } from "../rule.js";

interface Factor {
	readonly value: Value;
	readonly transposed: boolean;
}

const plain = (value: Value): Factor => ({ value, transposed: false });
const flipped = ({ value, transposed }: Factor): Factor => ({ value, transposed: !transposed });

/** alpha · A · B, each transposed in its last two axes where it says so. */
function product(ops: Ops, a: Factor, b: Factor, alpha: number): Value {
	if (ops.rank(a.value) === 2 && ops.rank(b.value) === 2) {
		return ops.gemm(a.value, b.value, { transA: a.transposed, transB: b.transposed, alpha });
	}
	const [left, right] = [a, b].map(({ value, transposed }) => (transposed ? ops.transposed(value) : value)) as [Value, Value];
	const result = ops.matmul(left, right);
	return alpha === 1 ? result : ops.mul(result, alpha);
}

/**
 * Y = alpha · op(A) op(B): dA = alpha · G op(B)ᵀ, dB = alpha · op(A)ᵀ G; transposed where A or B are.
 * Batch axes of A that B lacks are rows of one matrix.
 */
function gradients(ops: Ops, g: Value, a: Factor, b: Factor, alpha: number) {
	const [rows, columns] = [ops.dims(a.value), ops.dims(b.value)];
	if (columns.length === 2 && rows.length > 2 && !a.transposed) {
		const flatten = (value: Value) => reshaped(ops, value, [sizeOf(ops.dims(value), 0, -1), ops.dims(value).at(-1) ?? 1]);
		const [da, db] = ofMatrices(ops, flatten(g), plain(flatten(a.value)), b, alpha);
		return [() => ops.reshape(da(), rows), db] as const;
	}
	return ofMatrices(ops, g, a, b, alpha);
}

/** The same without the look at batch axes. Factors of G's rows go to A and dA, which are narrower than G where vocabularies are. */
function ofMatrices(ops: Ops, g: Value, a: Factor, b: Factor, alpha: number) {
	const parts = ops.rank(a.value) === 2 && !a.transposed ? rowScaledOf(ops, g) : undefined;
	if (parts === undefined || (ops.dims(g)[1] ?? 0) <= (ops.dims(a.value)[1] ?? 0)) {
		return [() => left(ops, g, a, b, alpha), () => right(ops, g, a, b, alpha)] as const;
	}
	const { value, scale } = parts;
	return [() => ops.mul(left(ops, value, a, b, alpha), scale), () => right(ops, value, plain(ops.mul(a.value, scale)), b, alpha)] as const;
}

function left(ops: Ops, g: Value, a: Factor, b: Factor, alpha: number): Value {
	return a.transposed ? product(ops, b, flipped(plain(g)), alpha) : product(ops, plain(g), flipped(b), alpha);
}

function right(ops: Ops, g: Value, a: Factor, b: Factor, alpha: number): Value {
	return b.transposed ? product(ops, flipped(plain(g)), a, alpha) : product(ops, flipped(a), plain(g), alpha);
}

/** MatMul of vectors too: a vector on the left is one row, on the right one column. */
function matmul({ ops, g, x, y, rank, dims }: RuleContext) {
	const [isRow, isColumn] = [rank(0) === 1, rank(1) === 1];
	const a = isRow ? ops.reshape(x(0), [1, ...dims(0)]) : x(0);
	const b = isColumn ? ops.reshape(x(1), [...dims(1), 1]) : x(1);
	const shape = [...ops.dims(y())];
	if (isColumn) shape.push(1);
	if (isRow) shape.splice(-1, 0, 1);
	const [da, db] = gradients(ops, reshaped(ops, g, shape), plain(a), plain(b), 1);
	// A vector that stands before a batch was repeated: its gradient is summed before the axis of size one goes.
	const vector = (gradient: Value, axis: number) => {
		const summed = ops.sum(
			gradient,
			ops
				.dims(gradient)
				.slice(0, -2)
				.map((_, at) => at),
		);
		return ops.reshape(summed, [ops.dims(summed).at(axis) ?? 1]);
	};
	return [da && (() => (isRow ? vector(da(), -1) : da())), db && (() => (isColumn ? vector(db(), -2) : db()))];
}

/** An operand whose first axis may stand before the batch axes, with that axis in its usual place. */
function batchFirst(ops: Ops, value: Value, isMoved: boolean): { value: Value; undo: (gradient: Value) => Value } {
	if (!isMoved) return { value, undo: (gradient) => gradient };
	const rank = ops.rank(value);
	const perm = [...axesFrom(1, rank - 2), 0, rank - 1];
	return { value: ops.transpose(value, perm), undo: (gradient) => ops.transpose(gradient, inverse(perm)) };
}

export const products = {
	MatMul: rule(matmul),
	// Y = alpha op(A) op(B) + beta C: dC = beta G
	Gemm: rule(({ ops, g, x, node }) => {
		const [a, b] = [
			{ value: x(0), transposed: intOf(node, "transA", 0) !== 0 },
			{ value: x(1), transposed: intOf(node, "transB", 0) !== 0 },
		];
		const beta = floatOf(node, "beta", 1);
		return [...gradients(ops, g, a, b, floatOf(node, "alpha", 1)), () => (beta === 1 ? g : ops.mul(g, beta))];
	}),
	// Y = alpha op(A) op(B)
	"com.microsoft.FusedMatMul": rule(({ ops, g, x, rank, node, unsupported }) => {
		if (rank(0) < 2 || rank(1) < 2) unsupported("FusedMatMul of a vector");
		const [a, b] = [batchFirst(ops, x(0), intOf(node, "transBatchA", 0) !== 0), batchFirst(ops, x(1), intOf(node, "transBatchB", 0) !== 0)];
		const [left, right] = [
			{ value: a.value, transposed: intOf(node, "transA", 0) !== 0 },
			{ value: b.value, transposed: intOf(node, "transB", 0) !== 0 },
		];
		const [da, db] = gradients(ops, g, left, right, floatOf(node, "alpha", 1));
		return [da && (() => a.undo(da())), db && (() => b.undo(db()))];
	}),
};
