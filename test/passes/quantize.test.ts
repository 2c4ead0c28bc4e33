// Factors as halves, bytes and blocks: what runs, how far it is off, how many bytes it takes.
import path from "node:path";
import { describe, expect, it } from "vitest";
import type { FactorizeOptions } from "../../passes/factorize/index.js";
import { quantize } from "../../passes/quantize/index.js";
import { setTensor } from "../../src/ir/edit.js";
import type { Model } from "../../src/ir/graph.js";
import { parseModel } from "../../src/ir/parse.js";
import { float32Tensor } from "../../src/ir/tensor.js";
import { encodeToBytes } from "../../src/onnx/index.js";
import { runPass } from "../../src/pass.js";
import { openSession } from "../../src/runtime/session.js";
import type { Reconstructed } from "../../src/state.js";
import { temporaryFolder, withModel } from "../support/models.js";
import {
	countOf,
	difference,
	factorized,
	floats,
	int64s,
	locatedModel,
	outputsOf,
	quantized,
	RANK,
	runner,
	storedBytes,
	type Truth,
} from "./support.js";

const V = 200;
const D = 48;
const IDS = int64s([3, 0, 199, 7, 7, 12], [2, 3]);

function tiedText(opset: number, dtype = "float32"): string {
	return `
		model ir 8, opset ai.onnx ${opset}
		graph main(ids: int64[b, n])
			table = ${dtype}[${V}, ${D}]
			rows = Gather(table, ids)
			twin = Transpose<perm=[1, 0]>(table)
			logits = MatMul(rows, twin)
			return logits: ${dtype}[b, n, ${V}], rows: ${dtype}[b, n, ${D}]`;
}

function tiedTruth(dtype: "float32" | "float16" = "float32"): Truth {
	return {
		tables: ["table"],
		lookups: [{ output: "rows", ids: "ids", dtype }],
		projections: [{ output: "logits", hidden: "rows", pattern: "P2", dtype }],
	};
}

const HEAD = `
	model ir 8, opset ai.onnx 17
	graph main(hidden: float32[b, n, ${D}])
		twin = float32[${D}, ${V}]
		logits = MatMul(hidden, twin)
		return logits: float32[b, n, ${V}]`;

const LOOKUP = `
	model ir 8, opset ai.onnx 17
	graph main(ids: int64[b, n])
		table = float32[${V}, ${D}]
		rows = Gather(table, ids)
		return rows: float32[b, n, ${D}]`;

const GEMM = `
	model ir 8, opset ai.onnx 17
	graph main(hidden: float32[n, ${D}])
		head = float32[${V}, ${D}]
		bias = float32[${V}]
		logits = Gemm<alpha=0.5, beta=BETA, transB=1>(hidden, head, bias)
		return logits: float32[n, ${V}]`;

interface Measured {
	readonly difference: number;
	readonly relativeError: number;
	readonly model: Model;
}

/** Full rank, so that rounding is the only difference; also checks the bytes. */
async function measure(
	text: string,
	truth: Truth,
	feeds: Parameters<typeof outputsOf>[1],
	options: Partial<FactorizeOptions>,
): Promise<Measured> {
	const model = parseModel(text, { seed: 11 });
	const before = await outputsOf(model, feeds);
	const bytesBefore = storedBytes(model);
	const state = locatedModel(model, truth);
	const removed = state.vocabularies.reduce((sum, { bytes }) => sum + bytes, 0);
	const { quantizations } = await quantized(state, { ...RANK(D), ...options });
	const added = quantizations.reduce((sum, { bytes }) => sum + bytes, 0);
	expect(storedBytes(model)).toBe(bytesBefore - removed + added);
	const relativeError = quantizations[0]?.relativeError ?? Number.NaN;
	return { difference: difference(before, await outputsOf(model, feeds)), relativeError, model };
}

