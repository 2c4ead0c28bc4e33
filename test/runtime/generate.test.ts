// Decoding: with a past and without, greedy and by beams, for every way in which a model is split into files.
import path from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { DistembError } from "../../src/errors.js";
import { padded, type Rows } from "../../src/runtime/decode/feeds.js";
import { openTextModel, type TextModel } from "../../src/runtime/decode/model.js";
import { beamSearch, greedySearch } from "../../src/runtime/decode/search.js";
import { bigrams, logits, sums, sumsByStep, writeModel } from "../support/bigrams.js";
import { FIXTURES, temporaryFolder } from "../support/models.js";

const folder = temporaryFolder();
const opened: TextModel[] = [];
afterEach(async () => {
	for (const model of opened.splice(0)) await model.close();
});

async function open(input: string): Promise<TextModel> {
	const model = await openTextModel(input, { threads: 1 });
	opened.push(model);
	return model;
}

const rows = (...sequences: number[][]): Rows => padded(sequences, 0);

/** Largest difference between logits given step by step (the first `at` tokens at once) and those of one run. */
async function stepwiseDifference(model: TextModel, tokens: Rows, at: number, source?: Rows): Promise<number> {
	const encoded = source === undefined ? undefined : await model.encode(source);
	const whole = await model.forward(tokens, encoded);
	const columns = (from: number, to: number): Rows => ({
		batch: tokens.batch,
		length: to - from,
		ids: Int32Array.from({ length: tokens.batch * (to - from) }, (_, index) => {
			const row = Math.floor(index / (to - from));
			return tokens.ids[row * tokens.length + from + (index % (to - from))] ?? 0;
		}),
	});
	let state = model.begin(encoded);
	let worst = 0;
	for (let from = 0, to = at; to <= tokens.length; from = to, to++) {
		const { logits: last, next } = await state.advance(columns(from, to));
		state = next;
		for (const [row, vector] of last.entries())
			for (const [index, value] of vector.entries())
				worst = Math.max(worst, Math.abs(value - (whole.at(row * tokens.length + to - 1)[index] ?? 0)));
	}
	return worst;
}

// Greedy: 1 (0.6), then 3 (0.4), which ends: 0.24. Better: 2 (0.4), then 3 (1).
const TRAP = logits([
	[0, 0.6, 0.4, 0],
	[0, 0.3, 0.3, 0.4],
	[0, 0, 0, 1],
	[1, 0, 0, 0],
]);
const END = { start: 0, ends: new Set([3]) };

describe("search", () => {
	it("greedy_takes_the_most_probable_token_at_each_step", async () => {
		const model = await open(writeModel(path.join(folder, "trap.onnx"), bigrams(4), { table: TRAP }));
		expect(await greedySearch(model.begin(), [5], END)).toEqual([[1]]);
	});

	it("two_beams_find_the_more_probable_sequence", async () => {
		const model = await open(writeModel(path.join(folder, "trap.onnx"), bigrams(4), { table: TRAP }));
		expect(await beamSearch(model.begin(), 5, { ...END, beam: 2 })).toEqual([2]);
	});

	it("one_beam_is_greedy", async () => {
		const model = await open(path.join(FIXTURES, "sotu-lm/model.onnx"));
		const [greedy = []] = await greedySearch(model.begin(), [12], { start: 5, ends: new Set([0]) });
		expect(greedy.length).toBeGreaterThan(3);
		expect(await beamSearch(model.begin(), 12, { start: 5, ends: new Set([0]), beam: 1 })).toEqual(greedy);
	});

	it("stops_at_the_limit_of_each_row_and_keeps_the_others_going", async () => {
		const round = logits(
			[
				[0, 1, 0],
				[0, 0, 1],
				[0, 1, 0],
			].map((row) => row),
		);
		const model = await open(writeModel(path.join(folder, "round.onnx"), bigrams(3), { table: round }));
		expect(await greedySearch(model.begin(), [3, 0, 5, 1], { start: 0, ends: new Set() })).toEqual([[1, 2, 1], [], [1, 2, 1, 2, 1], [1]]);
	});

	it("rows_that_ended_do_not_disturb_those_that_go_on", async () => {
		const model = await open(path.join(FIXTURES, "sotu-lm/model.onnx"));
		const options = { start: 5, ends: new Set<number>() };
		const [alone = []] = await greedySearch(model.begin(), [8], options);
		const together = await greedySearch(model.begin(), [2, 8, 5], options);
		expect(together).toEqual([alone.slice(0, 2), alone, alone.slice(0, 5)]);
	});

	it("never_produces_what_is_forbidden_and_begins_with_what_is_forced", async () => {
		const model = await open(writeModel(path.join(folder, "trap.onnx"), bigrams(4), { table: TRAP }));
		expect(await greedySearch(model.begin(), [5], { ...END, never: new Set([1]) })).toEqual([[2]]);
		expect(await greedySearch(model.begin(), [5], { ...END, first: 2 })).toEqual([[2]]);
		expect(await beamSearch(model.begin(), 5, { ...END, beam: 2, first: 1, never: new Set([2]) })).toEqual([1]);
	});
});

