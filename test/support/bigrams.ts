// Tiny models whose predictions can be worked out by hand, written to files.
import { mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { parseModel } from "../../src/ir/parse.js";
import { encodeToBytes } from "../../src/onnx/index.js";

/** Writes the model in `text`; `values` are its initializers by name. */
export function writeModel(file: string, text: string, values: Readonly<Record<string, ArrayLike<number>>> = {}): string {
	mkdirSync(path.dirname(file), { recursive: true });
	writeFileSync(file, encodeToBytes(parseModel(text, { values })));
	return file;
}

/** Logarithms of a table of probabilities, row by row: logits of which they are the softmax. */
export function logits(rows: readonly (readonly number[])[]): Float32Array {
	return Float32Array.from(rows.flat(), (probability) => Math.log(Math.max(probability, 1e-9)));
}

/** What follows depends on the last token alone: logits are row `input_ids` of `table`, [V, V]. */
export function bigrams(size: number): string {
	return `
	model ir 8, opset ai.onnx 17
	graph main(input_ids: int64[batch, sequence])
		table = float32[${size}, ${size}]
		logits = Gather(table, input_ids)
		return logits: float32[batch, sequence, ${size}]
	`;
}

/** What follows depends on the sum of all rows so far. */
export function sums(size: number): string {
	return `
	model ir 8, opset ai.onnx 17
	graph main(input_ids: int64[batch, sequence])
		table = float32[${size}, ${size}]
		one = int64[] {1}
		rows = Gather(table, input_ids)
		logits = CumSum(rows, one)
		return logits: float32[batch, sequence, ${size}]
	`;
}

/** The same as {@link sums}, one token at a time: `past_state` is the sum so far. */
export function sumsByStep(size: number): string {
	return `
	model ir 8, opset ai.onnx 17
	graph main(input_ids: int64[batch, 1], past_state: float32[batch, 1, ${size}])
		table = float32[${size}, ${size}]
		rows = Gather(table, input_ids)
		logits = Add(rows, past_state)
		present_state = Identity(logits)
		return logits: float32[batch, 1, ${size}], present_state: float32[batch, 1, ${size}]
	`;
}
