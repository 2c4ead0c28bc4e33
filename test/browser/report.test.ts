// The report's page in headless Chromium: on a phone and on a desk, light and dark, without a network.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { pathToFileURL } from "node:url";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { renderPage } from "../../src/report/html/page.js";
import { DETAILS, reportWith } from "../report/support.js";
import { launchChromium } from "./chromium.js";

/** A word that nothing breaks by itself. */
const LONG = `${"x".repeat(300)}<b>`;

/** A full report with names and texts that are too long for any screen. */
function longReport(): string {
	const full = reportWith();
	const graph = full.graph?.map(({ before, after, note }) => ({
		vocabulary: LONG,
		before: before.map((flow) => ({ ...flow, file: LONG, from: { name: LONG } })),
		...(after === undefined ? {} : { after }),
		note,
	}));
	const tables = DETAILS.tables.map((table) => ({ ...table, vocabulary: LONG }));
	const sample = { input: LONG, reference: LONG, original: LONG, result: `${LONG}!` };
	const damage = { known: { total: 1, worst: [{ id: 1, text: LONG, loss: 1, frequency: 1, relativeError: 1 }] } };
	return renderPage(
		reportWith({
			input: { ...full.input, path: LONG },
			...(graph === undefined ? {} : { graph }),
			details: {
				...DETAILS,
				command: LONG,
				tables: tables.map((table) => ({ ...table, damage })),
				samples: { known: { how: "one text", samples: [sample] } },
			},
			passes: [{ name: "locate", milliseconds: 1, log: [LONG] }],
		}),
	);
}

let browser: Browser;
let folder: string;
let url: string;
beforeAll(async () => {
	folder = mkdtempSync(path.join(tmpdir(), "distemb-report-"));
	const file = path.join(folder, "report.html");
	writeFileSync(file, longReport());
	url = pathToFileURL(file).href;
	browser = await launchChromium();
});
afterAll(async () => {
	await browser?.close();
	rmSync(folder, { recursive: true, force: true });
});

const SCREENS = [
	{ name: "a phone", width: 320, colorScheme: "dark" },
	{ name: "a desk", width: 1280, colorScheme: "light" },
] as const;

/** Opens the page with everything that can be folded out; gives it with all addresses that were asked for. */
async function opened({ width, colorScheme }: (typeof SCREENS)[number]): Promise<{ page: Page; requests: string[]; problems: string[] }> {
	const context = await browser.newContext({ viewport: { width, height: 800 }, colorScheme });
	const page = await context.newPage();
	const [requests, problems]: [string[], string[]] = [[], []];
	page.on("request", (request) => requests.push(request.url()));
	page.on("pageerror", (error) => problems.push(error.message));
	page.on("console", (message) => problems.push(message.text()));
	await page.goto(url);
	await page.evaluate("for (const one of document.querySelectorAll('details')) one.open = true");
	return { page, requests, problems };
}

describe.each(SCREENS)("the report on $name", (screen) => {
	it("fetches_nothing_and_reports_no_problem", async () => {
		const { page, requests, problems } = await opened(screen);
		expect(requests).toEqual([url]);
		expect(problems).toEqual([]);
		await page.context().close();
	});

	it("is_not_wider_than_the_screen_with_everything_folded_out", async () => {
		const { page } = await opened(screen);
		expect(await page.evaluate("document.documentElement.scrollWidth")).toBe(screen.width);
		await page.context().close();
	});

	it("shows_each_chart_in_the_width_that_fits", async () => {
		const { page } = await opened(screen);
		const [shown, hidden] = screen.width < 700 ? [".narrow svg", ".wide svg"] : [".wide svg", ".narrow svg"];
		const widths = (selector: string) =>
			page.evaluate(`[...document.querySelectorAll(${JSON.stringify(selector)})].map((svg) => svg.getBoundingClientRect().width)`);
		const visible = (await widths(shown)) as number[];
		expect(visible).toHaveLength(6);
		for (const width of visible) expect(width).toBeGreaterThan(250);
		expect(await widths(hidden)).toEqual(visible.map(() => 0));
		await page.context().close();
	});

	it("has_text_that_stands_out_from_its_ground", async () => {
		const { page } = await opened(screen);
		const [ink, paper] = (await page.evaluate(
			"['color', 'backgroundColor'].map((name) => getComputedStyle(document.body)[name].match(/\\d+/g).slice(0, 3).map(Number))",
		)) as [number[], number[]];
		const light = (rgb: number[]) => rgb.reduce((sum, part) => sum + part, 0) / 3;
		expect(light(screen.colorScheme === "dark" ? paper : ink)).toBeLessThan(60);
		expect(light(screen.colorScheme === "dark" ? ink : paper)).toBeGreaterThan(200);
		await page.context().close();
	});
});
