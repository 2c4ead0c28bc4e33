// What one decoded token costs (batch 1, with past) before and after: the projection alone, the whole graph, load, memory; in Node.js and in
// onnxruntime-web's WASM backend, in headless Chromium.
// usage: node dist/test/bench/decode.js ORIGINAL.onnx RESULT.onnx... [--past 64] [--rounds 50] [--threads 1] [--in node,wasm]
// The graphs must take one token and a past: a language model with past, a translator's decoder for steps. Prints a Markdown table. Models are
// timed in turns; of each one's times the least counts: on a machine that others use too, the rest tells of them.
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { locate } from "../../passes/locate/index.js";
import { encodeToBytes, type OpenModel, openBundle, openModel } from "../../src/onnx/index.js";
import { runPass } from "../../src/pass.js";
import { FEED_DEFAULTS, feedsFor } from "../../src/runtime/feeds.js";
import { type Feeds, openSession, type Session } from "../../src/runtime/session.js";
import { readSignature } from "../../src/runtime/signature.js";
import { loadedFrom } from "../../src/workspace.js";
import { launchChromium, PAGES, packageFolder, visit } from "../browser/chromium.js";
import { type WebEngine, type WebModel, webEngine } from "../browser/engine.js";
import { serve } from "../browser/server.js";
import { HIDDEN, type ProjectionPlace, projectionAlone } from "./projection.js";

const { values, positionals } = parseArgs({
	allowPositionals: true,
	options: {
		past: { type: "string", default: "64" },
		rounds: { type: "string", default: "50" },
		threads: { type: "string", default: "1" },
		in: { type: "string", default: "node,wasm" },
		memory: { type: "string" },
	},
});
const ROUNDS = Number(values.rounds);
const THREADS = Number(values.threads);

/** One model: its file, its step's inputs, and its projection written beside. */
interface Subject {
	readonly file: string;
	readonly feeds: Feeds;
	readonly data: readonly string[];
	readonly head: { readonly file: string; readonly feeds: Feeds; readonly numbers: number | undefined; readonly bytes: number };
}

interface Costs {
	readonly load: number;
	readonly head: number;
	readonly whole: number;
	readonly bytes: number | undefined;
}

const work = mkdtempSync(path.join(tmpdir(), "distemb-decode-"));
try {
	if (values.memory !== undefined) await sayMemory(values.memory);
	else await main();
} finally {
	rmSync(work, { recursive: true, force: true });
}

async function main(): Promise<void> {
	const [original] = positionals;
	if (original === undefined || positionals.length < 2)
		throw new Error("usage: decode.js ORIGINAL.onnx RESULT.onnx…; see the head of the file");
	const place = await projectionOf(original);
	const subjects = positionals.map((file, index) => subjectOf(path.resolve(file), place, index));
	print("| | | projection, numbers | MB | ms | whole step, ms | load, ms | memory, MB |", "|---|---|---|---|---|---|---|---|");
	if (values.in.includes("node")) table("Node", subjects, await inNode(subjects));
	if (values.in.includes("wasm")) table("WASM", subjects, await inChromium(subjects));
}

function table(runtime: string, subjects: readonly Subject[], costs: readonly Costs[]): void {
	for (const [index, { file, head }] of subjects.entries()) {
		const cost = costs[index];
		if (cost === undefined) continue;
		const cells = [
			head.numbers === undefined ? "" : `${(head.numbers / 1e6).toFixed(3)} M`,
			(head.bytes / 1e6).toFixed(2),
			cost.head.toFixed(3),
			cost.whole.toFixed(2),
			cost.load.toFixed(0),
			cost.bytes === undefined ? "" : (cost.bytes / 1e6).toFixed(0),
		];
		print(`| ${[runtime, path.basename(file), ...cells].join(" | ")} |`);
	}
	const [before, ...after] = subjects.map((subject, index) => ({ subject, cost: costs[index] }));
	for (const { subject, cost } of after) {
		if (before?.cost === undefined || cost === undefined) continue;
		const [many, few] = [before.subject.head.numbers, subject.head.numbers];
		const fewer = many === undefined || few === undefined ? [] : [`${(many / few).toFixed(2)} times fewer numbers`];
		const speeds = [before.cost.head / cost.head, before.cost.whole / cost.whole].map((speed) => `${speed.toFixed(2)} times as fast`);
		print(`${runtime} ${path.basename(subject.file)}: ${[...fewer, `projection ${speeds[0]}`, `whole step ${speeds[1]}`].join(", ")}`);
	}
}

// --- What is measured --------------------------------------------------------

async function projectionOf(file: string): Promise<ProjectionPlace> {
	const bundle = openBundle(file);
	try {
		const { vocabularies } = await runPass(locate({}), loadedFrom(bundle), { threads: 1, seed: 0, records: [] });
		for (const { table, projections } of vocabularies) {
			const [site] = projections.filter(({ graph, file }) => graph === file.model.graph);
			if (site === undefined) continue;
			return {
				hidden: site.hidden.name,
				output: site.output.name,
				width: table.cols,
				rank: site.hiddenRank ?? 3,
				dtype: site.dtype,
			};
		}
		throw new Error(`${file} has no projection onto a vocabulary in its main graph`);
	} finally {
		bundle.close();
	}
}

function stepFeeds({ model }: OpenModel): Feeds {
	const plan = { ...FEED_DEFAULTS, batch: 1, sequence: 1, encoder: 16, past: Number(values.past), flag: true };
	return feedsFor(readSignature(model, new Map()), plan, 0);
}

