// Data of a run: three parts that share nothing, from files or from the original itself, the same for the same seed.
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import type { Data, Piece } from "../../src/data/data.js";
import { readUsage, type Usage } from "../../src/data/usage.js";
import { openTextModel, type TextModel } from "../../src/runtime/decode/model.js";
import { type CorpusOptions, openCorpus } from "../../src/training/open-corpus.js";
import { bigrams, logits, sums, writeModel } from "../support/bigrams.js";
import { temporaryFolder } from "../support/models.js";

const folder = temporaryFolder();
const inFolder = (name: string) => path.join(folder, name);

const models: TextModel[] = [];
afterAll(async () => {
	for (const model of models) await model.close();
});

async function opened(file: string, conventions?: object): Promise<readonly [TextModel, Usage]> {
	if (conventions !== undefined) writeFileSync(path.join(path.dirname(file), "config.json"), JSON.stringify(conventions));
	const model = await openTextModel(file, { threads: 1 });
	models.push(model);
	return [model, await readUsage(file, {})];
}

const quiet = { progress: () => undefined, log: () => undefined, warn: () => undefined };

function writing(seed: number, tokens: number, file: string): CorpusOptions {
	return {
		...quiet,
		generate: { seed, tokens, seconds: 100, files: [file], cache: inFolder(`cache-${path.basename(path.dirname(file))}`) },
	};
}

async function idsOf(data: Data<Piece>): Promise<number[]> {
	const ids: number[] = [];
	for await (const piece of data.read()) ids.push(...piece.ids);
	return ids;
}

// After 0, which begins a text, come 1 and 2 in turns; 3 ends it.
const TABLE = logits([
	[0, 0.5, 0.5, 0],
	[0, 0, 0.9, 0.1],
	[0, 0.9, 0, 0.1],
	[0.25, 0.25, 0.25, 0.25],
]);
mkdirSync(inFolder("causal"));
const CAUSAL = writeModel(inFolder("causal/model.onnx"), bigrams(4), { table: TABLE });
const causal = await opened(CAUSAL, { bos_token_id: 0, eos_token_id: 3, pad_token_id: 3, n_positions: 16 });

describe("files", () => {
	const numbers = Array.from({ length: 3000 }, (_, index) => index % 4);
	const file = inFolder("stream.jsonl");
	writeFileSync(file, Array.from({ length: 300 }, (_, line) => `${JSON.stringify(numbers.slice(10 * line, 10 * line + 10))}\n`).join(""));

	it("are_divided_into_three_parts_that_hold_everything_once", async () => {
		const found = await openCorpus(...causal, { ...quiet, data: [file] });
		const corpus = found?.corpus;
		if (corpus?.kind !== "tokens") throw new Error("tokens are due");
		const parts = [await idsOf(corpus.train), await idsOf(corpus.validation), await idsOf(corpus.test)];
		for (const part of parts) expect(part.length).toBeGreaterThan(200);
		expect(parts.flat().length).toBe(3000);
		expect(corpus).toMatchObject({ generated: false, from: file, special: { pad: 3, context: 16 } });
	});

	it("of_another_vocabulary_are_refused_before_any_work_wherever_the_wrong_id_stands", async () => {
		const wrong = inFolder("wrong.jsonl");
		writeFileSync(wrong, `${"[0, 1, 2]\n".repeat(5000)}[0, 4]\n`);
		await expect(openCorpus(...causal, { ...quiet, data: [wrong] })).rejects.toMatchObject({ code: "input", at: `${wrong}:5001` });
	});
});

describe("without files", () => {
	const texts = (name: string): number[][] =>
		readFileSync(inFolder(name), "utf8")
			.trim()
			.split("\n")
			.map((line) => JSON.parse(line) as number[]);

	it("a_language_model_writes_texts_by_its_own_probabilities", async () => {
		const found = await openCorpus(...causal, writing(1, 6000, CAUSAL));
		expect(found?.corpus).toMatchObject({ generated: true, from: "text sampled from the original itself (seed 1)" });
		const [name = ""] = readdirSync(inFolder("cache-causal"));
		const written = texts(`cache-causal/${name}`);
		expect(written.flat().length).toBeGreaterThanOrEqual(6000);
		for (const ids of written) {
			expect(ids[0]).toBe(0);
			expect(ids.length).toBeLessThanOrEqual(16);
			expect(ids.slice(1, -1)).not.toContain(3);
		}
		const afterOne = written.flatMap((ids) => ids.slice(1).filter((_, at) => ids[at] === 1));
		// 0.1 of about 2500: a deviation of 0.006.
		expect(afterOne.filter((id) => id === 3).length / afterOne.length).toBeCloseTo(0.1, 1);
		expect(Math.abs(afterOne.filter((id) => id === 3).length / afterOne.length - 0.1)).toBeLessThan(0.03);
	});

	it("the_same_seed_reads_what_was_written_and_another_writes_anew", async () => {
		const again = await openCorpus(...causal, writing(1, 6000, CAUSAL));
		expect(readdirSync(inFolder("cache-causal")).length).toBe(1);
		const other = await openCorpus(...causal, writing(2, 6000, CAUSAL));
		expect(readdirSync(inFolder("cache-causal")).length).toBe(2);
		const [one, two] = [again, other].map((found) => readFileSync(found?.files[0] ?? "", "utf8"));
		expect(one).not.toBe(two);
	});

	it("writing_again_gives_the_same_bytes", async () => {
		const elsewhere = { ...writing(1, 6000, CAUSAL).generate, cache: inFolder("cache-again") };
		const again = await openCorpus(...causal, { ...quiet, generate: elsewhere as NonNullable<CorpusOptions["generate"]> });
		const before = await openCorpus(...causal, writing(1, 6000, CAUSAL));
		expect(readFileSync(again?.files[0] ?? "")).toEqual(readFileSync(before?.files[0] ?? ""));
	});

	it("a_masked_model_reads_ids_by_zipfs_law_without_special_ones", async () => {
		mkdirSync(inFolder("masked"));
		const both = sums(60)
			.replace("logits = CumSum(rows, one)", "axes = int64[1] {1}\n\t\tlogits = Add(rows, all)")
			.replace("\n\t\tlogits", "\n\t\tall = ReduceSum(rows, axes)\n\t\tlogits");
		const table = Float32Array.from({ length: 3600 }, (_, index) => Math.sin(index));
		const file = writeModel(inFolder("masked/model.onnx"), both, { table });
		const lines: string[] = [];
		const masked = await opened(file, { pad_token_id: 0, eos_token_id: 1 });
		const found = await openCorpus(...masked, { ...writing(1, 4000, file), log: (line) => lines.push(line) });
		expect(lines.join()).toMatch(/no --data: ids sampled by their order: no text \(seed 1\); kept in/);
		const ids = texts(path.relative(folder, found?.files[0] ?? "")).flat();
		expect(ids).not.toContain(0);
		expect(ids).not.toContain(1);
		const count = (id: number) => ids.filter((other) => other === id).length;
		// Ranks 1 and 4 of Mandelbrot's law: 6.7 / 3.7.
		expect(count(2) / count(5)).toBeGreaterThan(1.3);
		expect(count(2) / count(5)).toBeLessThan(2.4);
	});

	it("nothing_is_written_where_nothing_needs_it", async () => {
		expect(await openCorpus(...causal, quiet)).toBeUndefined();
	});
});
