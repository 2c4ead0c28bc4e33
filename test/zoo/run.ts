// npm run test:zoo -- <folder>: a line per entry of a zoo and a summary; exit code 1 if any entry fails.
import { resolve } from "node:path";
import { judge } from "./judge.js";
import { readManifest } from "./manifest.js";

const [folder, only] = process.argv.slice(2);
if (folder === undefined) {
	process.stderr.write("usage: npm run test:zoo -- <folder with manifest.json> [part of a path]\n");
	process.exit(2);
}
const zoo = resolve(folder);
const counts = { passed: 0, failed: 0 };
for (const entry of readManifest(zoo)) {
	if (only !== undefined && !entry.path.includes(only)) continue;
	const start = performance.now();
	let problem: string | undefined;
	try {
		problem = await judge(zoo, entry);
	} catch (error) {
		problem = error instanceof Error ? `${error.stack}` : String(error);
	}
	const seconds = ((performance.now() - start) / 1000).toFixed(1);
	counts[problem === undefined ? "passed" : "failed"]++;
	process.stdout.write(
		`${problem === undefined ? "ok  " : "FAIL"} ${entry.path} (${entry.expect}, ${seconds} s)${problem === undefined ? "" : `: ${problem}`}\n`,
	);
}
process.stdout.write(`zoo: ${counts.passed} passed, ${counts.failed} failed\n`);
process.exitCode = counts.failed === 0 ? 0 : 1;
