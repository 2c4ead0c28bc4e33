// Replaces every use of a located vocabulary by factors: lookups become Gather(U)·W, projections (h·Wᵀ)·Uᵀ.
import { DistembError } from "../../src/errors.js";
import { addConstant } from "../../src/ir/build.js";
import { importOpset, removeInitializer, removeUnused } from "../../src/ir/edit.js";
import type { Node, Value } from "../../src/ir/graph.js";
import { INLINE, type Placement, Tensor } from "../../src/ir/tensor.js";
import { nodeLabel, readers } from "../../src/ir/walk.js";
import type { Pass, PassContext } from "../../src/pass.js";
import { engineProducts } from "../../src/runtime/products.js";
import type { Calibration, FactorGroup, Factorized, FactorValue, Located, ModelFile, SidesChoice } from "../../src/state.js";
import type { Role } from "../../src/storage.js";
import { type CodingSearch, type PlainTable, searchCoding } from "./coding.js";
import { requireUnfusable, unfuse } from "./embed-layer-norm.js";
import { type PlannedFile, type PlannedGroup, placesOf, sidesOf } from "./layout.js";
import { type Factors, rewriteLookup } from "./lookup.js";
import type { FactorizeOptions } from "./options.js";
import { type Plan, type PlannedVocabulary, planFactors } from "./plan.js";
import { rewriteAsGemm, rewriteAsMatMul } from "./projection.js";
import { commonScope } from "./readers.js";
import { comparedSides } from "./sides.js";

export { FACTORIZE_DEFAULTS, type FactorizeOptions, type Size } from "./options.js";

/** A table of mixed precision is coded by its calibration, where it has one. */
type MaybeCalibrated = Located & { readonly calibrations?: readonly Calibration[] | undefined };

/**
 * Rewrites lookups and projections into standard operators of the model's own operator set. The factors are float32
 * placeholders without data, one U and one W for all uses in a file; the last new node of each use defines the old value,
 * so that names and readers stay.
 *
 * Everything that can be refused is refused before the first change.
 * @throws DistembError `nothing-to-do` if no vocabulary would shrink; `refused` for readers that are not understood.
 */
export function factorize(options: FactorizeOptions): Pass<MaybeCalibrated, Factorized> {
	return {
		name: "factorize",
		run: async (state, context) => {
			const plan = feasiblePlan(state, options, await codingSearches(state, options, context));
			report(plan, context);
			const idle: Node[] = [];
			const groups = plan.chosen.flatMap((planned) => rewriteVocabulary(planned, idle, context));
			// Not before the last vocabulary is rewritten: an old node may hold bodies in which another one is used.
			removeUnused(idle);
			for (const { value } of plan.chosen.flatMap(({ removed }) => removed)) removeTable(value);
			const predictedSavedBytes = plan.chosen.reduce((sum, { bytesBefore, bytesAfter }) => sum + bytesBefore - bytesAfter, 0);
			return { ...state, groups, sides: choicesOf(plan), predictedSavedBytes };
		},
		ensures: (after) => {
			for (const { vocabulary } of after.groups)
				requireReplaced(
					vocabulary.copies.map(({ value }) => value),
					options,
				);
			for (const { vocabulary } of after.groups) {
				for (const { node } of [...vocabulary.lookups, ...vocabulary.projections]) {
					if (node.graph.nodes.includes(node)) throw new DistembError("internal", `${nodeLabel(node)} was not replaced`);
				}
			}
		},
	};
}

/**
 * What {@link factorize} will make of which vocabulary, before anything takes time; with columns of different precision, about.
 * @throws DistembError as {@link factorize} does
 */
export function plannedRanks(state: Located, options: FactorizeOptions): Pick<FactorGroup, "vocabulary" | "rank">[] {
	const { dtype } = options;
	const plan = feasiblePlan(state, { ...options, dtype: dtype === "mixed" ? undefined : dtype });
	return plan.chosen.flatMap(({ groups }) => groups.map(({ vocabulary, rank }) => ({ vocabulary, rank })));
}

function feasiblePlan(state: Located, options: FactorizeOptions, searches: readonly CodingSearch[] = []): Plan {
	const plan = planFactors(state, options, searches);
	requireWork(plan, state);
	for (const { groups } of plan.chosen) {
		for (const lookup of groups.flatMap((group) => group.files.flatMap(({ lookups }) => lookups))) {
			if (lookup.pattern === "E6") requireUnfusable(lookup);
		}
	}
	return plan;
}

