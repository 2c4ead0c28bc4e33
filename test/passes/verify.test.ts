// The pass that runs original and result: verdicts, and what it refuses to pass over.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { verify } from "../../passes/verify/index.js";
import type { Model, Node } from "../../src/ir/graph.js";
import { parseModel } from "../../src/ir/parse.js";
import { allNodes } from "../../src/ir/walk.js";
import { encodeToBytes } from "../../src/onnx/index.js";
import { type PassRunner, runPass } from "../../src/pass.js";
import type { ModelFile, Quantized, Verified, Vocabulary } from "../../src/state.js";

let folder = "";
beforeAll(() => {
	folder = mkdtempSync(path.join(tmpdir(), "verify-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const LANGUAGE_MODEL = `
	model ir 8, opset ai.onnx 17
	graph main(ids: int64[batch, length])
		table = float32[6, 2] {1, 0, 0, 1, 1, 1, -1, 0, 0, -1, 2, 1}
		head = float32[2, 6] {1, 0, 1, -1, 0, 2, 0, 1, 1, 0, -1, 1}
		hidden = Gather(table, ids) "embed"
		logits = MatMul(hidden, head) "lm_head"
		count = Size(ids)
		return logits: float32[batch, length, 6], hidden: float32[batch, length, 2], count: int64[]
`;

function nodeOf(model: Model, name: string): Node {
	const found = [...allNodes(model)].find((node) => node.name === name);
	if (found === undefined) throw new Error(`no node ${name}`);
	return found;
}

/** The one vocabulary of LANGUAGE_MODEL, as `locate` would describe it. */
function vocabularyOf(file: ModelFile): Vocabulary {
	const { model } = file;
	const embed = nodeOf(model, "embed");
	const head = nodeOf(model, "lm_head");
	const [ids, hidden, logits] = [embed.inputs[1], embed.outputs[0], head.outputs[0]];
	if (ids === undefined || hidden === undefined || logits === undefined) throw new Error("incomplete model");
	const place = { file, graph: model.graph, owner: model.graph, dtype: "float32" } as const;
	return {
		name: "table",
		table: { rows: 6, cols: 2, stored: "float32", hash: "", read: () => new Float32Array(0) },
		copies: [],
		lookups: [{ ...place, pattern: "E1", node: embed, ids, output: hidden }],
		projections: [
			{ ...place, pattern: "P1", node: head, hidden, output: logits, hiddenRank: 3, alpha: 1, gemm: undefined, bias: undefined },
		],
		tied: false,
		bytes: 0,
		alreadyRank: undefined,
	};
}

let count = 0;

interface Outcome {
	readonly verified: Verified;
	readonly log: readonly string[];
}

/** Runs the pass on a file with the text `original`, and `result` (text, or bytes) as what was written for it. */
async function verified(original: string, result: string | Uint8Array, hasVocabulary = true): Promise<Outcome> {
	const at = (kind: string) => path.join(folder, `${++count}-${kind}.onnx`);
	const model = parseModel(original);
	const bytes = encodeToBytes(model);
	const file: ModelFile = { name: "model.onnx", path: at("original"), model, bytes: bytes.length };
	const resultPath = at("result");
	writeFileSync(file.path, bytes);
	writeFileSync(resultPath, typeof result === "string" ? encodeToBytes(parseModel(result)) : result);
	const state: Quantized = {
		kind: "file",
		path: file.path,
		files: [file],
		vocabularies: hasVocabulary ? [vocabularyOf(file)] : [],
		rejected: [],
		groups: [],
		sides: [],
		predictedSavedBytes: 0,
		reconstructions: [],
		quantizations: [],
	};
	const runner: PassRunner = { threads: 1, seed: 0, records: [] };
	return { verified: await runPass(verify({ resultPathOf: () => resultPath }), state, runner), log: runner.records[0]?.log ?? [] };
}

const verdictOf = ({ verified: { verdicts } }: Outcome) => verdicts[0]?.verdict;

describe("verify", () => {
	it("finds_no_difference_between_a_model_and_itself", async () => {
		const outcome = await verified(LANGUAGE_MODEL, LANGUAGE_MODEL);
		expect(verdictOf(outcome)).toMatchObject({ ran: true, reason: undefined });
		expect(verdictOf(outcome)?.comparisons).toEqual([
			{
				file: "model.onnx",
				inputs: "batch 2, length 4",
				output: "logits",
				shape: [2, 4, 6],
				maxDifference: 0,
				relativeDifference: 0,
				kl: 0,
				top1Agreement: 1,
			},
			{
				file: "model.onnx",
				inputs: "batch 2, length 4",
				output: "hidden",
				shape: [2, 4, 2],
				maxDifference: 0,
				relativeDifference: 0,
				kl: undefined,
				top1Agreement: undefined,
			},
			{
				file: "model.onnx",
				inputs: "batch 2, length 4",
				output: "count",
				shape: [],
				maxDifference: 0,
				relativeDifference: 0,
				kl: undefined,
				top1Agreement: undefined,
			},
		]);
		expect(outcome.log).toEqual(["model.onnx: 1 set of inputs, largest relative difference 0.0e+0"]);
	});

	it("measures_what_the_written_file_computes_not_what_the_state_holds", async () => {
		const outcome = await verified(LANGUAGE_MODEL, LANGUAGE_MODEL.replace("{1, 0, 1, -1,", "{-3, 0, 1, -1,"));
		const [logits, hidden] = verdictOf(outcome)?.comparisons ?? [];
		expect(logits?.relativeDifference).toBeGreaterThan(0.5);
		expect(logits?.kl).toBeGreaterThan(0.01);
		expect(hidden?.maxDifference).toBe(0);
	});

	it("measures_distributions_only_where_a_vocabulary_is_projected_to", async () => {
		const comparisons = verdictOf(await verified(LANGUAGE_MODEL, LANGUAGE_MODEL, false))?.comparisons;
		expect(comparisons?.map(({ kl }) => kl)).toEqual([undefined, undefined, undefined]);
	});

	it("gives_a_verdict_without_comparisons_when_the_engine_does_not_know_an_operator", async () => {
		const text = LANGUAGE_MODEL.replace("ai.onnx 17", "ai.onnx 17, vendor 1").replace("Size(ids)", "vendor.Mixer(ids)");
		const verdict = verdictOf(await verified(text, text));
		expect(verdict).toMatchObject({ ran: false, comparisons: [] });
		expect(verdict?.reason).toMatch(/Mixer/);
	});

	it("gives_a_verdict_without_comparisons_when_inputs_cannot_be_made", async () => {
		const text = LANGUAGE_MODEL.replace("ids: int64[batch, length])", "ids: int64[batch, length], extra: float32[…])");
		expect(verdictOf(await verified(text, text))?.reason).toMatch(/"extra" declares no shape/);
	});

	it("gives_a_verdict_without_comparisons_when_no_inputs_are_accepted", async () => {
		const text = LANGUAGE_MODEL.replace("count = Size(ids)", "five = int64[1] {4999}\n\t\tcount = Reshape(ids, five)");
		const verdict = verdictOf(await verified(text, text));
		expect(verdict?.ran).toBe(false);
		expect(verdict?.reason).toMatch(/Reshape/);
	});

	it("warns_when_the_graph_draws_random_numbers", async () => {
		const text = LANGUAGE_MODEL.replace("count = Size(ids)", "count = RandomNormal<shape=[2]>()").replace(
			"count: int64[]",
			"count: float32[2]",
		);
		expect(verdictOf(await verified(text, text))?.reason).toMatch(/RandomNormal/);
		const seeded = text.replace("shape=[2]", "shape=[2], seed=1.0");
		expect(verdictOf(await verified(seeded, seeded))?.reason).toBeUndefined();
	});

	it.each([
		["does_not_load", () => Uint8Array.of(1, 2, 3), /cannot load/],
		[
			"does_not_run",
			() =>
				encodeToBytes(parseModel(LANGUAGE_MODEL.replace("float32[6, 2] {1, 0, 0, 1, 1, 1, -1, 0, 0, -1, 2, 1}", "float32[1, 2] {1, 2}"))),
			/Gather/,
		],
		["lacks_an_output", () => encodeToBytes(parseModel(LANGUAGE_MODEL.replace(", count: int64[]", ""))), /count/],
		[
			"gives_another_shape",
			() => encodeToBytes(parseModel(LANGUAGE_MODEL.replace("Size(ids)", "Shape(ids)").replace("count: int64[]", "count: int64[2]"))),
			/output "count".*int64\[2\] where the original gives int64\[\]/,
		],
	])("is_a_defect_of_ours_when_the_result_%s_though_the_original_runs", async (_, result, message) => {
		await expect(verified(LANGUAGE_MODEL, result())).rejects.toMatchObject({ name: "DistembError", code: "internal", at: "model.onnx" });
		await expect(verified(LANGUAGE_MODEL, result())).rejects.toThrow(message);
	});
});
