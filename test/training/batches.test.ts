// What batches hold for each kind of model: ids, labels, and which positions count.
import { describe, expect, it } from "vitest";
import { NO_LABEL } from "../../src/data/batches.js";
import type { Data, Pair } from "../../src/data/data.js";
import { type TrainingBatch, type TrainingBatchOptions, trainingBatches } from "../../src/training/batches.js";
import type { Corpus, SpecialTokens } from "../../src/training/corpus.js";

const special = { pad: 9, start: 8, mask: 7, context: undefined };

function repeated<T>(...items: readonly T[]): Data<T> {
	return {
		async *read() {
			yield* items;
		},
	};
}

function tokens(ids: readonly number[], own: SpecialTokens = special): Corpus {
	const data = repeated({ ids: Int32Array.from(ids), starts: true });
	return { kind: "tokens", special: own, generated: false, from: "a test", train: data, validation: data, test: data };
}

function pairs(...items: readonly (readonly [readonly number[], readonly number[]])[]): Corpus {
	const data = repeated<Pair>(...items.map(([source, target]) => ({ source: Int32Array.from(source), target: Int32Array.from(target) })));
	return { kind: "pairs", special, generated: false, from: "a test", train: data, validation: data, test: data };
}

async function all(kind: Parameters<typeof trainingBatches>[0], corpus: Corpus, options: Partial<TrainingBatchOptions> = {}) {
	const found: TrainingBatch[] = [];
	const given = { part: "train", shapes: [{ batch: 2, length: 3 }], seed: 1, shuffle: false, ...options } as const;
	for await (const batch of trainingBatches(kind, corpus, given)) found.push(batch);
	return found;
}

const only = async (...given: Parameters<typeof all>): Promise<TrainingBatch> => {
	const [batch, ...others] = await all(...given);
	if (batch === undefined || others.length > 0) throw new Error("not one batch");
	return batch;
};

describe("batches of texts", () => {
	it("a_causal_model_predicts_after_every_token_and_learns_the_next_one_within_its_window", async () => {
		const batch = await only("causal", tokens([1, 2, 3, 4]));
		expect([...batch.tokens.ids]).toEqual([1, 2, 3, 4, 9, 9]);
		expect([...batch.labels]).toEqual([2, 3, NO_LABEL, NO_LABEL, NO_LABEL, NO_LABEL]);
		expect([...batch.weights]).toEqual([1, 1, 1, 1, 0, 0]);
		expect(batch.count).toBe(4);
	});

	it("a_row_without_data_counts_nowhere_though_its_mask_shows_a_token", async () => {
		const batch = await only("causal", tokens([1, 2]));
		expect([...(batch.tokens.mask ?? [])]).toEqual([1, 1, 0, 1, 0, 0]);
		expect([...batch.weights]).toEqual([1, 1, 0, 0, 0, 0]);
	});

	it("an_encoder_has_no_labels_and_every_state_counts", async () => {
		const batch = await only("encoder", tokens([1, 2, 3, 4]));
		expect([...batch.labels].every((label) => label === NO_LABEL)).toBe(true);
		expect([...batch.weights]).toEqual([1, 1, 1, 1, 0, 0]);
	});

	it("a_masked_model_predicts_what_is_hidden_about_15_percent_the_same_for_the_same_seed", async () => {
		const text = Array.from({ length: 6000 }, (_, index) => index % 6);
		const shapes = [{ batch: 20, length: 100 }];
		const batches = await all("masked", tokens(text), { shapes });
		let hidden = 0;
		for (const { tokens: rows, labels, weights } of batches) {
			for (const [at, id] of rows.ids.entries()) {
				expect(weights[at]).toBe(Number(id === special.mask));
				expect(labels[at] === NO_LABEL).toBe(id !== special.mask);
				hidden += weights[at] ?? 0;
			}
		}
		const restored = batches.flatMap(({ tokens: rows, labels }) => [...rows.ids].map((id, at) => (id === special.mask ? labels[at] : id)));
		expect(restored).toEqual(text);
		expect(hidden / text.length).toBeGreaterThan(0.13);
		expect(hidden / text.length).toBeLessThan(0.17);
		expect(await all("masked", tokens(text), { shapes })).toEqual(batches);
		expect(await all("masked", tokens(text), { shapes, seed: 2 })).not.toEqual(batches);
	});

	it("a_masked_model_hides_one_token_of_a_short_text", async () => {
		for (let seed = 0; seed < 20; seed++) expect((await only("masked", tokens([1]), { seed })).count).toBe(1);
	});

	it("a_masked_model_without_a_mask_token_sees_everything", async () => {
		const batch = await only("masked", tokens([1, 2, 3, 4], { ...special, mask: undefined }));
		expect([...batch.tokens.ids]).toEqual([1, 2, 3, 4, 9, 9]);
	});
});

describe("batches of pairs", () => {
	const corpus = pairs(
		[
			[1, 2],
			[3, 4, 5],
		],
		[[1], [6]],
	);

	it("the_decoder_reads_its_start_then_what_it_should_predict", async () => {
		const batch = await only("translator", corpus, { shapes: [{ batch: 2, length: 3, sourceLength: 2 }] });
		expect([...(batch.source?.ids ?? [])]).toEqual([1, 2, 1, 9]);
		expect([...batch.tokens.ids]).toEqual([8, 3, 4, 8, 9, 9]);
		expect([...batch.labels]).toEqual([3, 4, 5, 6, NO_LABEL, NO_LABEL]);
		expect([...batch.weights]).toEqual([1, 1, 1, 1, 0, 0]);
		expect(batch.count).toBe(4);
	});

	it("pairs_go_to_the_first_shape_that_fits", async () => {
		const shapes = [
			{ batch: 1, length: 1, sourceLength: 1 },
			{ batch: 1, length: 3, sourceLength: 2 },
		];
		const batches = await all("translator", corpus, { shapes });
		expect(batches.map(({ tokens: { length } }) => length)).toEqual([3, 1]);
	});

	it("are_for_translators_only_and_translators_take_nothing_else", async () => {
		await expect(all("causal", corpus)).rejects.toThrow("only translators");
		await expect(all("translator", tokens([1, 2]))).rejects.toThrow("trained on pairs");
	});
});