/** The tables of mixed precision that one size gives, and what is not stored any more; for plans, nothing is changed. */
export function plannedTables(state: Located, options: FactorizeOptions, searches: readonly CodingSearch[]) {
	const plan = feasiblePlan(state, { ...options, dtype: "mixed" }, searches);
	const groups = plan.chosen.flatMap((chosen) => chosen.groups);
	const savedBytes = plan.chosen.reduce((sum, { bytesBefore, bytesAfter }) => sum + bytesBefore - bytesAfter, 0);
	return { groups, sides: choicesOf(plan), savedBytes };
}

function choicesOf({ chosen }: Plan): SidesChoice[] {
	return chosen.flatMap(({ sides }) => sides ?? []);
}

/** What plain quantizers would make of each vocabulary of a plan's searches, in all places that store it. */
export function plainTables(searches: readonly CodingSearch[], options: FactorizeOptions): PlainTable[][] {
	const asked = searches.filter(({ plain }) => plain.length > 0);
	return asked.map(({ vocabulary, plain }) => {
		const places = placesOf(vocabulary, options);
		return plain.map((table) => ({ ...table, bytes: table.bytes * places }));
	});
}

/** How each vocabulary can be coded, for `dtype: "mixed"`; `plain`: and what plain quantizers would make of it. */
export async function codingSearches(
	state: MaybeCalibrated,
	options: FactorizeOptions,
	{ threads, seed, signal, progress }: PassContext,
	plain = false,
): Promise<CodingSearch[]> {
	const { dtype, blocks = "auto", ops, frequencyPower } = options;
	const spacing = ops === "onnxruntime" ? "equal" : "fitted";
	if (dtype !== "mixed") return [];
	for (const { file } of state.vocabularies.flatMap(({ lookups, projections }) => [...lookups, ...projections])) requireBytes(file);
	const products = engineProducts({ threads });
	try {
		const searches: CodingSearch[] = [];
		const parts = state.vocabularies.flatMap((vocabulary) => {
			const calibration = state.calibrations?.find((held) => held.vocabulary === vocabulary);
			const planned = sidesOf(vocabulary, options).map(({ side }) => ({ vocabulary, calibration, side, plain }));
			return [
				...planned,
				...comparedSides(vocabulary, options, calibration).map((side) => ({ vocabulary, calibration, side, plain: false })),
			];
		});
		for (const [index, { vocabulary, calibration, side, plain }] of parts.entries()) {
			const settings = { blocks, frequencyPower, spacing, seed, signal } as const;
			const onProgress = (fraction: number) => progress((index + fraction) / parts.length, vocabulary.name);
			searches.push(await searchCoding(vocabulary, side, calibration, products, { ...settings, onProgress, plain }));
		}
		return searches;
	} finally {
		await products.close();
	}
}

/** Gather takes bytes and negative axes from this operator set on. */
const LEAST_CODED_OPSET = 11;

/** Whether columns of different precision can be written, in every file that reads a vocabulary. */
export function canBeCoded({ vocabularies }: Located): boolean {
	const files = vocabularies.flatMap(({ lookups, projections }) => [...lookups, ...projections].map(({ file }) => file));
	return files.every(({ model }) => model.opset >= LEAST_CODED_OPSET);
}

function requireBytes({ model, name }: ModelFile): void {
	if (model.opset >= LEAST_CODED_OPSET) return;
	throw new DistembError("refused", `operator set ${model.opset} cannot read columns of different precision`, {
		at: name,
		hint: `convert the model to opset ${LEAST_CODED_OPSET} or later first, or use --dtype int8`,
	});
}

function requireReplaced(copies: readonly Value[], { keepOtherReaders }: FactorizeOptions): void {
	for (const value of copies) {
		const { producer, graph } = value;
		const stands = producer === undefined ? graph.initializers.includes(value) : graph.nodes.includes(producer);
		if (stands && !keepOtherReaders) throw new DistembError("internal", `table "${value.name}" is still stored`);
	}
}

function requireWork({ chosen, skipped }: Plan, state: Located): void {
	if (chosen.length > 0) return;
	const [first] = skipped;
	if (first !== undefined) {
		throw new DistembError("nothing-to-do", skipped.map(({ vocabulary, reason }) => `"${vocabulary.name}": ${reason}`).join("; "), {
			hint: first.vocabulary.alreadyRank === undefined ? "give a smaller size, or --allow-larger" : "give a smaller size",
		});
	}
	const [rejected] = state.rejected;
	const why = rejected === undefined ? "" : ` (the nearest candidate, "${rejected.tensor}": ${rejected.reason})`;
	throw new DistembError("nothing-to-do", `no vocabulary was found${why}`, { hint: "name the table with --embedding or --head" });
}