describe("float16", () => {
	it.each([9, 13, 17, 21])("is converted where float32 is due, opset %i", async (opset) => {
		const found = await measure(tiedText(opset), tiedTruth(), { ids: IDS }, { dtype: "float16" });
		expect(found.difference).toBeLessThan(2e-3);
		expect(found.relativeError).toBeGreaterThan(1e-5);
		expect(found.relativeError).toBeLessThan(5e-4);
	});

	it("needs_no_conversion_in_a_float16_model", async () => {
		const { difference: distance, model } = await measure(tiedText(17, "float16"), tiedTruth("float16"), { ids: IDS }, {});
		expect(distance).toBeLessThan(5e-3);
		expect(countOf(model, "Cast")).toBe(0);
	});

	it("holds_factors_that_would_overflow_by_moving_a_scale_between_them", async () => {
		const state = await reconstructedWith(1e6, 1e-6);
		const { quantizations } = await runPass(quantize({ dtype: "float16", ops: "standard" }), state, runner());
		expect(quantizations[0]?.relativeError).toBeLessThan(1e-3);
	});

	it("refuses_factors_that_no_scale_brings_into_range_and_changes_nothing", async () => {
		const state = await reconstructedWith(1e6, 1e6);
		const tensors = state.groups.flatMap(({ values }) => values.map(({ value }) => value.tensor));
		await expect(runPass(quantize({ dtype: "float16", ops: "standard" }), state, runner())).rejects.toMatchObject({
			code: "refused",
			message: expect.stringContaining("float16"),
		});
		expect(state.groups.flatMap(({ values }) => values.map(({ value }) => value.tensor))).toEqual(tensors);
	});
});

/** What the second operand of each Gemm is when the engine has prepared `model`, which it writes to `file`. */
async function factorReaders(model: Model, file: string): Promise<string[]> {
	const session = await openSession(encodeToBytes(model), { threads: 1, optimization: "basic", saveOptimizedTo: file });
	await session.close();
	return withModel(file, (open) =>
		open.model.graph.nodes
			.filter((node) => node.is("Gemm"))
			.map(({ inputs: [, factor] }) => factor?.producer?.opType ?? `${factor?.tensor?.dtype} initializer`),
	);
}

/** A lookup with U full of `left` and W full of `right`. */
async function reconstructedWith(left: number, right: number): Promise<Reconstructed> {
	const rank = 2;
	const model = parseModel(LOOKUP, { seed: 1, values: { table: new Float32Array(V * D).fill(left * right * rank) } });
	const state = await factorized(locatedModel(model, { tables: ["table"], lookups: [{ output: "rows", ids: "ids" }] }), RANK(rank));
	for (const { role, value } of state.groups.flatMap(({ values }) => values)) {
		const dims = value.tensor?.dims ?? [];
		const [rows = 0, cols = 0] = dims;
		setTensor(value, float32Tensor(new Float32Array(rows * cols).fill(role === "left" ? left : right), dims));
	}
	return { ...state, reconstructions: [] };
}

describe("int8 in standard operators", () => {
	it.each([8, 10, 12, 13, 17, 19, 21])("runs with a tied table, opset %i", async (opset) => {
		const found = await measure(tiedText(opset), tiedTruth(), { ids: IDS }, { dtype: "int8" });
		expect(found.difference).toBeLessThan(0.02);
		expect(found.relativeError).toBeGreaterThan(1e-3);
		expect(found.relativeError).toBeLessThan(0.01);
		expect(countOf(found.model, "DequantizeLinear")).toBe(0);
	});

	it("is_widened_once_when_a_model_is_loaded_and_not_at_every_run", async () => {
		const folder = temporaryFolder();
		const { model } = await measure(tiedText(17), tiedTruth(), { ids: IDS }, { dtype: "int8" });
		expect(await factorReaders(model, path.join(folder, "ours.onnx"))).toEqual(["float32 initializer", "float32 initializer"]);
		const other = parseModel(`
			model ir 8, opset ai.onnx 17
			graph head(hidden: float32[n, 4])
				codes = int8[3, 4] {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}
				scales = float32[3] {1, 2, 3}
				left = DequantizeLinear<axis=0>(codes, scales)
				logits = Gemm<transB=1>(hidden, left)
				return logits: float32[n, 3]`);
		expect(await factorReaders(other, path.join(folder, "other.onnx"))).toEqual(["DequantizeLinear"]);
	});

	it.each([9, 17])("runs with an untied head, scales along the other axis, opset %i", async (opset) => {
		const truth = { tables: ["twin T"], projections: [{ output: "logits", hidden: "hidden" }] };
		const text = HEAD.replace("17", `${opset}`);
		const found = await measure(text, truth, { hidden: floats([2, 3, D]) }, { dtype: "int8" });
		expect(found.difference).toBeLessThan(0.02);
	});

	it("runs_with_a_lookup_alone", async () => {
		const truth = { tables: ["table"], lookups: [{ output: "rows", ids: "ids" }] };
		expect((await measure(LOOKUP, truth, { ids: IDS }, { dtype: "int8" })).difference).toBeLessThan(0.02);
	});

	it("runs_in_a_float16_model", async () => {
		const found = await measure(tiedText(17, "float16"), tiedTruth("float16"), { ids: IDS }, { dtype: "int8" });
		expect(found.difference).toBeLessThan(0.02);
	});

	it("keeps_rows_of_zeros_at_zero", async () => {
		const values = Float32Array.from({ length: V * D }, (_, index) => (index < D ? 0 : Math.sin(index)));
		const model = parseModel(LOOKUP, { values: { table: values } });
		const state = locatedModel(model, { tables: ["table"], lookups: [{ output: "rows", ids: "ids" }] });
		await quantized(state, { ...RANK(D), dtype: "int8" });
		const { rows } = await outputsOf(model, { ids: int64s([0], [1, 1]) });
		expect(rows?.every((value) => value === 0)).toBe(true);
	});
});

