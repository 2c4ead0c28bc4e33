// What inputs are taken for, and the numbers they get.
import { describe, expect, it } from "vitest";
import { DistembError } from "../../src/errors.js";
import { parseModel } from "../../src/ir/parse.js";
import { FEED_DEFAULTS, type FeedPlan, feedsFor, feedVariants } from "../../src/runtime/feeds.js";
import { readSignature } from "../../src/runtime/signature.js";

/** Signature of a graph with these inputs that reads `input_ids` (and `types`) from tables of 50 (and 2) rows. */
function signatureOf(inputs: string, tokens: Record<string, number> = {}) {
	const lookups = ["input_ids", "ids", "types"].filter((name) => new RegExp(`\\b${name}:`).test(inputs));
	const rows = (name: string) => (name === "types" ? 2 : 50);
	const lines = lookups.flatMap((name) => [`\ttable_${name} = float32[${rows(name)}, 2]`]);
	const nodes = lookups.map((name) => `\trows_${name} = Gather(table_${name}, ${name})`);
	const model = parseModel(["model ir 8, opset ai.onnx 17", `graph main(${inputs})`, ...lines, ...nodes, "\treturn"].join("\n"), {
		seed: 1,
	});
	return readSignature(model, new Map(Object.entries(tokens)));
}

/** Each input as `name: kind[axes]`. */
function described(inputs: string, tokens?: Record<string, number>): string[] {
	return signatureOf(inputs, tokens).map(({ name, kind, axes }) => {
		const sizes = axes.map((size) => (typeof size === "object" ? size.join("+") : size));
		return `${name}: ${kind}[${sizes.join(", ")}]`;
	});
}

function numbersOf(inputs: string, name: string, plan: Partial<FeedPlan> = {}): { dims: readonly number[]; data: unknown[] } {
	const tensor = feedsFor(signatureOf(inputs), { ...FEED_DEFAULTS, ...plan }, 1)[name];
	return {
		dims: tensor?.dims ?? [],
		data: Array.from(tensor?.data ?? [], (element: unknown) => (typeof element === "bigint" ? Number(element) : element)),
	};
}

const DECODER =
	'input_ids: int64[batch_size, sequence_length], attention_mask: int64[batch_size, "past_sequence_length + sequence_length"], position_ids: int64[batch_size, sequence_length], past_key_values.0.key: float32[batch_size, 2, past_sequence_length, 8]';

describe("readSignature", () => {
	it("reads_sums_of_symbols", () => {
		expect(described(DECODER)).toEqual([
			"input_ids: ids[batch, sequence]",
			"attention_mask: mask[batch, past+sequence]",
			"position_ids: positions[batch, sequence]",
			"past_key_values.0.key: past[batch, 2, past, 8]",
		]);
	});

	it("gives_symbols_without_meaning_the_role_of_their_place", () => {
		expect(
			described("attention_mask: int64[s43, s53], input_ids: int64[s43, s70], past_key_values.0.key: float32[s43, 2, s20, 8]"),
		).toEqual(["attention_mask: mask[batch, total]", "input_ids: ids[batch, sequence]", "past_key_values.0.key: past[batch, 2, past, 8]"]);
	});

	it("gives_sizes_without_symbols_the_role_of_their_place", () => {
		expect(described("attention_mask: int64[?, ?], input_ids: int64[?, ?], types: int64[?, ?]")).toEqual([
			"attention_mask: mask[batch, sequence]",
			"input_ids: ids[batch, sequence]",
			"types: ids[batch, sequence]",
		]);
	});

	it("keeps_the_encoder_s_length_apart", () => {
		expect(
			described(
				"encoder_attention_mask: int64[batch_size, encoder_sequence_length], ids: int64[batch_size, decoder_sequence_length], encoder_hidden_states: float32[batch_size, encoder_sequence_length, 32], past_key_values.0.encoder.key: float32[batch_size, 4, encoder_sequence_length_out, 8]",
			),
		).toEqual([
			"encoder_attention_mask: mask[batch, encoder]",
			"ids: ids[batch, sequence]",
			"encoder_hidden_states: noise[batch, encoder, 32]",
			"past_key_values.0.encoder.key: past[batch, 4, encoder, 8]",
		]);
	});

	it("ignores_symbols_that_only_repeat_the_input_s_name", () => {
		expect(described("input_ids: int64[input_ids_d0, input_ids_d1]")).toEqual(["input_ids: ids[batch, sequence]"]);
	});

	it("tells_settings_flags_lengths_and_recurrent_states_apart", () => {
		expect(
			described(
				"ids: int64[n], use_cache: bool[1], keep: int64[], source_lengths: int64[batch], offsets: int64[2], hidden: float32[1, batch, 4]",
			),
		).toEqual([
			"ids: ids[sequence]",
			"use_cache: flag[1]",
			"keep: setting[]",
			"source_lengths: lengths[batch]",
			"offsets: offsets[2]",
			"hidden: noise[1, batch, 4]",
		]);
	});

	it("takes_floats_for_ids_when_told_so", () => {
		expect(described("data: float32[batch, seq]", { data: 9 })).toEqual(["data: ids[batch, sequence]"]);
		expect(described("data: float32[batch, seq]")).toEqual(["data: noise[batch, sequence]"]);
	});

	it.each([
		["a type that the engine does not take", "x: bfloat16[2]", /bfloat16/],
		["an unknown rank", "x: float32[…]", /declares no shape/],
		["no tensor", "x", /no tensor/],
	])("refuses_%s", (_, inputs, message) => {
		expect(() => signatureOf(inputs)).toThrow(message);
		expect(() => signatureOf(inputs)).toThrow(DistembError);
	});
});

