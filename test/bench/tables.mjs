// Tables for benchmarks: as a raw file of float32 numbers, and as a small tied language model around them.
import { closeSync, openSync, readSync, writeSync } from "node:fs";

/**
 * Blocks of rows, one after the other, of a table like a trained one: a mean row, and columns mixed from directions of falling size.
 * Repeatable. A block is valid until the next one is asked for.
 */
export function* tableBlocks(rows, cols) {
	let state = 1;
	const uniform = () => {
		state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
		return state / 2 ** 32 - 0.5;
	};
	const scales = Float32Array.from({ length: cols }, (_, column) => (1 + column) ** -0.4);
	const mean = Float32Array.from({ length: cols }, uniform);
	const block = new Float32Array(1024 * cols);
	for (let start = 0; start < rows; start += 1024) {
		const count = Math.min(1024, rows - start);
		for (let row = 0; row < count; row++) {
			const common = uniform();
			for (let column = 0; column < cols; column++) {
				// Neighbouring columns are mixed, so that the directions are not the axes.
				const fresh = uniform() * scales[column];
				const before = column === 0 ? 0 : block[row * cols + column - 1];
				block[row * cols + column] = 0.3 * mean[column] + fresh + 0.5 * before + 0.1 * common;
			}
		}
		yield block.subarray(0, count * cols);
	}
}

/** Writes such a table as a raw file of float32 numbers. */
export function writeTable(path, rows, cols) {
	const file = openSync(path, "w");
	for (const block of tableBlocks(rows, cols)) writeSync(file, block);
	closeSync(file);
}

/** Writes `ids → Gather → Tanh → MatMul(·, tableᵀ) → logits` on the table in `path`, everything inside one .onnx file. */
export async function writeModel(path, rows, cols, modelPath) {
	const { addInitializer, addInput, addNode, addOutput, createModel, outputOf } = await import("../../dist/src/ir/edit.js");
	const { ints } = await import("../../dist/src/ir/attributes.js");
	const { Tensor } = await import("../../dist/src/ir/tensor.js");
	const { encodeModel } = await import("../../dist/src/onnx/index.js");
	const { graph } = createModel(8, [["", 17]]);
	const table = openSync(path, "r");
	const data = {
		byteLength: rows * cols * 4,
		read(start, end) {
			const bytes = new Uint8Array(end - start);
			readSync(table, bytes, 0, bytes.byteLength, start);
			return bytes;
		},
	};
	const info = (dtype, shape) => ({ type: { dtype, shape }, carried: undefined });
	const ids = addInput(graph, "input_ids", info("int64", ["batch", "length"]));
	const weight = addInitializer(graph, "embed.weight", new Tensor("float32", [rows, cols], data));
	const node = (opType, inputs, output, attributes = {}) => outputOf(addNode(graph, { opType, inputs, outputs: [output], attributes }));
	const hidden = node("Tanh", [node("Gather", [weight, ids], "rows")], "hidden");
	const logits = node("MatMul", [hidden, node("Transpose", [weight], "weight_t", { perm: ints([1, 0]) })], "logits");
	addOutput(graph, logits, info("float32", ["batch", "length", rows]));
	const out = openSync(modelPath, "w");
	const chunk = 1 << 24;
	for (const segment of encodeModel(graph.model).segments) {
		for (let start = 0; start < segment.byteLength; start += chunk) {
			const end = Math.min(segment.byteLength, start + chunk);
			writeSync(out, segment instanceof Uint8Array ? segment.subarray(start, end) : segment.read(start, end));
		}
	}
	closeSync(out);
	closeSync(table);
}
