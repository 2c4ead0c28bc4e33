// The HTML page: what is on it, what is left out, and that nothing in a model can write markup.
import { parseHTML } from "linkedom";
import { describe, expect, it } from "vitest";
import { renderPage } from "../../src/report/html/page.js";
import type { CompileReport } from "../../src/report/report.js";
import { DETAILS, QUALITY, reportWith } from "./support.js";

const pageOf = (report: CompileReport) => {
	const html = renderPage(report);
	const { document } = parseHTML(html);
	const sections = Array.from(document.querySelectorAll("section")).map((section) => section as unknown as Element);
	const section = (title: string) => sections.find((one) => one.querySelector("h2")?.textContent === title);
	return { html, document, section, titles: sections.map((one) => one.querySelector("h2")?.textContent) };
};

const HOSTILE = `"><script>alert(1)</script><img src=x onerror='alert(2)'>&lt;\u202e</style></title>`;

describe("a page", () => {
	it("has_all_parts_of_a_full_report", () => {
		expect(pageOf(reportWith()).titles).toEqual([
			"Size",
			"The table",
			"Training",
			"Quality",
			"Side by side",
			"Tokens with the largest predicted damage",
			"Nearest neighbours",
			"The graph around the table",
			"Outputs compared",
			"What was done",
			"Once more",
		]);
	});

	it("draws_each_chart_in_two_widths_with_a_title_and_a_table_behind_it", () => {
		const figures = Array.from(pageOf(reportWith()).document.querySelectorAll("figure:not(.flow)"));
		expect(figures).toHaveLength(6);
		for (const figure of figures) {
			expect(figure.querySelectorAll(".wide svg, .narrow svg")).toHaveLength(2);
			expect(figure.querySelector("figcaption small")?.textContent).not.toBe("");
			expect(figure.querySelector("[role=img]")?.getAttribute("aria-label")).toContain(
				figure.querySelector("figcaption")?.firstChild?.textContent,
			);
			expect(figure.querySelectorAll("details tbody tr").length).toBeGreaterThan(1);
		}
	});

	it("shows_the_figures_of_the_report", () => {
		const { section, document } = pageOf(reportWith());
		const cells = (title: string) => Array.from(section(title)?.querySelectorAll("td") ?? []).map((cell) => cell.textContent);
		expect(cells("Size")).toEqual(expect.arrayContaining(["vocabulary", "4.00 MB", "1.00 MB", "25.0\u00a0%"]));
		expect(cells("The table")).toEqual([
			"1",
			"4.00",
			"53.3\u00a0%",
			"2",
			"3.00",
			"83.3\u00a0%",
			"3",
			"2.00",
			"96.7\u00a0%",
			"4",
			"1.00",
			"100.0\u00a0%",
		]);
		expect(cells("Quality")).toEqual(expect.arrayContaining(["tail", "0.0370"]));
		expect(cells("Tokens with the largest predicted damage")).toEqual(["␣dog", "4000", "40.0\u00a0%", "20.0", "0.250", "7"]);
		expect(document.querySelector(".tiles")?.textContent).toContain("7.00 MB → 4.00 MB");
		expect(section("Once more")?.querySelector("pre")?.textContent).toBe(DETAILS.command);
	});

	it("marks_where_texts_and_neighbours_differ", () => {
		const { section } = pageOf(reportWith());
		expect(section("Side by side")?.querySelector("mark")?.textContent).toBe("long");
		expect(section("Nearest neighbours")?.querySelector(".gone")?.textContent).toBe("␣cow");
		expect(section("Nearest neighbours")?.querySelector(".new")?.textContent).toBe("␣car");
	});

	it("shows_the_bits_of_each_side_that_has_factors_of_its_own", () => {
		const blocks = [{ rows: 9, bits: [4, 4] }];
		const codings = [{ side: "input", blocks } as const, { side: "output", blocks } as const];
		const tables = DETAILS.tables.map(({ singularValues: _, ...table }) => ({ ...table, codings }));
		const figures = Array.from(
			pageOf(reportWith({ details: { ...DETAILS, tables } }))
				.section("The table")
				?.querySelectorAll("figcaption") ?? [],
		);
		const titles = figures.map((caption) => caption.firstChild?.textContent);
		expect(titles.map((title) => title?.replace(/^.*rows /, ""))).toEqual(["of the lookups", "of the projections"]);
	});

	it("shows_bits_instead_of_a_spectrum_for_columns_of_different_precision", () => {
		const [table] = DETAILS.tables;
		if (table === undefined) throw new Error("no table");
		const { singularValues: _, ...rest } = table;
		const blocks = [
			{ rows: 3, bits: [8, 4, 8 / 3] },
			{ rows: 6, bits: [4, 1.6, 0] },
		];
		const { section } = pageOf(reportWith({ details: { ...DETAILS, tables: [{ ...rest, codings: [{ side: "both", blocks }] }] } }));
		const cells = Array.from(section("The table")?.querySelectorAll("td") ?? []).map((cell) => cell.textContent);
		const rows = Array.from({ length: 6 }, (_, row) => cells.slice(3 * row, 3 * row + 3).join(" | "));
		expect(rows).toEqual([
			"3 rows | 1 to 1 | 8",
			"3 rows | 2 to 2 | 4",
			"3 rows | 3 to 3 | 2.7",
			"6 rows | 1 to 1 | 4",
			"6 rows | 2 to 2 | 1.6",
			"6 rows | 3 to 3 | 0",
		]);
	});
});

