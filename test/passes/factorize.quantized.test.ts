// Quantized tables: lookups and projections on integers give way to factors of what the integers mean.
import { describe, expect, it } from "vitest";
import { readElements } from "../../src/ir/elements.js";
import type { Model } from "../../src/ir/graph.js";
import { parseModel } from "../../src/ir/parse.js";
import type { Feeds } from "../../src/runtime/session.js";
import {
	countOf,
	difference,
	floats,
	int64s,
	locatedModel,
	outputsOf,
	quantized,
	RANK,
	type Truth,
	tableOf,
	valueNamed,
	valuesNamed,
} from "./support.js";

const V = 40;
const D = 16;
const IDS = int64s([3, 0, 39, 7, 7, 12], [2, 3]);

function numbers(model: Model, name: string): number[] {
	const { tensor } = valueNamed(model, name);
	return tensor === undefined ? [] : readElements(tensor.dtype, tensor.bytes(), tensor.size).map(Number);
}

interface Case {
	readonly name: string;
	readonly text: string;
	readonly truth: (model: Model) => Truth;
	/** Row i, column j of the table. */
	readonly element: (model: Model) => (row: number, column: number) => number;
	readonly feeds: Feeds;
	readonly gone: readonly string[];
	/** Relative: dynamic quantization of the activations makes the original itself inexact. */
	readonly tolerance?: number;
}

const CASES: readonly Case[] = [
	{
		name: "E4 Gather of bytes, then DequantizeLinear",
		text: `
			model ir 8, opset ai.onnx 13
			graph main(ids: int64[b, n])
				codes = uint8[${V}, ${D}]
				scale = float32[] {0.05}
				zero = uint8[] {120}
				found = Gather(codes, ids)
				rows = DequantizeLinear(found, scale, zero)
				return rows: float32[b, n, ${D}]`,
		truth: (model) => ({
			tables: ["codes"],
			lookups: [{ output: "rows", ids: "ids", pattern: "E4", node: valueNamed(model, "found").producer }],
		}),
		element: (model) => {
			const codes = numbers(model, "codes");
			return (row, column) => 0.05 * ((codes[row * D + column] ?? 0) - 120);
		},
		feeds: { ids: IDS },
		gone: ["codes", "scale", "zero", "found"],
	},
	{
		name: "P8 DequantizeLinear of a transposed table of bytes, tied with E4",
		text: `
			model ir 8, opset ai.onnx 13
			graph main(ids: int64[b, n])
				codes = int8[${V}, ${D}]
				scale = float32[${V}]
				table = DequantizeLinear<axis=0>(codes, scale)
				rows = Gather(table, ids)
				turned = Transpose<perm=[1, 0]>(codes)
				twin = DequantizeLinear<axis=1>(turned, scale)
				logits = MatMul(rows, twin)
				return logits: float32[b, n, ${V}]`,
		truth: () => ({
			tables: ["codes"],
			lookups: [{ output: "rows", ids: "ids", pattern: "E4" }],
			projections: [{ output: "logits", hidden: "rows", pattern: "P8" }],
		}),
		element: (model) => {
			const codes = numbers(model, "codes");
			const scale = numbers(model, "scale");
			return (row, column) => (scale[row] ?? 0) * (codes[row * D + column] ?? 0);
		},
		feeds: { ids: IDS },
		gone: ["codes", "scale", "table", "turned", "twin"],
	},
	{
		name: "E5 GatherBlockQuantized",
		text: `
			model ir 10, opset ai.onnx 21, com.microsoft 1
			graph main(ids: int64[b, n])
				codes = int4[${V}, ${D}]
				scale = float32[${V}, 1]
				rows = com.microsoft.GatherBlockQuantized<block_size=16>(codes, ids, scale)
				return rows: float32[b, n, ${D}]`,
		truth: () => ({ tables: ["codes"], lookups: [{ output: "rows", ids: "ids", pattern: "E5" }] }),
		element: (model) => {
			const codes = numbers(model, "codes");
			const scale = numbers(model, "scale");
			return (row, column) => (scale[row] ?? 0) * (codes[row * D + column] ?? 0);
		},
		feeds: { ids: IDS },
		gone: ["codes", "scale"],
	},
	{
		name: "P7 MatMulNBits with a bias inside",
		text: `
			model ir 8, opset ai.onnx 17, com.microsoft 1
			graph main(hidden: float32[b, n, ${D}])
				codes = uint8[${V}, 1, 16]
				scale = float32[${V}]
				bias = float32[${V}]
				logits = com.microsoft.MatMulNBits<K=${D}, N=${V}, bits=8, block_size=16>(hidden, codes, scale, _, _, bias)
				return logits: float32[b, n, ${V}]`,
		truth: () => ({ tables: ["codes"], projections: [{ output: "logits", hidden: "hidden", pattern: "P7", bias: "bias" }] }),
		element: (model) => {
			const codes = numbers(model, "codes");
			const scale = numbers(model, "scale");
			return (row, column) => (scale[row] ?? 0) * ((codes[row * D + column] ?? 0) - 128);
		},
		feeds: { hidden: floats([2, 3, D]) },
		gone: ["codes", "scale"],
	},
	{
		name: "P6 DynamicQuantizeLinear and MatMulInteger",
		text: `
			model ir 8, opset ai.onnx 13
			graph main(hidden: float32[b, n, ${D}])
				codes = int8[${D}, ${V}]
				scale = float32[${V}]
				zero = int8[${V}] {${"0, ".repeat(V - 1)}0}
				x, x_scale, x_zero = DynamicQuantizeLinear(hidden)
				whole = MatMulInteger(x, codes, x_zero, zero)
				float = Cast<to=1>(whole)
				scales = Mul(x_scale, scale)
				logits = Mul(float, scales)
				return logits: float32[b, n, ${V}]`,
		truth: (model) => ({
			tables: ["codes T"],
			projections: [{ output: "logits", hidden: "hidden", pattern: "P6", node: valueNamed(model, "whole").producer }],
		}),
		element: (model) => {
			const codes = numbers(model, "codes");
			const scale = numbers(model, "scale");
			return (row, column) => (scale[row] ?? 0) * (codes[column * V + row] ?? 0);
		},
		feeds: { hidden: floats([2, 3, D]) },
		gone: ["codes", "scale", "zero", "x", "float", "scales"],
		tolerance: 0.02,
	},
];

