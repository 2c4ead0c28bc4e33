// Prints vitest's counts as "N passed, N failed, N skipped", from the JSON that `npm test`, `npm run test:browser` and `npm run test:package` leave.
import { readFileSync } from "node:fs";

const runs = ["vitest.json", "vitest.browser.json", "vitest.package.json"].map((name) =>
	JSON.parse(readFileSync(new URL(`../coverage/${name}`, import.meta.url), "utf8")),
);
const count = (key) => runs.reduce((sum, run) => sum + run[key], 0);
process.stdout.write(`${count("numPassedTests")} passed, ${count("numFailedTests")} failed, ${count("numPendingTests")} skipped\n`);
process.exitCode = count("numFailedTests") === 0 && runs.every(({ numPassedTests }) => numPassedTests > 0) ? 0 : 1;
