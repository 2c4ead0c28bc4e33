// Forms of models that the fixtures do not have: recurrent ones along either axis, half precision within branches.
import path from "node:path";
import { describe, expect, it } from "vitest";
import { asParameter } from "../../src/gradient/prepare.js";
import { differentiate } from "../../src/gradient/sweep.js";
import { openBundle } from "../../src/onnx/index.js";
import { normal } from "../../src/random.js";
import { trainableOf } from "../../src/training/trainable.js";
import { wholeOf } from "../../src/training/whole.js";
import { writeModel } from "../support/bigrams.js";
import { temporaryFolder } from "../support/models.js";
import { bothOutputs, filesOf } from "./support.js";

const folder = temporaryFolder();
const noise = (length: number, seed: number) => Float32Array.from({ length }, normal(seed));

/** A language model of one GRU layer; ids are [length, batch], or [batch, length] between two Transposes. */
function recurrent(batchFirst: boolean): string {
	const turn = (to: string, from: string) => (batchFirst ? `${to} = Transpose<perm=[1, 0, 2]>(${from})` : `${to} = Identity(${from})`);
	const axes = batchFirst ? "batch, length" : "length, batch";
	return `
	model ir 8, opset ai.onnx 14
	graph main(input_ids: int64[${axes}], h0: float32[1, batch, 4])
		table = float32[9, 5]
		w = float32[1, 12, 5]
		r = float32[1, 12, 4]
		head = float32[4, 9]
		axes = int64[1] {1}
		rows = Gather(table, input_ids)
		${turn("x", "rows")}
		all, hn = GRU<hidden_size=4>(x, w, r, _, _, h0)
		flat = Squeeze(all, axes)
		${turn("h", "flat")}
		logits = MatMul(h, head)
		return logits: float32[${axes}, 9], hn: float32[1, batch, 4]
	`;
}

const HALF = `
model ir 8, opset ai.onnx 17
graph main(input_ids: int64[batch, sequence], use_cache_branch: bool[1], past_key_values.0.key: float16[batch, 1, past, 4])
	table = float16[9, 4]
	x = Gather(table, input_ids)
	logits = If(use_cache_branch) "branches"
		then_branch:
		graph with()
			axes = int64[1] {1}
			kept = Squeeze(past_key_values.0.key, axes)
			head_1 = float16[4, 9]
			a = MatMul(kept, head_1)
			return a: float16[batch, past, 9]
		else_branch:
		graph without()
			head = float16[4, 9]
			wide: float32[batch, sequence, 4] = Cast<to=1>(x)
			bent = Tanh(wide)
			narrow: float16[batch, sequence, 4] = Cast<to=10>(bent)
			b = MatMul(narrow, head)
			return b: float16[batch, sequence, 9]
	return logits: float16[batch, sequence, 9]
`;

describe("whole models", () => {
	it.each([
		["batch_first", true],
		["time_first", false],
	])("a_recurrent_model_%s_gives_logits_by_batch_to_teacher_and_student", async (name, batchFirst) => {
		const values = { table: noise(45, 1), w: noise(60, 2), r: noise(48, 3), head: noise(36, 4) };
		const file = writeModel(path.join(folder, `${name}.onnx`), recurrent(batchFirst), values);
		const { whole, own, original } = await bothOutputs(file);
		expect([whole.kind, whole.roles.timeMajor]).toEqual(["causal", !batchFirst]);
		expect([own.dims, original.dims]).toEqual([
			[2, 5, 9],
			[2, 5, 9],
		]);
		for (const [index, value] of (original.data as Float32Array).entries()) expect(Number(own.data[index])).toBeCloseTo(value, 5);
	});

	it("both_ways_of_a_recurrent_model_predict_the_same", async () => {
		const first = await bothOutputs(path.join(folder, "batch_first.onnx"));
		const second = await bothOutputs(path.join(folder, "time_first.onnx"));
		expect(first.batch.tokens.ids).toEqual(second.batch.tokens.ids);
		for (const [index, value] of (first.original.data as Float32Array).entries())
			expect(Number(second.original.data[index])).toBeCloseTo(value, 5);
	});

	it("half_precision_within_a_branch_is_trained_in_single_precision", async () => {
		const head = noise(36, 6);
		const file = writeModel(path.join(folder, "half.onnx"), HALF, { table: noise(36, 5), head, head_1: head });
		const { own, original } = await bothOutputs(file);
		expect([own.dtype, original.dtype]).toEqual(["float32", "float32"]);
		for (const [index, value] of (original.data as Float32Array).entries())
			expect(Math.abs(Number(own.data[index]) - value)).toBeLessThan(5e-3 * Math.max(1, Math.abs(value)));
		const bundle = openBundle(file);
		const files = filesOf(bundle);
		const [only] = files;
		const branch = only?.model.graph.nodes.at(-1)?.attributes.get("else_branch");
		const stored = branch?.kind === "graph" ? branch.value.initializers.find(({ name }) => name === "head") : undefined;
		if (only === undefined || stored === undefined) throw new Error("no head");
		const trainable = await trainableOf(await wholeOf(files, { threads: 1 }), { batch: 1, length: 3, threads: 1 });
		bundle.close();
		const copy = trainable.copyOf(only, stored);
		if (copy === undefined) throw new Error("the branch's head is not in the training graph");
		const parameter = asParameter(trainable.training, copy);
		const loss = trainable.ops.total(trainable.output);
		expect(differentiate(trainable.ops, loss, [parameter]).gradients.get(parameter)?.lacks).toEqual([]);
		expect(trainable.ops.dtype(parameter)).toBe("float32");
	});
});
