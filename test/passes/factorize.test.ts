// Rewrites of every form of lookup and projection: equal at full rank, in standard operators, at exactly the predicted size.
import { describe, expect, it } from "vitest";
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
	shareContents,
	signatureOf,
	storedBytes,
	type Truth,
	valuesNamed,
} from "./support.js";

interface Case {
	readonly name: string;
	readonly text: string;
	readonly truth: Truth;
	readonly feeds: Feeds;
	/** Operators that must be there afterwards, and how often. */
	readonly holds?: Readonly<Record<string, number>>;
	/** Relative; 1e-4 by default. */
	readonly tolerance?: number;
}

const IDS = int64s([3, 0, 39, 7, 7, 12], [2, 3]);
const HIDDEN = floats([2, 3, 8]);

/** Opsets at which a rule for the operators around the factors changes. */
const OPSETS = [7, 9, 10, 11, 12, 13, 14, 17, 18, 21, 23];

const lookup = { output: "rows", ids: "ids" };

const CASES: Case[] = [
	{
		name: "E1 lookup alone",
		text: `
			model ir 8, opset ai.onnx 17
			graph main(ids: int64[b, n])
				table = float32[40, 8]
				rows = Gather(table, ids)
				return rows: float32[b, n, 8]`,
		truth: { tables: ["table"], lookups: [lookup] },
		feeds: { ids: IDS },
		holds: { Gather: 1, MatMul: 1, Gemm: 0 },
	},
	{
		name: "E2 lookup in a transposed table",
		text: `
			model ir 8, opset ai.onnx 17
			graph main(ids: int64[b, n])
				twin = float32[8, 40]
				table = Transpose<perm=[1, 0]>(twin)
				rows = Gather(table, ids)
				return rows: float32[b, n, 8]`,
		truth: { tables: ["twin T"], lookups: [{ ...lookup, pattern: "E2" }] },
		feeds: { ids: IDS },
		holds: { Transpose: 0 },
	},
	...OPSETS.map(
		(opset): Case => ({
			name: `tied, hidden of unknown rank, opset ${opset}`,
			text: `
				model ir 7, opset ai.onnx ${opset}
				graph main(ids: int64[b, n])
					table = float32[40, 8]
					rows = Gather(table, ids)
					hidden = Tanh(rows)
					turned = Transpose<perm=[1, 0]>(table)
					logits = MatMul(hidden, turned)
					return logits: float32[b, n, 40], rows: float32[b, n, 8]`,
			truth: { tables: ["table"], lookups: [lookup], projections: [{ output: "logits", hidden: "hidden", pattern: "P2" }] },
			feeds: { ids: IDS },
			holds: { Gemm: 2, Transpose: 0, Gather: 1 },
		}),
	),
	{
		name: "tied twice stored, with a copy that nobody reads",
		text: `
			model ir 8, opset ai.onnx 17
			graph main(ids: int64[b, n])
				table = float32[40, 8]
				twin = float32[8, 40]
				spare = float32[40, 8]
				rows = Gather(table, ids)
				logits = MatMul(rows, twin)
				return logits: float32[b, n, 40]`,
		truth: { tables: ["table", "twin T", "spare"], lookups: [lookup], projections: [{ output: "logits", hidden: "rows" }] },
		feeds: { ids: IDS },
	},
	{
		name: "untied head as MatMul",
		text: `
			model ir 8, opset ai.onnx 17
			graph main(hidden: float32[b, n, 8])
				twin = float32[8, 40]
				logits = MatMul(hidden, twin)
				return logits: float32[b, n, 40]`,
		truth: { tables: ["twin T"], projections: [{ output: "logits", hidden: "hidden" }] },
		feeds: { hidden: HIDDEN },
		holds: { MatMul: 2, Reshape: 0 },
	},
	...[8, 10, 11, 17].map(
		(opset): Case => ({
			name: `P3 Gemm with bias, alpha and beta, opset ${opset}`,
			text: `
				model ir 7, opset ai.onnx ${opset}
				graph main(hidden: float32[n, 8])
					head = float32[40, 8]
					bias = float32[40]
					logits = Gemm<alpha=0.5, beta=2.0, transB=1>(hidden, head, bias)
					return logits: float32[n, 40]`,
			truth: {
				tables: ["head"],
				projections: [{ output: "logits", hidden: "hidden", pattern: "P3", alpha: 0.5, gemm: { c: "bias", beta: 2 } }],
			},
			feeds: { hidden: floats([3, 8]) },
			holds: { Gemm: 2, Reshape: 0 },
		}),
	),
	{
		name: "P4 Gemm with transposed hidden states",
		text: `
			model ir 8, opset ai.onnx 17
			graph main(hidden: float32[8, n])
				twin = float32[8, 40]
				logits = Gemm<transA=1>(hidden, twin)
				return logits: float32[n, 40]`,
		truth: { tables: ["twin T"], projections: [{ output: "logits", hidden: "hidden", pattern: "P4", gemm: { transA: true } }] },
		feeds: { hidden: floats([8, 3]) },
	},
	{
		name: "P4 FusedMatMul with alpha, untied",
		text: `
			model ir 8, opset ai.onnx 17, com.microsoft 1
			graph main(hidden: float32[b, n, 8])
				head = float32[40, 8]
				logits = com.microsoft.FusedMatMul<alpha=0.25, transB=1>(hidden, head)
				return logits: float32[b, n, 40]`,
		truth: { tables: ["head"], projections: [{ output: "logits", hidden: "hidden", pattern: "P4", alpha: 0.25 }] },
		feeds: { hidden: HIDDEN },
		holds: { FusedMatMul: 0, MatMul: 2, Mul: 1 },
	},
	{
		name: "P4 FusedMatMul with alpha, tied",
		text: `
			model ir 8, opset ai.onnx 17, com.microsoft 1
			graph main(ids: int64[b, n])
				table = float32[40, 8]
				rows = Gather(table, ids)
				logits = com.microsoft.FusedMatMul<alpha=0.25, transB=1>(rows, table)
				return logits: float32[b, n, 40]`,
		truth: { tables: ["table"], lookups: [lookup], projections: [{ output: "logits", hidden: "rows", pattern: "P4", alpha: 0.25 }] },
		feeds: { ids: IDS },
		holds: { FusedMatMul: 0, Mul: 0 },
	},
	{
		name: "P4 FusedGemm with an activation",
		text: `
			model ir 8, opset ai.onnx 17, com.microsoft 1
			graph main(hidden: float32[n, 8])
				head = float32[40, 8]
				bias = float32[40]
				logits = com.microsoft.FusedGemm<activation="Relu", transB=1>(hidden, head, bias)
				return logits: float32[n, 40]`,
		truth: {
			tables: ["head"],
			projections: [{ output: "logits", hidden: "hidden", pattern: "P4", gemm: { c: "bias", activation: "Relu" } }],
		},
		feeds: { hidden: floats([3, 8]) },
		holds: { FusedGemm: 1, Gemm: 1 },
	},
	{
		name: "P5 Einsum",
		text: `
			model ir 8, opset ai.onnx 17
			graph main(ids: int64[b, n])
				table = float32[40, 8]
				rows = Gather(table, ids)
				logits = Einsum<equation="bsd,vd->bsv">(rows, table)
				return logits: float32[b, n, 40]`,
		truth: { tables: ["table"], lookups: [lookup], projections: [{ output: "logits", hidden: "rows", pattern: "P5", hiddenRank: 3 }] },
		feeds: { ids: IDS },
		holds: { Einsum: 0 },
	},
	{
		name: "P10 two heads on one table",
		text: `
			model ir 8, opset ai.onnx 17
			graph main(ids: int64[b, n])
				table = float32[40, 8]
				rows = Gather(table, ids)
				twin = Transpose<perm=[1, 0]>(table)
				again = Identity(twin)
				logits = MatMul(rows, twin)
				other = MatMul(rows, again)
				return logits: float32[b, n, 40], other: float32[b, n, 40]`,
		truth: {
			tables: ["table"],
			lookups: [lookup],
			projections: [
				{ output: "logits", hidden: "rows", pattern: "P10" },
				{ output: "other", hidden: "rows", pattern: "P10" },
			],
		},
		feeds: { ids: IDS },
		holds: { Gemm: 4, Identity: 0, Transpose: 0 },
	},
	{
		name: "E7 one-hot with float ids",
		text: `
			model ir 8, opset ai.onnx 17
			graph main(ids: float32[b, n])
				table = float32[40, 8]
				depth = float32[] {40}
				levels = float32[2] {0, 1}
				hot = OneHot(ids, depth, levels)
				rows = MatMul(hot, table)
				return rows: float32[b, n, 8]`,
		truth: { tables: ["table"], lookups: [{ ...lookup, pattern: "E7" }] },
		feeds: { ids: { dtype: "float32", dims: [2, 2], data: Float32Array.of(1, 39, 0, 5) } },
		holds: { OneHot: 0, Cast: 1 },
	},
	{
		name: "E11 GatherND",
		text: `
			model ir 8, opset ai.onnx 17
			graph main(ids: int64[b, n])
				table = float32[40, 8]
				axes = int64[1] {-1}
				index = Unsqueeze(ids, axes)
				rows = GatherND(table, index)
				return rows: float32[b, n, 8]`,
		truth: { tables: ["table"], lookups: [{ ...lookup, pattern: "E11" }] },
		feeds: { ids: IDS },
		holds: { GatherND: 0, Unsqueeze: 0 },
	},
	{
		name: "a table in a Constant node behind a Cast",
		text: `
			model ir 8, opset ai.onnx 17
			graph main(ids: int64[b, n])
				half = Constant<value=float16[40, 8]>()
				table = Cast<to=1>(half)
				rows = Gather(table, ids)
				return rows: float32[b, n, 8]`,
		truth: { tables: ["half"], lookups: [lookup] },
		feeds: { ids: IDS },
		holds: { Constant: 0, Cast: 2 },
		tolerance: 2e-3,
	},
	{
		name: "E3 both branches of an If, one table captured",
		text: `
			model ir 8, opset ai.onnx 14
			graph main(ids: int64[b, n], cond: bool[])
				table = float32[40, 8]
				logits = If(cond)
					then_branch:
					graph then()
						rows = Gather(table, ids)
						hidden = Sigmoid(rows)
						twin = Transpose<perm=[1, 0]>(table)
						out = MatMul(hidden, twin)
						return out
					else_branch:
					graph else()
						rows = Gather(table, ids)
						hidden = Tanh(rows)
						twin = Transpose<perm=[1, 0]>(table)
						out = MatMul(hidden, twin)
						return out
				return logits: float32[b, n, 40]`,
		truth: {
			tables: ["table"],
			lookups: [{ ...lookup, pattern: "E3" }],
			projections: [{ output: "out", hidden: "hidden", pattern: "P2" }],
		},
		feeds: { ids: IDS, cond: { dtype: "bool", dims: [], data: Uint8Array.of(1) } },
		holds: { Gemm: 4, Gather: 2, Transpose: 0 },
	},
	{
		name: "E3 a copy of its own in each branch: one U above both",
		text: `
			model ir 8, opset ai.onnx 14
			graph main(ids: int64[b, n], cond: bool[])
				rows = If(cond)
					then_branch:
					graph then()
						table = float32[40, 8]
						found = Gather(table, ids)
						return found
					else_branch:
					graph else()
						table = float32[40, 8]
						found = Gather(table, ids)
						return found
				return rows: float32[b, n, 8]`,
		truth: { tables: ["table"], lookups: [{ ...lookup, output: "found", pattern: "E3" }] },
		feeds: { ids: IDS, cond: { dtype: "bool", dims: [], data: Uint8Array.of(1) } },
		holds: { Gather: 2 },
	},
	{
		name: "a table that is listed as an input, as IR 3 demands",
		text: `
			model ir 3, opset ai.onnx 8
			graph main(ids: int64[b, n], table: float32[40, 8])
				table = float32[40, 8]
				rows = Gather(table, ids)
				twin = Transpose<perm=[1, 0]>(table)
				logits = MatMul(rows, twin)
				return logits: float32[b, n, 40]`,
		truth: { tables: ["table"], lookups: [lookup], projections: [{ output: "logits", hidden: "rows", pattern: "P2" }] },
		feeds: { ids: IDS },
	},
	{
		name: "float64 rows and logits",
		text: `
			model ir 8, opset ai.onnx 17
			graph main(ids: int64[b, n])
				table = float64[40, 8]
				rows = Gather(table, ids)
				twin = Transpose<perm=[1, 0]>(table)
				logits = MatMul(rows, twin)
				return logits: float64[b, n, 40]`,
		truth: {
			tables: ["table"],
			lookups: [{ ...lookup, dtype: "float64" }],
			projections: [{ output: "logits", hidden: "rows", pattern: "P2", dtype: "float64" }],
		},
		feeds: { ids: IDS },
	},
];

describe("factorize", () => {
	for (const { name, text, truth, feeds, holds = {}, tolerance = 1e-4 } of CASES) {
		it(`equals the original at full rank: ${name}`, async () => {
			const model = parseModel(text, { seed: 5 });
			shareContents(model, truth);
			const before = await outputsOf(model, feeds);
			const signature = signatureOf(model);
			const bytes = storedBytes(model);
			const state = locatedModel(model, truth);
			const { quantizations } = await quantized(state, RANK(8));
			expect(difference(before, await outputsOf(model, feeds))).toBeLessThan(tolerance);
			expect(signatureOf(model)).toEqual(signature);
			for (const [opType, count] of Object.entries(holds)) expect(countOf(model, opType), opType).toBe(count);
			for (const table of truth.tables) expect(valuesNamed(model, table.split(" ")[0] ?? "")).toEqual([]);
			const removed = state.vocabularies.reduce((sum, vocabulary) => sum + vocabulary.bytes, 0);
			const added = quantizations.reduce((sum, quantization) => sum + quantization.bytes, 0);
			expect(storedBytes(model)).toBe(bytes - removed + added);
		});
	}
});
