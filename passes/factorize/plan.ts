// Decides, before anything is changed, which vocabularies are factorized, in how many groups, and at which ranks.
import { DistembError } from "../../src/errors.js";
import { distinctBytes } from "../../src/ir/tensor.js";
import type { Located, ModelFile, SidesChoice, StoredCopy, Vocabulary } from "../../src/state.js";
import { planCoded } from "./coded.js";
import { type CodingSearch, MOST_BLOCKS } from "./coding.js";
import { layout, type PlannedGroup, sidesOf } from "./layout.js";
import type { FactorizeOptions } from "./options.js";
import { dataFileBytes, otherReader, PAGE, replacedNodes } from "./readers.js";
import { factorBytes, largestRank } from "./size.js";

export interface PlannedVocabulary {
	readonly vocabulary: Vocabulary;
	readonly groups: readonly PlannedGroup[];
	/** One coding for both sides or one for each, where that was compared. */
	readonly sides: SidesChoice | undefined;
	/** Copies that go away, and those that someone else keeps reading. */
	readonly removed: readonly StoredCopy[];
	readonly kept: readonly { readonly copy: StoredCopy; readonly reader: string }[];
	/** What is stored now and goes away. */
	readonly bytesBefore: number;
	readonly bytesAfter: number;
}

export interface Plan {
	readonly chosen: readonly PlannedVocabulary[];
	/** Vocabularies left alone, and why. */
	readonly skipped: readonly { readonly vocabulary: Vocabulary; readonly reason: string }[];
	readonly notes: readonly string[];
}

/**
 * `searches` holds, for `dtype: "mixed"`, how each vocabulary can be coded.
 * @throws DistembError `refused` for an unknown reader, an old opset or a size that cannot be met, `usage` for contradicting sizes.
 */
export function planFactors(state: Located, options: FactorizeOptions, searches: readonly CodingSearch[] = []): Plan {
	requireSize(options);
	for (const { model, name } of filesOf(state.vocabularies)) {
		if (model.opset < 7)
			throw new DistembError("refused", `operator set ${model.opset} is older than 7`, {
				at: name,
				hint: "convert the model to opset 7 or later first",
			});
	}
	const split = state.vocabularies.map((vocabulary) => splitCopies(vocabulary, options));
	const budgets = budgetsOf(state, split, options);
	const chosen: PlannedVocabulary[] = [];
	const skipped: { vocabulary: Vocabulary; reason: string }[] = [];
	const notes: string[] = [];
	for (const [index, part] of split.entries()) {
		const { vocabulary } = part;
		const own = searches.filter((held) => held.vocabulary === vocabulary);
		const { groups, sides } =
			own.length === 0
				? { groups: planGroups(vocabulary, budgets[index], options, notes), sides: undefined }
				: planCoded(own, budgets[index], options);
		const bytesAfter = groups.reduce((sum, group) => sum + group.bytes, 0);
		const planned = { ...part, groups, sides, bytesAfter };
		const reason = reasonToSkip(planned, options);
		if (reason === undefined) chosen.push(planned);
		else skipped.push({ vocabulary, reason });
	}
	return { chosen, skipped, notes };
}

function requireSize({ size, inputRank, outputRank }: FactorizeOptions): void {
	const given = [size.rank, size.ratio, size.targetBytes].filter((value) => value !== undefined);
	if (given.length > 1) throw new DistembError("usage", "only one of rank, ratio and target size can be given");
	if (given.length === 0 && (inputRank === undefined || outputRank === undefined)) {
		throw new DistembError("usage", "no size is given", { hint: "give --rank, --ratio or --target-size" });
	}
	for (const rank of [size.rank, inputRank, outputRank]) {
		if (rank !== undefined && !(Number.isInteger(rank) && rank >= 1))
			throw new DistembError("usage", `rank ${rank} is no positive whole number`);
	}
	for (const value of [size.ratio, size.targetBytes]) {
		if (value !== undefined && !(value > 0 && Number.isFinite(value)))
			throw new DistembError("usage", `size ${value} is no positive number`);
	}
}

function filesOf(vocabularies: readonly Vocabulary[]): Set<ModelFile> {
	return new Set(vocabularies.flatMap(({ lookups, projections }) => [...lookups, ...projections].map(({ file }) => file)));
}

type SplitVocabulary = Pick<PlannedVocabulary, "vocabulary" | "removed" | "kept" | "bytesBefore">;

function splitCopies(vocabulary: Vocabulary, options: FactorizeOptions): SplitVocabulary {
	const replaced = replacedNodes(vocabulary);
	const removed: StoredCopy[] = [];
	const kept: { copy: StoredCopy; reader: string }[] = [];
	for (const copy of vocabulary.copies) {
		const reader = otherReader(copy, replaced);
		if (reader === undefined) removed.push(copy);
		else kept.push({ copy, reader });
	}
	const [first] = kept;
	if (first !== undefined && !options.keepOtherReaders) {
		throw new DistembError(
			"refused",
			`table "${first.copy.value.name}" is also read by ${first.reader}, which is no lookup or projection`,
			{
				at: first.copy.file.name,
				hint: "--keep-other-readers keeps the table for it; the file then does not shrink",
			},
		);
	}
	return { vocabulary, removed, kept, bytesBefore: distinctBytes(removed.flatMap(({ tensors }) => tensors)) };
}

