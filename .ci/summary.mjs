// Prints vitest's counts as "N passed, N failed, N skipped", from the JSON that `npm test` leaves.
import { readFileSync } from "node:fs";

const { numPassedTests, numFailedTests, numPendingTests } = JSON.parse(
	readFileSync(new URL("../coverage/vitest.json", import.meta.url), "utf8"),
);
process.stdout.write(`${numPassedTests} passed, ${numFailedTests} failed, ${numPendingTests} skipped\n`);
process.exitCode = numFailedTests === 0 && numPassedTests > 0 ? 0 : 1;
