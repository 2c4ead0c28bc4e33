// A constant matrix as the graph sees it: stored elements behind transposes, casts, reshapes and dequantisation.
import type { DType } from "../../../src/ir/dtype.js";
import type { Value } from "../../../src/ir/graph.js";
import type { Tensor } from "../../../src/ir/tensor.js";

/** How stored bytes become numbers. */
export type Encoding =
	/** One element per number, of an ONNX element type. */
	| { readonly kind: "plain"; readonly dtype: DType }
	/** Unsigned codes of 2, 4 or 8 bits in bytes, lowest bits first (MatMulNBits, GatherBlockQuantized on uint8). */
	| { readonly kind: "packed"; readonly bits: number }
	/** 4-bit indices into a table of 16 numbers, highest bits first (MatMulBnb4). */
	| { readonly kind: "codebook"; readonly values: readonly number[] };

/**
 * number = (code − zero) · scale. The entry for the stored element (r, c) is
 * ⌊r / rowBlock⌋ · rowStride + ⌊c / colBlock⌋ · colStride, in both lists.
 */
export interface Scaling {
	readonly scale: Float32Array;
	readonly zero: Float32Array | number;
	readonly rowBlock: number;
	readonly rowStride: number;
	readonly colBlock: number;
	readonly colStride: number;
	/** The tensors that hold the numbers. */
	readonly tensors: readonly Tensor[];
}

/** What the graph does to the stored numbers before it looks at them (Paddle's padding rows). Rows are stored rows. */
export type Patch =
	/** ScatterND on axis 0: these rows are replaced. */
	| { readonly kind: "rows"; readonly rows: ReadonlyMap<number, Float32Array>; readonly by: Value }
	/** Mul with a constant of the same shape, or of one row or column. */
	| { readonly kind: "product"; readonly other: Matrix; readonly by: Value };

/** `rows` × `cols` numbers. */
export interface Matrix {
	/** The initializer, or the output of the Constant node, that holds the elements. */
	readonly stored: Value;
	readonly tensor: Tensor;
	readonly encoding: Encoding;
	readonly rows: number;
	readonly cols: number;
	/** The elements are stored row by row as cols × rows. */
	readonly transposed: boolean;
	/** Elements from one stored row to the next; more than a row holds where blocks are padded. */
	readonly stride: number;
	/** Type of the numbers where they are read. */
	readonly dtype: DType;
	readonly scaling: Scaling | undefined;
	readonly patch: Patch | undefined;
}

export function transpose(matrix: Matrix): Matrix {
	const { patch } = matrix;
	return {
		...matrix,
		rows: matrix.cols,
		cols: matrix.rows,
		transposed: !matrix.transposed,
		patch: patch?.kind === "product" ? { ...patch, other: transpose(patch.other) } : patch,
	};
}

/** The stored tensor with its scales and zero points. */
export function tensorsOf({ tensor, scaling, patch }: Matrix): Tensor[] {
	const tensors = [tensor, ...(scaling?.tensors ?? [])];
	if (patch?.kind === "product") tensors.push(...tensorsOf(patch.other));
	return tensors;
}

/** Equal keys: the same stored elements read in the same way. */
export function keyOf(matrix: Matrix): string {
	const { stored, rows, cols, transposed, encoding, scaling, patch } = matrix;
	const parts: (string | number | boolean)[] = [
		identity(stored),
		rows,
		cols,
		transposed,
		encoding.kind,
		...(scaling?.tensors.map(identity) ?? []),
	];
	if (patch !== undefined) parts.push(`patch ${identity(patch.by)}`);
	return parts.join(" ");
}

const IDENTITIES = new WeakMap<object, number>();
let identities = 0;

function identity(object: object): number {
	let number = IDENTITIES.get(object);
	if (number === undefined) {
		number = identities++;
		IDENTITIES.set(object, number);
	}
	return number;
}
