// Scales and zero points of quantized matrices: DequantizeLinear, MatMulInteger, blocks of MatMulNBits and its like.
import { intOf } from "../../../src/ir/attributes.js";
import type { Node, Value } from "../../../src/ir/graph.js";
import type { Tensor } from "../../../src/ir/tensor.js";
import { decodeRun, numbersOf } from "./decode.js";
import { type Facts, isPlain } from "./facts.js";
import type { Scaling } from "./matrix.js";

interface Layout {
	readonly shape: readonly number[];
	readonly transposed: boolean;
}

type Steps = Pick<Scaling, "rowBlock" | "rowStride" | "colBlock" | "colStride">;

/** Scale (input 1) and zero point (input 2) of a DequantizeLinear on a constant of this layout. */
export function scalingOf(node: Node, layout: Layout, facts: Facts): Scaling | undefined {
	const axis = intOf(node, "axis", 1);
	return linearScaling(node.inputs[1], node.inputs[2], layout, { axis, blockSize: intOf(node, "block_size", 0) }, facts);
}

/** One scale per tensor, per index of `axis`, or per block of `blockSize` along it. */
export function linearScaling(
	scale: Value | undefined,
	zeroPoint: Value | undefined,
	{ shape, transposed }: Layout,
	{ axis, blockSize }: { readonly axis: number; readonly blockSize: number },
	facts: Facts,
): Scaling | undefined {
	const scales = plainConstant(scale, facts);
	const zeros = plainConstant(zeroPoint, facts);
	if (scales === undefined || (zeroPoint !== undefined && zeros === undefined)) return undefined;
	if (zeros !== undefined && zeros.size !== scales.size) return undefined;
	const steps = stepsOf(scales, shape, axis < 0 ? axis + shape.length : axis, blockSize);
	if (steps === undefined) return undefined;
	const tensors = zeros === undefined ? [scales] : [scales, zeros];
	return { scale: numbersOf(scales), zero: zeros === undefined ? 0 : numbersOf(zeros), tensors, ...(transposed ? turned(steps) : steps) };
}

function stepsOf(scales: Tensor, shape: readonly number[], axis: number, blockSize: number): Steps | undefined {
	if (scales.size === 1) return { rowBlock: 1, rowStride: 0, colBlock: 1, colStride: 0 };
	const [rows, cols] = shape;
	if (shape.length !== 2 || rows === undefined || cols === undefined) return undefined;
	if (blockSize > 0) {
		const [down = 0, across = 0] = scales.dims;
		if (scales.dims.length !== 2 || (axis === 0 ? across !== cols : down !== rows)) return undefined;
		if (Math.ceil((axis === 0 ? rows : cols) / blockSize) !== (axis === 0 ? down : across)) return undefined;
		return { rowBlock: axis === 0 ? blockSize : 1, rowStride: across, colBlock: axis === 0 ? 1 : blockSize, colStride: 1 };
	}
	if (scales.size !== shape[axis]) return undefined;
	return { rowBlock: 1, rowStride: axis === 0 ? 1 : 0, colBlock: 1, colStride: axis === 0 ? 0 : 1 };
}

function turned({ rowBlock, rowStride, colBlock, colStride }: Steps): Steps {
	return { rowBlock: colBlock, rowStride: colStride, colBlock: rowBlock, colStride: rowStride };
}

/** The tensor behind `value`, unless something changes it on the way. */
export function plainConstant(value: Value | undefined, facts: Facts): Tensor | undefined {
	const view = facts.view(value);
	return view !== undefined && isPlain(view) ? view.tensor : undefined;
}

export interface Blocks {
	readonly rows: number;
	/** Blocks per row. */
	readonly count: number;
	readonly size: number;
	readonly bits: number;
	/** Zero point where none is given. */
	readonly defaultZero: number;
}

/** Scales [rows, blocks] along the rows, zero points likewise or packed per row with the lowest bits first. */
export function blockScaling(scale: Value | undefined, zeroPoint: Value | undefined, blocks: Blocks, facts: Facts): Scaling | undefined {
	const scales = plainConstant(scale, facts);
	if (scales === undefined || scales.size !== blocks.rows * blocks.count) return undefined;
	const zeros = plainConstant(zeroPoint, facts);
	if (zeroPoint !== undefined && zeros === undefined) return undefined;
	const zero = zeros === undefined ? blocks.defaultZero : zeroPoints(zeros, blocks);
	if (zero === undefined) return undefined;
	const tensors = zeros === undefined ? [scales] : [scales, zeros];
	return { scale: numbersOf(scales), zero, tensors, rowBlock: 1, rowStride: blocks.count, colBlock: blocks.size, colStride: 1 };
}

function zeroPoints(tensor: Tensor, { rows, count, bits }: Blocks): Float32Array | undefined {
	if (tensor.dtype !== "uint8" || bits === 8) return tensor.size === rows * count ? numbersOf(tensor) : undefined;
	const bytesPerRow = Math.ceil((count * bits) / 8);
	const { data } = tensor;
	if (data === undefined || tensor.size !== rows * bytesPerRow) return undefined;
	const zero = new Float32Array(rows * count);
	for (let row = 0; row < rows; row++) {
		decodeRun(data, { kind: "packed", bits }, row * bytesPerRow * (8 / bits), count, zero, row * count);
	}
	return zero;
}
