// A table that no WebGPU buffer of the usual limit holds: 302 MB in one initializer.
import { closeSync, openSync, statSync, writeSync } from "node:fs";
import path from "node:path";
import { expect, it } from "vitest";
import { compile } from "../src/index.js";
import { ints } from "../src/ir/attributes.js";
import { addInitializer, addInput, addNode, addOutput, createModel, outputOf } from "../src/ir/edit.js";
import type { Value } from "../src/ir/graph.js";
import { Tensor, type TensorData } from "../src/ir/tensor.js";
import { encodeModel, tensorsOf } from "../src/onnx/index.js";
import { uniform } from "../src/random.js";
import { temporaryFolder, withModel } from "./support/models.js";

/** Buffers of WebGPU: `maxBufferSize` is 256 MiB unless an application asks for more. */
const LIMIT = 256 * 2 ** 20;
const [ROWS, COLS] = [262_144, 288];

/** Random rows, repeated every 1024. */
function table(): TensorData {
	const next = uniform(1);
	const tile = new Uint8Array(Float32Array.from({ length: 1024 * COLS }, () => next() - 0.5).buffer);
	return {
		byteLength: ROWS * COLS * 4,
		read(start, end) {
			const bytes = new Uint8Array(end - start);
			for (let at = start; at < end; ) {
				const offset = at % tile.byteLength;
				const piece = tile.subarray(offset, Math.min(tile.byteLength, offset + end - at));
				bytes.set(piece, at - start);
				at += piece.byteLength;
			}
			return bytes;
		},
	};
}

/** ids → Gather → Tanh → MatMul on the transposed table → logits. */
function writeModel(file: string): void {
	const { graph } = createModel(8, [["", 17]]);
	const info = (dtype: "int64" | "float32", shape: (string | number)[]) => ({ type: { dtype, shape }, carried: undefined });
	const ids = addInput(graph, "input_ids", info("int64", ["batch", "length"]));
	const weight = addInitializer(graph, "embed.weight", new Tensor("float32", [ROWS, COLS], table()));
	const node = (opType: string, inputs: Value[], output: string, attributes = {}) =>
		outputOf(addNode(graph, { opType, inputs, outputs: [output], attributes }));
	const hidden = node("Tanh", [node("Gather", [weight, ids], "rows")], "hidden");
	const logits = node("MatMul", [hidden, node("Transpose", [weight], "weight_t", { perm: ints([1, 0]) })], "logits");
	addOutput(graph, logits, info("float32", ["batch", "length", ROWS]));
	const out = openSync(file, "w");
	for (const segment of encodeModel(graph.model).segments) {
		const step = 1 << 24;
		for (let start = 0; start < segment.byteLength; start += step) {
			const end = Math.min(segment.byteLength, start + step);
			writeSync(out, segment instanceof Uint8Array ? segment.subarray(start, end) : segment.read(start, end));
		}
	}
	closeSync(out);
}

const largestOf = (file: string) =>
	withModel(file, ({ model }) => [...tensorsOf(model)].reduce((most, { byteLength }) => Math.max(most, byteLength), 0));

it("leaves_no_tensor_beyond_256_MiB_where_the_table_was", { timeout: 600_000 }, async () => {
	const folder = temporaryFolder();
	const [input, output] = [path.join(folder, "model.onnx"), path.join(folder, "small.onnx")];
	writeModel(input);
	expect(largestOf(input)).toBe(ROWS * COLS * 4);
	expect(largestOf(input)).toBeGreaterThan(LIMIT);

	await compile(input, output, { rank: 64, method: "svd" });
	expect(largestOf(output)).toBe(ROWS * 64 * 4);
	expect(largestOf(output)).toBeLessThan(LIMIT);
	expect(statSync(output).size).toBeLessThan(1.01 * (ROWS + COLS) * 64 * 4);
});
