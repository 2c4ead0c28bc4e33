// The graphs behind the dense products: one for each kind of product.
import { codeOfDType } from "../../ir/dtype.js";
import type { DirectAttribute, DirectGraph, DirectNode, DirectValue } from "../../onnx/direct.js";
import { type Panel, panelBounds, panelsOf } from "./panels.js";

export type FloatName = "float32" | "float64";

/** op(A)·op(B); op transposes where asked. */
export function gemmGraph(type: FloatName, transposeA: boolean, transposeB: boolean): DirectGraph {
	return {
		inputs: [value("a", type, "m", "k"), value("b", type, "n", "l")],
		nodes: [node("Gemm", ["a", "b"], ["c"], { transA: { int: Number(transposeA) }, transB: { int: Number(transposeB) } })],
		outputs: [value("c", type, "p", "q")],
	};
}

/** Squared norms of the rows of X − U·W, and of X. */
export function residualsGraph(): DirectGraph {
	const overRows = { axes: { ints: [1] }, keepdims: { int: 0 } };
	return {
		inputs: [value("x", "float32", "b", "d"), value("u", "float32", "b", "r"), value("w", "float32", "r", "d")],
		nodes: [
			node("Gemm", ["u", "w", "x"], ["difference"], { beta: { float: -1 } }),
			node("ReduceSumSquare", ["difference"], ["errors"], overRows),
			node("ReduceSumSquare", ["x"], ["norms"], overRows),
		],
		outputs: [value("errors", "float32", "b"), value("norms", "float32", "b")],
	};
}

/**
 * XᵀX by panels of columns, for X in parts of equal numbers of rows. A product of parts is computed with one thread for each: that is a third
 * faster than threads that share a narrow product. The engine joins Transpose and MatMul.
 */
export function gramGraph(precision: FloatName, cols: number, weighted: boolean): DirectGraph {
	const bounds = panelBounds(cols);
	const sizes = bounds.slice(1).map((end, index) => end - (bounds[index] ?? 0));
	const panels = panelsOf(bounds);
	const factors = weighted ? [value("factors", "float32", "p", "b", 1)] : [];
	return {
		inputs: [value("x", "float32", "p", "b", cols), ...factors],
		nodes: [
			constant("sizes", sizes),
			constant("parts", [0]),
			weighted ? node("Mul", ["x", "factors"], ["scaled"]) : node("Identity", ["x"], ["scaled"]),
			precision === "float64"
				? node("Cast", ["scaled"], ["wide"], { to: { int: codeOfDType(precision) } })
				: node("Identity", ["scaled"], ["wide"]),
			node(
				"Split",
				["wide", "sizes"],
				sizes.map((_, index) => `x${index}`),
				{ axis: { int: 2 } },
			),
			...sizes.map((_, index) => node("Transpose", [`x${index}`], [`t${index}`], { perm: { ints: [0, 2, 1] } })),
			...panels.flatMap(({ name, row, column }) => [
				node("MatMul", [`t${row}`, `x${column}`], [`p${name}`]),
				node("ReduceSum", [`p${name}`, "parts"], [name], { keepdims: { int: 0 } }),
			]),
		],
		outputs: panels.map(({ name, height, width }: Panel) => value(name, precision, height, width)),
	};
}

/** ‖E − ReLU(U)·W‖² with dU = 2·(ReLU(U)·W − E)·Wᵀ where U ≥ 0 (so that an entry at 0 can come alive), and dW = 2·ReLU(U)ᵀ·(ReLU(U)·W − E). */
export function reluGraph(): DirectGraph {
	return {
		inputs: [value("target", "float32", "b", "d"), value("u", "float32", "b", "r"), value("w", "float32", "r", "d")],
		nodes: [
			node("Relu", ["u"], ["a"]),
			node("MatMul", ["a", "w"], ["product"]),
			node("Sub", ["product", "target"], ["error"]),
			node("ReduceSumSquare", ["error"], ["loss"], { keepdims: { int: 0 } }),
			node("Gemm", ["error", "w"], ["a_grad"], { alpha: { float: 2 }, transB: { int: 1 } }),
			node("Constant", [], ["zero"], { value_float: { float: 0 } }),
			node("GreaterOrEqual", ["u", "zero"], ["reached"]),
			node("Cast", ["reached"], ["active"], { to: { int: codeOfDType("float32") } }),
			node("Mul", ["a_grad", "active"], ["u_grad"]),
			node("Gemm", ["a", "error"], ["w_grad"], { alpha: { float: 2 }, transA: { int: 1 } }),
		],
		outputs: [value("loss", "float32"), value("u_grad", "float32", "b", "r"), value("w_grad", "float32", "r", "d")],
	};
}

/** XXᵀ, and a step of Newton's iteration for the polar factor of X. */
export function polarGraph(): DirectGraph {
	return {
		inputs: [value("x", "float64", "c", "n")],
		nodes: [
			node("Gemm", ["x", "x"], ["overlaps"], { transB: { int: 1 } }),
			node("Gemm", ["overlaps", "x", "x"], ["next"], { alpha: { float: -0.5 }, beta: { float: 1.5 } }),
		],
		outputs: [value("overlaps", "float64", "c", "c"), value("next", "float64", "c", "n")],
	};
}

/** VVᵀ for each group V. */
export function overlapsGraph(): DirectGraph {
	return {
		inputs: [value("v", "float64", "g", "m", "n")],
		nodes: [node("Transpose", ["v"], ["t"], { perm: { ints: [0, 2, 1] } }), node("MatMul", ["v", "t"], ["overlaps"])],
		outputs: [value("overlaps", "float64", "g", "m", "m")],
	};
}

/** Z·(I − V₀ᵀS₀V₀)·(I − V₁ᵀS₁V₁)⋯ for a number of groups. */
export function reflectGraph(groups: number): DirectGraph {
	const steps = Array.from({ length: groups }, (_, index) => index);
	return {
		inputs: [
			value("z0", "float64", "c", "n"),
			...steps.flatMap((index) => [value(`v${index}`, "float64", "m", "n"), value(`s${index}`, "float64", "m", "m")]),
		],
		nodes: steps.flatMap((index) => [
			node("Gemm", [`z${index}`, `v${index}`], [`along${index}`], { transB: { int: 1 } }),
			node("Gemm", [`along${index}`, `s${index}`], [`turned${index}`]),
			node("Gemm", [`turned${index}`, `v${index}`, `z${index}`], [`z${index + 1}`], { alpha: { float: -1 } }),
		]),
		outputs: [value(`z${groups}`, "float64", "c", "n")],
	};
}

function value(name: string, dtype: FloatName, ...shape: readonly (number | string)[]): DirectValue {
	return { name, dtype, shape };
}

function node(
	opType: string,
	inputs: readonly string[],
	outputs: readonly string[],
	attributes: Readonly<Record<string, DirectAttribute>> = {},
): DirectNode {
	return { opType, inputs, outputs, attributes };
}

/** A list of int64 numbers. */
function constant(name: string, ints: readonly number[]): DirectNode {
	return node("Constant", [], [name], { value_ints: { ints } });
}
