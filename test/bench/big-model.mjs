// Models of several gigabytes for big.mjs: a real table within layers of zeros, which are holes of the file and take no disk.
import { closeSync, ftruncateSync, openSync, writeSync } from "node:fs";
import { join } from "node:path";
import { int, ints } from "../../dist/src/ir/attributes.js";
import { addInitializer, addInput, addNode, addOutput, createModel, outputOf } from "../../dist/src/ir/edit.js";
import { toHalves } from "../../dist/src/ir/halves.js";
import { Tensor } from "../../dist/src/ir/tensor.js";
import { encodeModel } from "../../dist/src/onnx/index.js";
import { tableBlocks } from "./tables.mjs";

const DATA = "model.onnx_data";
const ZEROS = new Uint8Array(1 << 20);

/**
 * Writes `ids → Gather → layers of h + tanh(h·A)·B → MatMul(·, tableᵀ) → logits`; a 16-bit table is cast to float32 first.
 * @param shape rows and cols of the table, its dtype, the number of layers and their inner width, and whether weights are external data: the
 *   layers first, then the table
 * @returns paths of the model and of the file with the table, the table's offset in it, and bytes of the table and of all files
 */
export function writeBigModel(folder, { rows, cols, dtype, layers, inner, external }) {
	const { graph } = createModel(8, [["", 17]]);
	const info = (type, shape) => ({ type: { dtype: type, shape }, carried: undefined });
	const node = (opType, inputs, output, attributes = {}) => outputOf(addNode(graph, { opType, inputs, outputs: [output], attributes }));
	const weight = (name, type, dims, bytes) => {
		const data = { byteLength: bytes, read: (start, end) => ZEROS.subarray(0, end - start) };
		return addInitializer(graph, name, new Tensor(type, dims, data, external ? { kind: "external", location: DATA } : undefined));
	};
	const ids = addInput(graph, "input_ids", info("int64", ["batch", "length"]));
	const bodies = Array.from({ length: layers }, (_, layer) => [
		weight(`layers.${layer}.a`, "float32", [cols, inner], cols * inner * 4),
		weight(`layers.${layer}.b`, "float32", [inner, cols], cols * inner * 4),
	]);
	const bytes = rows * cols * (dtype === "float32" ? 4 : 2);
	const stored = weight("embed.weight", dtype, [rows, cols], bytes);
	const table = dtype === "float32" ? stored : node("Cast", [stored], "weight_float", { to: int(1) });
	let hidden = node("Gather", [table, ids], "hidden");
	for (const [layer, [a, b]] of bodies.entries()) {
		const within = node("Tanh", [node("MatMul", [hidden, a], `layers.${layer}.projected`)], `layers.${layer}.within`);
		hidden = node("Add", [hidden, node("MatMul", [within, b], `layers.${layer}.back`)], `layers.${layer}.hidden`);
	}
	const logits = node("MatMul", [hidden, node("Transpose", [table], "weight_t", { perm: ints([1, 0]) })], "logits");
	addOutput(graph, logits, info("float32", ["batch", "length", rows]));

	const model = join(folder, "model.onnx");
	const places = new Map();
	let end = 0;
	if (external) {
		for (const { tensor } of graph.initializers) {
			places.set(tensor, { location: DATA, offset: end });
			end += tensor.byteLength;
		}
	}
	const inside = writeEncoded(model, encodeModel(graph.model, { place: (tensor) => places.get(tensor) }));
	const holder = external ? join(folder, DATA) : model;
	const offset = external ? places.get(stored.tensor).offset : inside.offsetOf(stored.tensor.data);
	const file = openSync(holder, external ? "w" : "r+");
	if (external) ftruncateSync(file, end);
	let at = offset;
	for (const block of tableBlocks(rows, cols)) {
		const encoded = dtype === "float32" ? block : toHalves(block, dtype);
		at += writeSync(file, encoded, 0, encoded.byteLength, at);
	}
	closeSync(file);
	return { model, holder, offset, tableBytes: bytes, bytes: inside.length + end };
}

/** Writes everything but the payloads, which stay holes. */
function writeEncoded(path, { segments }) {
	const file = openSync(path, "w");
	const offsets = new Map();
	let length = 0;
	for (const segment of segments) {
		if (segment instanceof Uint8Array) writeSync(file, segment, 0, segment.byteLength, length);
		else offsets.set(segment, length);
		length += segment.byteLength;
	}
	ftruncateSync(file, length);
	closeSync(file);
	return { length, offsetOf: (data) => offsets.get(data) };
}
