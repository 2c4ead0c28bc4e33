// Encoder and decoder as one graph: gradients through both against central differences of a loss of the two originals' own sessions.
import path from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { crossEntropy } from "../../src/gradient/loss.js";
import { differentiate } from "../../src/gradient/sweep.js";
import { addInput, setTensor } from "../../src/ir/edit.js";
import { writeElements } from "../../src/ir/elements.js";
import type { Model, Value } from "../../src/ir/graph.js";
import { dataOf, Tensor } from "../../src/ir/tensor.js";
import { allGraphs } from "../../src/ir/walk.js";
import { type Bundle, encodeToBytes, openBundle } from "../../src/onnx/index.js";
import { normal } from "../../src/random.js";
import { stepFeeds } from "../../src/runtime/decode/feeds.js";
import { readRoles } from "../../src/runtime/decode/roles.js";
import { tensorOf } from "../../src/runtime/numbers.js";
import { openSession } from "../../src/runtime/session.js";
import { modelOf } from "../../src/runtime/training/program.js";
import type { FactorGroup } from "../../src/state.js";
import { feedsFor, type TrainingBatch } from "../../src/training/batches.js";
import { factorParameters } from "../../src/training/factors.js";
import { trainableOf } from "../../src/training/trainable.js";
import { type WholeModel, wholeOf } from "../../src/training/whole.js";
import { writeModel } from "../support/bigrams.js";
import { temporaryFolder } from "../support/models.js";
import { bothOutputs, filesOf, randomBatch } from "./support.js";

const V = 12;
const D = 4;
const TABLE = Float64Array.from({ length: V * D }, normal(3));

/** Reads its table and hides padding; at opset 12, where axes are attributes. */
const ENCODER = `
model ir 7, opset ai.onnx 12
graph encoder(input_ids: int64[batch, sequence], attention_mask: int64[batch, sequence])
	shared.weight = float64[${V}, ${D}]
	x = Gather(shared.weight, input_ids)
	shown = Cast<to=11>(attention_mask)
	axes = Unsqueeze<axes=[2]>(shown)
	mean = ReduceMean<axes=[2]>(x)
	centred = Sub(x, mean)
	h = Tanh(centred)
	last_hidden_state = Mul(h, axes)
	return last_hidden_state: float64[batch, sequence, ${D}]
`;

/** Attends to the encoder's states; the same names mean other things here. */
const BODY = `
	x = Gather(shared.weight, input_ids)
	t = Transpose<perm=[0, 2, 1]>(encoder_hidden_states)
	scores = MatMul(x, t)
	shown = Cast<to=11>(encoder_attention_mask)
	one = float64[] {1}
	far = float64[] {1000}
	hidden = Sub(shown, one)
	away = Mul(hidden, far)
	axes = int64[1] {1}
	mask = Unsqueeze(away, axes)
	masked = Add(scores, mask)
	p = Softmax<axis=-1>(masked)
	c = MatMul(p, encoder_hidden_states)
	h = Add(x, c)
	turned = Transpose<perm=[1, 0]>(shared.weight)`;

const INPUTS = `input_ids: int64[batch, sequence], encoder_hidden_states: float64[batch, source, ${D}], encoder_attention_mask: int64[batch, source]`;

const DECODER = `
model ir 8, opset ai.onnx 17
graph decoder(${INPUTS})
	shared.weight = float64[${V}, ${D}]${BODY}
	logits = MatMul(h, turned)
	return logits: float64[batch, sequence, ${V}]
`;

const indented = (text: string) => text.replaceAll("\n", "\n\t\t");

/** The branch without past is the same decoder, with a table of its own inside. */
const MERGED = `
model ir 8, opset ai.onnx 17
graph decoder(${INPUTS}, past_key_values.0.key: float64[batch, 1, past, ${D}], use_cache_branch: bool[1])
	logits = If(use_cache_branch) "branches"
		then_branch:
		graph with()
			axes_1 = int64[1] {1}
			first = Squeeze(past_key_values.0.key, axes_1)
			other = float64[${D}, ${V}]
			wrong = MatMul(first, other)
			return wrong: float64[batch, past, ${V}]
		else_branch:
		graph without()
			shared.weight = float64[${V}, ${D}]${indented(BODY).replace("\t\t\n", "\n")}
			right = MatMul(h, turned)
			return right: float64[batch, sequence, ${V}]
	return logits: float64[batch, sequence, ${V}]
`;

const folder = temporaryFolder();
const bundles: Bundle[] = [];
afterEach(() => {
	for (const bundle of bundles.splice(0)) bundle.close();
});

function open(name: string, decoder: string, encoder = ENCODER): Bundle {
	const values = { "shared.weight": TABLE, other: new Float64Array(D * V) };
	writeModel(path.join(folder, name, "encoder_model.onnx"), encoder, values);
	writeModel(path.join(folder, name, "decoder_model.onnx"), decoder, values);
	const bundle = openBundle(path.join(folder, name));
	bundles.push(bundle);
	return bundle;
}

const SHAPE = { batch: 2, length: 5, sourceLength: 4 };

/** The table of a model, in whichever scope it lies. */
function tableOf(model: Model): Value {
	for (const graph of allGraphs(model)) for (const value of graph.initializers) if (value.name.startsWith("shared.weight")) return value;
	throw new Error("no table");
}

/** The table of both files, as one factor. */
function groupOf(whole: WholeModel): FactorGroup {
	const values = whole.files.map((file) => ({ file, value: tableOf(file.model), role: "left" as const }));
	return { vocabulary: undefined as never, side: "both", rank: D, values, coding: undefined, dtype: "float64" };
}

