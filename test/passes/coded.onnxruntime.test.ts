// Columns of different precision in onnxruntime's operators: products by the codes themselves, in the bytes that were predicted.
import { describe, expect, it } from "vitest";
import { type Case, convert, GEMM, storedBytes, TIED, V } from "./coded-support.js";
import { countOf, floats } from "./support.js";

const COLS = 96;

const HEAD = (dtype: "float32" | "float16", cols = COLS) => `
	model ir 8, opset ai.onnx 17
	graph main(h: ${dtype}[b, n, ${cols}])
		table = ${dtype}[${V}, ${cols}]
		twin = Transpose<perm=[1, 0]>(table)
		logits = MatMul(h, twin)
		return logits: ${dtype}[b, n, ${V}]`;

const HEAD_TRUTH = { tables: ["table"], lookups: [], projections: [{ output: "logits", hidden: "h" }] };

/** max |a − b| / max |a| of one output. */
function relative(expected: readonly number[], found: readonly number[]): number {
	const most = expected.reduce((held, value) => Math.max(held, Math.abs(value)), 0);
	return expected.reduce((held, value, index) => Math.max(held, Math.abs(value - (found[index] ?? 0))), 0) / most;
}

describe("a coded table in onnxruntime's operators", () => {
	it.each([
		["tied, in blocks sorted by importance", { text: TIED(17, COLS) }],
		["in one block", { text: TIED(17, COLS), blocks: 1 }],
		["in blocks of ids, without calibration", { text: TIED(17, COLS), calibrated: false }],
		["with little room", { text: TIED(17, COLS), ratio: 9 }],
		["in operator set 11", { text: TIED(11, COLS) }],
		["with columns that fill no block", { text: TIED(17, 40) }],
		["with fewer columns than a block", { text: TIED(17, 24) }],
		["as a projection alone", { text: HEAD("float32"), truth: HEAD_TRUTH, feeds: { h: floats([2, 3, COLS]) } }],
		["as a Gemm with a bias and a factor", GEMM(COLS)],
	] as [string, Omit<Case, "ops">][])("computes_what_was_encoded_%s", async (_, held) => {
		const { model, expected, found, quantized } = await convert({ ...held, ops: "onnxruntime" });
		expect(countOf(model, "MatMulNBits")).toBeGreaterThan(0);
		expect(quantized.quantizations[0]?.ops).toBe("onnxruntime");
		for (const [name, numbers] of Object.entries(expected)) {
			// The operator rounds hidden states to 8 bits; lookups are exact.
			expect(relative(numbers, found[name] ?? [])).toBeLessThan(name === "rows" ? 2e-5 : 0.02);
		}
	});

	it("computes_something_else_with_the_codes_of_other_rows", async () => {
		const { expected } = await convert({ text: TIED(17, COLS), ops: "onnxruntime" });
		const { logits = [] } = expected;
		const shifted = logits.map((_, index) => logits[(index + 1) % logits.length] ?? 0);
		expect(relative(logits, shifted)).toBeGreaterThan(0.02);
	});

	it.each([3, 6, 9])("takes_the_predicted_bytes_at_%f", async (ratio) => {
		const { quantized, factorized, model } = await convert({ text: TIED(17, COLS), ratio, ops: "onnxruntime" });
		const before = V * COLS * 4;
		const after = storedBytes(model);
		expect(after).toBe(quantized.quantizations[0]?.bytes);
		expect(factorized.predictedSavedBytes).toBe(before - after);
		expect(after).toBeLessThanOrEqual(before / ratio);
	});

	it("takes_as_many_bits_as_the_operators_multiply_by", async () => {
		const { coding } = await convert({ text: TIED(17, COLS), ratio: 9, ops: "onnxruntime" });
		const found = new Set(coding.blocks.flatMap(({ perByte }) => [...perByte]));
		expect([...found].filter((perByte) => ![1, 2, 4, 0].includes(perByte))).toEqual([]);
	});
});
