// What a graph gives at each position of its tokens: logits, or an encoder's states.
import { DistembError } from "../../errors.js";
import { fromFloat16 } from "../../ir/elements.js";
import type { EngineTensor } from "../session.js";

export type Vector = Float32Array | Float64Array;

/** One vector per position, row-major over [batch, length]. */
export interface Positions {
	readonly count: number;
	/** Elements of each vector: rows of the vocabulary, or the width of the states. */
	readonly width: number;
	/** A view where the engine gives float32 or float64; float16 is widened. */
	readonly at: (position: number) => Vector;
}

/**
 * Vectors of [batch, length], or of [length, batch] if `timeMajor`.
 * @throws DistembError `refused` if there is not one for each: a classifier gives one per text
 */
export function positionsOf(tensor: EngineTensor, { batch, length }: { batch: number; length: number }, timeMajor: boolean): Positions {
	const { data, dims, dtype } = tensor;
	const count = batch * length;
	const width = dims.at(-1) ?? 0;
	if (dims.length < 2 || data.length !== count * width || width === 0)
		throw new DistembError("refused", `gives ${dtype}[${dims.join(", ")}] for ${count} tokens, not one row of scores per token`, {
			hint: "only models that predict tokens, or give one state per token, can be compared",
		});
	const place = (position: number) => (timeMajor ? (position % length) * batch + Math.floor(position / length) : position);
	return { count, width, at: (position) => vector(tensor, place(position) * width, width) };
}

function vector({ data, dtype }: EngineTensor, start: number, width: number): Vector {
	if (data instanceof Float32Array || data instanceof Float64Array) return data.subarray(start, start + width);
	if (dtype === "float16" && data instanceof Uint16Array) return Float32Array.from(data.subarray(start, start + width), fromFloat16);
	throw new DistembError("refused", `gives scores of type ${dtype}`, { hint: "only float outputs can be compared" });
}
