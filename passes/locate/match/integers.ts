// Products in 8-bit integers (P6): DynamicQuantizeLinear → MatMulInteger → Cast → Mul, and onnxruntime's fused forms.
import { isFloat } from "../../../src/ir/dtype.js";
import type { Node, Value } from "../../../src/ir/graph.js";
import { matrixOf } from "../matrix/aliases.js";
import type { Facts } from "../matrix/facts.js";
import { type Matrix, transpose } from "../matrix/matrix.js";
import { linearScaling } from "../matrix/scaling.js";
import { NO_GEMM, type ProjectionSite } from "./sites.js";

interface Parts {
	readonly node: Node;
	readonly hidden: Value | undefined;
	readonly output: Value | undefined;
	readonly scale: Value | undefined;
	readonly zeroPoint: Value | undefined;
	readonly bias: Value | undefined;
}

/** The integer matrix at input 1, with the scale that some later node applies. */
function site({ node, hidden, output, scale, zeroPoint, bias }: Parts, facts: Facts): ProjectionSite | undefined {
	const matrix = matrixOf(facts.view(node.inputs[1]));
	const dtype = facts.view(scale)?.dtype;
	if (matrix === undefined || hidden === undefined || output === undefined || dtype === undefined) return undefined;
	if (isFloat(matrix.dtype) || matrix.scaling !== undefined) return undefined;
	const layout = { shape: [matrix.rows, matrix.cols], transposed: matrix.transposed };
	const scaling =
		linearScaling(scale, zeroPoint, layout, { axis: 1, blockSize: 0 }, facts) ?? mixedScaling(scale, zeroPoint, matrix, facts);
	if (scaling === undefined) return undefined;
	const parts = { kind: "projection", pattern: "P6", graph: node.graph, node, input: 1, hidden, output, dtype } as const;
	return { ...NO_GEMM, ...parts, hiddenRank: facts.rank(hidden), bias, matrix: transpose({ ...matrix, dtype, scaling }) };
}

/** One zero point for the whole matrix beside one scale per column, or the reverse. */
function mixedScaling(scale: Value | undefined, zeroPoint: Value | undefined, matrix: Matrix, facts: Facts) {
	const scales = facts.numbers(scale);
	const zeros = facts.numbers(zeroPoint);
	const tensors = [facts.view(scale)?.tensor, facts.view(zeroPoint)?.tensor].filter((tensor) => tensor !== undefined);
	if (scales === undefined || zeros === undefined || ![1, matrix.cols].includes(scales.length) || ![1, matrix.cols].includes(zeros.length))
		return undefined;
	const spread = (values: readonly number[]) =>
		Float32Array.from({ length: matrix.cols }, (_, index) => values[index % values.length] ?? 0);
	const steps = matrix.transposed ? { rowStride: 1, colStride: 0 } : { rowStride: 0, colStride: 1 };
	return { scale: spread(scales), zero: spread(zeros), tensors, rowBlock: 1, colBlock: 1, ...steps };
}

/** The DynamicQuantizeLinear whose codes, scale and zero point a product reads. */
function quantizer(codes: Value | undefined, zeroPoint: Value | undefined): Node | undefined {
	const node = codes?.producer;
	if (node?.is("DynamicQuantizeLinear") !== true || node.outputs[0] !== codes) return undefined;
	return zeroPoint === node.outputs[2] ? node : undefined;
}

export function matchMatMulInteger(node: Node, facts: Facts): ProjectionSite | undefined {
	const source = quantizer(node.inputs[0], node.inputs[2]);
	const product = node.outputs[0];
	if (source === undefined || product === undefined) return undefined;
	const float = onlyReader(product, "Cast")?.outputs[0];
	const found = float === undefined ? undefined : scaled(float, source.outputs[1], facts);
	if (found === undefined) return undefined;
	return site({ node, hidden: source.inputs[0], zeroPoint: node.inputs[3], bias: undefined, ...found }, facts);
}

function onlyReader(value: Value, opType: string): Node | undefined {
	const [use, ...others] = value.uses;
	return use?.kind === "node" && others.length === 0 && use.node.is(opType) ? use.node : undefined;
}

/** float · (input scale · matrix scale), multiplied in either order. */
function scaled(float: Value, inputScale: Value | undefined, facts: Facts): { output: Value; scale: Value } | undefined {
	const node = onlyReader(float, "Mul");
	const output = node?.outputs[0];
	const factor = node?.inputs.find((value) => value !== float);
	if (output === undefined || factor === undefined || inputScale === undefined) return undefined;
	if (factor === inputScale) {
		const second = onlyReader(output, "Mul");
		const scale = second?.inputs.find((value) => value !== output);
		const [result] = second?.outputs ?? [];
		return scale === undefined || result === undefined || facts.view(scale) === undefined ? undefined : { output: result, scale };
	}
	const { producer } = factor;
	if (producer?.is("Mul") !== true || !producer.inputs.includes(inputScale)) return undefined;
	const scale = producer.inputs.find((value) => value !== inputScale);
	return scale === undefined || facts.view(scale) === undefined ? undefined : { output, scale };
}

/** A, B, A's scale, B's scale, A's zero point, B's zero point, bias. */
export function matchMatMulIntegerToFloat(node: Node, facts: Facts): ProjectionSite | undefined {
	const [codes, , inputScale, scale, inputZero, zeroPoint, bias] = node.inputs;
	const source = quantizer(codes, inputZero);
	if (source === undefined || source.outputs[1] !== inputScale) return undefined;
	return site({ node, hidden: source.inputs[0], output: node.outputs[0], scale, zeroPoint, bias }, facts);
}

/** A, B, B's scale, B's zero point, bias. */
export function matchDynamicQuantizeMatMul(node: Node, facts: Facts): ProjectionSite | undefined {
	const [hidden, , scale, zeroPoint, bias] = node.inputs;
	return site({ node, hidden, output: node.outputs[0], scale, zeroPoint, bias }, facts);
}