describe("past", () => {
	it("steps_of_a_language_model_give_the_logits_of_one_run", async () => {
		const model = await open(path.join(FIXTURES, "sotu-lm/model.onnx"));
		expect(model).toMatchObject({ kind: "causal", width: 6144, hasPast: true });
		expect(await stepwiseDifference(model, rows([5, 17, 900, 33, 4], [81, 2, 6000, 7, 12]), 2)).toBeLessThan(1e-3);
	});

	it("without_a_past_the_prefix_is_run_again", async () => {
		const model = await open(writeModel(path.join(folder, "sums.onnx"), sums(3), { table: [1, 0, 2, 0, 3, 1, 2, 2, 0] }));
		expect(model.hasPast).toBe(false);
		expect(await stepwiseDifference(model, rows([0, 1, 2, 1], [2, 2, 0, 0]), 2)).toBe(0);
	});

	it("a_graph_for_single_steps_goes_on_from_a_state_of_zeros", async () => {
		const table = [1, 0, 2, 0, 3, 1, 2, 2, 0];
		writeModel(path.join(folder, "split/decoder.onnx"), sums(3), { table });
		writeModel(path.join(folder, "split/decoder_with_past.onnx"), sumsByStep(3), { table });
		const model = await open(path.join(folder, "split"));
		expect(model).toMatchObject({ hasPast: true, files: ["decoder.onnx", "decoder_with_past.onnx"] });
		expect(await stepwiseDifference(model, rows([0, 1, 2, 1], [2, 2, 0, 0]), 2)).toBe(0);
	});

	it("picked_rows_take_their_past_with_them", async () => {
		const model = await open(path.join(FIXTURES, "sotu-lm/model.onnx"));
		const both = await model.begin().advance(rows([5, 17], [81, 900]));
		const { logits: swapped } = await both.next.pick([1, 0, 1]).advance(rows([4], [4], [4]));
		const { logits: straight } = await both.next.advance(rows([4], [4]));
		const distance = (a: number, b: number) =>
			Math.max(...(swapped[a] ?? []).map((value, index) => Math.abs(value - (straight[b]?.[index] ?? 0))));
		expect([distance(0, 1), distance(1, 0), distance(2, 1)].every((value) => value < 1e-3)).toBe(true);
		expect(distance(0, 0)).toBeGreaterThan(0.1);
	});
});

const ENCODER = `
model ir 8, opset ai.onnx 17
graph main(input_ids: int64[batch, source], attention_mask: int64[batch, source])
	table = float32[3, 3] {0, 5, 0, 0, 0, 5, 5, 0, 0}
	axis = int64[1] {2}
	rows = Gather(table, input_ids)
	shown = Cast<to=1>(attention_mask)
	wide = Unsqueeze(shown, axis)
	last_hidden_state = Mul(rows, wide)
	return last_hidden_state: float32[batch, source, 3]
`;

/** Logits: the sum of the source's states and of the rows of the tokens so far. Two branches: from the beginning, or from a past. */
const MERGED = `
model ir 8, opset ai.onnx 17
graph main(input_ids: int64[batch, sequence], encoder_hidden_states: float32[batch, source, 3], past_key_values.0.decoder.key: float32[batch, 1, past, 3], past_key_values.0.encoder.key: float32[batch, 1, source_past, 3], use_cache_branch: bool[1])
	table = float32[3, 3] {-1, 0, 0, 0, -6, 0, 0, 0, -6}
	heads = int64[1] {1}
	two = int64[] {2}
	axes = int64[1] {2}
	most = int64[1] {9223372036854775807}
	rows = Gather(table, input_ids)
	new = Unsqueeze(rows, heads)
	all, encoder = If(use_cache_branch)
		then_branch:
		graph past()
			all_past = Concat<axis=2>(past_key_values.0.decoder.key, new)
			none = int64[4] {0, 1, 1, 3}
			encoder_past = ConstantOfShape(none)
			return all_past, encoder_past
		else_branch:
		graph first()
			all_first = Identity(new)
			encoder_first = Unsqueeze(encoder_hidden_states, heads)
			return all_first, encoder_first
	kept = If(use_cache_branch)
		then_branch:
		graph past_kept()
			kept_past = Identity(past_key_values.0.encoder.key)
			return kept_past
		else_branch:
		graph first_kept()
			kept_first = Unsqueeze(encoder_hidden_states, heads)
			return kept_first
	summed = CumSum(all, two)
	source_sum = ReduceSum<keepdims=1>(kept, axes)
	scores = Add(summed, source_sum)
	flat = Squeeze(scores, heads)
	length = Shape<start=1, end=2>(input_ids)
	start = Neg(length)
	logits = Slice(flat, start, most, heads)
	present.0.decoder.key = Identity(all)
	present.0.encoder.key = Identity(encoder)
	return logits: float32[batch, sequence, 3], present.0.decoder.key: float32[batch, 1, total, 3], present.0.encoder.key: float32[?, 1, source, 3]
`;

