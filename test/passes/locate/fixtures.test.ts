// The committed fixtures against their manifest: outcome, tables, stored copies, readers and ties.
import { readFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { locate } from "../../../passes/locate/index.js";
import { DistembError } from "../../../src/errors.js";
import { scopePath } from "../../../src/ir/walk.js";
import { type OpenModel, openModel } from "../../../src/onnx/open.js";
import type { Located, Lookup, Projection } from "../../../src/state.js";

const FIXTURES = path.resolve(import.meta.dirname, "../../../fixtures");

interface Use {
	readonly node: string;
	readonly op: string;
	readonly scope: string;
}

interface Entry {
	readonly path: string;
	readonly bundle?: string;
	readonly expect: "rewrite" | "refuse" | "nothing-to-do" | "error";
	readonly tags: readonly string[];
	readonly tables: readonly {
		readonly vocab: number;
		readonly dim: number;
		readonly initializers: readonly {
			readonly name: string;
			readonly orientation: string;
			readonly scope: string;
			readonly unused?: boolean;
		}[];
		readonly lookups: readonly Use[];
		readonly projections: readonly Use[];
	}[];
}

const ENTRIES = (JSON.parse(readFileSync(path.join(FIXTURES, "manifest.json"), "utf8")) as Entry[]).filter(
	(entry) => entry.expect !== "error",
);
/** The files of each model, by the bundle's name. */
const MODELS = new Map<string, Entry[]>();
for (const entry of ENTRIES) {
	const name = entry.bundle ?? entry.path;
	MODELS.set(name, [...(MODELS.get(name) ?? []), entry]);
}

/** What locating the files of one model gives: its end, or one line per table and file. */
async function outcome(entries: readonly Entry[]): Promise<string> {
	const open: OpenModel[] = [];
	try {
		const files = entries.map((entry) => {
			const model = openModel(path.join(FIXTURES, entry.path));
			open.push(model);
			return { name: entry.path, path: model.path, model: model.model, bytes: 0 };
		});
		const context = { signal: undefined, threads: 1, seed: 0, progress: () => {}, log: () => {}, warn: () => {} };
		// Soft ties count as ties in the manifest.
		const state = await locate({ tieSoft: true }).run({ kind: "file", path: FIXTURES, files }, context);
		return entries.map((entry) => found(entry, state)).join("\n");
	} catch (error) {
		if (error instanceof DistembError) return error.code;
		throw error;
	} finally {
		for (const model of open) model.close();
	}
}

function found(entry: Entry, { vocabularies }: Located): string {
	const functions = entry.tags.includes("functions");
	const use = ({ node, graph }: Lookup | Projection) => useLine({ node: node.name, op: node.opType, scope: scopePath(graph) }, functions);
	const lines = vocabularies.flatMap(({ table, copies, lookups, projections }) => {
		const own = copies.filter(({ file }) => file.name === entry.path);
		if (own.length === 0) return [];
		return tableLine(
			`${table.rows}x${table.cols}`,
			own.map(({ value, orientation, unused }) => `${value.name} ${orientation} ${scopePath(value.graph)}${unused ? " unused" : ""}`),
			lookups.filter(({ file }) => file.name === entry.path).map(use),
			projections.filter(({ file }) => file.name === entry.path).map(use),
		);
	});
	return lines.toSorted().join("\n");
}

function truth(entry: Entry): string {
	const functions = entry.tags.includes("functions");
	const lines = entry.tables.map(({ vocab, dim, initializers, lookups, projections }) =>
		tableLine(
			`${vocab}x${dim}`,
			initializers.map(({ name, orientation, scope, unused }) => `${name} ${orientation} ${scope}${unused === true ? " unused" : ""}`),
			lookups.map((use) => useLine(use, functions)),
			projections.map((use) => useLine(use, functions)),
		),
	);
	return lines.toSorted().join("\n");
}

/** Nodes that come out of functions have the inliner's names; there the operators count. */
function useLine({ node, op, scope }: Use, functions: boolean): string {
	return functions ? `${op} in ${scope}` : `${op} ${node} in ${scope}`;
}

function tableLine(size: string, copies: readonly string[], lookups: readonly string[], projections: readonly string[]): string {
	return [size, copies.toSorted(), lookups.toSorted(), projections.toSorted()].join(" | ");
}

const EXPECTED = { refuse: "refused", "nothing-to-do": "nothing-to-do" } as const;

describe("fixtures", () => {
	it.each([...MODELS.keys()])("%s is located as its manifest says", async (name) => {
		const entries = MODELS.get(name) ?? [];
		const ends = entries.flatMap(({ expect: end }) => (end === "refuse" || end === "nothing-to-do" ? [EXPECTED[end]] : []));
		expect(await outcome(entries)).toBe(ends.length === entries.length ? ends[0] : entries.map(truth).join("\n"));
	});
});
