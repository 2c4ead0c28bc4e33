// Moves a finished result to its place, and undoes what a run that was killed in the middle of that had moved.
import { existsSync, readFileSync, renameSync, rmSync } from "node:fs";
import { mkdir, rename, rm, writeFile } from "node:fs/promises";
import path from "node:path";

/** In the folder of a run: the result under its final names, … */
export const RESULT = "result";

/** … the folder that it replaces, while it is replaced, … */
const OLD = "old";

/** … and the names of the files that are being moved, the model's last. */
const MOVING = "moving.json";

/** A folder appears at once. One that is replaced is kept until the new one stands in its place. */
export function commitDirectory(folder: string, target: string): void {
	if (existsSync(target)) renameSync(target, path.join(folder, OLD));
	renameSync(path.join(folder, RESULT), target);
}

/**
 * Data files first, the model last. An old model is removed before its data files are replaced: killed at any moment,
 * the model is whole, or not there.
 * @param names relative to the result; the model's last
 * @param target path of the model
 */
export async function commitFiles(folder: string, names: readonly string[], target: string): Promise<void> {
	if (names.length > 1) {
		await writeFile(path.join(folder, MOVING), JSON.stringify(names));
		await rm(target, { force: true });
	}
	for (const name of names) {
		const to = path.join(path.dirname(target), name);
		await mkdir(path.dirname(to), { recursive: true });
		await rename(path.join(folder, RESULT, name), to);
	}
}

/** Puts a replaced folder back if the new one has not taken its place, and removes data files whose model has not followed them. */
export function undoCommit(folder: string, target: string): void {
	const old = path.join(folder, OLD);
	if (existsSync(old) && !existsSync(target)) renameSync(old, target);
	const names = namesIn(path.join(folder, MOVING));
	const model = names.at(-1);
	if (model === undefined || existsSync(target) || !existsSync(path.join(folder, RESULT, model))) return;
	for (const name of names) rmSync(path.join(path.dirname(target), name), { force: true });
}

/** Nothing if the list was not written to its end: then nothing was moved either. */
function namesIn(file: string): string[] {
	try {
		const names: unknown = JSON.parse(readFileSync(file, "utf8"));
		return Array.isArray(names) ? names.map(String) : [];
	} catch {
		return [];
	}
}
