// Everything in one file that may play a part: lookups, projections, tables, and what reaches the outputs.
import type { Value } from "../../src/ir/graph.js";
import { allNodes } from "../../src/ir/walk.js";
import type { ModelFile } from "../../src/state.js";
import { type IdSource, traceIds } from "./match/ids.js";
import { type Reached, reachedFromOutputs } from "./match/logits.js";
import { matchLookup } from "./match/lookups.js";
import { matchProjection } from "./match/projections.js";
import type { LookupSite, ProjectionSite, Site, Unreadable } from "./match/sites.js";
import { Facts } from "./matrix/facts.js";
import { keyOf } from "./matrix/matrix.js";
import { MatrixTable } from "./matrix/table.js";

/** One constant matrix of one file, with every place that reads it in the same way. */
export interface Entry {
	readonly file: ModelFile;
	readonly table: MatrixTable;
	readonly lookups: TracedLookup[];
	readonly projections: ProjectionSite[];
}

export interface TracedLookup {
	readonly site: LookupSite;
	readonly source: IdSource;
}

export interface Survey {
	readonly file: ModelFile;
	readonly facts: Facts;
	readonly entries: readonly Entry[];
	readonly unreadable: readonly Unreadable[];
	/** Values from which outputs are made by operators that keep the vocabulary axis. */
	readonly reached: ReadonlyMap<Value, Reached>;
}

/** Matches every node of `file`; changes nothing. */
export function survey(file: ModelFile): Survey {
	const facts = new Facts(file.model);
	const entries = new Map<string, Entry>();
	const unreadable: Unreadable[] = [];
	const entryOf = (site: Site): Entry => {
		const key = keyOf(site.matrix);
		let entry = entries.get(key);
		if (entry === undefined) {
			entry = { file, table: new MatrixTable(site.matrix), lookups: [], projections: [] };
			entries.set(key, entry);
		}
		return entry;
	};
	for (const node of allNodes(file.model)) {
		const site = matchLookup(node, facts) ?? matchProjection(node, facts);
		if (site === undefined) continue;
		if (site.kind === "unreadable") unreadable.push(site);
		else if (site.kind === "lookup") entryOf(site).lookups.push({ site, source: traceIds(site.ids, facts) });
		else entryOf(site).projections.push(site);
	}
	const reached = new Map(reachedFromOutputs(file.model, facts).map((step) => [step.value, step]));
	return { file, facts, entries: [...entries.values()], unreadable, reached };
}

/** A vocabulary has at least one and a half times as many words as hidden units. */
export function isTall({ rows, cols }: { readonly rows: number; readonly cols: number }): boolean {
	return rows >= 1.5 * cols && cols > 1;
}

/** How `entry` reaches an output of its file as a vocabulary head, if it does. */
export function headOf(entry: Entry, { reached }: Survey): Reached | undefined {
	if (!isTall(entry.table)) return undefined;
	for (const { output } of entry.projections) {
		const found = reached.get(output);
		if (found !== undefined && (found.width === undefined || found.width === entry.table.rows)) return found;
	}
	return undefined;
}

/** A graph input from which the ids of one of the lookups come. */
export function inputsOf(entry: Entry): Value[] {
	return entry.lookups.flatMap(({ source }) => (source.kind === "input" ? [source.value] : []));
}

/** Name of the stored tensor. */
export function nameOf({ table }: Entry): string {
	return table.matrix.stored.name;
}
