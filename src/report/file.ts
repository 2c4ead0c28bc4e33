// Reports as files.
import { writeFileSync } from "node:fs";
import { appendFile, mkdir } from "node:fs/promises";
import path from "node:path";
import { DistembError, outputError } from "../errors.js";

/** @throws DistembError `output` if the file cannot be written */
export function writeReport(file: string, text: string): void {
	try {
		writeFileSync(file, text);
	} catch (cause) {
		throw outputError(file, cause);
	}
}

/** Adds to a file that others write to as well. @throws DistembError `output` */
export async function appendText(file: string, text: string): Promise<void> {
	try {
		await appendFile(file, text);
	} catch (cause) {
		throw outputError(file, cause);
	}
}

/** Makes the folder in which `file` is to lie, and those above. @throws DistembError `output` */
export async function makeFolderOf(file: string): Promise<void> {
	const folder = path.dirname(path.resolve(file));
	try {
		await mkdir(folder, { recursive: true });
	} catch (cause) {
		throw new DistembError("output", "the folder cannot be made", {
			at: folder,
			hint: "name an output in a folder that you may write to",
			cause,
		});
	}
}