/** Mean cross-entropy of the labels in the two sessions of the files themselves, with `table` in the place of theirs. */
async function lossOf({ models }: Bundle, { tokens, source, labels }: TrainingBatch, table: Float64Array): Promise<number> {
	const run = async (name: string, step: Parameters<typeof stepFeeds>[1]) => {
		const open = models.find((one) => one.name === name)?.open;
		if (open === undefined) throw new Error(`no ${name}`);
		setTensor(tableOf(open.model), new Tensor("float64", [V, D], dataOf(writeElements("float64", table))));
		const roles = readRoles(open.model);
		const session = await openSession(encodeToBytes(open.model, open.source), { threads: 1 });
		const result = (await session.run(stepFeeds(roles, step)))[roles.output];
		await session.close();
		if (result === undefined) throw new Error("no output");
		return result;
	};
	if (source === undefined) throw new Error("no source");
	const states = await run("encoder_model.onnx", { tokens: source, position: 0 });
	const logits = await run("decoder_model.onnx", { tokens, position: 0, source: { rows: source, states } });
	const scores = logits.data as Float64Array;
	let [sum, count] = [0, 0];
	for (const [position, label] of labels.entries()) {
		if (label < 0) continue;
		const row = scores.subarray(position * V, (position + 1) * V);
		sum += Math.log(row.reduce((total, score) => total + Math.exp(score), 0)) - (row[label] ?? 0);
		count++;
	}
	return sum / count;
}

describe("encoder and decoder joined", () => {
	it.each([
		["a decoder", DECODER],
		["a merged decoder, whose table lies in a branch", MERGED],
	])("%s_has_the_gradients_of_the_two_sessions", async (name, decoder) => {
		const bundle = open(name.slice(0, 8), decoder);
		const whole = await wholeOf(filesOf(bundle), { threads: 1 });
		const trainable = await trainableOf(whole, { ...SHAPE, threads: 1 });
		const [table, ...others] = factorParameters(trainable, [groupOf(whole)]);
		if (table === undefined) throw new Error("no factor");
		expect(others).toEqual([]);
		const { ops, output } = trainable;
		const facts = { dtype: "int64", dims: [SHAPE.batch, SHAPE.length] } as const;
		const labels = ops.learn(addInput(ops.graph, "labels", { type: { dtype: "int64", shape: facts.dims }, carried: undefined }), facts);
		const loss = ops.reshape(crossEntropy(ops, { logits: output, labels, ignore: -1 }), []);
		const gradient = differentiate(ops, loss, [table.value]).gradients.get(table.value)?.dense;
		if (gradient === undefined) throw new Error("no gradient");
		const program = {
			graph: ops.graph,
			loss,
			parameters: [{ value: table.value, gradient, dims: [V, D], initial: table.initial, decays: true }],
		};
		const session = await openSession(encodeToBytes(modelOf(program)), { threads: 1 });
		const batch = await randomBatch(whole, SHAPE);
		const found = await session.run({
			...feedsFor(whole.roles, batch),
			labels: tensorOf("int64", facts.dims, (index) => batch.labels[index] ?? 0),
			[table.value.name]: tensorOf("float64", [V, D], (index) => TABLE[index] ?? 0),
		});
		await session.close();
		const slopes = found[gradient.name]?.data as Float64Array;
		expect(Number(found[loss.name]?.data[0])).toBeCloseTo(await lossOf(bundle, batch, TABLE), 12);
		const direction = Float64Array.from({ length: V * D }, normal(5));
		const step = 1e-5;
		const moved = (sign: number) => TABLE.map((value, index) => value + sign * step * (direction[index] ?? 0));
		const central = ((await lossOf(bundle, batch, moved(1))) - (await lossOf(bundle, batch, moved(-1)))) / (2 * step);
		const along = direction.reduce((sum, value, index) => sum + value * (slopes[index] ?? 0), 0);
		expect(Math.abs(central)).toBeGreaterThan(0.01);
		expect(Math.abs(along - central)).toBeLessThan(1e-8);
	});

	it("shares_the_mask_of_the_source_and_keeps_names_apart", async () => {
		const whole = await wholeOf(filesOf(open("names", DECODER)), { threads: 1 });
		expect(whole.kind).toBe("translator");
		expect(whole.roles.ports.map(({ name, role }) => `${name}: ${role}`)).toEqual([
			"input_ids: source",
			"attention_mask: sourceMask",
			"input_ids_1: tokens",
		]);
		expect(whole.model.graph.inputs.map(({ name }) => name)).toEqual(["input_ids", "attention_mask", "input_ids_1"]);
		expect(whole.model.opset).toBe(18);
	});

	it("refuses_files_at_different_versions_of_another_operator_set", async () => {
		const using = (text: string, version: number) => text.replace(/(ai.onnx \d+)/, `$1, com.example ${version}`);
		const bundle = open("versions", using(DECODER, 2), using(ENCODER, 1));
		await expect(wholeOf(filesOf(bundle), { threads: 1 })).rejects.toThrow('versions 1 and 2 of "com.example"');
	});

	it("predicts_what_the_teacher_predicts_from_the_same_files", async () => {
		const { own, original } = await bothOutputs(open("teacher", MERGED).path);
		expect(original.dims).toEqual(own.dims);
		for (const [index, value] of (original.data as Float32Array).entries()) expect(value).toBeCloseTo(Number(own.data[index]), 5);
	});
});
