// Makes a failing case smaller: everything that can go without the failure becoming another one goes.
import path from "node:path";
import { join } from "../support/wire.js";
import { type FuzzCase, signatureOf } from "./case.js";
import type { Worker } from "./process.js";
import { saveCase } from "./saved.js";

/** Candidates that are tried at most; a crash or a hang takes seconds each. */
const MOST_TRIES = 400;

/** Seconds after which the smallest so far must do. */
const MOST_SECONDS = 20;

/** @param reason of the failure; @param work a folder for candidates */
export async function minimised(test: FuzzCase, reason: string, worker: Worker, work: string): Promise<FuzzCase> {
	const wanted = signatureOf(reason);
	const end = performance.now() + MOST_SECONDS * 1000;
	let tries = 0;
	let best = test;
	const isOver = () => tries > MOST_TRIES || performance.now() > end;
	const fails = async (candidate: FuzzCase) => {
		tries++;
		if (isOver()) return false;
		const folder = path.join(work, `candidate-${tries}`);
		saveCase(folder, candidate, reason);
		const verdict = await worker.one({ folder });
		const same = verdict.outcome === "failure" && signatureOf(verdict.reason) === wanted;
		if (same) best = candidate;
		return same;
	};
	if (!(await fails({ ...best, links: new Map() }))) await fails(best);
	for (const name of test.files.keys()) {
		const files = new Map(best.files);
		files.delete(name);
		if (files.size > 0) await fails({ ...best, files });
	}
	const largestFirst = [...best.files].sort(([, a], [, b]) => b.length - a.length);
	for (const [name, bytes] of largestFirst) {
		const failsWith = async (smaller: Uint8Array) => await fails({ ...best, files: new Map(best.files).set(name, smaller) });
		await shrink(bytes, failsWith, isOver);
	}
	return best;
}

/** Removes pieces, large ones first (Zeller's ddmin without its complements). */
async function shrink(bytes: Uint8Array, fails: (bytes: Uint8Array) => Promise<boolean>, isOver: () => boolean): Promise<void> {
	let held = bytes;
	for (let size = Math.ceil(held.length / 2); size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2)) {
		for (let start = 0; start < held.length && !isOver(); ) {
			const candidate = join(held.subarray(0, start), held.subarray(start + size));
			if (await fails(candidate)) held = candidate;
			else start += size;
		}
	}
}