describe("blocks of bytes in onnxruntime's operators", () => {
	const BLOCKS = { dtype: "int8", ops: "onnxruntime" } as const;

	it.each(["float32", "float16"] as const)("one tensor serves lookup and head in %s", async (dtype) => {
		const found = await measure(tiedText(17, dtype), tiedTruth(dtype), { ids: IDS }, BLOCKS);
		expect(found.difference).toBeLessThan(0.03);
		expect(found.relativeError).toBeLessThan(0.01);
		expect([countOf(found.model, "MatMulNBits"), countOf(found.model, "GatherBlockQuantized"), countOf(found.model, "Gemm")]).toEqual([
			1, 1, 1,
		]);
		expect(found.model.graph.initializers.filter(({ tensor }) => tensor?.dtype === "uint8")).toHaveLength(1);
		expect(found.model.opsets.get("com.microsoft")).toBe(1);
	});

	it.each([1, 16, 17, 31, 33, 40])("pads rank %i to whole blocks", async (rank) => {
		const model = parseModel(tiedText(17), { seed: 2 });
		const plain = parseModel(tiedText(17), { seed: 2 });
		await quantized(locatedModel(plain, tiedTruth()), RANK(rank));
		const { quantizations } = await quantized(locatedModel(model, tiedTruth()), { ...RANK(rank), ...BLOCKS });
		expect(quantizations[0]?.group.rank).toBe(rank);
		expect(difference(await outputsOf(plain, { ids: IDS }), await outputsOf(model, { ids: IDS }))).toBeLessThan(0.03);
	});

	it("serves_a_lookup_alone", async () => {
		const truth = { tables: ["table"], lookups: [{ output: "rows", ids: "ids" }] };
		const found = await measure(LOOKUP, truth, { ids: IDS }, BLOCKS);
		expect(found.difference).toBeLessThan(0.02);
		expect(countOf(found.model, "Reshape")).toBe(0);
	});

	it("serves_an_untied_head", async () => {
		const truth = { tables: ["twin T"], projections: [{ output: "logits", hidden: "hidden" }] };
		expect((await measure(HEAD, truth, { hidden: floats([2, 3, D]) }, BLOCKS)).difference).toBeLessThan(0.03);
	});

	it.each([
		["1.0", 0],
		["2.0", 1],
	])("keeps a bias, beta %s", async (beta, adds) => {
		const gemm = { c: "bias", beta: Number(beta) };
		const truth: Truth = { tables: ["head"], projections: [{ output: "logits", hidden: "hidden", pattern: "P3", alpha: 0.5, gemm }] };
		const found = await measure(GEMM.replace("BETA", beta), truth, { hidden: floats([3, D]) }, BLOCKS);
		expect(found.difference).toBeLessThan(0.03);
		expect(countOf(found.model, "Add")).toBe(adds);
	});
});

describe("a table that is stored otherwise", () => {
	it("is_kept_in_bfloat16_behind_casts", async () => {
		const text = tiedText(17)
			.replace("table = float32", "half = bfloat16")
			.replace("rows = Gather", "table = Cast<to=1>(half)\n\t\t\trows = Gather");
		const found = await measure(text, { ...tiedTruth(), tables: ["half"] }, { ids: IDS }, {});
		expect(found.difference).toBeLessThan(0.02);
		expect(found.model.graph.initializers.filter(({ tensor }) => tensor?.dtype === "bfloat16")).toHaveLength(2);
	});

	it("repeats_to_the_byte", async () => {
		const once = async () => {
			const model = parseModel(tiedText(17), { seed: 4 });
			await quantized(locatedModel(model, tiedTruth()), { ...RANK(16), dtype: "int8" });
			return model.graph.initializers.map(({ tensor }) => tensor?.bytes());
		};
		expect(await once()).toEqual(await once());
	});
});
