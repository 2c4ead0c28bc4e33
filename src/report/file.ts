// Reports as files.
import { writeFileSync } from "node:fs";
import { DistembError } from "../errors.js";

/** @throws DistembError `output` if the file cannot be written */
export function writeReport(file: string, text: string): void {
	try {
		writeFileSync(file, text);
	} catch (cause) {
		throw new DistembError("output", "the report cannot be written", { at: file, hint: "name a file in a folder that exists", cause });
	}
}
