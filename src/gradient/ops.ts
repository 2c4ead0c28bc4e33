// The operators that gradients, losses and decompositions are written with, each with the sizes of its result.
import { DistembError } from "../errors.js";
import { float, int, ints, string } from "../ir/attributes.js";
import { smallTensor } from "../ir/build.js";
import { codeOfDType, type DType } from "../ir/dtype.js";
import { importOpset } from "../ir/edit.js";
import type { Graph, Node, Value } from "../ir/graph.js";
import { Emitter } from "./emitter.js";
import { broadcast, type Dims, type Facts, frontAxis, reduced, sameDims, sizeOf, withSize } from "./facts.js";

/** An operand: a value, or a number of the other operand's type. */
export type Operand = Value | number;

export interface GemmOptions {
	readonly transA?: boolean;
	readonly transB?: boolean;
	readonly alpha?: number;
}

/** One axis of a slice; `end` may lie beyond the axis. */
export interface Range {
	readonly axis: number;
	readonly start: number;
	readonly end: number;
	readonly step?: number;
}

export class Ops extends Emitter {
	/** Nodes go to the end of `graph`, or before `before`; facts of `graph`'s values are read from and added to `facts`. */
	static on(graph: Graph, facts: Map<Value, Facts>, base = "training", before?: Node): Ops {
		return new Ops({ graph, facts, constants: new Map(), byHand: new Map(), kept: new Map() }, base, before);
	}

	/** The same graph and facts, with other names or another place for new nodes. */
	at(base: string, before: Node | undefined = this.before): Ops {
		return new Ops(this.shared, base, before);
	}

	// --- element-wise ----------------------------------------------------------

	add = (a: Operand, b: Operand): Value => this.binary("Add", a, b);
	sub = (a: Operand, b: Operand): Value => this.binary("Sub", a, b);
	mul = (a: Operand, b: Operand): Value => this.binary("Mul", a, b);
	div = (a: Operand, b: Operand): Value => this.binary("Div", a, b);
	pow = (a: Operand, b: Operand): Value => this.binary("Pow", a, b);
	less = (a: Operand, b: Operand): Value => this.binary("Less", a, b, "bool");
	greater = (a: Operand, b: Operand): Value => this.binary("Greater", a, b, "bool");
	equal = (a: Operand, b: Operand): Value => this.binary("Equal", a, b, "bool");
	and = (a: Value, b: Value): Value => this.binary("And", a, b);
	not = (a: Value): Value => this.unary("Not", a);
	neg = (a: Value): Value => this.unary("Neg", a);
	exp = (a: Value): Value => this.unary("Exp", a);
	log = (a: Value): Value => this.unary("Log", a);
	sqrt = (a: Value): Value => this.unary("Sqrt", a);
	reciprocal = (a: Value): Value => this.unary("Reciprocal", a);
	abs = (a: Value): Value => this.unary("Abs", a);
	sign = (a: Value): Value => this.unary("Sign", a);
	erf = (a: Value): Value => this.unary("Erf", a);
	tanh = (a: Value): Value => this.unary("Tanh", a);
	sigmoid = (a: Value): Value => this.unary("Sigmoid", a);
	identity = (a: Value): Value => this.unary("Identity", a);
	square = (a: Value): Value => this.mul(a, a);

	unary(opType: string, a: Value): Value {
		return this.one(opType, [a], { dtype: this.dtype(a), dims: this.dims(a) });
	}

	private binary(opType: string, a: Operand, b: Operand, dtype?: DType): Value {
		const type = typeof a === "number" ? (typeof b === "number" ? "float32" : this.dtype(b)) : this.dtype(a);
		const [left, right] = [this.operand(a, type), this.operand(b, type)];
		return this.one(opType, [left, right], { dtype: dtype ?? type, dims: broadcast(this.dims(left), this.dims(right)) });
	}

	private operand(operand: Operand, dtype: DType): Value {
		return typeof operand === "number" ? this.scalar(operand, dtype) : operand;
	}

	/** The sum of all `terms`, which have the same sizes. Two Adds take half the time of one Sum of three in the engine. */
	addAll(terms: readonly Value[]): Value {
		const [first, ...rest] = terms;
		if (first === undefined) throw new DistembError("internal", "a sum of nothing");
		return rest.reduce(this.add, first);
	}

	where(condition: Value, a: Operand, b: Operand): Value {
		const dtype = typeof a === "number" ? (typeof b === "number" ? "float32" : this.dtype(b)) : this.dtype(a);
		const inputs = [condition, this.operand(a, dtype), this.operand(b, dtype)];
		return this.one("Where", inputs, { dtype, dims: broadcast(...inputs.map((input) => this.dims(input))) });
	}

