// SECURITY.md: every row of its table names a test that is there.
import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";

const ROOT = path.resolve(import.meta.dirname, "..");

/** Cells of the rows below a Markdown table's head. */
function rowsOf(text: string): string[][] {
	const lines = text.split("\n").filter((line) => line.startsWith("|"));
	return lines.slice(2).map((line) =>
		line
			.split("|")
			.slice(1, -1)
			.map((cell) => cell.trim()),
	);
}

/** Why the last cell of a row names no test; undefined if it does. */
function fault(row: readonly string[]): string | undefined {
	const [, file, title] = /^`(test\/[\w./-]+\.test\.ts)`: (\S+)$/.exec(row.at(-1) ?? "") ?? [];
	if (row.length !== 4 || file === undefined || title === undefined) return `names no test: ${row.join(" | ")}`;
	const full = path.join(ROOT, file);
	if (!existsSync(full)) return `${file} does not exist`;
	return readFileSync(full, "utf8").includes(`"${title}"`) ? undefined : `${file} has no test "${title}"`;
}

describe("the threat model", () => {
	const rows = rowsOf(readFileSync(path.join(ROOT, "SECURITY.md"), "utf8"));

	it("covers_every_kind_of_file_that_is_read", () => {
		const hostile = rows.map(([who]) => who).join("\n");
		for (const kind of ["model", "external data", "tokenizer", "config", "data", "checkpoint", "package", "network"])
			expect(hostile).toContain(kind);
	});

	it("names_a_test_that_is_there_for_each_row", () => {
		expect(rows.flatMap((row) => fault(row) ?? [])).toEqual([]);
	});

	it("would_miss_one_that_is_not", () => {
		expect(fault(["a", "b", "c", "`test/security.test.ts`: is_not_there_at_"])).toMatch(/has no test/);
		expect(fault(["a", "b", "c", "`test/none.test.ts`: x"])).toMatch(/does not exist/);
		expect(fault(["a", "b", "c", "of course"])).toMatch(/names no test/);
	});
});
