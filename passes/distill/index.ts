// Trains the factorized model to predict what the original predicts, on data, with nothing but the runtime.
import { DistembError } from "../../src/errors.js";
import { factorError } from "../../src/linalg/error.js";
import type { Pass, PassContext } from "../../src/pass.js";
import { engineProducts } from "../../src/runtime/products.js";
import type { Calibrated, Distillation, Distilled, Reconstructed, Reconstruction } from "../../src/state.js";
import { type WholeModel, wholeOf } from "../../src/training/whole.js";
import { programAt, type StudentProgram } from "./graph.js";
import { runLoop } from "./loop.js";
import { metricOf } from "./metric.js";
import { DEFAULT_MINUTES, type DistillOptions, type Recipe, recipeOf } from "./options.js";
import { type RowSource, rowSource } from "./rows.js";
import { inParts, type Sizes, sizesOf } from "./shapes.js";
import { type Sharing, sharingOf } from "./sharing.js";
import { BatchStream, validationBatches } from "./stream.js";
import { openStudent, type Student } from "./student.js";
import { tokenFrequency, zeroRows } from "./tables.js";
import { floatsOf, transposed, writeBack } from "./write.js";

export type { DistillOptions, LossWeights, TrainedSet } from "./options.js";

/** Calibrations, where there are some, weight embedding distillation. */
export type Trainee = Reconstructed & Partial<Pick<Calibrated, "calibrations">>;

/**
 * Distillation, math.md §6: the student's predictions against the original's, its table against the original's, on the corpus'
 * training part; what was best on its validation part is kept. `paper` trains math.md §1's loss. A model that cannot be trained
 * passes through, and the log says why.
 * @throws DistembError `input` for data that does not fit; `interrupted`, after a checkpoint was saved
 */
export function distill(options: DistillOptions): Pass<Trainee, Distilled> {
	return {
		name: "distill",
		run: async (state, context) => {
			const idle = reasonToRest(options) ?? (await unlessRefused(() => wholeOf(state.files, context)));
			if (typeof idle === "string") {
				context.log(`nothing was trained: ${idle}`);
				return { ...state, distillation: undefined };
			}
			return await trainWhole(state, idle, options, context);
		},
		ensures: ({ groups }) => {
			for (const { values } of groups)
				for (const { value } of values)
					if (!floatsOf(value).every(Number.isFinite)) throw new DistembError("internal", `"${value.name}" is not finite`);
		},
	};
}

function reasonToRest({ corpus, method }: DistillOptions): string | undefined {
	if (method === "svd") return "--method svd is the closed form alone";
	return corpus === undefined ? "there is no data" : undefined;
}

/** What `work` gives, or why the model cannot be trained. */
async function unlessRefused<T>(work: () => Promise<T>): Promise<T | string> {
	try {
		return await work();
	} catch (error) {
		if (error instanceof DistembError && (error.code === "refused" || error.code === "engine")) return error.toLine();
		throw error;
	}
}

async function trainWhole(state: Trainee, whole: WholeModel, options: DistillOptions, context: PassContext): Promise<Distilled> {
	const { corpus } = options;
	if (corpus === undefined) throw new DistembError("internal", "training without data");
	const sharing = sharingOf(
		whole.files,
		state.files.filter((file) => !whole.files.includes(file)),
	);
	const recipe = allowed(recipeOf(options), sharing, context);
	const rows = await rowSourcesOf(state, recipe, corpus, context);
	const { programs, parts } = await programsOf(state, whole, sizesOf(whole, corpus, options), { recipe, rows }, context);
	const [first] = programs;
	if (first === undefined || first.parameters.length === 0) {
		context.log(`nothing was trained: ${first?.untrained.join("; ") ?? "no shape of batches"}`);
		return { ...state, distillation: undefined };
	}
	const student = await openStudent({ original: state.path, whole, programs, rows, recipe, threads: context.threads });
	try {
		const data = { kind: whole.kind, corpus, shapes: programs.map(({ shape }) => shape), seed: context.seed };
		const from = await options.checkpoint?.load();
		const stream = new BatchStream(data, from?.facts.epoch, from?.facts.batch);
		const held = await validationBatches({ ...data, signal: context.signal });
		const trained = await runLoop({
			training: student.training,
			batches: stream,
			partsPerStep: parts,
			partOf: (batch, seed) => student.partOf(batch, seed),
			validate: () => student.measure(held),
			afterStep: keepZeros(first, student),
			phase: recipe.train === "all" ? "all" : "factors",
			rate: recipe.rate,
			steps: options.steps,
			minutes: options.minutes ?? (options.steps === undefined ? DEFAULT_MINUTES : undefined),
			seed: context.seed,
			signal: context.signal,
			progress: context.progress,
			log: context.log,
			store: options.checkpoint,
			run: nameOf(first, recipe, options, context),
			from,
		});
		await stream.close();
		for (const parameter of trained.best.step === 0 ? [] : first.parameters) {
			const values = student.training.parameters.get(parameter.value.name);
			if (values !== undefined) writeBack(parameter, values.slice(), sharing, recipe.relu);
		}
		const names = first.parameters.map(({ value }) => value.name);
		const distillation: Distillation = { ...trained, trained: names, untrained: first.untrained };
		report(distillation, stream.tooLong, context);
		return { ...state, distillation, reconstructions: await measured(state, context) };
	} finally {
		await student.close();
	}
}

