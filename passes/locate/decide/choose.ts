// The decision: which of the tables are vocabularies. By structure and size, never by name.
import { DistembError } from "../../../src/errors.js";
import { sameContent } from "../matrix/content.js";
import { type Entry, headOf, inputsOf, isTall, nameOf, type Survey } from "../survey.js";
import { combinedWithOthers } from "./foreign.js";
import { embeddingLayers } from "./groups.js";

/** The largest table of an embedding layer is its vocabulary if it has this many times the rows of the next. */
const DOMINANCE = 4;

export interface Named {
	readonly embedding?: string | undefined;
	readonly head?: string | undefined;
}

/** Entries that are vocabularies, over all files; entries of equal contents may be missing, they follow from these. */
export function chooseVocabularies(surveys: readonly Survey[], named: Named): Entry[] {
	const lookups = named.embedding === undefined ? surveys.flatMap(chooseLookups) : byName(surveys, named.embedding, "embedding");
	const heads = named.head === undefined ? chooseHeads(surveys, lookups) : byName(surveys, named.head, "head");
	return [...new Set([...lookups, ...heads])];
}

/** Tables whose ids are given from outside, with more rows than columns. */
export function candidatesOf({ entries }: Survey): Entry[] {
	return entries.filter((entry) => inputsOf(entry).length > 0 && isTall(entry.table));
}

/** Ids that pass through a Clip prove nothing by themselves: adaptive embeddings clip theirs to clusters. */
function hasFreeIds({ lookups }: Entry): boolean {
	return lookups.some(({ source }) => source.kind === "input" && !source.bounded);
}

/** Widths of the projections that reach an output. */
export function headWidths(survey: Survey): Set<number> {
	return new Set(survey.entries.filter((entry) => headOf(entry, survey) !== undefined).map(({ table }) => table.rows));
}

/** The vocabularies among the looked-up tables of one file. */
function chooseLookups(survey: Survey): Entry[] {
	const candidates = candidatesOf(survey);
	const widths = headWidths(survey);
	const winners: Entry[] = [];
	const nodes = new Set(survey.entries.flatMap(({ lookups }) => lookups.map(({ site }) => site.node)));
	for (const layer of embeddingLayers(candidates)) {
		const matching = layer.filter(({ table }) => widths.has(table.rows));
		const [first, ...copies] = matching.length > 0 ? matching : dominant(layer.filter(hasFreeIds));
		if (first === undefined) continue;
		if (matching.length > 0 || combinedWithOthers(first, nodes, survey.facts) === undefined) winners.push(first, ...copies);
	}
	const largest = Math.max(0, ...winners.map(({ table }) => table.rows));
	return winners.filter(({ table }) => widths.has(table.rows) || table.rows * DOMINANCE > largest);
}

/** The table with four times the rows of every other one, with its copies. */
function dominant(layer: readonly Entry[]): Entry[] {
	const [largest, ...others] = layer.toSorted((one, other) => other.table.rows - one.table.rows);
	if (largest === undefined) return [];
	const copies = others.filter(({ table }) => sameContent(table, largest.table));
	const next = others.find((entry) => !copies.includes(entry));
	return next === undefined || largest.table.rows >= DOMINANCE * next.table.rows ? [largest, ...copies] : [];
}

/** Heads that share no table with a lookup, next to those that do. */
function chooseHeads(surveys: readonly Survey[], lookups: readonly Entry[]): Entry[] {
	const sizes = new Set(lookups.map(({ table }) => table.rows));
	return surveys.flatMap((survey) => {
		const heads = survey.entries.filter((entry) => headOf(entry, survey) !== undefined);
		const matching = heads.filter(({ table }) => sizes.has(table.rows));
		return matching.length > 0 ? matching : widest(heads.filter((entry) => isVocabularyHead(entry, survey, sizes)));
	});
}

/** Those with most scores. */
function widest(heads: readonly Entry[]): Entry[] {
	const most = Math.max(0, ...heads.map(({ table }) => table.rows));
	return heads.filter(({ table }) => table.rows === most);
}

/** A head of its own size: scores for every position, and as many as the vocabulary has words, more or less. */
export function isVocabularyHead(entry: Entry, survey: Survey, sizes: ReadonlySet<number>): boolean {
	const rank = headOf(entry, survey)?.rank;
	if (rank === undefined || rank < 3) return false;
	return sizes.size === 0 || [...sizes].some((rows) => entry.table.rows > 0.7 * rows && entry.table.rows < 1.5 * rows);
}

/** Entries whose tensor, node or value bears `name`. */
function byName(surveys: readonly Survey[], name: string, option: "embedding" | "head"): Entry[] {
	const found = surveys.flatMap(({ entries }) => entries.filter((entry) => namesOf(entry, option).has(name)));
	if (found.length > 0) return found;
	const known = surveys.flatMap(({ entries }) => entries.filter((entry) => namesOf(entry, option).size > 0).map(nameOf));
	throw new DistembError(
		"usage",
		`--${option} "${name}" names no ${option === "head" ? "projection with" : "lookup in"} a constant matrix`,
		{
			hint: known.length === 0 ? "there is none in this model" : `there are: ${[...new Set(known)].slice(0, 12).join(", ")}`,
		},
	);
}

function namesOf(entry: Entry, option: "embedding" | "head"): Set<string> {
	const sites = option === "head" ? entry.projections : entry.lookups.map(({ site }) => site);
	const names = new Set<string>();
	for (const { node, output, input } of sites) {
		names.add(nameOf(entry));
		for (const name of [node.name, output?.name, node.outputs[0]?.name, node.inputs[input]?.name])
			if (name !== undefined && name !== "") names.add(name);
	}
	return names;
}
