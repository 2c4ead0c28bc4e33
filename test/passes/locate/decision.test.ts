// Which table is the vocabulary: by structure and size, never by name.
import { describe, expect, it } from "vitest";
import { located, refusal, summary } from "./support.js";

const graph = (inputs: string, lines: string, output: string) => `
model ir 8, opset ai.onnx 17
graph main(${inputs})
${lines.trim().replaceAll(/^[ \t]*/gm, "\t")}
	return ${output}
`;

const IDS = "ids: int64[batch, length]";
const HIDDEN = "h: float32[batch, length, 4]";
const LOGITS = "logits: float32[batch, length, 24]";

describe("the decision", () => {
	it("prefers_the_table_of_the_head's_width_to_a_larger_one", async () => {
		const text = graph(
			`${IDS}, places: int64[batch, length]`,
			`
			embed.weight = float32[200, 4]
			position = float32[24, 4]
			one = Gather(embed.weight, places)
			two = Gather(position, ids)
			h = Add(one, two)
			turned = Transpose(position)
			logits = MatMul(h, turned)
		`,
			LOGITS,
		);
		const state = await located(text);
		expect(summary(state)).toEqual(["24x4: position VxD: E1 Gather, P2 MatMul"]);
		expect(state.rejected).toMatchObject([{ tensor: "embed.weight", dims: [200, 4], bytes: 3200, node: 'Gather → "one"' }]);
		expect(state.rejected[0]?.reason).toBe(
			'its ids come from input "places", but its 200 rows match no projection and the vocabulary has 24',
		);
	});

	it("takes_the_largest_table_of_a_layer_only_if_it_has_four_times_the_rows_of_the_next", async () => {
		const text = (rows: number) =>
			graph(
				`${IDS}, places: int64[batch, length]`,
				`
				words = float32[${rows}, 4]
				position = float32[10, 4]
				one = Gather(words, ids)
				two = Gather(position, places)
				h = Add(one, two)
			`,
				HIDDEN,
			);
		expect(summary(await located(text(40)))).toEqual(["40x4: words VxD: E1 Gather"]);
		const error = await refusal(text(39));
		expect(error.code).toBe("nothing-to-do");
		expect(error.toLine()).toContain('"words" [39, 4]');
	});

	it("finds_the_vocabularies_of_both_languages", async () => {
		const text = graph(
			"source: int64[batch, length], target: int64[batch, length]",
			`
			from = float32[30, 4]
			to = float32[24, 4]
			w = float32[4, 4]
			a = Gather(from, source)
			memory = MatMul(a, w)
			b = Gather(to, target)
			query = MatMul(b, memory)
			h = Add(query, b)
			turned = Transpose(to)
			logits = MatMul(h, turned)
		`,
			LOGITS,
		);
		expect(summary(await located(text))).toEqual(["30x4: from VxD: E1 Gather", "24x4: to VxD: E1 Gather, P2 MatMul"]);
	});

	it("leaves_rotary_caches_alone", async () => {
		const text = graph(
			`${IDS}, places: int64[batch, length]`,
			`
			words = float32[24, 4]
			cache = float32[20, 4]
			w = float32[4, 4]
			rows = Gather(words, ids)
			query = MatMul(rows, w)
			angle = Gather(cache, places)
			h = Mul(query, angle)
			turned = Transpose(words)
			logits = MatMul(h, turned)
		`,
			LOGITS,
		);
		const state = await located(text);
		expect(summary(state)).toEqual(["24x4: words VxD: E1 Gather, P2 MatMul"]);
		expect(state.rejected[0]?.reason).toContain("combines its rows with values from elsewhere");
	});

	it("leaves_positions_alone_that_are_added_to_given_embeddings", async () => {
		const text = graph(
			"embeds: float32[batch, length, 4], places: int64[batch, length]",
			`
			position = float32[40, 4]
			free = float32[4, 24]
			shift = Gather(position, places)
			h = Add(embeds, shift)
			logits = MatMul(h, free)
		`,
			LOGITS,
		);
		expect(summary(await located(text))).toEqual(["24x4: free DxV: P1 MatMul"]);
	});

	it("leaves_tables_alone_whose_rows_are_selected_by_calculated_places", async () => {
		const text = graph(
			IDS,
			`
			words = float32[24, 4]
			position = float32[200, 4]
			zero = int64[] {0}
			one = int64[] {1}
			shape = Shape(ids)
			length = Gather(shape, one)
			places = Range(zero, length, one)
			rows = Gather(words, ids)
			shift = Gather(position, places)
			h = Add(rows, shift)
		`,
			HIDDEN,
		);
		const state = await located(text);
		expect(summary(state)).toEqual(["24x4: words VxD: E1 Gather"]);
		expect(state.rejected.map(({ tensor, reason }) => `${tensor}: ${reason}`)).toEqual([
			'position: its rows are selected by Range → "places", not by token ids: a table of positions, distances or classes',
		]);
	});

	it("takes_clipped_ids_only_where_a_head_confirms_them", async () => {
		const lines = `
			words = float32[24, 4]
			low = int64[] {0}
			high = int64[] {23}
			safe = Clip(ids, low, high)
			h = Gather(words, safe)
		`;
		const error = await refusal(graph(IDS, lines, HIDDEN));
		expect(error.code).toBe("nothing-to-do");
		const tied = graph(IDS, `${lines}\nturned = Transpose(words)\nlogits = MatMul(h, turned)`, LOGITS);
		expect(summary(await located(tied))).toEqual(["24x4: words VxD: E1 Gather, P2 MatMul"]);
	});

	it("does_not_take_a_classifier_for_a_head", async () => {
		const text = graph(
			IDS,
			`
			words = float32[24, 4]
			classes = float32[80, 4]
			first = int64[] {0}
			rows = Gather(words, ids)
			one = Gather<axis=1>(rows, first)
			logits = Gemm<transB=1>(one, classes)
		`,
			"logits: float32[batch, 80]",
		);
		const state = await located(text);
		expect(summary(state)).toEqual(["24x4: words VxD: E1 Gather"]);
		expect(state.rejected[0]?.reason).toBe('it gives 80 scores in output "logits" where the vocabulary has 24 words: a classifier');
	});

	it("does_not_take_fused_keys_and_values_for_a_head", async () => {
		const text = graph(
			"embeds: float32[batch, length, 4]",
			`
			fused = float32[4, 12]
			free = float32[4, 24]
			split = int64[4] {0, 0, 3, 4}
			all = MatMul(embeds, fused)
			present = Reshape(all, split)
			logits = MatMul(embeds, free)
		`,
			`present: float32[batch, length, 3, 4], ${LOGITS}`,
		);
		expect(summary(await located(text))).toEqual(["24x4: free DxV: P1 MatMul"]);
	});

	it("does_not_take_fused_keys_and_values_of_undeclared_size_for_a_head", async () => {
		const text = graph(
			"embeds: float32[batch, length, 4]",
			"fused = float32[4, 12]\nsplit = int64[4] {0, 0, 3, 4}\nall = MatMul(embeds, fused)\npresent = Reshape(all, split)",
			"present: float32[batch, length, heads, size]",
		);
		expect((await refusal(text)).code).toBe("nothing-to-do");
	});

	it("does_not_choose_between_equal_tables_of_one_input", async () => {
		const text = graph(
			"places: int64[batch, length]",
			"cosines = float32[40, 4]\nsines = float32[40, 4]\none = Gather(cosines, places)\ntwo = Gather(sines, places)",
			"one: float32[batch, length, 4], two: float32[batch, length, 4]",
		);
		const error = await refusal(text);
		expect(error.message).toContain("neither a projection nor its size shows that it is the vocabulary");
	});

	it.each([
		["Identity(place)", 1],
		["Add(place, one)", 0],
	])("takes_what_a_loop_carries_for_ids_unless_it_counts: %s", async (next, count) => {
		const text = `
			model ir 8, opset ai.onnx 17
			graph main(steps: int64[], go: bool[], first: int64[1], start: float32[1, 4])
				table = float32[24, 4]
				one = int64[] {1}
				last, sum = Loop(steps, go, first, start)
					body:
					graph body(step: int64[], on: bool[], place: int64[1], before: float32[1, 4])
						row = Gather(table, place)
						after = Add(before, row)
						still = Identity(on)
						then = ${next}
						return still, then, after
				return sum: float32[1, 4]
		`;
		const found = await located(text).then(
			({ vocabularies }) => vocabularies.length,
			(error: Error) => error.message,
		);
		expect(found).toEqual(count === 1 ? 1 : expect.stringContaining('selected by Add → "then"'));
	});

	it("names_the_best_candidate_where_there_is_no_vocabulary", async () => {
		const text = graph(
			"x: float32[batch, 4]",
			"w1 = float32[4, 4]\nw2 = float32[4, 64]\na = MatMul(x, w1)\ny = MatMul(a, w2)",
			"y: float32[batch, 64]",
		);
		const error = await refusal(text);
		expect(error.code).toBe("nothing-to-do");
		expect(error.toLine()).toContain('the best candidate is "w2" [4, 64], read by MatMul → "y"');
		expect(error.hint).toContain("--head");
		expect(summary(await located(text, { head: "w2" }))).toEqual(["64x4: w2 DxV: P1 MatMul"]);
	});

	it("obeys_names_given_by_the_user", async () => {
		const text = graph(
			`${IDS}, places: int64[batch, length]`,
			`
			words = float32[20, 4]
			position = float32[10, 4]
			one = Gather(words, ids) "embed_words"
			two = Gather(position, places)
			h = Add(one, two)
		`,
			HIDDEN,
		);
		expect((await refusal(text)).code).toBe("nothing-to-do");
		for (const embedding of ["words", "embed_words", "one"]) {
			expect(summary(await located(text, { embedding }))).toEqual(["20x4: words VxD: E1 embed_words"]);
		}
		const error = await refusal(text, { embedding: "word" });
		expect(error.code).toBe("usage");
		expect(error.toLine()).toBe('--embedding "word" names no lookup in a constant matrix; there are: words, position');
	});
});
