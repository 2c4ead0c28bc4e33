// Judges one entry of a zoo: what the compiler does with it, against the manifest's truth.
import { existsSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { type CompileReport, compile, DistembError } from "../../src/index.js";
import { distinctBytes, type Tensor } from "../../src/ir/tensor.js";
import { allGraphs } from "../../src/ir/walk.js";
import { openBundle } from "../../src/onnx/index.js";
import { reader } from "../../src/runtime/numbers.js";
import { type Feeds, openSession } from "../../src/runtime/session.js";
import type { Expectation, ZooEntry } from "./manifest.js";
import { feedsOf } from "./recipe.js";
import { truthProblems } from "./truth.js";

/** Undefined: as it should be; else one sentence. */
export type Judgement = string | undefined;

/** Largest relative difference of outputs at full rank. */
const EXACT = 1e-4;

/** Seconds that a refusal may take. */
const PATIENCE = 10;

/** Part of d at which every rewritten entry must shrink, 8-bit tables with their scales too. */
const LOW_RANK = 1 / 4;

/** Runs the compiler over `entry` of the zoo at `zoo` in every way that its expectation calls for. */
export async function judge(zoo: string, entry: ZooEntry): Promise<Judgement> {
	const work = mkdtempSync(path.join(tmpdir(), "distemb-zoo-"));
	try {
		const start = performance.now();
		const input = inputOf(zoo, entry);
		const full = path.join(work, path.basename(input));
		const outcome = await attempt(() =>
			compile(input, full, { rank: entry.dim || 32, method: "svd", allowLarger: true, dtype: "float32", threads: 2 }),
		);
		// A file without a vocabulary passes through where others of its model are rewritten.
		const passesThrough = entry.expect === "nothing-to-do" && input !== path.join(zoo, entry.path);
		const allowed: readonly Expectation[] = [entry.expect, ...(entry.acceptable ?? []), ...(passesThrough ? (["rewrite"] as const) : [])];
		if (!allowed.includes(outcome.kind)) return `${entry.expect} expected, but ${outcome.kind}: ${outcome.message}`;
		if (outcome.kind !== "rewrite") {
			if (existsSync(full)) return "output was written though it failed";
			if (outcome.message.includes("\n")) return "the message has more than one line";
			return performance.now() - start > PATIENCE * 1000 ? "it took longer than 10 s" : undefined;
		}
		return await judgeRewrite(zoo, entry, input, work, full, outcome.report);
	} finally {
		rmSync(work, { recursive: true, force: true });
	}
}

async function judgeRewrite(
	zoo: string,
	entry: ZooEntry,
	input: string,
	work: string,
	full: string,
	report: CompileReport,
): Promise<Judgement> {
	const truth = entry.expect === "rewrite" ? truthProblems(entry, report) : undefined;
	if (truth !== undefined) return truth;
	const original = path.join(zoo, entry.path);
	const result = (folder: string) => (input === original ? folder : path.join(folder, path.basename(entry.path)));
	if (entry.runs_in_ort_cpu !== false) {
		for (const recipe of [entry.inputs, entry.inputs_alternative]) {
			if (recipe === undefined) continue;
			const difference = await largestDifference(original, result(full), feedsOf(recipe));
			if (!(difference <= tolerance(report))) return `at full rank an output differs by ${difference.toExponential(2)}`;
		}
	}
	const low = path.join(work, "low", path.basename(input));
	mkdirSync(path.dirname(low));
	const rank = Math.max(1, Math.floor((entry.dim || 32) * LOW_RANK));
	const small = await attempt(() => compile(input, low, { method: "svd", rank, threads: 2 }));
	if (small.kind === "nothing-to-do" && entry.acceptable?.includes("nothing-to-do") === true) return undefined;
	if (small.kind !== "rewrite") return `rank ${rank}: ${small.kind}: ${small.message}`;
	return (
		shrinkage(input, low, small.report) ?? (entry.runs_in_ort_cpu === false ? undefined : await runs(result(low), feedsOf(entry.inputs)))
	);
}

/** In the files themselves: the bytes of the tables that are gone, less those of the factors that came, are the predicted ones. */
function shrinkage(input: string, output: string, { vocabularies, predictedSavedBytes }: CompileReport): Judgement {
	const before = tensorsIn(input);
	const after = tensorsIn(output);
	const gone = new Map<unknown, number>();
	for (const copy of vocabularies.flatMap(({ copies }) => copies)) {
		const key = `${copy.file} ${copy.tensor}`;
		// Copies in several bodies may share a name; what several files read from one data file is one copy.
		if (!after.has(key))
			gone.set(before.get(key)?.find(({ placement }) => placement.kind === "external")?.data?.identity ?? copy, copy.bytes);
	}
	const factors = [...after].filter(([key]) => !before.has(key) && FACTOR.test(key)).flatMap(([, tensors]) => tensors);
	const saved = [...gone.values()].reduce((sum, bytes) => sum + bytes, 0) - distinctBytes(factors);
	if (saved !== predictedSavedBytes) return `the files lost ${saved} bytes of tables where ${predictedSavedBytes} were predicted`;
	return saved > 0 ? undefined : `nothing was saved (${saved} bytes)`;
}

/** Names that the compiler gives to factors and their scales. */
const FACTOR = /\.(left|right|leftT|rightT)(\.scale)?$/;

/** Tensors by file and name. */
function tensorsIn(file: string): Map<string, Tensor[]> {
	const bundle = openBundle(file);
	const found = new Map<string, Tensor[]>();
	const add = (key: string, tensor: Tensor) => found.set(key, [...(found.get(key) ?? []), tensor]);
	for (const { name, open } of bundle.models) {
		for (const graph of allGraphs(open.model)) {
			for (const value of graph.initializers) if (value.tensor !== undefined) add(`${name} ${value.name}`, value.tensor);
			for (const node of graph.nodes) {
				const held = node.attributes.get("value");
				const output = node.outputs[0];
				if (held?.kind === "tensor" && output !== undefined) add(`${name} ${output.name}`, held.value);
			}
		}
	}
	bundle.close();
	return found;
}

/** 8-bit activations of the original round by 1/255 of their range, types of 16 bits by 2⁻¹¹; everything else must be equal to 1e-4. */
function tolerance({ vocabularies }: CompileReport): number {
	const patterns = vocabularies.flatMap(({ lookups, projections }) => [...lookups, ...projections].map(({ pattern }) => pattern));
	if (patterns.includes("P6")) return 3e-2;
	return vocabularies.some(({ stored }) => stored === "float16") ? 2e-3 : EXACT;
}

type Outcome =
	| { readonly kind: "rewrite"; readonly report: CompileReport; readonly message: string }
	| { readonly kind: Exclude<Expectation, "rewrite">; readonly message: string };

async function attempt(work: () => Promise<CompileReport>): Promise<Outcome> {
	try {
		return { kind: "rewrite", report: await work(), message: "" };
	} catch (error) {
		if (!(error instanceof DistembError)) throw error;
		const kind = error.code === "nothing-to-do" ? "nothing-to-do" : error.code === "refused" ? "refuse" : "error";
		return { kind, message: error.toLine() };
	}
}

function inputOf(zoo: string, { bundle, path: file }: ZooEntry): string {
	const folder = bundle === undefined ? undefined : path.join(zoo, bundle);
	return folder !== undefined && path.dirname(path.join(zoo, file)) === folder ? folder : path.join(zoo, file);
}

/** max |a − b| / max |a| over all float outputs; the share of unequal elements for others. */
async function largestDifference(original: string, result: string, feeds: Feeds): Promise<number> {
	const [before, after] = [await outputsOf(original, feeds), await outputsOf(result, feeds)];
	let worst = 0;
	for (const [name, a] of Object.entries(before)) {
		const b = after[name];
		if (b === undefined || b.dtype !== a.dtype || b.dims.join() !== a.dims.join()) return Number.POSITIVE_INFINITY;
		const [left, right] = [reader(a), reader(b)];
		const count = a.dims.reduce((product, size) => product * size, 1);
		let largest = 1e-6;
		let difference = 0;
		for (let index = 0; index < count; index++) {
			const x = left(index);
			const y = right(index);
			if (Object.is(x, y) || (Number.isNaN(x) && Number.isNaN(y))) continue;
			if (Number.isFinite(x)) largest = Math.max(largest, Math.abs(x));
			difference = Number.isFinite(x - y) ? Math.max(difference, Math.abs(x - y)) : Number.POSITIVE_INFINITY;
		}
		for (let index = 0; index < count; index++) if (Number.isFinite(left(index))) largest = Math.max(largest, Math.abs(left(index)));
		worst = Math.max(worst, difference / largest);
	}
	return worst;
}

/**
 * The graphs as they stand, with as few of the engine's own fusions as it can do without: some round in ways of their own
 * (an int4 DequantizeLinear by 7e-3), and some models only run with them.
 */
async function outputsOf(model: string, feeds: Feeds): Promise<Feeds> {
	try {
		return await outputsAt("basic", model, feeds);
	} catch (error) {
		if (!(error instanceof DistembError)) throw error;
		return await outputsAt("all", model, feeds);
	}
}

async function outputsAt(optimization: "basic" | "all", model: string, feeds: Feeds): Promise<Feeds> {
	const session = await openSession(model, { threads: 2, optimization });
	try {
		return await session.run(feeds);
	} finally {
		await session.close();
	}
}

/** The result at low rank runs and gives finite numbers. */
async function runs(model: string, feeds: Feeds): Promise<Judgement> {
	for (const [name, tensor] of Object.entries(await outputsOf(model, feeds))) {
		const read = reader(tensor);
		const count = tensor.dims.reduce((product, size) => product * size, 1);
		for (let index = 0; index < count; index++) if (Number.isNaN(read(index))) return `at low rank output "${name}" is not a number`;
	}
	return undefined;
}
