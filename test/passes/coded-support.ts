// Codes the table of a model that is given as text, and runs what is emitted.
import { factorize } from "../../passes/factorize/index.js";
import { encodeCoded } from "../../passes/quantize/coded.js";
import { quantize } from "../../passes/quantize/index.js";
import { reconstruct } from "../../passes/reconstruct/index.js";
import { checkModel } from "../../src/ir/check.js";
import { setTensor } from "../../src/ir/edit.js";
import type { Model } from "../../src/ir/graph.js";
import { parseModel } from "../../src/ir/parse.js";
import { float32Tensor } from "../../src/ir/tensor.js";
import { runPass } from "../../src/pass.js";
import { engineProducts } from "../../src/runtime/products.js";
import type { Feeds } from "../../src/runtime/session.js";
import type { Calibration, Located, Reconstructed } from "../../src/state.js";
import { difference, floats, int64s, locatedModel, outputsOf, runner, type Truth, valueNamed } from "./support.js";

export const V = 3000;
export const D = 24;

export const TIED = (opset = 17, cols = D, rows = V) => `
	model ir 8, opset ai.onnx ${opset}
	graph main(ids: int64[b, n])
		table = float32[${rows}, ${cols}]
		rows = Gather(table, ids)
		twin = Transpose<perm=[1, 0]>(table)
		logits = MatMul(rows, twin)
		return rows: float32[b, n, ${cols}], logits: float32[b, n, ${rows}]`;

export const TRUTH: Truth = {
	tables: ["table"],
	lookups: [{ output: "rows", ids: "ids" }],
	projections: [{ output: "logits", hidden: "rows" }],
};

export const IDS = int64s([0, 1, 5, V - 1, 3, 44, 2100, 2], [2, 4]);

/** Some rows are read a hundred times as often as others, without regard to their ids. */
export function calibrationOf({ vocabularies }: Located): Calibration[] {
	return vocabularies.map((vocabulary): Calibration => {
		const { rows, cols } = vocabulary.table;
		const frequency = Float64Array.from({ length: rows }, (_, id) => 1 / (1 + ((id * 97) % rows)));
		const total = frequency.reduce((sum, part) => sum + part, 0);
		const shares = frequency.map((part) => part / total);
		const moment = new Float64Array(cols * cols);
		for (let k = 0; k < cols; k++) moment[k * cols + k] = 1 / (1 + k);
		return {
			vocabulary,
			frequency: shares,
			spread: shares,
			gradientMoment: moment,
			hiddenMoment: moment,
			tokens: 1e5,
			counted: 1e5,
			source: "data",
		};
	});
}

export interface Case {
	readonly text: string;
	readonly truth?: Truth;
	readonly feeds?: Feeds;
	readonly blocks?: number;
	readonly ratio?: number;
	readonly calibrated?: boolean;
	readonly ops?: "standard" | "onnxruntime";
}

/** A projection alone, with a bias and a factor. */
export const GEMM = (cols: number): Case => ({
	text: `
	model ir 8, opset ai.onnx 17
	graph main(h: float32[n, ${cols}], c: float32[${V}])
		table = float32[${V}, ${cols}]
		logits = Gemm<alpha=2.0, beta=0.5, transB=1>(h, table, c)
		return logits: float32[n, ${V}]`,
	truth: { tables: ["table"], lookups: [], projections: [{ output: "logits", hidden: "h", alpha: 2, gemm: { c: "c", beta: 0.5 } }] },
	feeds: { h: floats([3, cols]), c: floats([V]) },
});

/** Codes the table, and compares the model that is emitted with the original on the table that was encoded. */
export async function convert(held: Case) {
	const { text, truth = TRUTH, feeds = { ids: IDS }, blocks = 4, ratio = 3, calibrated = true, ops = "standard" } = held;
	const model = parseModel(text, { seed: 1 });
	const original = parseModel(text, { seed: 1 });
	const located = locatedModel(model, truth);
	const calibrations = calibrated ? calibrationOf(located) : undefined;
	const records = runner();
	const options = { size: { ratio }, ops, dtype: "mixed", blocks, allowLarger: true, keepOtherReaders: false } as const;
	const factorized = await runPass(factorize(options), { ...located, calibrations }, records);
	const reconstructed = await runPass(reconstruct({ method: "distemb", calibrations }), factorized, records);
	const [group] = reconstructed.groups;
	if (group?.coding === undefined) throw new Error("nothing was coded");
	const products = engineProducts({ threads: 1 });
	const encoded = await encodeCoded(group, group.coding, { refit: true, products, signal: undefined });
	const { rows, cols } = group.vocabulary.table;
	const left = encoded.left(0, rows);
	const table = await products.multiply(left, encoded.right, { rows, inner: group.rank, columns: cols }, new Float32Array(rows * cols));
	await products.close();
	setTensor(valueNamed(original, "table"), float32Tensor(table, [rows, cols]));
	const quantized = await runPass(quantize({ ops, dtype: "mixed" }), reconstructed, records);
	checkModel(model);
	const [expected, found] = [await outputsOf(original, feeds), await outputsOf(model, feeds)];
	return {
		group,
		coding: group.coding,
		layout: encoded.layout,
		factorized,
		quantized,
		model,
		expected,
		found,
		distance: difference(expected, found),
	};
}

/** Bytes of the tensors that a coded `table` is stored in. */
export function storedBytes({ graph }: Model): number {
	return graph.initializers
		.filter(({ name }) => /^table\.[\w.]+$/.test(name))
		.reduce((sum, { tensor }) => sum + (tensor?.byteLength ?? 0), 0);
}

/** Gives `original` the tables that its sides are encoded as: lookups read "table", projections "other". */
export async function putEncodedSides(original: Model, { groups }: Reconstructed): Promise<void> {
	const products = engineProducts({ threads: 1 });
	for (const [index, group] of groups.entries()) {
		if (group.coding === undefined) throw new Error("a side is not coded");
		const encoded = await encodeCoded(group, group.coding, { refit: true, products, signal: undefined });
		const { rows, cols } = group.vocabulary.table;
		const shape = { rows, inner: group.rank, columns: cols };
		const table = await products.multiply(encoded.left(0, rows), encoded.right, shape, new Float32Array(rows * cols));
		setTensor(valueNamed(original, index === 0 ? "table" : "other"), float32Tensor(table, [rows, cols]));
	}
	await products.close();
}
