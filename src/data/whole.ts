// Files that appear whole or not at all: written beside their place, and renamed.
import { randomBytes } from "node:crypto";
import { type FileHandle, mkdir, open, readdir, rename, rm } from "node:fs/promises";
import path from "node:path";
import { outputError } from "../errors.js";

/**
 * Has `write` fill a new file beside `file`, which then takes its place; what a killed run left there is removed first.
 * @throws DistembError `output` if it cannot be written; `file` is as it was then
 */
export async function writeWhole(file: string, write: (handle: FileHandle) => Promise<void>): Promise<void> {
	const partial = `${file}.${randomBytes(4).toString("hex")}.partial`;
	try {
		await mkdir(path.dirname(file), { recursive: true });
		await removePartial(file);
		const handle = await open(partial, "wx");
		try {
			await write(handle);
			await handle.sync();
		} finally {
			await handle.close();
		}
		await rename(partial, file);
	} catch (cause) {
		await rm(partial, { force: true });
		throw outputError(file, cause);
	}
}

/** Removes what was written in part by runs that were killed. Whoever writes `file` must be the only one. */
export async function removePartial(file: string): Promise<void> {
	const [folder, start] = [path.dirname(file), `${path.basename(file)}.`];
	const names = await readdir(folder).catch(() => []);
	for (const name of names) if (name.startsWith(start) && name.endsWith(".partial")) await rm(path.join(folder, name), { force: true });
}