describe("missing parts", () => {
	it("are_left_out_or_say_why", () => {
		const { training: _, quality: __, ...bare } = reportWith();
		const why = { missing: "there was no text" };
		const tables = DETAILS.tables.map((table) => ({ ...table, damage: why, neighbours: why }));
		const { section } = pageOf({ ...bare, details: { ...DETAILS, tables, samples: why } });
		expect(section("Training")?.textContent).toBe("TrainingNot shown: nothing was trained.");
		expect(section("Quality")?.textContent).toBe("QualityNot shown: there was no data to measure on.");
		for (const title of ["Side by side", "Nearest neighbours", "Tokens with the largest predicted damage"])
			expect(section(title)?.textContent).toBe(`${title}Not shown: there was no text.`);
	});

	it("is_a_page_even_without_details_and_graph", () => {
		const { details: _, graph: __, ...bare } = reportWith();
		expect(pageOf(bare).titles).toEqual(["Training", "Quality", "Outputs compared", "What was done"]);
	});
});

describe("hostile names and texts", () => {
	const token = { id: 1, text: HOSTILE };
	const near = [{ ...token, cosine: 0.5 }];
	const tables = DETAILS.tables.map((table) => ({
		...table,
		vocabulary: HOSTILE,
		damage: { known: { total: 1, worst: [{ ...token, loss: 1, relativeError: 1 }] } },
		neighbours: { known: { counts: HOSTILE, tokens: [{ ...token, before: near, after: near }] } },
	}));
	const sample = { input: HOSTILE, reference: HOSTILE, original: HOSTILE, result: `${HOSTILE}!` };
	const base = reportWith();
	const flows = base.graph?.[0]?.before.map((flow) => ({
		...flow,
		file: HOSTILE,
		scope: HOSTILE,
		from: { name: HOSTILE, type: HOSTILE },
		steps: flow.steps.map((step) => ({
			...step,
			node: HOSTILE,
			ops: [{ op: HOSTILE, count: 2 }],
			tensors: [{ name: HOSTILE, type: HOSTILE, bytes: 1 }],
		})),
	}));
	const hostile = reportWith({
		input: { ...base.input, path: HOSTILE },
		output: { path: HOSTILE, bytes: 1, files: [] },
		graph: [{ vocabulary: HOSTILE, before: flows ?? [], note: HOSTILE }],
		quality: { ...QUALITY, data: { ...QUALITY.data, files: [HOSTILE], measured: HOSTILE }, notes: [HOSTILE] },
		details: { ...DETAILS, command: HOSTILE, tables, samples: { known: { how: "one text", samples: [sample] } } },
		warnings: [HOSTILE],
		passes: [{ name: HOSTILE, milliseconds: 1, log: [HOSTILE] }],
		verification: [{ file: HOSTILE, ran: false, reason: HOSTILE, outputs: [] }],
	});

	it("write_no_markup", () => {
		const { document, html } = pageOf(hostile);
		expect(document.querySelectorAll("script, img, iframe, object, link, base, a, form")).toHaveLength(0);
		expect(document.querySelectorAll("style")).toHaveLength(1 + document.querySelectorAll("figure:not(.flow) svg").length);
		for (const element of Array.from(document.querySelectorAll("*")))
			for (const { name } of Array.from(element.attributes)) expect(name).not.toMatch(/^(on|src|href|xlink)/);
		expect(html).not.toContain("<script");
		expect(html.match(/<\/title>/g)?.length).toBe(html.match(/<title>/g)?.length);
	});

	it("do_not_turn_the_text_around_them", () => {
		const { section } = pageOf(hostile);
		expect(section("Side by side")?.textContent).not.toContain("\u202e");
		expect(section("The graph around the table")?.textContent).not.toContain("\u202e");
	});
});

describe("the page itself", () => {
	it("shows_warnings_above_all_else", () => {
		const { document } = pageOf(reportWith({ warnings: ["not trained: Custom at node 7"] }));
		expect(document.querySelector("header .warnings")?.textContent).toBe("Warning: not trained: Custom at node 7");
		expect(pageOf(reportWith()).document.querySelector(".warnings")).toBeNull();
	});

	it("forbids_everything_but_its_own_style", () => {
		const { document, html } = pageOf(reportWith());
		expect(document.querySelector("meta[http-equiv=Content-Security-Policy]")?.getAttribute("content")).toBe(
			"default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'",
		);
		expect(html).not.toMatch(/url\(|@import|https?:\/\/(?!www\.w3\.org)/);
	});
});
