// Frequencies from the whole training part, put together with what a sample of it showed.
import { describe, expect, it } from "vitest";
import { countStreams, StreamCounts, type Tally } from "../../passes/calibrate/counts.js";
import type { Data } from "../../src/data/data.js";
import type { Corpus } from "../../src/training/corpus.js";

const ROWS = 6;

function listed<T>(items: readonly T[]): Data<T> {
	return {
		read: async function* () {
			yield* items;
		},
	};
}

const origin = { special: { pad: 0, start: 0, mask: 5, context: undefined }, generated: false, from: "a list" } as const;

function text(...runs: number[][]): Corpus {
	const data = listed(runs.map((ids) => ({ ids: Int32Array.from(ids), starts: true })));
	return { kind: "tokens", train: data, validation: listed([]), test: listed([]), ...origin };
}

function pairs(...rows: [number[], number[]][]): Corpus {
	const data = listed(rows.map(([source, target]) => ({ source: Int32Array.from(source), target: Int32Array.from(target) })));
	return { kind: "pairs", train: data, validation: listed([]), test: listed([]), ...origin };
}

const tally = (reads: number[], stream: Tally["stream"]): Tally => ({ reads: Float64Array.from(reads), stream });
const sumOf = (values: Float64Array) => values.reduce((sum, value) => sum + value, 0);

describe("frequencies", () => {
	it("take_their_number_from_the_sample_and_their_shape_from_the_training_part", async () => {
		const counts = await countStreams("causal", text([1, 1, 1, 2], [1, 3, 4, 4]), ROWS);
		const { frequency, counted } = counts.frequencyOf([tally([0, 4, 0, 0, 0, 0], "tokens")], ROWS, 2);
		expect([...(frequency ?? [])]).toEqual([0, 1, 0.25, 0.25, 0.5, 0]);
		expect(counted).toBe(8);
	});

	it("add_source_and_target_up_each_by_its_own_counts", async () => {
		const counts = await countStreams(
			"translator",
			pairs(
				[[1, 1], [2]],
				[
					[3, 1],
					[4, 4, 2],
				],
			),
			ROWS,
		);
		const { frequency, counted } = counts.frequencyOf([tally([0, 2, 0, 0, 0, 0], "source"), tally([0, 0, 4, 0, 0, 0], "tokens")], ROWS, 1);
		expect([...(frequency ?? [])]).toEqual([0, 1.5, 2, 0.5, 2, 0]);
		expect(counted).toBe(8);
	});

	it("are_the_sample's_where_a_lookup_reads_something_else_or_nothing_was_counted", async () => {
		const counts = await countStreams("causal", text([1, 2, 3]), ROWS);
		expect([...(counts.frequencyOf([tally([0, 0, 3, 0, 0, 1], undefined)], ROWS, 4).frequency ?? [])]).toEqual([0, 0, 0.75, 0, 0, 0.25]);
		expect(new StreamCounts().frequencyOf([tally([1, 0, 0, 0, 0, 1], "tokens")], ROWS, 1)).toEqual({
			frequency: Float64Array.from([1, 0, 0, 0, 0, 1]),
			counted: 2,
		});
	});

	it("leave_a_row_at_zero_that_the_model_ignores_though_the_text_is_full_of_it", async () => {
		const counts = await countStreams("causal", text(Array.from({ length: 100 }, (_, at) => (at % 2 === 0 ? 0 : 1))), ROWS);
		const { frequency } = counts.frequencyOf([tally([0, 100, 0, 0, 0, 0], "tokens")], ROWS, 100);
		expect(frequency?.[0]).toBe(0);
		expect(frequency?.[1]).toBeGreaterThan(0);
	});

	it("are_not_counted_for_masked_models_which_read_other_tokens_than_the_text_has", async () => {
		expect((await countStreams("masked", text([1, 2, 3]), ROWS)).known.size).toBe(0);
	});
});

describe("spread", () => {
	it("stays_what_the_sample_says_where_it_says_much_and_follows_the_frequency_where_it_says_nothing", async () => {
		const counts = await countStreams(
			"causal",
			text(
				Array.from({ length: 2000 }, (_, at) => [1, 1, 1, 2][at % 4] ?? 0),
				[3, 3, 4],
			),
			ROWS,
		);
		const sums = Float64Array.from([0, 750, 250, 0, 0, 0]);
		const spread = counts.spreadOf(sums, ROWS, 1000);
		expect(spread[1]).toBeCloseTo(0.75, 2);
		expect(spread[2]).toBeCloseTo(0.25, 2);
		expect(spread[3]).toBeGreaterThan(spread[4] ?? 0);
		expect(spread[4]).toBeGreaterThan(spread[5] ?? 0);
		expect(spread[5]).toBeGreaterThan(0);
		expect(sumOf(spread)).toBeCloseTo(1, 2);
	});

	it("is_the_sample's_mean_without_counts", () => {
		expect([...new StreamCounts().spreadOf(Float64Array.from([2, 0, 1, 0, 0, 0]), ROWS, 4)]).toEqual([0.5, 0, 0.25, 0, 0, 0]);
	});
});
