// The library calls: progress, interruption, the report object, and files that change.
import { appendFileSync, cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { compile, inspect } from "../src/index.js";

const FIXTURES = path.resolve(import.meta.dirname, "../fixtures");
const MODEL = path.join(FIXTURES, "patterns/p01-matmul-transposed-twin.onnx");

let work: string;
beforeEach(() => {
	work = mkdtempSync(path.join(tmpdir(), "distemb-compile-"));
});
afterEach(() => {
	rmSync(work, { recursive: true, force: true });
});

describe("compile", () => {
	it("reports_passes_in_order_with_progress", async () => {
		const seen: string[] = [];
		const report = await compile(MODEL, path.join(work, "out.onnx"), {
			rank: 4,
			distill: false,
			onProgress: ({ pass }) => seen.push(pass),
		});
		const order = ["locate", "data", "calibrate", "factorize", "reconstruct", "quantize", "write", "verify"];
		expect([...new Set(seen)]).toEqual(order);
		expect(report.passes.map(({ name }) => name)).toEqual(order);
	});

	it.each([
		["ir3-opset7-twin", "int8"],
		["p01-matmul-transposed-twin", "mixed"],
	])("takes_the_precision_that_the_operator_set_of_%s_allows", async (name, dtype) => {
		const input = path.join(FIXTURES, `patterns/${name}.onnx`);
		const report = await compile(input, path.join(work, "out.onnx"), { dtype: "auto", ratio: 1.1, allowLarger: true, method: "svd" });
		expect(report.factors.map((factor) => factor.dtype)).toEqual([dtype]);
	});

	it("gives_what_was_found_done_and_measured", async () => {
		const out = path.join(work, "out.onnx");
		const report = await compile(MODEL, out, { rank: 4, seed: 7, method: "svd" });
		expect(report).toMatchObject({
			version: 1,
			tool: { name: "onnx-distemb" },
			options: { rank: 4, seed: 7, method: "svd" },
			output: { path: out },
		});
		expect(report.output?.bytes).toBe(readFileSync(out).byteLength);
		expect(report.vocabularies).toMatchObject([
			{ tied: true, stored: "float32", copies: [{ orientation: "VxD" }, { orientation: "DxV" }] },
		]);
		expect(report.factors[0]?.relativeError).toBeCloseTo(report.factors[0]?.bestRelativeError ?? 0, 5);
		expect(report.factors[0]?.bins.reduce((sum, { rows }) => sum + rows, 0)).toBe(report.vocabularies[0]?.rows);
		expect(report.savedBytes).toBe(report.predictedSavedBytes);
	});

	it.each(["locate", "reconstruct", "write", "verify"])("stops_without_a_trace_when_aborted_during_%s", async (during) => {
		const abort = new AbortController();
		const running = compile(MODEL, path.join(work, "out.onnx"), {
			rank: 4,
			distill: false,
			signal: abort.signal,
			onProgress: ({ pass }) => pass === during && abort.abort(),
		});
		await expect(running).rejects.toMatchObject({ code: "interrupted" });
		expect(readdirSync(work)).toEqual([]);
	});

	it("stops_without_a_result_when_aborted_in_any_phase", async () => {
		const data = path.join(work, "ids.jsonl");
		const rows = Array.from({ length: 60 }, (_, row) =>
			JSON.stringify(Array.from({ length: 16 }, (_, index) => (row * 7 + index * 3) % 24)),
		);
		writeFileSync(data, `${rows.join("\n")}\n`);
		const options = { rank: 4, steps: 2, batch: 2, length: 8, threads: 1, data: [data], report: path.join(work, "report.html") };
		const order: string[] = [];
		await compile(MODEL, path.join(work, "whole.onnx"), { ...options, onProgress: ({ pass }) => order.push(pass) });
		const phases = [...new Set(order)];
		expect(phases).toEqual(expect.arrayContaining(["data", "calibrate", "distill", "quantize", "measure", "report"]));
		const before = readdirSync(work);
		for (const during of phases) {
			const abort = new AbortController();
			const reason = new Error(during);
			const running = compile(MODEL, path.join(work, "out.onnx"), {
				...options,
				report: path.join(work, "out.html"),
				signal: abort.signal,
				onProgress: ({ pass }) => pass === during && abort.abort(reason),
			});
			await expect(running).rejects.toMatchObject({ code: "interrupted" });
			// Calibrations are kept for the next run, and a training under way to go on with; nothing of the result.
			const kept = ["out.onnx.checkpoint", "out.onnx.distemb-cache"];
			expect(readdirSync(work).filter((name) => !before.includes(name) && !kept.includes(name))).toEqual([]);
		}
	}, 120_000);

	it("learns_words_of_the_text_and_states_too_where_a_translator_starts_far_from_the_original", async () => {
		const data = path.join(work, "pairs.tsv");
		const tens = { twenty: "vinte", thirty: "trinta", forty: "quarenta", fifty: "cinquenta", sixty: "sessenta", seventy: "setenta" };
		const units = { "": "", " one": " e um", " two": " e dois", " three": " e três", " four": " e quatro", " five": " e cinco" };
		// Backwards: what the original is sure of, no change of its table is predicted to harm.
		const backwards = (words: string) => words.split(" ").reverse().join(" ");
		const pairs = Object.entries(tens).flatMap(([ten, dez]) =>
			Object.entries(units).map(([one, um]) => `${ten}${one}\t${backwards(`${dez}${um}`)}\n`),
		);
		writeFileSync(data, pairs.join(""));
		const options = { data: [data], steps: 1, batch: 2, length: 8, dtype: "float32" } as const;
		const labels = async (rank: number) => {
			const report = await compile(path.join(FIXTURES, "numbers-translator"), path.join(work, `rank-${rank}`), { ...options, rank });
			return report.passes
				.find(({ name }) => name === "distill")
				?.log.some((line) => /factors learn at up to 0.002.*the text's own words count by 0.5.*states at the head count by 1/.test(line));
		};
		expect([await labels(2), await labels(24)]).toEqual([true, false]);
	}, 60_000);

	it("does_nothing_when_aborted_before_it_begins", async () => {
		const seen: string[] = [];
		const running = compile(MODEL, path.join(work, "out.onnx"), {
			rank: 4,
			signal: AbortSignal.abort("no longer wanted"),
			onProgress: ({ pass }) => seen.push(pass),
		});
		await expect(running).rejects.toMatchObject({ code: "interrupted", cause: "no longer wanted" });
		expect([seen, readdirSync(work)]).toEqual([[], []]);
	});

	it("notices_an_input_that_changes_while_it_is_read", async () => {
		const input = path.join(work, "in.onnx");
		cpSync(MODEL, input);
		const running = compile(input, path.join(work, "out.onnx"), {
			rank: 4,
			distill: false,
			onProgress: ({ pass, fraction }) => pass === "quantize" && fraction === 0 && appendFileSync(input, "x"),
		});
		await expect(running).rejects.toMatchObject({ code: "input", message: expect.stringMatching("changed") });
		expect(existsSync(path.join(work, "out.onnx"))).toBe(false);
	});

	it("leaves_the_input_as_it_was", async () => {
		const before = readFileSync(MODEL);
		await compile(MODEL, path.join(work, "out.onnx"), { rank: 4, distill: false });
		expect(readFileSync(MODEL).equals(before)).toBe(true);
	});

	it("keeps_the_paper_between_the_best_of_its_rank_and_of_one_less", async () => {
		const error = async (method: "svd" | "paper", rank: number) => {
			const report = await compile(MODEL, path.join(work, `${method}-${rank}.onnx`), {
				method,
				rank,
				...(method === "paper" ? { distill: false } : {}),
			});
			return report.factors[0]?.relativeError ?? Number.NaN;
		};
		const paper = await error("paper", 4);
		expect(paper).toBeGreaterThanOrEqual((await error("svd", 4)) - 1e-6);
		expect(paper).toBeLessThanOrEqual((await error("svd", 3)) + 1e-6);
	});
});

describe("inspect", () => {
	it("counts_the_bytes_of_the_vocabulary_and_of_everything_else", async () => {
		const report = await inspect(path.join(FIXTURES, "patterns/external-shared"));
		const { copies, rows, cols } = report.vocabularies[0] ?? { copies: [], rows: 0, cols: 0 };
		// Two files read one table from one data file: it is stored once.
		expect(copies.length).toBe(2);
		expect(report.bytes.vocabulary).toBe(rows * cols * 4);
		expect(report.bytes.other).toBeGreaterThan(0);
	});
});
