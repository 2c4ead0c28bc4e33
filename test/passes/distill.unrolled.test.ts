// A model whose body repeats one block in a Loop is trained through it, and written with its Loop.
import { writeFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { compile, inspect } from "../../src/index.js";
import { openBundle } from "../../src/onnx/index.js";
import { normal, uniform } from "../../src/random.js";
import { writeModel } from "../support/bigrams.js";
import { temporaryFolder } from "../support/models.js";

const [V, D] = [80, 12];
const random = normal(3);
const drawn = (count: number, size: number) => Float32Array.from({ length: count }, () => size * random());
const table = drawn(V * D, 1);
const mixing = drawn(D * D, 0.4);

/** Three times the same block; `going` is the condition that its body gives. */
const text = (going: string) => `
	model ir 8, opset ai.onnx 17
	graph main(input_ids: int64[batch, length])
		table = float32[${V}, ${D}]
		mixing = float32[${D}, ${D}]
		steps = int64[] {3}
		go = bool[] {1}
		x = Gather(table, input_ids)
		h = Loop(steps, go, x) "repeat"
			body:
			graph body(step: int64[], on: bool[], before: float32[?, ?, ${D}])
				mixed = MatMul(before, mixing)
				bent = Tanh(mixed)
				after = Add(before, bent)
				big = float32[] {1000000}
				most = ReduceMax<keepdims=0>(after)
				below = Less(most, big)
				on_after = ${going}
				return on_after, after
		head = Transpose<perm=[1, 0]>(table)
		logits = MatMul(h, head)
		return logits: float32[batch, length, ${V}]`;

/** Compiled at rank 6 on random ids, 24 steps. */
async function trained(going: string) {
	const folder = temporaryFolder();
	const model = writeModel(path.join(folder, "looped.onnx"), text(going), { table, mixing });
	const data = path.join(folder, "ids.jsonl");
	const next = uniform(1);
	const documents = Array.from({ length: 60 }, () => Array.from({ length: 40 }, () => Math.floor(V * next() ** 2)));
	writeFileSync(data, documents.map((ids) => JSON.stringify(ids)).join("\n"));
	const output = path.join(folder, "small.onnx");
	const report = await compile(model, output, { rank: 6, data: [data], steps: 24, length: 16, threads: 1 });
	return { output, report };
}

describe("distill", () => {
	it("trains_the_weights_in_a_loop_of_a_known_number_of_steps", async () => {
		const { output, report } = await trained("Identity(on)");
		const { training, warnings } = report;
		expect(warnings).toEqual([]);
		expect(training?.trained).toContain("mixing");
		expect(training?.best.validation).toBeLessThan(0.9 * (training?.curve[0]?.validation ?? 0));
		const bundle = openBundle(output);
		try {
			const graph = bundle.models[0]?.open.model.graph;
			expect(graph?.nodes.map(({ opType }) => opType)).toContain("Loop");
			const stored = graph?.initializers
				.find(({ name }) => name === "mixing")
				?.tensor?.bytes()
				.slice().buffer;
			expect(new Float32Array(stored ?? new ArrayBuffer(0))).not.toEqual(mixing);
		} finally {
			bundle.close();
		}
		expect((await inspect(output)).vocabularies[0]?.alreadyRank).toBe(6);
	});

	it("trains_behind_a_loop_that_ends_by_what_it_computes_and_says_so", async () => {
		const { training, warnings } = (await trained("And(on, below)")).report;
		expect(warnings.join("\n")).toMatch(/condition that is computed \(Loop "repeat"\)/);
		expect(training?.trained).not.toContain("mixing");
		expect(training?.best.validation).toBeLessThan(training?.curve[0]?.validation ?? 0);
	});
});
