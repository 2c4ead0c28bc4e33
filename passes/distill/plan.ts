// What will be trained and how: the recipe, the training graphs at every shape, whole or head alone.
import type { PassContext } from "../../src/pass.js";
import type { Calibrated, Projection, Reconstructed } from "../../src/state.js";
import type { BatchShape } from "../../src/training/batches.js";
import type { Corpus } from "../../src/training/corpus.js";
import { trainableOf } from "../../src/training/trainable.js";
import type { WholeModel } from "../../src/training/whole.js";
import { programAt, type StudentProgram } from "./graph.js";
import { metricOf } from "./metric.js";
import { type DistillOptions, type Recipe, recipeOf, startsFar } from "./options.js";
import { type Phase, phasesOf } from "./phases.js";
import { type RowSource, rowSource, wholeTable } from "./rows.js";
import { inParts, type Sizes, sizesOf } from "./shapes.js";
import { type Sharing, sharingOf } from "./sharing.js";
import { shortlistSize } from "./shortlist.js";
import { tokenFrequency } from "./tables.js";

/** Calibrations, where there are some, weight embedding distillation. */
export type Trainee = Reconstructed & Partial<Pick<Calibrated, "calibrations">>;

export interface Plan {
	readonly recipe: Recipe;
	readonly rows: readonly RowSource[];
	/** The whole model at every shape, with the same parameters; none if a head is trained alone. */
	readonly whole: readonly StudentProgram[];
	/** The head at states, as far as a phase trains it. */
	readonly head: HeadProgram | undefined;
	/** The head at which states are compared too, if they are. */
	readonly states: Projection | undefined;
	/** Batches of a step. */
	readonly parts: number;
	readonly phases: readonly Phase[];
	readonly sharing: Sharing;
}

/** One head, and the graph that trains it on states, at the largest shape. */
export interface HeadProgram {
	readonly projection: Projection;
	readonly program: StudentProgram;
}

export async function planOf(
	state: Trainee,
	whole: WholeModel,
	corpus: Corpus,
	options: DistillOptions,
	context: PassContext,
): Promise<Plan> {
	const sharing = sharingOf(
		whole.files,
		state.files.filter((file) => !whole.files.includes(file)),
	);
	const sizes = sizesOf(whole, corpus, options);
	const head = await headOf(state, whole, sizes, context);
	const isCoded = state.groups.some(({ coding }) => coding !== undefined);
	const start = { kind: whole.kind, isCoded, isGenerated: corpus.generated, predicted: predictedOf(state) };
	const recipe = allowed(recipeOf(options, start), sharing, context);
	const isAlone = isHeadAlone(state, whole, head, options, context);
	const phases = isAlone ? phasesOf({ ...recipe, train: "head" }, undefined, true) : phasesOf(recipe, options.phases, head !== undefined);
	const rows = await rowSourcesOf(state, recipe, corpus, context);
	const states = whole.kind !== "encoder" && recipe.weights.states > 0 && !isAlone ? head : undefined;
	if (options.method !== "paper" && startsFar(start)) context.log(farOf(recipe, states, options));
	if ((options.weights?.states ?? 0) > 0 && whole.kind !== "encoder" && states === undefined)
		context.log("no states are compared: there is not one head that is trained with the body");
	const spec = { recipe, rows, states };
	const { programs, parts } = await programsOf(state, whole, isAlone ? largestOf(sizes) : sizes, isAlone ? head : undefined, spec, context);
	const last = programs.at(-1);
	const own = { recipe, rows, states, parts, sharing, phases };
	if (last === undefined || head === undefined || phases.every(({ name }) => name !== "head"))
		return { ...own, whole: programs, head: undefined };
	if (isAlone) return { ...own, whole: [], head: { projection: head, program: last } };
	const program = await programAt(whole, last.shape, {
		groups: state.groups,
		threads: context.threads,
		shortlist: shortlistOf(whole, last.shape),
		...spec,
		head,
	});
	return { ...own, whole: programs, head: { projection: head, program } };
}

/** How a student learns that starts far from the original, and from what besides; the log's words. */
function farOf({ weights, rate }: Recipe, states: Projection | undefined, { weights: asked, lr }: DistillOptions): string {
	const faster = lr === undefined ? `; factors learn at up to ${rate}` : "";
	const also = [
		...(weights.crossEntropy > 0 && asked?.crossEntropy === undefined
			? [["the text's own words", weights.crossEntropy, "ce"] as const]
			: []),
		...(states !== undefined && asked?.states === undefined ? [["states at the head", weights.states, "states"] as const] : []),
	];
	const parts = also.map(([what, weight, name]) => `; ${what} count by ${weight} (not with --loss ${name}=0)`);
	return `it starts far from the original${faster}${parts.join("")}`;
}

/** Nats per token that all float factors together are predicted to lose; undefined where one is not known. */
function predictedOf({ reconstructions }: Trainee): number | undefined {
	return reconstructions.reduce<number | undefined>(
		(sum, { predictedLoss }) => (sum === undefined || predictedLoss === undefined ? undefined : sum + predictedLoss),
		0,
	);
}

/** Weights of a body beyond which a step on all of it takes so long that ten minutes hold too few of them. */
const LARGE_BODY = 5e7;

