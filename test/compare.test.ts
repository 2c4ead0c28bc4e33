// compare: figures that can be worked out by hand, a real model, and what is refused.
import { writeFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { compare } from "../src/compare.js";
import { readNpyTokens } from "../src/data/npy.js";
import { compareText } from "../src/report/compare-text.js";
import { crossEntropy } from "../src/runtime/cross-entropy.js";
import { openSession } from "../src/runtime/session.js";
import { bigrams, logits, sums, writeModel } from "./support/bigrams.js";
import { FIXTURES, temporaryFolder } from "./support/models.js";

const folder = temporaryFolder();
const inFolder = (name: string) => path.join(folder, name);
const SOTU = path.join(FIXTURES, "sotu-lm/model.onnx");
const TEST = path.join(FIXTURES, "sotu-lm/test.npy");

/** Writes a .jsonl file of token ids, one document a line. */
function documents(name: string, ...lines: number[][]): string {
	writeFileSync(inFolder(name), lines.map((ids) => `${JSON.stringify(ids)}\n`).join(""));
	return inFolder(name);
}

const plain = { footprint: false, threads: 1 } as const;

// After 0 comes 1 for certain (nearly), after 1 and 2 anything.
const TEACHER = writeModel(inFolder("teacher.onnx"), bigrams(3), {
	table: logits([
		[0.25, 0.5, 0.25],
		[0.5, 0.25, 0.25],
		[0.2, 0.2, 0.6],
	]),
});
const STUDENT = writeModel(inFolder("student.onnx"), bigrams(3), {
	table: logits([
		[0.25, 0.5, 0.25],
		[0.25, 0.25, 0.5],
		[0.2, 0.2, 0.6],
	]),
});

describe("language models", () => {
	it("gives_the_figures_worked_out_by_hand", async () => {
		// Predictions: 0→1 (both 0.5), 1→0 (0.5, then 0.25), 0→1 (0.5).
		const data = documents("hand.jsonl", [0, 1, 0, 1]);
		const { tokens, kind } = await compare(TEACHER, STUDENT, { ...plain, data: [data], window: 4 });
		expect(kind).toBe("causal");
		expect(tokens?.all.positions).toBe(3);
		expect(tokens?.all.teacherPerplexity).toBeCloseTo(2, 5);
		expect(tokens?.all.studentPerplexity).toBeCloseTo(2 ** (4 / 3), 5);
		// KL of row 1: 0.5·ln 2 + 0.25·ln(1/2) = 0.25·ln 2; of row 0 none.
		expect(tokens?.all.divergence).toBeCloseTo((0.25 * Math.LN2) / 3, 6);
		expect(tokens?.all.agreement).toBeCloseTo(2 / 3, 10);
	});

	it("windows_do_not_see_each_other_and_an_incomplete_last_one_is_left_out", async () => {
		const data = documents("windows.jsonl", [0, 1, 0, 1, 0, 1, 2]);
		const { tokens, data: read } = await compare(TEACHER, STUDENT, { ...plain, data: [data], window: 3 });
		// [0 1 0] [1 0 1], without the 2: predictions 1, 0, 0, 1.
		expect(tokens?.all.positions).toBe(4);
		expect(read.measured).toMatch(/4 next tokens in 2 windows of 3 tokens, each predicted from its own start/);
	});

	it("documents_are_predicted_from_their_own_start", async () => {
		const data = documents("documents.jsonl", [0, 1, 0], [1, 0], [2, 2, 2, 2]);
		const { tokens, data: read } = await compare(TEACHER, STUDENT, { ...plain, data: [data], window: 8, documents: true });
		expect(tokens?.all.positions).toBe(2 + 1 + 3);
		expect(tokens?.all.teacherNats).toBeCloseTo((3 * Math.LN2 - 3 * Math.log(0.6)) / 6, 5);
		expect(read.measured).toMatch(/3 documents/);
	});

	it("bins_follow_the_counts_that_were_given", async () => {
		const data = documents("seen.jsonl", [0, 1, 0, 1, 2, 2]);
		const counts = documents("counts.jsonl", [0, 0, 0, 1, 1, 1]);
		const own = await compare(TEACHER, STUDENT, { ...plain, data: [data], window: 6 });
		expect(own.tokens?.bins.unseen).toBeUndefined();
		expect(own.tokens?.counts).toMatch(/data that was measured/);
		const given = await compare(TEACHER, STUDENT, { ...plain, data: [data], counts: [counts], window: 6 });
		expect(given.tokens?.bins.unseen?.positions).toBe(2);
		expect(given.tokens?.all).toEqual(own.tokens?.all);
	});

	it("stops_after_as_many_tokens_as_were_asked_for", async () => {
		const data = documents("long.jsonl", [0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1]);
		const report = await compare(TEACHER, STUDENT, { ...plain, data: [data], window: 3, batch: 3, tokens: 6 });
		expect(report.tokens?.all.positions).toBe(4);
		expect(report.data.limited).toBe(true);
	});

	it("the_batch_changes_nothing", async () => {
		const data = { ...plain, data: [TEST], tokens: 640 };
		const one = await compare(SOTU, SOTU, { ...data, batch: 1 });
		const four = await compare(SOTU, SOTU, { ...data, batch: 4 });
		expect(four.tokens?.all.teacherNats).toBeCloseTo(one.tokens?.all.teacherNats ?? 0, 5);
		expect(four.tokens?.all.positions).toBe(5 * 127);
	});

	it("agrees_with_the_cross_entropy_measured_apart_and_finds_a_model_equal_to_itself", async () => {
		const { tokens } = await compare(SOTU, SOTU, { ...plain, data: [TEST], tokens: 1280 });
		const session = await openSession(SOTU, { threads: 1 });
		const apart = await crossEntropy(session, readNpyTokens(TEST).subarray(0, 1280), { window: 128, batch: 2 });
		await session.close();
		expect(tokens?.all.positions).toBe(apart.tokens);
		expect(tokens?.all.teacherNats).toBeCloseTo(apart.nats, 4);
		expect(tokens?.all).toMatchObject({ divergence: 0, agreement: 1 });
	});
});

describe("masked language models", () => {
	const both = sums(4)
		.replace("logits = CumSum(rows, one)", "axes = int64[1] {1}\n\t\tlogits = Add(rows, all)")
		.replace("\n\t\tlogits", "\n\t\tall = ReduceSum(rows, axes)\n\t\tlogits");
	const table = [1, 0, 2, 0, 0, 3, 1, 0, 2, 2, 0, 0, 0, 1, 0, 1];
	const model = writeModel(inFolder("masked.onnx"), both, { table });
	const other = writeModel(inFolder("masked-other.onnx"), both, { table: table.map((value, index) => value + (index % 3) / 4) });
	const data = documents(
		"masked.jsonl",
		Array.from({ length: 200 }, (_, index) => (index * 7) % 3),
	);

	it("hides_tokens_at_random_and_scores_those", async () => {
		const options = { ...plain, data: [data], window: 20, maskId: 3 };
		const report = await compare(model, other, options);
		expect(report.kind).toBe("masked");
		expect(report.tokens?.all.positions).toBeGreaterThan(15);
		expect(report.tokens?.all.positions).toBeLessThan(50);
		expect(report.tokens?.all.divergence).toBeGreaterThan(0);
		expect((await compare(model, other, options)).tokens).toEqual(report.tokens);
		expect((await compare(model, other, { ...options, seed: 1 })).tokens).not.toEqual(report.tokens);
	});

	it("asks_for_the_mask_where_no_file_says_it", async () => {
		await expect(compare(model, other, { ...plain, data: [data], window: 20 })).rejects.toMatchObject({
			code: "input",
			hint: expect.stringMatching(/--mask-id/),
		});
	});

	it("refuses_models_of_different_kinds", async () => {
		const causal = writeModel(inFolder("causal.onnx"), bigrams(4), { table });
		await expect(compare(model, causal, { ...plain, data: [data] })).rejects.toMatchObject({
			code: "refused",
			at: causal,
			message: "is a causal language model, the teacher a masked language model",
		});
	});
});

describe("encoders", () => {
	const encoder = bigrams(3).replaceAll("logits", "last_hidden_state");
	const data = documents("encoder.jsonl", [0, 1, 2, 0, 1, 2]);

	it("compares_states_token_by_token", async () => {
		const teacher = writeModel(inFolder("encoder.onnx"), encoder, { table: [1, 0, 0, 0, 1, 0, 0, 0, 1] });
		const student = writeModel(inFolder("encoder-student.onnx"), encoder, { table: [1, 0, 0, 0, 1, 0, 0, 1, 0] });
		const { states, tokens, kind } = await compare(teacher, student, { ...plain, data: [data], window: 6 });
		expect(kind).toBe("encoder");
		expect(tokens).toBeUndefined();
		expect(states?.positions).toBe(6);
		expect(states?.cosine).toBeCloseTo(2 / 3, 10);
		expect(states?.relativeError).toBeCloseTo(Math.sqrt(2 / 3), 6);
	});
});

/** Reads its source's last token, and translates it word by word: logits are rows of a table, by the token before and the source. */
const TRANSLATOR = `
model ir 8, opset ai.onnx 17
graph main(input_ids: int64[batch, source], attention_mask: int64[batch, source], decoder_input_ids: int64[batch, target])
	source_table = float32[5, 5]
	table = float32[5, 5]
	axes = int64[1] {1}
	last = int64[1] {2}
	rows = Gather(source_table, input_ids)
	mask = Cast<to=1>(attention_mask)
	wide = Unsqueeze(mask, last)
	shown = Mul(rows, wide)
	all = ReduceSum<keepdims=1>(shown, axes)
	own = Gather(table, decoder_input_ids)
	logits = Add(own, all)
	return logits: float32[batch, target, 5]
`;

/** After the start (0) what the source prefers, after a word (2, 3, 4) the end (1). */
const WORD_THEN_END = [0, -9, 0, 0, 0, -9, -9, -9, -9, -9, -9, 9, -9, -9, -9, -9, 9, -9, -9, -9, -9, 9, -9, -9, -9];
const copies = (three: number) =>
	Float32Array.from([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0, 0, three, 4 - three, 0, 0, 0, 0, 4]);

const TOKENIZER = {
	version: "1.0",
	added_tokens: [],
	normalizer: null,
	pre_tokenizer: { type: "Whitespace" },
	post_processor: null,
	decoder: null,
	model: { type: "WordLevel", vocab: { "<pad>": 0, "</s>": 1, um: 2, dois: 3, tres: 4 }, unk_token: "<pad>" },
};

describe("translators", () => {
	const model = (name: string, three: number) =>
		writeModel(inFolder(`${name}/translation_model.onnx`), TRANSLATOR, { table: WORD_THEN_END, source_table: copies(three) });
	const teacher = model("translator", 4);
	const student = model("translator-student", 1);
	writeFileSync(inFolder("translator/tokenizer.json"), JSON.stringify(TOKENIZER));
	writeFileSync(inFolder("source.txt"), "um\ndois\ntres\num\n");
	writeFileSync(inFolder("target.txt"), "um\ndois\ntres\num\n");
	const data = [inFolder("source.txt"), inFolder("target.txt")];
	const options = { ...plain, data, startId: 0 };

	it("translates_with_both_and_scores_against_the_text_of_the_references", async () => {
		const { translation, tokens, kind } = await compare(teacher, student, options);
		expect(kind).toBe("translator");
		expect(tokens?.all.positions).toBe(8);
		expect(translation).toMatchObject({ decoding: "greedy", references: "text", identical: 0.75 });
		expect(translation?.teacher).toMatchObject({ chrf: 100, length: 1 });
		expect(translation?.student.chrf).toBeLessThan(90);
	});

	it("beams_give_what_greedy_gives_where_it_is_the_best", async () => {
		const { translation } = await compare(teacher, student, { ...options, beam: 3 });
		expect(translation).toMatchObject({ decoding: "beam search, 3 beams", teacher: { chrf: 100 }, identical: 0.75 });
	});

	it("says_what_is_missing_without_a_tokenizer", async () => {
		const pairs = inFolder("pairs.jsonl");
		writeFileSync(pairs, '{"source": [2, 1], "target": [2, 1]}\n');
		const report = await compare(student, teacher, { ...options, data: [pairs], endId: 1 });
		expect(report.translation).toBeUndefined();
		expect(report.tokens?.all.positions).toBe(2);
		expect(report.notes.join()).toMatch(/no BLEU and chrF2.*--tokenizer/);
	});

	it("measures_only_as_many_pairs_as_were_asked_for", async () => {
		const { tokens, data: read } = await compare(teacher, student, { ...options, pairs: 3 });
		expect(tokens?.all.positions).toBe(6);
		expect(read.limited).toBe(true);
	});
});

describe("refusals", () => {
	const data = documents("refusals.jsonl", [0, 1, 0, 1]);

	it("refuses_another_vocabulary", async () => {
		const other = writeModel(inFolder("other.onnx"), bigrams(4), { table: new Float32Array(16) });
		await expect(compare(TEACHER, other, { ...plain, data: [data] })).rejects.toMatchObject({
			code: "refused",
			message: "gives logits for a vocabulary of 4, the teacher 3",
		});
	});

	it("refuses_a_window_beyond_the_context", async () => {
		await expect(compare(SOTU, SOTU, { ...plain, data: [TEST], window: 129 })).rejects.toMatchObject({
			code: "usage",
			message: expect.stringMatching(/context of 128/),
		});
	});

	it("refuses_ids_beyond_the_vocabulary", async () => {
		const wrong = documents("wrong.jsonl", [0, 1, 3]);
		await expect(compare(TEACHER, STUDENT, { ...plain, data: [wrong] })).rejects.toMatchObject({ code: "input", at: `${wrong}:1` });
	});

	it.each([[{ window: 1 }], [{ batch: 0 }], [{ tokens: 1.5 }], [{ beam: -1 }], [{ startId: -1 }]])("refuses_%j", async (wrong) => {
		await expect(compare(TEACHER, STUDENT, { ...plain, data: [data], ...wrong })).rejects.toMatchObject({ code: "usage" });
	});

	it("stops_when_told", async () => {
		const signal = AbortSignal.abort();
		await expect(compare(TEACHER, STUDENT, { ...plain, data: [data], signal })).rejects.toMatchObject({ code: "interrupted" });
	});
});

describe("text", () => {
	it("stands_in_columns", async () => {
		const data = documents("text.jsonl", [0, 1, 0, 1]);
		const report = await compare(TEACHER, STUDENT, { ...plain, data: [data], window: 4 });
		const lines = compareText(report).replaceAll(folder, "").split("\n");
		expect(lines.slice(4).join("\n")).toMatchInlineSnapshot(`
			"                             teacher  student  difference
			perplexity                      2.00     2.52     +26.0 %
			nats per token                0.6931   0.9242     +0.2310
			KL(teacher ‖ student), nats                        0.0578
			same first choice                                  66.7 %
			file size                      191 B    191 B      +0.0 %

			bin    tokens  teacher ppl  student ppl  KL, nats  same first choice
			head        1         2.00         4.00    0.1733              0.0 %
			torso       2         2.00         2.00    0.0000            100.0 %
			bins: by token counts of the data that was measured (give --counts with the training data to see unseen tokens)"
		`);
	});
});
