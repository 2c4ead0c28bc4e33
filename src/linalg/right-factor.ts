// W beside coded rows, as it is stored: in halves, or in whole numbers of 8 bits with a step for each row.
import { fromHalves, toHalves } from "../ir/halves.js";
import type { Basis } from "./basis.js";
import type { DenseProducts } from "./products.js";

/** `int8`: half the bytes, for errors that matter only where the codes' own are small. */
export type RightForm = "float16" | "int8";

export interface StoredRight {
	/** r×d; halves as their bits. */
	readonly values: Uint16Array | Int8Array;
	/** What the whole numbers of each row are multiplied by. */
	readonly steps: Float32Array | undefined;
}

/** Largest whole number. */
const MOST = 127;

/** Stored bytes of W, r×d. */
export function rightBytes(rank: number, cols: number, form: RightForm): number {
	return form === "float16" ? 2 * rank * cols : rank * (cols + Float32Array.BYTES_PER_ELEMENT);
}

/** @param right r×d */
export function storeRight(right: Float32Array, rank: number, form: RightForm): StoredRight {
	if (form === "float16") return { values: toHalves(right, "float16"), steps: undefined };
	const cols = right.length / rank;
	const values = new Int8Array(right.length);
	const steps = new Float32Array(rank);
	for (let k = 0, at = 0; k < rank; k++) {
		let largest = 0;
		for (let j = 0; j < cols; j++) largest = Math.max(largest, Math.abs(right[k * cols + j] as number));
		const step = Math.fround(largest / MOST);
		steps[k] = step;
		for (let j = 0; j < cols; j++, at++)
			values[at] = step > 0 ? Math.max(-MOST, Math.min(MOST, Math.round((right[at] as number) / step))) : 0;
	}
	return { values, steps };
}

/** What the error of each row of W in `form` costs, in nats, where U has all columns with a weighted mean square of 1. */
export async function rightLosses({ right, factor, losses }: Basis, form: RightForm, products: DenseProducts): Promise<Float64Array> {
	const cols = losses.length;
	const plain = Float32Array.from(factor);
	const read = readRight(storeRight(plain, cols, form));
	const errors = plain.map((value, at) => value - (read[at] as number));
	const shape = { rows: cols, inner: cols, columns: cols };
	const inBasis = await products.multiply(errors, right, shape, new Float32Array(cols * cols));
	return Float64Array.from({ length: cols }, (_, k) =>
		losses.reduce((sum, loss, j) => sum + loss * (inBasis[k * cols + j] as number) ** 2, 0),
	);
}

/** W as a runtime reads it. */
export function readRight({ values, steps }: StoredRight): Float32Array {
	if (values instanceof Uint16Array) return fromHalves(values, "float16");
	const cols = values.length / (steps?.length ?? 1);
	return Float32Array.from(values, (value, at) => value * (steps?.[Math.floor(at / cols)] ?? 0));
}