	/** `a` as `dtype`; `a` itself if it is that already. */
	cast(a: Value, dtype: DType): Value {
		if (this.dtype(a) === dtype) return a;
		return this.one("Cast", [a], { dtype, dims: this.dims(a) }, { to: int(codeOfDType(dtype)) });
	}

	// --- products --------------------------------------------------------------

	/** Batched product of matrices; both operands have at least two axes. */
	matmul(a: Value, b: Value): Value {
		const [left, right] = [this.dims(a), this.dims(b)];
		const batch = broadcast(left.slice(0, -2), right.slice(0, -2));
		const dims = [...batch, left.at(-2) ?? 1, right.at(-1) ?? 1];
		return this.one("MatMul", [a, b], { dtype: this.dtype(a), dims });
	}

	/** alpha · A · B of two matrices, each transposed on request. */
	gemm(a: Value, b: Value, { transA = false, transB = false, alpha = 1 }: GemmOptions = {}): Value {
		const dims = [this.dims(a)[transA ? 1 : 0] ?? 1, this.dims(b)[transB ? 0 : 1] ?? 1];
		const attributes = { transA: int(Number(transA)), transB: int(Number(transB)), alpha: float(alpha) };
		return this.one("Gemm", [a, b], { dtype: this.dtype(a), dims }, attributes);
	}

	/** Inner products of the rows of two matrices of the same sizes, [rows, 1]; in float32 without their product in memory. */
	rowDots(a: Value, b: Value): Value {
		const [rows = 1, size = 1] = this.dims(a);
		if (this.dtype(a) !== "float32") return this.sum(this.mul(a, b), [1], true);
		importOpset(this.graph.model, "com.microsoft", 1);
		const [left, right] = [a, b].map((value) => this.reshape(value, [rows, 1, size]));
		const facts = { dtype: this.dtype(a), dims: [rows, 1, 1] };
		return this.reshape(this.one("FusedMatMul", [left, right], facts, { transB: int(1) }, "com.microsoft"), [rows, 1]);
	}

	einsum(equation: string, operands: readonly Value[], dims: Dims): Value {
		const dtype = operands[0] === undefined ? "float32" : this.dtype(operands[0]);
		return this.one("Einsum", operands, { dtype, dims }, { equation: string(equation) });
	}

	// --- shapes ----------------------------------------------------------------

	reshape(a: Value, dims: Dims): Value {
		if (sameDims(this.dims(a), dims)) return a;
		if (sizeOf(dims) !== sizeOf(this.dims(a))) {
			throw new DistembError("internal", `[${this.dims(a).join(", ")}] cannot be reshaped to [${dims.join(", ")}]`);
		}
		return this.one("Reshape", [a, this.integers(dims)], { dtype: this.dtype(a), dims }, { allowzero: int(dims.includes(0) ? 1 : 0) });
	}

	transpose(a: Value, perm: readonly number[]): Value {
		if (perm.every((from, to) => from === to)) return a;
		const dims = perm.map((axis) => this.dims(a)[axis] ?? 1);
		return this.one("Transpose", [a], { dtype: this.dtype(a), dims }, { perm: ints(perm) });
	}

	/** The last two axes swapped. */
	transposed(a: Value): Value {
		const rank = this.rank(a);
		return this.transpose(
			a,
			this.dims(a).map((_, axis) => (axis < rank - 2 ? axis : 2 * rank - 3 - axis)),
		);
	}

	/** `a` repeated along axes of size one until it has `dims`. */
	expand(a: Value, dims: Dims): Value {
		if (sameDims(this.dims(a), dims)) return a;
		return this.one("Expand", [a, this.integers(dims)], { dtype: this.dtype(a), dims });
	}

	filled(dims: Dims, dtype: DType, value = 0): Value {
		const shape = this.integers(dims);
		return this.one("ConstantOfShape", [shape], { dtype, dims }, { value: { kind: "tensor", value: smallTensor(dtype, [value]) } });
	}

	concat(parts: readonly Value[], axis: number): Value {
		const [first] = parts;
		if (first === undefined) throw new DistembError("internal", "a Concat of nothing");
		if (parts.length === 1) return first;
		const size = parts.reduce((total, part) => total + (this.dims(part)[axis] ?? 0), 0);
		return this.one("Concat", parts, { dtype: this.dtype(first), dims: withSize(this.dims(first), axis, size) }, { axis: int(axis) });
	}

	slice(a: Value, ranges: readonly Range[]): Value {
		if (ranges.every(({ axis, start, end, step = 1 }) => start === 0 && step === 1 && end >= (this.dims(a)[axis] ?? 0))) return a;
		const dims = [...this.dims(a)];
		for (const { axis, start, end, step = 1 } of ranges) dims[axis] = Math.max(0, Math.ceil((end - start) / step));
		const inputs = [
			this.integers(ranges.map(({ start }) => start)),
			this.integers(ranges.map(({ end }) => end)),
			this.integers(ranges.map(({ axis }) => axis)),
			this.integers(ranges.map(({ step = 1 }) => step)),
		];
		return this.one("Slice", [a, ...inputs], { dtype: this.dtype(a), dims });
	}