/** The body stays as it is where another file has a copy of it that is not known to be one. */
function allowed(recipe: Recipe, { unproved }: Sharing, { log }: PassContext): Recipe {
	const [first] = unproved;
	if (first === undefined || recipe.train === "factors") return recipe;
	log(`only the factors are trained: ${first} and ${unproved.length - 1} others are no proved copies of what would be trained`);
	return { ...recipe, train: "factors" };
}

async function rowSourcesOf(
	state: Trainee,
	{ weights, relu }: Recipe,
	corpus: NonNullable<DistillOptions["corpus"]>,
	{ seed }: PassContext,
) {
	if (weights.embedding === 0) return [];
	const sources: RowSource[] = [];
	for (const group of state.groups) {
		const calibration = state.calibrations?.find(({ vocabulary }) => vocabulary === group.vocabulary);
		const known = relu || calibration === undefined ? undefined : metricOf(calibration);
		const frequency = relu ? undefined : (known?.frequency ?? (await tokenFrequency(corpus, group.vocabulary.table.rows)));
		sources.push(rowSource(group, { frequency, metric: known?.root, relative: !relu, seed }));
	}
	return sources;
}

/** The training graph at every shape, in as many parts a step as memory asks for. */
async function programsOf(
	{ groups }: Reconstructed,
	whole: WholeModel,
	sizes: Sizes,
	spec: { readonly recipe: Recipe; readonly rows: readonly RowSource[] },
	{ threads, log }: PassContext,
): Promise<{ readonly programs: readonly StudentProgram[]; readonly parts: number }> {
	const largest = sizes.shapes.at(-1);
	if (largest === undefined) return { programs: [], parts: 1 };
	const at = (shape: typeof largest) => programAt(whole, shape, { groups, threads, ...spec });
	const last = await at(largest);
	const fitting = inParts(sizes, last.activationBytes);
	const programs: StudentProgram[] = [];
	for (const shape of fitting.shapes) programs.push(shape === largest ? last : await at(shape));
	const million = Math.round(last.parameters.reduce((sum, { initial }) => sum + initial.length, 0) / 1e5) / 10;
	log(
		`${last.parameters.length} tensors of ${million} million numbers are trained; ${fitting.parts * (programs.at(-1)?.shape.batch ?? 0)} sequences of ${largest.length} tokens a step${fitting.parts > 1 ? ` in ${fitting.parts} parts` : ""}, ` +
			`whose forward pass computes ${Math.round((programs.at(-1)?.activationBytes ?? 0) / 1e6)} MB`,
	);
	return { programs, parts: fitting.parts };
}

/** Puts rows that are zero in the original back to zero. */
function keepZeros({ parameters }: StudentProgram, { training }: Student): () => void {
	const fixed = parameters.flatMap(({ stored, value }) => {
		const values = training.parameters.get(value.name);
		if (values === undefined || !("group" in stored) || stored.factor !== "left") return [];
		const { table } = stored.group.vocabulary;
		return [{ values, zero: zeroRows(table), rows: table.rows, rank: values.length / table.rows, turned: stored.stored.role === "leftT" }];
	});
	return () => {
		for (const { values, zero, rows, rank, turned } of fixed)
			for (const row of zero)
				if (turned) for (let k = 0; k < rank; k++) values[k * rows + row] = 0;
				else values.fill(0, row * rank, (row + 1) * rank);
	};
}

/** Tells runs apart: what is trained, how, and on what. */
function nameOf(
	{ parameters, shape }: StudentProgram,
	recipe: Recipe,
	{ steps, minutes, corpus }: DistillOptions,
	{ seed }: PassContext,
): string {
	const tensors = parameters.map(({ value, dims }) => [value.name, ...dims]);
	return JSON.stringify({ tensors, shape, recipe, steps, minutes, seed, data: corpus?.from });
}

function report({ curve, best, stopped, rollbacks, untrained, tokens }: Distillation, tooLong: number, { log }: PassContext): void {
	const [start] = curve;
	const kept = best.step === 0 ? "the untrained factors are kept: nothing was better" : `step ${best.step} is kept`;
	log(
		`validation ${start?.validation?.toPrecision(3)} → ${best.validation.toPrecision(3)} in ${curve.at(-1)?.step} steps of ${tokens} tokens, stopped by ${stopped}; ${kept}`,
	);
	if (rollbacks > 0) log(`${rollbacks} times back to the best at half the rate`);
	if (tooLong > 0) log(`${tooLong} pairs were longer than a batch and left out`);
	for (const line of untrained) log(`not trained: ${line}`);
}

/** The factors' errors as they are now. */
async function measured({ reconstructions }: Reconstructed, { threads, signal }: PassContext): Promise<Reconstruction[]> {
	const products = engineProducts({ threads });
	try {
		const result: Reconstruction[] = [];
		for (const old of reconstructions) {
			const { vocabulary, rank, values } = old.group;
			const { table } = vocabulary;
			const of = (role: "left" | "right", height: number, width: number) => {
				const plain = values.find((factor) => factor.role === role);
				const turned = values.find((factor) => factor.role === `${role}T`);
				return plain !== undefined
					? floatsOf(plain.value)
					: transposed(turned === undefined ? new Float32Array(height * width) : floatsOf(turned.value), width, height);
			};
			const [left, right] = [of("left", table.rows, rank), of("right", rank, table.cols)];
			const factors = { rank, right, left: (start: number, end: number) => left.subarray(start * rank, end * rank) };
			const { relative } = await factorError(table, factors, products, { signal });
			result.push({ ...old, relativeError: relative, bins: [] });
		}
		return result;
	} finally {
		await products.close();
	}
}
