// Finds the vocabularies of a model: tables, lookups, projections, ties, over all its files.
import { DistembError, throwIfAborted } from "../../src/errors.js";
import type { Node } from "../../src/ir/graph.js";
import { distinctBytes } from "../../src/ir/tensor.js";
import { nodeLabel } from "../../src/ir/walk.js";
import type { Pass } from "../../src/pass.js";
import type { Loaded, Located, Lookup, Projection, Rejected, Vocabulary } from "../../src/state.js";
import { chooseVocabularies } from "./decide/choose.js";
import { storedCopies, unusedCopies } from "./decide/copies.js";
import { isFactoredLookup, isFactoredProjection } from "./decide/factored.js";
import { obstacle } from "./decide/hold.js";
import { lookupPattern, projectionPattern } from "./decide/labels.js";
import { type Pool, poolsOf } from "./decide/pools.js";
import { rejectedTables } from "./decide/rejected.js";
import { surveyInlined } from "./functions.js";
import { precisionOf, requireFinite } from "./matrix/table.js";
import { nameOf, type Survey } from "./survey.js";

export interface LocateOptions {
	/** The input table: name of its tensor, of a node that looks it up, or of a value beside it. */
	readonly embedding?: string | undefined;
	/** The output projection, likewise. */
	readonly head?: string | undefined;
	/** Readers that are neither lookup nor projection keep the table; without it they are a reason to refuse. */
	readonly keepOtherReaders?: boolean | undefined;
	/** Tables that differ by no more than a quantization step count as one. */
	readonly tieSoft?: boolean | undefined;
}

export const LOCATE_DEFAULTS = { keepOtherReaders: false, tieSoft: false } as const satisfies LocateOptions;

/**
 * The pass `locate`: finds what the factors will replace. The graph is not changed, except that calls of
 * model-local functions which hide a matrix, or the way to one, are replaced by their bodies.
 *
 * Throws `nothing-to-do` if no file holds a vocabulary, `refused` if one is read in a way that forbids replacing it,
 * `input` if one holds numbers that are not finite, `usage` if a name in the options names nothing.
 */
export function locate(options: LocateOptions = LOCATE_DEFAULTS): Pass<Loaded, Located> {
	return {
		name: "locate",
		run: async (state, context) => {
			const inlined = new Set<Node>();
			const surveys = state.files.map((file) => surveyInlined(file, inlined));
			const chosen = chooseVocabularies(surveys, options);
			requireReadable(surveys);
			if (chosen.length === 0) throw nothingFound(rejectedTables(surveys, new Set()));
			const pools = poolsOf(surveys, chosen, options.tieSoft ?? false, context.log);
			for (const pool of pools) requireSound(pool, surveys, options.keepOtherReaders ?? false);
			for (const [index, { entries }] of pools.entries()) {
				throwIfAborted(context.signal);
				for (const { file, table } of entries) if (table === entries[0]?.table || options.tieSoft) requireFinite(table, file.name);
				context.progress((index + 1) / pools.length);
			}
			const sizes = new Set(
				pools.flatMap(({ entries }) => entries.filter(({ lookups }) => lookups.length > 0).map(({ table }) => table.rows)),
			);
			const vocabularies = pools.map((pool) => vocabularyOf(pool, surveys, { inlined, sizes }));
			for (const vocabulary of vocabularies) context.log(summaryOf(vocabulary));
			return { ...state, vocabularies, rejected: rejectedTables(surveys, new Set(pools.flatMap(({ entries }) => entries))) };
		},
	};
}

/** A head or lookup in a form that cannot be read forbids the rewrite: half of a vocabulary would stay behind. */
function requireReadable(surveys: readonly Survey[]): void {
	for (const { file, unreadable, reached } of surveys) {
		for (const { node, rows, cols, reason } of unreadable) {
			const [output] = node.outputs;
			const step = output === undefined ? undefined : reached.get(output);
			const isHead = step !== undefined && rows >= 1.5 * cols && (step.width === undefined || step.width === rows);
			if (!isHead && node.opType !== "GatherBlockQuantized") continue;
			throw new DistembError("refused", `${nodeLabel(node)} ${reason}`, {
				at: file.name,
				hint: "start from the model before it was quantized",
			});
		}
	}
}

function nothingFound(rejected: readonly Rejected[]): DistembError {
	const best = rejected.toSorted((one, other) => other.bytes - one.bytes)[0];
	if (best === undefined) {
		return new DistembError(
			"nothing-to-do",
			"no vocabulary found: no constant matrix is looked up by token ids or gives scores over words",
		);
	}
	const what = `"${best.tensor}" [${best.dims.join(", ")}], read by ${best.node}`;
	return new DistembError("nothing-to-do", `no vocabulary found; the best candidate is ${what}: ${best.reason}`, {
		at: best.file,
		hint: "--embedding or --head names the table if it is one",
	});
}

/** @throws DistembError `refused` with the first obstacle in any file. */
function requireSound({ entries }: Pool, surveys: readonly Survey[], keepOtherReaders: boolean): void {
	for (const { file, facts } of surveys) {
		const own = entries.filter((entry) => entry.file === file);
		const found = obstacle(own, facts, keepOtherReaders);
		if (found !== undefined) throw found;
	}
}

interface Whole {
	/** Nodes that stood in functions. */
	readonly inlined: ReadonlySet<Node>;
	/** Rows of all looked-up vocabularies. */
	readonly sizes: ReadonlySet<number>;
}

function vocabularyOf({ entries }: Pool, surveys: readonly Survey[], { inlined, sizes }: Whole): Vocabulary {
	const [first] = entries.toSorted((one, other) => precisionOf(other.table) - precisionOf(one.table));
	if (first === undefined) throw new DistembError("internal", "a vocabulary without a table");
	const copies = [...storedCopies(entries), ...unusedCopies(first.table, entries, surveys)];
	const lookups: Lookup[] = [];
	const projections: Projection[] = [];
	let factored = false;
	for (const entry of entries) {
		const { file } = entry;
		const found = surveys.find((one) => one.file === file);
		if (found === undefined) throw new DistembError("internal", `${file.name} was not surveyed`);
		const place = { file, owner: entry.table.matrix.stored.graph };
		for (const { site } of entry.lookups) {
			const pattern = lookupPattern(site, found.facts, inlined);
			factored ||= isFactoredLookup(site, found.facts);
			lookups.push({ ...site, ...place, pattern });
		}
		for (const site of entry.projections) {
			const pattern = projectionPattern(
				site,
				entries.flatMap((one) => one.projections),
				sizes,
			);
			factored ||= isFactoredProjection(site, found.facts);
			projections.push({ ...site, ...place, pattern });
		}
	}
	return {
		name: nameOf(entries[0] ?? first),
		table: first.table,
		copies,
		lookups,
		projections,
		tied: lookups.length > 0 && projections.length > 0,
		bytes: distinctBytes(copies.flatMap(({ tensors }) => tensors)),
		alreadyRank: factored ? first.table.cols : undefined,
	};
}

function summaryOf({ name, table, lookups, projections, copies, alreadyRank }: Vocabulary): string {
	const counted = (count: number, one: string, many = `${one}s`) => `${count} ${count === 1 ? one : many}`;
	const sides = [counted(lookups.length, "lookup"), counted(projections.length, "projection")].join(", ");
	const uses = `${sides}, ${counted(copies.length, "stored copy", "stored copies")}`;
	const factored = alreadyRank === undefined ? "" : `, already rank ${alreadyRank}`;
	return `"${name}" [${table.rows}, ${table.cols}]: ${uses}${factored}`;
}