describe("feedsFor", () => {
	it("draws_ids_below_the_smallest_table", () => {
		const ids = numbersOf("input_ids: int64[batch, seq]", "input_ids", { batch: 20, sequence: 50 }).data as number[];
		expect(Math.max(...ids)).toBe(49);
		expect(Math.min(...ids)).toBe(0);
		expect(new Set(numbersOf("types: int64[batch, seq]", "types", { batch: 8 }).data)).toEqual(new Set([0, 1]));
	});

	it("counts_positions_from_the_past_and_masks_past_and_sequence", () => {
		const plan = { batch: 1, sequence: 3, past: 2 };
		expect(numbersOf(DECODER, "position_ids", plan).data).toEqual([2, 3, 4]);
		expect(numbersOf(DECODER, "attention_mask", plan)).toEqual({ dims: [1, 5], data: [1, 1, 1, 1, 1] });
		expect(numbersOf(DECODER, "past_key_values.0.key", { ...plan, past: 0 })).toEqual({ dims: [1, 2, 0, 8], data: [] });
	});

	it("hides_the_last_place_of_the_last_row_when_padded", () => {
		const mask = numbersOf("input_ids: int64[b, s], attention_mask: int64[b, s]", "attention_mask", { sequence: 3, padded: true });
		expect(mask).toEqual({ dims: [2, 3], data: [1, 1, 1, 1, 1, 0] });
	});

	it("gives_an_input_the_same_numbers_whatever_else_there_is", () => {
		expect(numbersOf("input_ids: int64[b, s]", "input_ids")).toEqual(numbersOf(DECODER, "input_ids"));
	});

	it("depends_on_the_seed", () => {
		const inputs = signatureOf("input_ids: int64[b, s]");
		const drawn = (seed: number) => feedsFor(inputs, FEED_DEFAULTS, seed).input_ids;
		expect(drawn(1)).toEqual(drawn(1));
		expect(drawn(1)).not.toEqual(drawn(2));
	});
});

describe("feedVariants", () => {
	const labels = (inputs: string) => feedVariants(signatureOf(inputs)).map(({ label }) => label);

	it("has_empty_and_filled_pasts_and_a_padded_mask", () => {
		expect(labels(DECODER)).toEqual(["empty past", "filled past", "filled past, padded mask"]);
	});

	it("switches_flags_both_ways", () => {
		expect(labels("ids: int64[b, s], flag: bool[]")).toEqual(["flag off", "flag on"]);
		const merged = feedVariants(signatureOf(`${DECODER}, use_cache_branch: bool[1]`));
		expect(merged.slice(0, 2).map(({ label, plan }) => [label, plan.past, plan.flag])).toEqual([
			["empty past, use_cache_branch off", 0, false],
			["filled past, use_cache_branch on", 3, true],
		]);
	});

	it("takes_over_sizes_that_an_input_fixes", () => {
		expect(feedVariants(signatureOf("ids: int64[1, 7]"))[0]?.plan).toMatchObject({ batch: 1, sequence: 7 });
	});
});