/** The model with the truth about it, the table's contents included. */
function prepare({ text, truth, element }: Case) {
	const model = parseModel(text, { seed: 9 });
	const at = element(model);
	const values = Float32Array.from({ length: V * D }, (_, index) => at(Math.floor(index / D), index % D));
	const state = locatedModel(model, truth(model));
	const vocabularies = state.vocabularies.map((vocabulary) => ({
		...vocabulary,
		table: { ...tableOf(values, V, D), stored: vocabulary.table.stored },
	}));
	return { model, state: { ...state, vocabularies } };
}

describe("factorize of a quantized table", () => {
	for (const held of CASES) {
		const { name, feeds, gone, tolerance = 1e-4 } = held;

		it(`equals the original at full rank in float32: ${name}`, async () => {
			const { model, state } = prepare(held);
			const before = await outputsOf(model, feeds);
			await quantized(state, { ...RANK(D), dtype: "float32" });
			expect(difference(before, await outputsOf(model, feeds))).toBeLessThan(tolerance);
			for (const value of gone) expect(valuesNamed(model, value), value).toEqual([]);
			for (const opType of ["MatMulInteger", "MatMulNBits", "DequantizeLinear"]) expect(countOf(model, opType), opType).toBe(0);
		});

		it(`is stored in bytes again by default: ${name}`, async () => {
			const { model, state } = prepare(held);
			const before = await outputsOf(model, feeds);
			const { quantizations } = await quantized(state, RANK(D));
			expect(quantizations.map(({ dtype }) => dtype)).toEqual(["int8"]);
			expect(difference(before, await outputsOf(model, feeds))).toBeLessThan(0.03);
		});
	}
});