function report(plan: Plan, context: PassContext): void {
	const { skipped, notes, chosen } = plan;
	for (const note of notes) context.log(note);
	for (const { vocabulary, reason } of skipped) context.warn(`"${vocabulary.name}" is left alone: ${reason}`);
	for (const { reason } of choicesOf(plan)) context.log(reason);
	for (const { vocabulary, kept } of chosen) {
		for (const { copy, reader } of kept) {
			context.warn(`"${copy.value.name}" of ${copy.file.name} stays for ${reader}: "${vocabulary.name}" does not shrink by it`);
		}
	}
}

function rewriteVocabulary(planned: PlannedVocabulary, idle: Node[], context: PassContext): FactorGroup[] {
	return planned.groups.map((group) => {
		const values = group.files.flatMap((planned) => rewriteFile(group, planned, idle, context));
		const { vocabulary, side, rank, coding, compute: dtype } = group;
		return { vocabulary, side, rank, values, coding, dtype };
	});
}

function rewriteFile(group: PlannedGroup, planned: PlannedFile, idle: Node[], context: PassContext): FactorValue[] {
	const { file, form, lookups, projections } = planned;
	const values = addFactors(group, planned);
	const of = (role: Role): Value => {
		const held = values.find((factor) => factor.role === role);
		if (held === undefined) throw new DistembError("internal", `factor ${role} of "${group.vocabulary.name}" is missing in ${file.name}`);
		return held.value;
	};
	const { rows, cols } = group.vocabulary.table;
	const { compute, rank } = group;
	for (const lookup of lookups) {
		const factors: Factors = { left: of("left"), right: of("right"), compute };
		context.log(`${file.name}: ${nodeLabel(lookup.node)} (${lookup.pattern}) → Gather [${rows}, ${rank}] · [${rank}, ${cols}]`);
		const old = lookup.output === undefined ? unfuse(lookup, factors) : rewriteLookup(lookup, lookup.output, factors);
		if (old !== undefined) idle.push(old);
	}
	for (const projection of projections) {
		context.log(`${file.name}: ${nodeLabel(projection.node)} (${projection.pattern}) → [${cols}, ${rank}] · [${rank}, ${rows}]`);
		const old =
			form === "gemm"
				? rewriteAsGemm(projection, { left: of("left"), right: of("right"), rows, cols, compute })
				: rewriteAsMatMul(projection, { leftT: of("leftT"), rightT: of("rightT"), compute });
		if (old !== undefined) idle.push(old);
		if (projection.gemm?.activation !== undefined) importOpset(file.model, "com.microsoft", 1);
	}
	return values;
}

/** Placeholders for one file, in the scope that encloses every owner of the table, stored where the table is stored. */
function addFactors({ vocabulary, side, rank }: PlannedGroup, { file, roles, lookups, projections }: PlannedFile): FactorValue[] {
	const owner = commonScope([...lookups, ...projections].map((site) => site.owner)) ?? file.model.graph;
	const copy = copyIn(file, vocabulary.copies);
	const base = copy?.value.name ?? vocabulary.name;
	const single = side === "both" || vocabulary.lookups.length === 0 || vocabulary.projections.length === 0;
	const { rows, cols } = vocabulary.table;
	const dims: Readonly<Record<Role, readonly number[]>> = {
		left: [rows, rank],
		right: [rank, cols],
		leftT: [rank, rows],
		rightT: [cols, rank],
	};
	return roles.map((role): FactorValue => {
		const tensor = new Tensor("float32", dims[role], undefined, placementOf(copy?.tensors[0]));
		return { file, role, value: addConstant(owner, `${base}.${single ? "" : `${side}.`}${role}`, tensor) };
	});
}

function copyIn(file: ModelFile, copies: PlannedVocabulary["removed"]) {
	const own = copies.filter((copy) => copy.file === file);
	return own.find(({ unused }) => !unused) ?? own[0];
}

function placementOf(tensor: Tensor | undefined): Placement {
	return tensor?.placement ?? INLINE;
}

/** Removes a stored table, with the nodes that read it for nobody. */
function removeTable(value: Value): void {
	removeDead(value);
	const { producer, graph } = value;
	if (value.uses.size > 0) return;
	if (producer !== undefined) removeUnused([producer]);
	else if (graph.initializers.includes(value)) removeInitializer(value);
}

/** Removes what is computed from `value`, unless something else reads it in the end. */
function removeDead(value: Value): void {
	const below = new Set(readers(value));
	for (const node of below)
		for (const output of node.outputs) if (output !== undefined) for (const reader of readers(output)) below.add(reader);
	// In any order: with its last reader a node goes too.
	removeUnused(below);
}
