// For a person: every other matrix that looked like a vocabulary, and why it is none.
import type { Value } from "../../../src/ir/graph.js";
import { nodeLabel } from "../../../src/ir/walk.js";
import type { Rejected } from "../../../src/state.js";
import { tensorsOf } from "../matrix/matrix.js";
import { type Entry, headOf, isTall, nameOf, type Survey } from "../survey.js";
import { combinedWithOthers } from "./foreign.js";

/** A matrix with this many rows per column looks like a head even if it reaches no output. */
const CONSPICUOUS = 8;

/** One sentence per entry of `surveys` that looks like a vocabulary and is none of `chosen`. */
export function rejectedTables(surveys: readonly Survey[], chosen: ReadonlySet<Entry>): Rejected[] {
	const sizes = new Set([...chosen].map(({ table }) => table.rows));
	return surveys.flatMap((survey) =>
		survey.entries.flatMap((entry) => {
			const reason = chosen.has(entry) ? undefined : reasonAgainst(entry, survey, sizes);
			return reason === undefined ? [] : [describe(entry, reason)];
		}),
	);
}

function describe(entry: Entry, reason: string): Rejected {
	const { table, file, lookups, projections } = entry;
	const node = lookups[0]?.site.node ?? projections[0]?.node;
	const { tensor } = table.matrix;
	const bytes = tensorsOf(table.matrix).reduce((sum, { byteLength }) => sum + byteLength, 0);
	return { file: file.name, tensor: nameOf(entry), dims: tensor.dims, bytes, node: node === undefined ? "" : nodeLabel(node), reason };
}

/** Undefined: nothing about the entry looks like a vocabulary. */
function reasonAgainst(entry: Entry, survey: Survey, sizes: ReadonlySet<number>): string | undefined {
	const { table, lookups, projections } = entry;
	const [lookup] = lookups;
	if (lookup !== undefined) {
		const input = lookups.flatMap(({ source }) => (source.kind === "input" ? [source.value] : []))[0];
		if (input !== undefined) return againstLookup(entry, input, survey, sizes);
		const by = lookup.source.kind === "computed" ? lookup.source.by : "";
		return `its rows are selected by ${by}, not by token ids: a table of positions, distances or classes`;
	}
	if (projections.length === 0 || !isTall(table)) return undefined;
	const head = headOf(entry, survey);
	if (head === undefined) {
		if (!sizes.has(table.rows) && table.rows < CONSPICUOUS * table.cols) return undefined;
		return "its product reaches no output as scores over a vocabulary";
	}
	if (sizes.size > 0)
		return `it gives ${table.rows} scores in output "${head.output}" where the vocabulary has ${[...sizes].join(" and ")} words: a classifier`;
	return `it gives ${table.rows} scores in output "${head.output}", but not for every position: a classifier; --head names it if it is a vocabulary`;
}

function againstLookup(entry: Entry, input: Value, survey: Survey, sizes: ReadonlySet<number>): string {
	const { table } = entry;
	const from = `its ids come from input "${input.name}"`;
	if (!isTall(table)) return `${from}, but ${table.rows} rows of ${table.cols} numbers are too few for a vocabulary`;
	const nodes = new Set(survey.entries.flatMap(({ lookups }) => lookups.map(({ site }) => site.node)));
	const combined = combinedWithOthers(entry, nodes, survey.facts);
	if (combined !== undefined)
		return `${from}, but ${nodeLabel(combined)} combines its rows with values from elsewhere: positions, or the like`;
	if (sizes.size === 0) return `${from}, but neither a projection nor its size shows that it is the vocabulary`;
	return `${from}, but its ${table.rows} rows match no projection and the vocabulary has ${[...sizes].join(" and ")}`;
}
