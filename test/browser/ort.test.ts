// Compiled models in onnxruntime-web's WASM backend, in headless Chromium: the same logits as in Node.js.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type CompileOptions, compile } from "../../src/index.js";
import { type Feeds, openSession } from "../../src/runtime/session.js";
import { launchChromium, PAGES, packageFolder, type Visit, visit } from "./chromium.js";
import { type WebEngine, type WebTensor, webEngine } from "./engine.js";
import { type LoopbackServer, serve } from "./server.js";

const FIXTURES = path.resolve(import.meta.dirname, "../../fixtures");
const SOTU = path.join(FIXTURES, "sotu-lm/model.onnx");
const work = mkdtempSync(path.join(tmpdir(), "distemb-browser-"));

/** Enough text to tell frequent tokens from rare ones, and quick to calibrate on. */
const data = path.join(work, "text.jsonl");
const lines = readFileSync(path.join(FIXTURES, "sotu-lm/valid.txt"), "utf8").split("\n");
writeFileSync(data, lines.map((text) => JSON.stringify({ text: text.slice(0, 1500) })).join("\n"));

const MODELS: Readonly<Record<string, CompileOptions>> = {
	float32: { rank: 64, method: "svd" },
	float16: { rank: 64, method: "svd", dtype: "float16" },
	int8: { rank: 64, method: "svd", dtype: "int8" },
	"blocks of columns of different precision": { ratio: 8, dtype: "mixed", distill: false, data: [data] },
};

/** Its products round what they multiply by to 8 bits, in other places on other processors. */
const ROUNDING: CompileOptions = { rank: 64, method: "svd", dtype: "int8", ops: "onnxruntime" };

let browser: Browser;
let server: LoopbackServer;
let visited: Visit;
let engine: WebEngine;

beforeAll(async () => {
	server = await serve({ page: PAGES, ort: path.join(packageFolder("onnxruntime-web"), "dist"), models: work });
	browser = await launchChromium();
	visited = await visit(browser, `${server.origin}/page/index.html`);
	engine = await webEngine(visited.page);
});

afterAll(async () => {
	await browser?.close();
	await server?.close();
	rmSync(work, { recursive: true, force: true });
});

const LAYERS = [0, 1, 2].flatMap((layer) => [`${layer}.key`, `${layer}.value`]);

function feedsOf(ids: readonly number[], past: Feeds = {}): Feeds {
	const before = past["past_key_values.0.key"]?.dims[2] ?? 0;
	const whole = (values: readonly number[]) => ({
		dtype: "int64" as const,
		dims: [1, values.length],
		data: BigInt64Array.from(values, BigInt),
	});
	const empty = { dtype: "float32" as const, dims: [1, 5, 0, 32], data: new Float32Array(0) };
	return {
		input_ids: whole(ids),
		attention_mask: whole(Array<number>(before + ids.length).fill(1)),
		position_ids: whole(ids.map((_, index) => before + index)),
		...Object.fromEntries(LAYERS.map((name) => [`past_key_values.${name}`, past[`past_key_values.${name}`] ?? empty])),
	};
}

/** Logits of a prompt and of one more token after it, in Node.js and in the browser. */
async function bothWays(name: string): Promise<{ readonly node: WebTensor[]; readonly browser: WebTensor[] }> {
	const file = `${name.replaceAll(" ", "-")}.onnx`;
	const session = await openSession(path.join(work, file), { threads: 1 });
	const prompt = feedsOf([0, 464, 1842, 310, 262, 1181, 318, 11]);
	const first = await session.run(prompt);
	const past = Object.fromEntries(LAYERS.map((layer) => [`past_key_values.${layer}`, first[`present.${layer}`]])) as Feeds;
	const step = feedsOf([262], past);
	const second = await session.run(step);
	await session.close();

	await engine.open(name, { url: `/models/${file}` });
	const inBrowser = [await engine.run(name, prompt, ["logits"]), await engine.run(name, step, ["logits"])];
	await engine.close(name);
	return {
		node: [first, second].map(({ logits }) => ({ dims: logits?.dims ?? [], values: Array.from((logits?.data ?? []) as Float32Array) })),
		browser: inBrowser.map(({ logits }) => logits ?? { dims: [], values: [] }),
	};
}

describe("a_compiled_model_gives_the_same_logits_in_the_browser_as_in_node", () => {
	it.each(Object.entries(MODELS))("%s", async (name, options) => {
		const { factors } = await compile(SOTU, path.join(work, `${name.replaceAll(" ", "-")}.onnx`), options);
		if (options.dtype === "mixed") expect(factors[0]?.blocks?.length).toBeGreaterThan(1);
		const found = await bothWays(name);
		for (const [index, { dims, values }] of found.node.entries()) {
			expect(found.browser[index]?.dims).toEqual(dims);
			expect(worst(values, found.browser[index]?.values ?? [])).toBeLessThan(1e-4);
		}
	});

	it("up_to_the_rounding_of_activations_in_the_operators_of_onnxruntime", async () => {
		await compile(SOTU, path.join(work, "rounding.onnx"), ROUNDING);
		const { node, browser } = await bothWays("rounding");
		for (const [index, { dims, values }] of node.entries()) {
			const size = dims.at(-1) ?? 0;
			const { values: others = [] } = browser[index] ?? {};
			expect(others.length).toBe(values.length);
			for (let at = 0; at < values.length; at += size) {
				expect(divergence(values.slice(at, at + size), others.slice(at, at + size))).toBeLessThan(1e-3);
			}
		}
	});
});

it("needs_nothing_from_elsewhere_and_reports_no_error", () => {
	expect(visited.problems).toEqual([]);
	expect(server.missing).toEqual([]);
});

/** max |a − b|; infinite if there is nothing, or no number, to compare. */
function worst(expected: readonly number[], found: readonly number[]): number {
	if (expected.length === 0 || expected.length !== found.length) return Number.POSITIVE_INFINITY;
	const differences = expected.map((value, index) => Math.abs(value - (found[index] ?? Number.NaN)));
	return differences.some(Number.isNaN) ? Number.POSITIVE_INFINITY : differences.reduce((a, b) => Math.max(a, b));
}

/** KL of two rows of logits, in nats. */
function divergence(first: readonly number[], second: readonly number[]): number {
	const [p, q] = [first, second].map((row) => {
		const most = row.reduce((a, b) => Math.max(a, b));
		const total = Math.log(row.reduce((sum, value) => sum + Math.exp(value - most), 0));
		return row.map((value) => value - most - total);
	});
	return (p ?? []).reduce((sum, value, index) => sum + Math.exp(value) * (value - (q?.[index] ?? Number.NaN)), 0);
}
