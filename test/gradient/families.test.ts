// Tiny models of the transformer families against PyTorch's autograd: loss and gradients that fixtures/make/gradients.py stored.
import { readFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { divergence } from "../../src/gradient/loss.js";
import { asParameter, prepareForTraining } from "../../src/gradient/prepare.js";
import { differentiate } from "../../src/gradient/sweep.js";
import { addInput } from "../../src/ir/edit.js";
import type { Value } from "../../src/ir/graph.js";
import { openBundle } from "../../src/onnx/index.js";
import { tensorOf } from "../../src/runtime/numbers.js";
import { probe } from "../../src/runtime/probe.js";
import type { EngineTensor } from "../../src/runtime/session.js";
import { FIXTURES } from "../support/models.js";
import { compute } from "./help.js";

interface Numbers {
	readonly dims: readonly number[];
	readonly values: readonly number[];
}

interface Figures {
	readonly inputs: Readonly<Record<string, Numbers>>;
	readonly loss: number;
	readonly gradients: Readonly<Record<string, Numbers>>;
}

const FOLDER = path.join(FIXTURES, "gradients");
const FAMILIES = JSON.parse(readFileSync(path.join(FOLDER, "figures.json"), "utf8")) as Readonly<Record<string, Figures>>;

/** Of float32 against float64, through a few dozen operators; relative to a tensor's largest element. */
const TOLERANCE = 1e-4;

interface Found {
	readonly loss: number;
	readonly gradients: ReadonlyMap<string, readonly number[]>;
	readonly missing: readonly unknown[];
}

/** Our loss and gradients of the tensors that `figures` has gradients of. */
async function gradientsOf(family: string, { inputs, gradients: wanted }: Figures): Promise<Found> {
	const bundle = openBundle(path.join(FOLDER, `${family}.onnx`));
	try {
		const [file] = bundle.models;
		if (file === undefined) throw new Error("no model");
		const { model } = file.open;
		const ids = Object.entries(inputs).map(([name, { dims, values }]) => [name, tensorOf("int64", dims, (at) => values[at] ?? 0)] as const);
		const feeds: Record<string, EngineTensor> = Object.fromEntries(ids);
		const training = await prepareForTraining(model, (copy) => probe(copy, feeds, { threads: 1 }));
		const { ops, values } = training;
		const parameters = new Map<string, Value>();
		for (const name of Object.keys(wanted)) {
			const constant = values.get(model.graph.initializers.find((value) => value.name === name) as Value);
			if (constant === undefined) throw new Error(`no "${name}"`);
			const { tensor } = constant;
			const weights = new Float32Array(tensor?.bytes().slice().buffer ?? new ArrayBuffer(0));
			parameters.set(name, asParameter(training, constant));
			feeds[parameters.get(name)?.name ?? ""] = { dtype: "float32", dims: tensor?.dims ?? [], data: weights };
		}
		const logits = values.get(model.graph.outputs[0]?.value as Value);
		if (logits === undefined) throw new Error("no logits");
		const facts = { dtype: "float32", dims: ops.dims(logits) } as const;
		const teacher = ops.learn(addInput(ops.graph, "teacher", { type: { dtype: "float32", shape: facts.dims }, carried: undefined }), facts);
		feeds.teacher = tensorOf("float32", facts.dims, (index) => 3 * Math.sin(0.37 * index));
		const loss = divergence(ops, { teacher, student: logits, temperature: 1 });
		const { gradients, missing } = differentiate(ops, loss, [...parameters.values()]);
		const dense = [...parameters].map(([name, parameter]) => ({ name, value: gradients.get(parameter)?.dense }));
		const found = dense.flatMap(({ name, value }) => (value === undefined ? [] : [{ name, value }]));
		const [lossNow, ...computed] = await compute(training.model, [loss, ...found.map(({ value }) => value)], feeds);
		return {
			loss: lossNow?.[0] ?? Number.NaN,
			gradients: new Map(found.map(({ name }, at) => [name, [...(computed[at] ?? [])]])),
			missing,
		};
	} finally {
		bundle.close();
	}
}

describe("gradients of the transformer families", () => {
	it.each(Object.entries(FAMILIES))("%s_has_those_of_PyTorch", async (family, figures) => {
		const found = await gradientsOf(family, figures);
		expect(found.missing).toEqual([]);
		expect(Math.abs(found.loss / figures.loss - 1)).toBeLessThan(1e-5);
		// What all gradients are measured by: a bias that softmax cancels has a gradient of zero.
		const scale = Math.max(...Object.values(figures.gradients).flatMap(({ values }) => values.map(Math.abs)));
		const wrong = Object.entries(figures.gradients).flatMap(([name, { values }]) => {
			const ours = found.gradients.get(name) ?? [];
			const largest = Math.max(1e-3 * scale, ...values.map(Math.abs));
			const difference = Math.max(...values.map((value, index) => Math.abs(value - (ours[index] ?? Number.NaN)))) / largest;
			return difference < TOLERANCE ? [] : [{ name, difference }];
		});
		expect(wrong).toEqual([]);
	});

	it("tells_a_wrong_gradient_apart", async () => {
		const figures = FAMILIES.lstm;
		if (figures === undefined) throw new Error("no figures");
		const table = figures.gradients["embed.weight"]?.values ?? [];
		const { gradients } = await gradientsOf("lstm", figures);
		const differences = (gradients.get("embed.weight") ?? []).map((value, index) => Math.abs(value - 1.01 * (table[index] ?? 0)));
		expect(Math.max(...differences) / Math.max(...table.map(Math.abs))).toBeGreaterThan(10 * TOLERANCE);
	});
});
