// Block-quantized operators of onnxruntime: GatherBlockQuantized (E5), MatMulNBits and MatMulBnb4 (P7).
import { intOf } from "../../../src/ir/attributes.js";
import type { Node } from "../../../src/ir/graph.js";
import { elementCount } from "../../../src/ir/tensor.js";
import type { View } from "../matrix/aliases.js";
import { numbersOf } from "../matrix/decode.js";
import { type Facts, isPlain } from "../matrix/facts.js";
import type { Matrix } from "../matrix/matrix.js";
import { blockScaling, plainConstant } from "../matrix/scaling.js";
import { type LookupSite, NO_GEMM, type ProjectionSite, type Unreadable } from "./sites.js";

/** FP4 and NF4 of bitsandbytes, as onnxruntime's MatMulBnb4 has them. */
const FP4 = [0, 0.00520833333, 0.66666667, 1, 0.33333333, 0.5, 0.16666667, 0.25];
const CODEBOOKS: readonly (readonly number[])[] = [
	[...FP4, ...FP4.map((value) => -value)],
	[
		-1, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635, -0.18477343022823334, -0.09105003625154495, 0,
		0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224, 0.44070982933044434, 0.5626170039176941,
		0.7229568362236023, 1,
	],
];

/** Data [V, d] of 4-bit type, or uint8 with `bits` bits per number; scales per block of a row. */
export function matchGatherBlockQuantized(node: Node, facts: Facts): LookupSite | Unreadable | undefined {
	const data = facts.view(node.inputs[0]);
	const [, ids, scale, zeroPoint] = node.inputs;
	const [output] = node.outputs;
	const [rows, stored] = data?.shape ?? [];
	if (data === undefined || ids === undefined || output === undefined || rows === undefined || stored === undefined) return undefined;
	const unreadable = (reason: string): Unreadable => ({ kind: "unreadable", node, rows, cols: stored, reason });
	const axis = intOf(node, "quantize_axis", 1);
	if (data.shape.length !== 2 || !isPlain(data) || intOf(node, "gather_axis", 0) !== 0 || (axis !== 1 && axis !== -1)) {
		return unreadable("gathers or quantizes along another axis than rows of tokens");
	}
	const packed = data.tensor.dtype === "uint8";
	const bits = packed ? intOf(node, "bits", 4) : 4;
	const cols = packed ? (stored * 8) / bits : stored;
	const size = intOf(node, "block_size", 128);
	const defaultZero = packed ? 2 ** (bits - 1) : 0; // onnxruntime subtracts nothing from a typed uint4 either
	const blocks = { rows, count: Math.ceil(cols / size), size, bits, defaultZero };
	const scaling = blockScaling(scale, zeroPoint, blocks, facts);
	const dtype = facts.view(scale)?.dtype;
	if (scaling === undefined || dtype === undefined) return unreadable("has scales or zero points that do not fit its data");
	const encoding = packed ? ({ kind: "packed", bits } as const) : ({ kind: "plain", dtype: data.tensor.dtype } as const);
	const matrix = matrixFrom(data, { encoding, rows, cols, stride: cols, dtype, scaling });
	return { kind: "lookup", pattern: "E5", graph: node.graph, node, input: 0, ids, output, dtype, matrix };
}

function matrixFrom({ stored, tensor }: View, rest: Omit<Matrix, "stored" | "tensor" | "transposed" | "patch">): Matrix {
	return { stored, tensor, transposed: false, patch: undefined, ...rest };
}

/** B [N, ⌈K / block⌉, block · bits / 8], scales, zero points packed per row. */
export function matchMatMulNBits(node: Node, facts: Facts): ProjectionSite | Unreadable | undefined {
	const [hidden, , scale, zeroPoint, groupIndex, bias] = node.inputs;
	const data = facts.view(node.inputs[1]);
	const [output] = node.outputs;
	const rows = intOf(node, "N", 0);
	const cols = intOf(node, "K", 0);
	if (data === undefined || hidden === undefined || output === undefined) return undefined;
	const unreadable = (reason: string): Unreadable => ({ kind: "unreadable", node, rows, cols, reason });
	if (groupIndex !== undefined) return unreadable("reorders its blocks by a group index (g_idx), which is not supported");
	const bits = intOf(node, "bits", 4);
	const size = intOf(node, "block_size", 0);
	if (![2, 4, 8].includes(bits) || size <= 0)
		return unreadable(`stores ${bits} bits per number in blocks of ${size}, which is not supported`);
	const count = Math.ceil(cols / size);
	const stride = count * size;
	if (data.tensor.dtype !== "uint8" || !isPlain(data) || elementCount(data.shape) !== (rows * stride * bits) / 8) {
		return unreadable("stores its matrix in a layout that is not supported");
	}
	const scaling = blockScaling(scale, zeroPoint, { rows, count, size, bits, defaultZero: 2 ** (bits - 1) }, facts);
	const dtype = facts.view(scale)?.dtype;
	if (scaling === undefined || dtype === undefined) return unreadable("has scales or zero points that do not fit its data");
	const matrix = matrixFrom(data, { encoding: { kind: "packed", bits }, rows, cols, stride, dtype, scaling });
	return projection(node, facts, { hidden, output, matrix, bias });
}

/** B [N · K / 2] as 4-bit indices into a code book, one scale per block of the flattened matrix. */
export function matchMatMulBnb4(node: Node, facts: Facts): ProjectionSite | Unreadable | undefined {
	const [hidden, , scale] = node.inputs;
	const data = facts.view(node.inputs[1]);
	const [output] = node.outputs;
	const rows = intOf(node, "N", 0);
	const cols = intOf(node, "K", 0);
	if (data === undefined || hidden === undefined || output === undefined) return undefined;
	const unreadable = (reason: string): Unreadable => ({ kind: "unreadable", node, rows, cols, reason });
	const size = intOf(node, "block_size", 0);
	const values = CODEBOOKS[intOf(node, "quant_type", 1)];
	if (size <= 0 || cols % size !== 0) return unreadable("has blocks that reach over the end of a row, which is not supported");
	const scales = plainConstant(scale, facts);
	const dtype = facts.view(scale)?.dtype;
	const count = cols / size;
	if (
		values === undefined ||
		scales?.size !== rows * count ||
		dtype === undefined ||
		!isPlain(data) ||
		data.tensor.byteLength * 2 < rows * cols
	) {
		return unreadable("has scales or a code book that do not fit its data");
	}
	const steps = { rowBlock: 1, rowStride: count, colBlock: size, colStride: 1 };
	const scaling = { scale: numbersOf(scales), zero: 0, tensors: [scales], ...steps };
	const matrix = matrixFrom(data, { encoding: { kind: "codebook", values }, rows, cols, stride: cols, dtype, scaling });
	return projection(node, facts, { hidden, output, matrix, bias: undefined });
}

function projection(node: Node, facts: Facts, parts: Pick<ProjectionSite, "hidden" | "output" | "matrix" | "bias">): ProjectionSite {
	const { dtype } = parts.matrix;
	const hiddenRank = facts.rank(parts.hidden) ?? facts.rank(parts.output);
	return { ...NO_GEMM, kind: "projection", pattern: "P7", graph: node.graph, node, input: 1, dtype, hiddenRank, ...parts };
}