	split(a: Value, axis: number, sizes: readonly number[]): Value[] {
		const outputs = sizes.map((size) => ({ dtype: this.dtype(a), dims: withSize(this.dims(a), axis, size) }));
		return this.node("Split", [a, this.integers(sizes)], outputs, { axis: int(axis) });
	}

	/** Zeros around `a`: `begin` and `end` count elements per axis; negative counts cut. */
	pad(a: Value, begin: readonly number[], end: readonly number[]): Value {
		if ([...begin, ...end].every((count) => count === 0)) return a;
		const dims = this.dims(a).map((size, axis) => size + (begin[axis] ?? 0) + (end[axis] ?? 0));
		return this.one("Pad", [a, this.integers([...begin, ...end])], { dtype: this.dtype(a), dims });
	}

	// --- reductions ------------------------------------------------------------

	sum = (a: Value, axes: readonly number[], keep = false): Value => this.reduce("ReduceSum", a, axes, keep);
	mean = (a: Value, axes: readonly number[], keep = false): Value => this.reduce("ReduceMean", a, axes, keep);
	maximum = (a: Value, axes: readonly number[], keep = false): Value => this.reduce("ReduceMax", a, axes, keep);

	/** The sum of all elements, a scalar. */
	total = (a: Value): Value =>
		this.sum(
			a,
			this.dims(a).map((_, axis) => axis),
		);

	private reduce(opType: string, a: Value, axes: readonly number[], keep: boolean): Value {
		const front = axes.map((axis) => frontAxis(axis, this.rank(a)));
		if (front.length === 0) return a;
		const facts = { dtype: this.dtype(a), dims: reduced(this.dims(a), front, keep) };
		return this.one(opType, [a, this.integers(front)], facts, { keepdims: int(Number(keep)) });
	}

	softmax = (a: Value, axis: number): Value => this.alongAxis("Softmax", a, axis);
	logSoftmax = (a: Value, axis: number): Value => this.alongAxis("LogSoftmax", a, axis);

	private alongAxis(opType: string, a: Value, axis: number): Value {
		return this.one(opType, [a], { dtype: this.dtype(a), dims: this.dims(a) }, { axis: int(axis) });
	}

	cumsum(a: Value, axis: number, { exclusive = false, reverse = false } = {}): Value {
		const attributes = { exclusive: int(Number(exclusive)), reverse: int(Number(reverse)) };
		return this.one("CumSum", [a, this.scalar(axis, "int64")], { dtype: this.dtype(a), dims: this.dims(a) }, attributes);
	}

	trilu(a: Value, diagonal: Value | undefined, upper: boolean): Value {
		return this.one("Trilu", [a, diagonal], { dtype: this.dtype(a), dims: this.dims(a) }, { upper: int(Number(upper)) });
	}

	// --- indices ---------------------------------------------------------------

	gather(a: Value, indices: Value, axis: number): Value {
		const dims = [...this.dims(a).slice(0, axis), ...this.dims(indices), ...this.dims(a).slice(axis + 1)];
		return this.one("Gather", [a, indices], { dtype: this.dtype(a), dims }, { axis: int(axis) });
	}

	gatherElements(a: Value, indices: Value, axis: number): Value {
		return this.one("GatherElements", [a, indices], { dtype: this.dtype(a), dims: this.dims(indices) }, { axis: int(axis) });
	}

	gatherND(a: Value, indices: Value, batchDims = 0): Value {
		const [from, at] = [this.dims(a), this.dims(indices)];
		const dims = [...at.slice(0, -1), ...from.slice(batchDims + (at.at(-1) ?? 0))];
		return this.one("GatherND", [a, indices], { dtype: this.dtype(a), dims }, { batch_dims: int(batchDims) });
	}

	/** `a` with `updates` added at, or put at, `indices`; repeated indices add up. */
	scatterND(a: Value, indices: Value, updates: Value, reduction: "add" | "none" = "add"): Value {
		const facts = { dtype: this.dtype(a), dims: this.dims(a) };
		return this.one("ScatterND", [a, indices, updates], facts, { reduction: string(reduction) });
	}

	scatterElements(a: Value, indices: Value, updates: Value, axis: number, reduction: "add" | "none" = "add"): Value {
		const facts = { dtype: this.dtype(a), dims: this.dims(a) };
		return this.one("ScatterElements", [a, indices, updates], facts, { axis: int(axis), reduction: string(reduction) });
	}
}
