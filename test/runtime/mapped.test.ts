// Models whose weights the engine maps from their files: same numbers, wherever the weights lie.
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { addInitializer, addInput, addNode, addOutput, createModel, outputOf } from "../../src/ir/edit.js";
import { dataOf, Tensor } from "../../src/ir/tensor.js";
import { encodeModel, encodeToBytes, skeletonOf } from "../../src/onnx/index.js";
import { openMapped } from "../../src/runtime/mapped.js";
import { openSession, type Session } from "../../src/runtime/session.js";

const ROWS = 512;
const COLS = 16;
const values = Float32Array.from({ length: ROWS * COLS }, (_, index) => Math.sin(index));
const ids = { dtype: "int64", dims: [1, 3], data: BigInt64Array.of(0n, 7n, 511n) } as const;

let folder = "";
beforeAll(() => {
	folder = mkdtempSync(path.join(tmpdir(), "mapped-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** ids → Gather → MatMul with the transposed table; `name` moves the payload by its length. */
function languageModel(name = "main") {
	const { graph } = createModel(8, [["", 17]], name);
	const input = addInput(graph, "ids", { type: { dtype: "int64", shape: ["batch", "length"] }, carried: undefined });
	const table = addInitializer(graph, "table", new Tensor("float32", [ROWS, COLS], dataOf(new Uint8Array(values.buffer))));
	const node = (opType: string, inputs: Parameters<typeof addNode>[1]["inputs"], output: string) =>
		outputOf(addNode(graph, { opType, inputs, outputs: [output], attributes: {} }));
	const scores = node("MatMul", [node("Gather", [table, input], "rows"), node("Transpose", [table], "turned")], "scores");
	addOutput(graph, scores, { type: { dtype: "float32", shape: ["batch", "length", ROWS] }, carried: undefined });
	return graph.model;
}

async function scoresOf(opening: Promise<Session>): Promise<readonly number[]> {
	const session = await opening;
	try {
		const { scores } = await session.run({ ids });
		return Array.from(scores?.data as Float32Array);
	} finally {
		await session.close();
	}
}

function expectClose(found: readonly number[], expected: readonly number[]): void {
	expect(found).toHaveLength(expected.length);
	for (const [index, value] of expected.entries()) expect(found[index]).toBeCloseTo(value, 4);
}

describe("openMapped", () => {
	it.each(["m", "ma", "mai", "main"])("gives_the_numbers_of_the_model_wherever_its_payload_starts: %s", async (name) => {
		const file = path.join(folder, `${name}.onnx`);
		writeFileSync(file, encodeToBytes(languageModel(name)));
		expectClose(await scoresOf(openMapped(file, { threads: 1 })), await scoresOf(openSession(file, { threads: 1 })));
	});

	it("reads_data_files_beside_the_model", async () => {
		const file = path.join(folder, "external.onnx");
		writeFileSync(path.join(folder, "weights.bin"), Buffer.concat([new Uint8Array(64), new Uint8Array(values.buffer)]));
		const place = () => ({ location: "weights.bin", offset: 64 });
		writeFileSync(file, Buffer.concat(encodeModel(languageModel(), { place }).segments as Uint8Array[]));
		expectClose(await scoresOf(openMapped(file, { threads: 1 })), await scoresOf(openSession(file, { threads: 1 })));
	});

	it("follows_a_link_to_the_model", async () => {
		const store = path.join(folder, "store");
		mkdirSync(store);
		writeFileSync(path.join(store, "blob"), encodeToBytes(languageModel()));
		const link = path.join(folder, "link.onnx");
		symlinkSync(path.join(store, "blob"), link);
		expectClose(await scoresOf(openMapped(link, { threads: 1 })), await scoresOf(openSession(link, { threads: 1 })));
	});
});

describe("skeletonOf", () => {
	it("holds_no_large_payload", () => {
		const file = path.join(folder, "skeleton.onnx");
		writeFileSync(file, encodeToBytes(languageModel()));
		const { bytes, folder: base } = skeletonOf(file);
		expect(bytes.length).toBeLessThan(1000);
		expect(Buffer.from(bytes).includes("skeleton.onnx")).toBe(true);
		expect(path.basename(base)).toBe(path.basename(folder));
	});

	it("refuses_a_file_that_is_no_model", async () => {
		const file = path.join(folder, "broken.onnx");
		writeFileSync(file, "no model");
		expect(() => skeletonOf(file)).toThrow(/ONNX model/);
		await expect(openMapped(file, { threads: 1 })).rejects.toMatchObject({ code: "input" });
	});
});
