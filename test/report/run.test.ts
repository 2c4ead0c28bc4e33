// A whole run with a report: the page holds what the run found, and nothing of it changes the result.
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { parseHTML } from "linkedom";
import { beforeAll, describe, expect, it } from "vitest";
import { type CompileReport, compile } from "../../src/index.js";
import { FIXTURES, temporaryFolder } from "../support/models.js";

const MODEL = path.join(FIXTURES, "sotu-lm/model.onnx");
const work = temporaryFolder();
const page = path.join(work, "report.html");
const data = path.join(work, "little.jsonl");
const SETTINGS = { rank: 64, steps: 2, batch: 2, length: 16, train: "factors", threads: 1 } as const;

let report: CompileReport;
let document: ReturnType<typeof parseHTML>["document"];
beforeAll(async () => {
	const sentences = readFileSync(path.join(FIXTURES, "sotu-lm/test.txt"), "utf8").split(". ").slice(0, 150);
	writeFileSync(data, sentences.map((text) => `${JSON.stringify(text)}\n`).join(""));
	const given = { ...SETTINGS, data: [data], tokenizer: path.join(FIXTURES, "sotu-lm/tokenizer.json") };
	report = await compile(MODEL, path.join(work, "small.onnx"), { ...given, report: page });
	document = parseHTML(readFileSync(page, "utf8")).document;
}, 300_000);

const textOf = (title: string): string => {
	const sections = Array.from(document.querySelectorAll("section"));
	return sections.find((section) => section.querySelector("h2")?.textContent === title)?.textContent ?? "";
};

describe("a run with --report", () => {
	it("finds_bytes_that_add_up_to_the_files", () => {
		const sum = (side: "before" | "after") => report.details?.parts.reduce((total, part) => total + part[side], 0);
		expect(sum("before")).toBe(report.input.bytes);
		expect(sum("after")).toBe(report.output?.bytes);
		expect(report.details?.parts[0]).toMatchObject({ name: "vocabulary", before: report.bytes.vocabulary });
		expect(report.details?.parts.every(({ before, after }) => before >= 0 && after >= 0)).toBe(true);
		const [factors] = report.factors;
		expect(report.details?.parts[0]?.after).toBeGreaterThanOrEqual(factors?.bytes ?? Number.POSITIVE_INFINITY);
	});

	it("finds_the_whole_spectrum_of_which_the_rank_keeps_what_the_best_error_leaves", () => {
		const values = report.details?.tables[0]?.singularValues ?? [];
		expect(values).toHaveLength(160);
		const squares = (part: readonly number[]) => part.reduce((sum, value) => sum + value * value, 0);
		expect(Math.sqrt(squares(values.slice(64)) / squares(values))).toBeCloseTo(report.factors[0]?.bestRelativeError ?? 0, 3);
	});

	it("names_worst_tokens_and_neighbours_by_their_text", () => {
		const [table] = report.details?.tables ?? [];
		if (table === undefined || !("known" in table.damage) || !("known" in table.neighbours)) throw new Error("a part is missing");
		const { worst, total } = table.damage.known;
		expect(worst.map(({ loss }) => loss)).toEqual(worst.map(({ loss }) => loss).toSorted((a, b) => b - a));
		expect(worst.reduce((sum, { loss }) => sum + loss, 0)).toBeLessThanOrEqual(total);
		expect(worst.every(({ text }) => text !== undefined && text !== "")).toBe(true);
		expect(table.neighbours.known.tokens).toHaveLength(8);
		for (const { text, before, after } of table.neighbours.known.tokens) {
			expect(text).toMatch(/\p{L}{3}/u);
			expect([before.length, after.length]).toEqual([6, 6]);
		}
	});

	it("has_both_models_go_on_with_texts_of_the_test_part", () => {
		const samples = report.details?.samples;
		if (samples === undefined || !("known" in samples)) throw new Error("no samples");
		const text = readFileSync(data, "utf8");
		for (const sample of samples.known.samples) {
			expect(text).toContain(sample.input.slice(0, 20).trim());
			expect(sample.original.length).toBeGreaterThan(10);
			expect(sample.result.length).toBeGreaterThan(10);
		}
	});

	it("shows_it_all", () => {
		expect(textOf("Quality")).toContain(report.quality?.data.measured);
		expect(textOf("Training")).toContain("2 steps");
		expect(textOf("The graph around the table")).toContain("transformer.wte.weight.left");
		expect(textOf("What was done")).toContain("distill");
		expect(textOf("Once more")).toContain("--steps 2");
		expect(document.body.textContent).not.toMatch(/NaN|undefined|\[object/);
	});

	it("computes_nothing_of_it_without_a_report", async () => {
		const small = path.join(FIXTURES, "patterns/p02-transpose.onnx");
		const bare = await compile(small, path.join(work, "bare.onnx"), { rank: 4, distill: false });
		expect(bare.details).toBeUndefined();
		expect(bare.passes.map(({ name }) => name)).not.toContain("report");
	});

	it("writes_a_page_without_data_too_and_the_same_bytes_as_without_it", async () => {
		const small = path.join(FIXTURES, "patterns/p02-transpose.onnx");
		const of = (name: string, given = {}) => compile(small, path.join(work, name), { rank: 4, method: "svd", ...given });
		await of("plain.onnx");
		await of("shown.onnx", { report: path.join(work, "plain.html") });
		expect(readFileSync(path.join(work, "shown.onnx")).equals(readFileSync(path.join(work, "plain.onnx")))).toBe(true);
		const text = parseHTML(readFileSync(path.join(work, "plain.html"), "utf8")).document.body.textContent ?? "";
		expect(text).toContain("Not shown: there was no data to measure on.");
		expect(text).toContain("Not shown: nothing was trained.");
		expect(text).toContain("Not shown: only --method distemb learns from text");
	});

	it("refuses_a_report_of_a_dry_run", async () => {
		const asked = compile(MODEL, path.join(work, "dry.onnx"), { dryRun: true, report: path.join(work, "dry.html") });
		await expect(asked).rejects.toMatchObject({ code: "usage" });
		expect(existsSync(path.join(work, "dry.html"))).toBe(false);
	});
});