/** The projection whose states are all that predictions come from; where a model has several, as in its branches, the one that training reaches. */
async function headOf({ groups }: Trainee, whole: WholeModel, sizes: Sizes, { threads }: PassContext): Promise<Projection | undefined> {
	const heads = groups
		.flatMap(({ vocabulary, side }) => (side === "input" ? [] : vocabulary.projections))
		.filter(({ file }) => whole.files.includes(file));
	const [shape] = sizes.shapes;
	const one = (projections: readonly Projection[]) =>
		projections.every(({ hidden }) => hidden === projections[0]?.hidden) ? projections[0] : undefined;
	if (heads.length < 2 || one(heads) !== undefined || shape === undefined) return one(heads);
	const { copyOf } = await trainableOf(whole, { ...shape, threads });
	return one(heads.filter(({ file, hidden }) => copyOf(file, hidden) !== undefined));
}

/** The head of a large model, unless it was said what to train: its step costs a fraction of one through the body. */
function isHeadAlone(
	{ groups }: Trainee,
	whole: WholeModel,
	head: Projection | undefined,
	{ method, train, phases }: DistillOptions,
	{ log }: PassContext,
): boolean {
	if (train === undefined ? method === "paper" || phases !== undefined : train !== "head") return false;
	const factors = new Set(groups.flatMap(({ values }) => values.map(({ value }) => value)));
	const sizes = whole.files.flatMap(({ model }) =>
		model.graph.initializers.map((value) => (factors.has(value) ? 0 : (value.tensor?.size ?? 0))),
	);
	const size = sizes.reduce((sum, own) => sum + own, 0);
	if (train === undefined && size <= LARGE_BODY) return false;
	if (head === undefined) {
		log("there is not one head to train alone");
		return false;
	}
	if (train === undefined)
		log(`the body has ${Math.round(size / 1e6)} million weights: a head alone is trained; --train all trains everything`);
	return true;
}

function shortlistOf({ width }: WholeModel, { batch, length }: Sizes["shapes"][number]): number | undefined {
	return shortlistSize(width, batch * length);
}

function isSame(a: BatchShape, b: BatchShape): boolean {
	return a.batch === b.batch && a.length === b.length && a.sourceLength === b.sourceLength;
}

function largestOf({ shapes, parts }: Sizes): Sizes {
	return { shapes: shapes.slice(-1), parts };
}

/** The body stays as it is where another file has a copy of it that is not known to be one. */
function allowed(recipe: Recipe, { unproved }: Sharing, { warn }: PassContext): Recipe {
	const [first] = unproved;
	if (first === undefined || recipe.train === "factors") return recipe;
	warn(`only the factors are trained: ${first} and ${unproved.length - 1} others are no proved copies of what would be trained`);
	return { ...recipe, train: "factors" };
}

async function rowSourcesOf(state: Trainee, { weights, relu }: Recipe, corpus: Corpus, { seed, log }: PassContext) {
	if (weights.embedding === 0) return [];
	const sources: RowSource[] = [];
	for (const group of state.groups) {
		const calibration = state.calibrations?.find(({ vocabulary }) => vocabulary === group.vocabulary);
		if (relu) {
			const sampled = () => rowSource(group, { frequency: undefined, metric: undefined, relative: false, seed });
			const source = wholeTable(group) ?? sampled();
			if (source.energy === undefined)
				log(`embedding distillation sees ${source.count} rows of "${group.vocabulary.name}" a step, drawn alike`);
			sources.push(source);
			continue;
		}
		const known = calibration && metricOf(calibration, group.side);
		const frequency = known?.frequency ?? (await tokenFrequency(corpus, group.vocabulary.table.rows));
		sources.push(rowSource(group, { frequency, metric: known?.root, relative: true, seed }));
	}
	return sources;
}

/** The training graph at every shape, in as many parts a step as memory asks for. */
async function programsOf(
	{ groups }: Reconstructed,
	whole: WholeModel,
	sizes: Sizes,
	head: Projection | undefined,
	spec: Pick<Plan, "recipe" | "rows" | "states">,
	{ threads, log }: PassContext,
): Promise<{ readonly programs: readonly StudentProgram[]; readonly parts: number }> {
	const largest = sizes.shapes.at(-1);
	if (largest === undefined) return { programs: [], parts: 1 };
	const at = (shape: typeof largest) => programAt(whole, shape, { groups, threads, head, shortlist: shortlistOf(whole, shape), ...spec });
	const last = await at(largest);
	const fitting = inParts(sizes, last.activationBytes);
	const programs: StudentProgram[] = [];
	for (const shape of fitting.shapes) programs.push(isSame(shape, largest) ? last : await at(shape));
	const million = Math.round(last.parameters.reduce((sum, { initial }) => sum + initial.length, 0) / 1e5) / 10;
	log(
		`${last.parameters.length} tensors of ${million} million numbers are trained; ${fitting.parts * (programs.at(-1)?.shape.batch ?? 0)} sequences of ${largest.length} tokens a step${fitting.parts > 1 ? ` in ${fitting.parts} parts` : ""}, ` +
			`whose forward pass computes ${Math.round((programs.at(-1)?.activationBytes ?? 0) / 1e6)} MB`,
	);
	return { programs, parts: fitting.parts };
}
