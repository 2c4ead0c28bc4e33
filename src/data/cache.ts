// Lists of token ids that are kept beside an output: as .jsonl, which can be given as data again.
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import path from "node:path";
import { DistembError } from "../errors.js";
import { isFile } from "./files.js";
import { writeWhole } from "./whole.js";

/** SHA-256 of files' contents and of `words`, as 64 digits. @throws DistembError `input` if a file cannot be read */
export async function contentHash(files: readonly string[], words: readonly string[] = []): Promise<string> {
	const hash = createHash("sha256");
	for (const file of files) {
		try {
			for await (const block of createReadStream(file, { highWaterMark: 1 << 20 })) hash.update(block as Buffer);
		} catch (cause) {
			throw new DistembError("input", "cannot be read", { at: file, hint: "check the path", cause });
		}
	}
	for (const word of words) hash.update(`\n${word.length} ${word}`);
	return hash.digest("hex");
}

/**
 * The file `name` in `folder`, one JSON value a line; made by `make` if it is not there. It appears whole or not at all.
 * @throws DistembError `output` if it cannot be written
 */
export async function keptLines(folder: string, name: string, make: () => Promise<readonly unknown[]>): Promise<string> {
	const file = path.join(folder, name);
	if (await isFile(file)) return file;
	const values = await make();
	await writeWhole(file, async (handle) => {
		for (const value of values) await handle.writeFile(`${JSON.stringify(value)}\n`);
	});
	return file;
}
