// Arrays of half precision: float16 and bfloat16.
import type { DType } from "./dtype.js";
import { fromBfloat16, fromFloat16, toBfloat16, toFloat16 } from "./elements.js";

/** float32 → the bits of float16 or bfloat16, to nearest even. */
export function toHalves(values: Float32Array, dtype: DType): Uint16Array {
	const halves = new Uint16Array(values.length);
	const convert = dtype === "bfloat16" ? toBfloat16 : toFloat16;
	for (let index = 0; index < values.length; index++) halves[index] = convert(values[index] ?? 0);
	return halves;
}

export function fromHalves(halves: Uint16Array, dtype: DType): Float32Array {
	const values = new Float32Array(halves.length);
	const convert = dtype === "bfloat16" ? fromBfloat16 : fromFloat16;
	for (let index = 0; index < halves.length; index++) values[index] = convert(halves[index] ?? 0);
	return values;
}