function subjectOf(file: string, place: ProjectionPlace, index: number): Subject {
	const open = openModel(file);
	try {
		const { model, numbers, bytes } = projectionAlone(open.model, place);
		const head = path.join(work, `head-${index}.onnx`);
		writeFileSync(head, encodeToBytes(model, open.source));
		const dims = [...Array<number>(place.rank - 1).fill(1), place.width];
		const hidden = { dtype: "float32" as const, dims, data: Float32Array.from({ length: place.width }, (_, at) => Math.sin(at)) };
		return {
			file,
			feeds: stepFeeds(open),
			data: [...open.external.files.keys()],
			head: { file: head, feeds: { [HIDDEN]: hidden }, numbers, bytes },
		};
	} finally {
		open.close();
	}
}

// --- Node.js -----------------------------------------------------------------

async function inNode(subjects: readonly Subject[]): Promise<Costs[]> {
	// First, while this process is small.
	const bytes = subjects.map(({ file }) => memoryOf(file));
	const load: number[] = [];
	const opened: Timed[] = [];
	for (const { file, feeds, head } of subjects) {
		const start = performance.now();
		const whole = await openSession(file, { threads: THREADS });
		load.push(performance.now() - start);
		opened.push(timed(await openSession(head.file, { threads: THREADS }), head.feeds), timed(whole, feeds));
	}
	const times = await inTurns(opened);
	return load.map((milliseconds, index) => costs(milliseconds, times, index, bytes[index]));
}

/** Runs a number of times, and says how long each took. */
type Timed = (rounds: number) => Promise<number[]>;

function timed(session: Session, feeds: Feeds): Timed {
	return async (rounds) => {
		const times: number[] = [];
		for (let round = 0; round < rounds; round++) {
			const start = performance.now();
			await session.run(feeds);
			times.push(performance.now() - start);
		}
		return times;
	};
}

/** The least of each, after a few runs that are not counted; a few runs of each in turns, so that what disturbs one disturbs all. */
async function inTurns(all: readonly Timed[]): Promise<number[]> {
	const IN_A_ROW = 5;
	for (const each of all) await each(3);
	const times = all.map((): number[] => []);
	for (let round = 0; round < ROUNDS; round += IN_A_ROW) {
		for (const [index, each] of all.entries()) times[index]?.push(...(await each(IN_A_ROW)));
	}
	return times.map((list) => Math.min(...list));
}

/** @param times of heads and whole models in turn */
function costs(load: number, times: readonly number[], index: number, bytes: number | undefined): Costs {
	return { load, head: times[2 * index] ?? Number.NaN, whole: times[2 * index + 1] ?? Number.NaN, bytes };
}

/** Most resident memory of a process that opens the model and runs three steps, less what it takes with the engine alone. */
function memoryOf(file: string): number | undefined {
	const args = [fileURLToPath(import.meta.url), "--memory", file, "--past", values.past, "--threads", values.threads];
	const { stdout } = spawnSync(process.execPath, args, { encoding: "utf8" });
	const bytes = Number.parseInt(stdout, 10);
	return Number.isNaN(bytes) ? undefined : bytes;
}

async function sayMemory(file: string): Promise<void> {
	const open = openModel(file);
	const feeds = stepFeeds(open);
	open.close();
	await openSession(new Uint8Array(0), { threads: 1 }).catch(() => undefined);
	const before = process.memoryUsage.rss();
	const session = await openSession(file, { threads: THREADS });
	for (let step = 0; step < 3; step++) await session.run(feeds);
	// Unlike ru_maxrss, this is not taken over from the parent.
	const peak = /VmHWM:\s+(\d+) kB/.exec(readFileSync("/proc/self/status", "utf8"))?.[1];
	print(peak === undefined ? "" : `${Number(peak) * 1024 - before}`);
}

// --- Chromium ----------------------------------------------------------------

async function inChromium(subjects: readonly Subject[]): Promise<Costs[]> {
	const mounts = Object.fromEntries(subjects.map(({ file }, index) => [`model-${index}`, path.dirname(file)]));
	const server = await serve({ ...mounts, page: PAGES, ort: path.join(packageFolder("onnxruntime-web"), "dist"), heads: work });
	const browser = await launchChromium();
	try {
		const engines: WebEngine[] = [];
		const load: number[] = [];
		const bytes: number[] = [];
		const opened: Timed[] = [];
		for (const [index, { file, data, feeds, head }] of subjects.entries()) {
			// A page for each model: the memory of WebAssembly never shrinks.
			const { page } = await visit(browser, `${server.origin}/page/index.html`);
			const engine = await webEngine(page);
			const model: WebModel = {
				url: `/model-${index}/${path.basename(file)}`,
				data: data.map((location) => ({ path: location, url: `/model-${index}/${location}` })),
			};
			load.push(await engine.open("whole", model));
			await engine.time("whole", feeds, 1);
			bytes.push(await engine.memory());
			await engine.open("head", { url: `/heads/${path.basename(head.file)}` });
			opened.push((rounds) => engine.time("head", head.feeds, rounds));
			opened.push((rounds) => engine.time("whole", feeds, rounds));
			engines.push(engine);
		}
		const times = await inTurns(opened);
		return load.map((milliseconds, index) => costs(milliseconds, times, index, bytes[index]));
	} finally {
		await browser.close();
		await server.close();
	}
}

function print(...lines: readonly string[]): void {
	process.stdout.write(`${lines.join("\n")}\n`);
}
