// npm run fuzz -- --seconds N [--seed S] [--kind K] [--case KIND:SEED] [--folder SAVED]: hostile input until the time is over.
import { existsSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import path from "node:path";
import { parseArgs } from "node:util";
import { type CaseName, labelOf, signatureOf, type Verdict } from "./case.js";
import { Dice } from "./dice.js";
import { kindsWith } from "./kinds.js";
import { minimised } from "./minimise.js";
import { Worker } from "./process.js";
import { saveCase } from "./saved.js";
import { trainedFolder } from "./trained.js";

/** Cases that a worker runs on one order. */
const BATCH = 25;

/** Failures of one kind beyond these are counted only. */
const MOST_SAVED = 40;

const { values: given } = parseArgs({
	options: {
		seconds: { type: "string", default: "60" },
		seed: { type: "string", default: String(Date.now() % 2 ** 31) },
		kind: { type: "string" },
		case: { type: "string" },
		folder: { type: "string" },
		failures: { type: "string", default: "fuzz-failures" },
	},
});
const seed = Number(given.seed);
const say = (line: string) => void process.stdout.write(`${line}\n`);

/** In memory where there is such a place: most of a small case is the file system. */
const work = mkdtempSync(path.join(existsSync("/dev/shm") ? "/dev/shm" : tmpdir(), "distemb-fuzz-"));
process.once("exit", () => rmSync(work, { recursive: true, force: true }));
const trained = path.join(work, "trained");
mkdirSync(trained);
const checkpoint = await trainedFolder(trained);
const kinds = kindsWith(checkpoint);

const counts = new Map<string, { cases: number; success: number; error: number; failure: number; seconds: number; peak: number }>();
const seen = new Map<string, number>();

function count(kind: string, verdict: Verdict): void {
	const held = counts.get(kind) ?? { cases: 0, success: 0, error: 0, failure: 0, seconds: 0, peak: 0 };
	held.cases++;
	held[verdict.outcome]++;
	if (verdict.outcome !== "failure") {
		held.seconds = Math.max(held.seconds, verdict.seconds);
		held.peak = Math.max(held.peak, verdict.peak);
	}
	counts.set(kind, held);
}

function nameOf(label: string): CaseName {
	const [kind = "", number = ""] = label.split(":");
	return { kind, seed: Number(number) };
}

/** Runs a failed case once more in a process of its own: time and memory depend on what ran before. Then saves it, small. */
async function confirm(label: string, worker: Worker): Promise<void> {
	const name = nameOf(label);
	const verdict = await worker.one({ name });
	if (verdict.outcome !== "failure") {
		say(`${label} failed once, and not again`);
		return;
	}
	const signature = signatureOf(verdict.reason);
	seen.set(signature, (seen.get(signature) ?? 0) + 1);
	if (seen.get(signature) !== 1 || seen.size > MOST_SAVED) return;
	say(`FAIL ${label}: ${verdict.reason}${verdict.stack === undefined ? "" : `\n${verdict.stack}`}`);
	const found = kinds[name.kind]?.make(new Dice(name.seed, name.kind));
	if (found === undefined) return;
	const folder = path.join(given.failures, labelOf(name).replace(":", "-"));
	saveCase(folder, await minimised(found, verdict.reason, worker, path.join(work, `shrink-${name.kind}-${name.seed}`)), verdict.reason);
	say(`     saved in ${folder}; again: npm run fuzz -- --folder ${folder} or --case ${label}`);
}

async function single(): Promise<void> {
	const worker = new Worker(path.join(work, "single"), trained);
	const verdict = await worker.one(
		given.folder === undefined ? { name: nameOf(given.case ?? "") } : { folder: path.resolve(given.folder) },
	);
	worker.close();
	say(JSON.stringify(verdict, undefined, 2).replaceAll("\\n", "\n"));
	process.exitCode = verdict.outcome === "failure" ? 1 : 0;
}

async function all(): Promise<void> {
	const end = performance.now() + Number(given.seconds) * 1000;
	say(`seed ${seed}, ${given.seconds} s`);
	let next = 0;
	const failed: string[] = [];
	const workers = Array.from(
		{ length: Math.max(1, Math.min(4, availableParallelism() - 1)) },
		(_, index) => new Worker(path.join(work, `worker-${index}`), trained),
	);
	const loop = async (worker: Worker) => {
		while (performance.now() < end) {
			let from = next;
			next += BATCH;
			const to = next;
			while (from < to) {
				const ended = await worker.follow({ run: seed, from, to, only: given.kind }, (label, kind, verdict) => {
					from++;
					count(kind, verdict);
					if (verdict.outcome === "failure") failed.push(label);
				});
				if (!ended && from >= to) break;
			}
		}
		worker.close();
	};
	await Promise.all(workers.map(loop));
	const worker = new Worker(path.join(work, "confirm"), trained);
	for (const label of failed) {
		await confirm(label, worker);
		worker.close();
	}
	summarise();
}

function summarise(): void {
	say("kind            cases   success    errors  failures   longest  most memory");
	const row = (name: string, ...cells: readonly (string | number)[]) =>
		say(name.padEnd(12) + cells.map((cell) => String(cell).padStart(10)).join(""));
	const total = { cases: 0, success: 0, error: 0, failure: 0 };
	for (const [kind, held] of [...counts].sort()) {
		row(kind, held.cases, held.success, held.error, held.failure, `${held.seconds.toFixed(1)} s`, `${Math.round(held.peak / 2 ** 20)} MiB`);
		for (const key of ["cases", "success", "error", "failure"] as const) total[key] += held[key];
	}
	row("all", total.cases, total.success, total.error, total.failure);
	for (const [signature, times] of seen) say(`FAIL ${times} × ${signature}`);
	say(`fuzz: ${total.cases} cases, seed ${seed}, ${seen.size} kinds of failures`);
	process.exitCode = seen.size === 0 ? 0 : 1;
}

if (given.folder !== undefined || given.case !== undefined) await single();
else await all();
