// What was found against what is true: tables, ties and readers of one file.
import type { CompileReport, UseReport, VocabularyReport } from "../../src/index.js";
import type { TrueTable, TrueUse, ZooEntry } from "./manifest.js";

/** The first difference between a report and the manifest, or undefined. */
export function truthProblems(entry: ZooEntry, report: CompileReport): string | undefined {
	const file = entry.path.split("/").at(-1) ?? entry.path;
	const here = (list: readonly UseReport[]) => list.filter((use) => use.file === file);
	for (const table of entry.tables) {
		if (table.lookups.length + table.projections.length === 0) continue;
		const names = new Set(table.initializers.map(({ name }) => name));
		const found = report.vocabularies.filter(({ copies }) => copies.some((copy) => copy.file === file && names.has(copy.tensor)));
		if (found.length === 0) return `the table "${[...names].join('", "')}" was not found`;
		const inlined = entry.tags.includes("functions");
		const problem =
			compareUses(
				"lookup",
				table.lookups,
				found.flatMap((vocabulary) => here(vocabulary.lookups)),
				inlined,
			) ??
			compareUses(
				"projection",
				table.projections,
				found.flatMap((vocabulary) => here(vocabulary.projections)),
				inlined,
			) ??
			compareCopies(table, found, file);
		if (problem !== undefined) return problem;
	}
	const known = new Set(entry.tables.flatMap(({ initializers }) => initializers.map(({ name }) => name)));
	// Where other outcomes are acceptable too, the manifest names only what must be found.
	if ((entry.acceptable ?? []).length > 0) return undefined;
	for (const { copies } of report.vocabularies) {
		for (const copy of copies) if (copy.file === file && !known.has(copy.tensor)) return `"${copy.tensor}" was taken for a vocabulary`;
	}
	return undefined;
}

/** Where functions are inlined, names of nodes are the inliner's own; there the operators count. */
function compareUses(what: string, truth: readonly TrueUse[], found: readonly UseReport[], inlined: boolean): string | undefined {
	const key = ({ node, op, scope }: TrueUse | UseReport) => (inlined ? `${scope} ${op}` : `${scope} ${node}`);
	const expected = truth.map(key).sort();
	const got = found.map(key).sort();
	return expected.join("\n") === got.join("\n") ? undefined : `${what}s: [${got.join(", ")}] where [${expected.join(", ")}] are true`;
}

/** A tie by values of lower precision ("soft") may be found as two tables; anything else that is tied is one vocabulary. */
function compareCopies(table: TrueTable, found: readonly VocabularyReport[], file: string): string | undefined {
	const stored = new Set(found.flatMap(({ copies }) => copies.filter((copy) => copy.file === file).map(({ tensor }) => tensor)));
	for (const { name } of table.initializers) if (!stored.has(name)) return `the copy "${name}" was not found`;
	if (found.length > 1 && found.every((vocabulary) => vocabulary.stored === "float32")) return "one tied table was found as several";
	return undefined;
}