/** Nodes, names and shapes that the rewrite adds per site, estimated, so that a target size is not exceeded. */
const BYTES_PER_SITE = 1024;

/** Likewise for each block of rows with bits of its own: 2.3 kB on two models with blocks of five precisions. */
const BYTES_PER_CODED_BLOCK = 3072;

/** U, its scales and W may each begin a page of a data file. */
const FACTORS_PER_FILE = 3;

/** Bytes that the factors of each vocabulary may take; undefined where ranks are given. */
function budgetsOf(state: Located, split: readonly SplitVocabulary[], options: FactorizeOptions): (number | undefined)[] {
	const { size, fileBytes, dtype, blocks = "auto" } = options;
	if (size.ratio !== undefined) {
		const { ratio } = size;
		return split.map(({ vocabulary }) => vocabulary.bytes / ratio);
	}
	if (size.targetBytes === undefined) return split.map(() => undefined);
	const removed = split.reduce((sum, { bytesBefore }) => sum + bytesBefore, 0);
	const sites = state.vocabularies.reduce((sum, { lookups, projections }) => sum + lookups.length + projections.length, 0);
	const models = state.files.reduce((sum, { bytes }) => sum + bytes, 0);
	const data = Math.max(dataFileBytes(state.files), (fileBytes ?? 0) - models);
	const padded = split.reduce((sum, { vocabulary, removed }) => {
		const codings = dtype === "mixed" && vocabulary.lookups.length > 0 && vocabulary.projections.length > 0 ? 2 : 1;
		return sum + codings * removed.filter(({ tensors }) => tensors[0]?.placement.kind === "external").length;
	}, 0);
	const coded = dtype === "mixed" ? (blocks === "auto" ? MOST_BLOCKS : blocks) : 0;
	const rest = models + data - removed + sites * (BYTES_PER_SITE + coded * BYTES_PER_CODED_BLOCK) + padded * FACTORS_PER_FILE * PAGE;
	const free = size.targetBytes - rest;
	if (free <= 0 && split.length > 0) {
		throw new DistembError("refused", `a target of ${size.targetBytes} bytes cannot be met: all but the vocabulary takes ${rest} bytes`, {
			hint: "give a larger --target-size",
		});
	}
	return split.map(({ bytesBefore }) => (removed === 0 ? 0 : (free * bytesBefore) / removed));
}

function planGroups(vocabulary: Vocabulary, budget: number | undefined, options: FactorizeOptions, notes: string[]): PlannedGroup[] {
	const sides = sidesOf(vocabulary, options);
	const limit = Math.min(vocabulary.table.rows, vocabulary.table.cols);
	const parts = sides.map(({ side, rank }) => ({ side, rank, ...layout(vocabulary, side, options) }));
	const bytes = (common: number) => parts.reduce((sum, { shape, rank }) => sum + factorBytes(shape, Math.min(rank ?? common, limit)), 0);
	const common = budget === undefined ? undefined : largestRank(limit, budget, bytes);
	if (common === 0 && parts.some(({ rank }) => rank === undefined)) {
		throw new DistembError(
			"refused",
			`"${vocabulary.name}": even rank 1 takes ${bytes(1)} bytes, ${Math.floor(budget ?? 0)} are left for it`,
			{
				hint: "give a smaller --ratio or a larger --target-size",
			},
		);
	}
	return parts.map(({ side, rank: given, shape, compute, files }) => {
		const asked = given ?? common ?? limit;
		if (asked > limit) notes.push(`"${vocabulary.name}": rank ${asked} is capped at ${limit}, the full rank`);
		const rank = Math.min(asked, limit);
		return { vocabulary, side, rank, coding: undefined, compute, files, bytes: factorBytes(shape, rank) };
	});
}

function reasonToSkip(planned: PlannedVocabulary, options: FactorizeOptions): string | undefined {
	const { vocabulary, groups, bytesBefore, bytesAfter, kept } = planned;
	const { alreadyRank } = vocabulary;
	const ranks = groups.map(({ rank }) => rank).join(" and ");
	if (options.allowLarger) return undefined;
	if (alreadyRank !== undefined && groups.some(({ rank }) => rank >= alreadyRank)) {
		return `it is already factorized at rank ${alreadyRank}; rank ${ranks} is not smaller`;
	}
	if (kept.length > 0 || bytesAfter < bytesBefore) return undefined;
	return `its factors at rank ${ranks} would take ${bytesAfter} bytes, not less than the ${bytesBefore} stored now`;
}
