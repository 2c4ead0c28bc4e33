// The HTML page about a run, as a file.
import { writeReport } from "./file.js";
import type { CompileReport } from "./report.js";

/**
 * Its libraries are loaded only here: most runs need none of them.
 * @throws DistembError `output` if the file cannot be written
 */
export async function writePage(file: string, report: CompileReport): Promise<void> {
	const { renderPage } = await import("./html/page.js");
	writeReport(file, renderPage(report));
}
