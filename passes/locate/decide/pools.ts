// Ties: entries of all files whose contents are equal belong to one vocabulary.
import { closeContent, sameContent, sameShape } from "../matrix/content.js";
import { type Entry, nameOf, type Survey } from "../survey.js";

/** Entries that hold one table, in file order, lookups first. */
export interface Pool {
	readonly entries: readonly Entry[];
}

/**
 * One pool per vocabulary: the `chosen` entries and every other entry with the same contents.
 * With `soft`, contents that differ by no more than a quantization step count as the same.
 */
export function poolsOf(surveys: readonly Survey[], chosen: readonly Entry[], soft: boolean, log: (line: string) => void): Pool[] {
	const all = surveys.flatMap(({ entries }) => entries);
	const taken = new Set<Entry>();
	const pools: { readonly first: Entry; readonly entries: Entry[] }[] = [];
	for (const first of chosen) {
		if (taken.has(first)) continue;
		const entries = all.filter((entry) => !taken.has(entry) && sameContent(entry.table, first.table));
		for (const entry of entries) taken.add(entry);
		const near = pools.find((pool) => sameShape(pool.first.table, first.table) && closeContent(pool.first.table, first.table));
		if (near !== undefined && soft) {
			near.entries.push(...entries);
			continue;
		}
		if (near !== undefined) {
			log(`"${nameOf(near.first)}" and "${nameOf(first)}" differ by no more than a quantization step: a soft tie, treated as two tables`);
		}
		pools.push({ first, entries });
	}
	return pools.map(({ entries }) => ({ entries: entries.toSorted((one, other) => rank(one) - rank(other)) }));
}

function rank({ lookups }: Entry): number {
	return lookups.length > 0 ? 0 : 1;
}