describe("bundles", () => {
	writeModel(path.join(folder, "merged/encoder_model.onnx"), ENCODER);
	writeModel(path.join(folder, "merged/decoder_model_merged.onnx"), MERGED);

	it("a_merged_decoder_keeps_the_encoders_keys_of_its_first_step", async () => {
		const model = await open(path.join(folder, "merged"));
		expect(model).toMatchObject({ kind: "translator", width: 3, hasPast: true });
		expect(await stepwiseDifference(model, rows([0, 1, 2, 1], [2, 2, 0, 0]), 1, rows([1, 2], [0]))).toBe(0);
	});

	it("padding_of_the_source_changes_no_translation", async () => {
		const model = await open(path.join(folder, "merged"));
		const options = { start: 0, ends: new Set<number>() };
		const translate = async (...sources: number[][]) =>
			await greedySearch(
				model.begin(await model.encode(rows(...sources))),
				sources.map(() => 3),
				options,
			);
		const together = await translate([1, 2], [0], [2, 2, 2]);
		expect(together).toEqual([...(await translate([1, 2])), ...(await translate([0])), ...(await translate([2, 2, 2]))]);
		expect(new Set(together.map(String)).size).toBe(3);
	});

	it("refuses_a_decoder_without_its_encoder", async () => {
		const error = await open(path.join(folder, "merged/decoder_model_merged.onnx")).catch((cause: unknown) => cause);
		expect(error).toBeInstanceOf(DistembError);
		expect(error).toMatchObject({ code: "refused", message: "is a decoder without its encoder", hint: expect.stringMatching(/folder/) });
	});
});

/** A running sum by way of a recurrent layer: an RNN that adds (its activation is the identity), state [layers, batch, 3]. */
const recurrent = (ids: string, batchFirst: boolean) => `
model ir 8, opset ai.onnx 17
graph main(input_ids: int64[${ids}], h0: float32[1, 2, 3])
	table = float32[3, 3] {1, 0, 2, 0, 3, 1, 2, 2, 0}
	eye = float32[1, 3, 3] {1, 0, 0, 0, 1, 0, 0, 0, 1}
	axis = int64[1] {1}
	rows = Gather(table, input_ids)
	${batchFirst ? "by_time = Transpose<perm=[1, 0, 2]>(rows)" : "by_time = Identity(rows)"}
	all, hn = RNN<activations=["Affine"], activation_alpha=[1.0], activation_beta=[0.0], hidden_size=3>(by_time, eye, eye, _, _, h0)
	flat = Squeeze(all, axis)
	${batchFirst ? "logits = Transpose<perm=[1, 0, 2]>(flat)" : "logits = Identity(flat)"}
	return logits: float32[?, ?, 3], hn: float32[1, 2, 3]
`;

describe("recurrent models", () => {
	it.each([
		["batch_first", "batch, length", true],
		["time_first", "length, batch", false],
	])("ids_may_stand_%s", async (name, ids, batchFirst) => {
		const model = await open(
			writeModel(
				path.join(folder, `${name}.onnx`),
				recurrent(
					ids.replace(/\w+/g, (axis) => `ids_${axis}`),
					batchFirst,
				),
			),
		);
		expect(model).toMatchObject({ kind: "causal", hasPast: true, fixed: { batch: 2 } });
		const logits = await model.forward(rows([0, 1, 2], [2, 2, 0]));
		expect([...logits.at(2)]).toEqual([3, 5, 3]);
		expect([...logits.at(3)]).toEqual([2, 2, 0]);
		expect(await stepwiseDifference(model, rows([0, 1, 2, 1], [2, 2, 0, 0]), 2)).toBe(0);
	});
});

describe("kinds", () => {
	it("a_model_whose_later_tokens_change_earlier_predictions_is_masked", async () => {
		const both = sums(3).replace(
			"logits = CumSum(rows, one)",
			"axes = int64[1] {1}\n\t\tall = ReduceSum(rows, axes)\n\t\tlogits = Add(rows, all)",
		);
		const file = writeModel(path.join(folder, "both.onnx"), both, { table: [1, 0, 2, 0, 3, 1, 2, 2, 0] });
		expect((await open(file)).kind).toBe("masked");
	});

	it("refuses_one_row_of_scores_per_text", async () => {
		const pooled = sums(3)
			.replace("CumSum(rows, one)", "ReduceMean<axes=[1], keepdims=0>(rows)")
			.replace("[batch, sequence, 3]\n\t`", "[batch, 3]");
		const file = writeModel(
			path.join(folder, "pooled.onnx"),
			pooled.replace("logits: float32[batch, sequence, 3]", "logits: float32[batch, 3]"),
			{ table: [1, 0, 2, 0, 3, 1, 2, 2, 0] },
		);
		await expect(open(file)).rejects.toThrow(/gives float32\[1, 3\] for 2 tokens, not one row of scores per token/);
	});

	it("names_the_input_that_it_does_not_understand", async () => {
		const text = bigrams(3)
			.replace("sequence])", "sequence], lengths: int64[batch])")
			.replace("return", "used = Identity(lengths)\n\t\treturn");
		const file = writeModel(path.join(folder, "lengths.onnx"), text, { table: new Float32Array(9) });
		await expect(open(file)).rejects.toThrow(/input "lengths" is not understood/);
	});
});
