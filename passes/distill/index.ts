// Trains the factorized model to predict what the original predicts, on data, with nothing but the runtime.
import { DistembError } from "../../src/errors.js";
import type { Pass, PassContext } from "../../src/pass.js";
import type { Distilled, Reconstructed } from "../../src/state.js";
import { type WholeModel, wholeOf } from "../../src/training/whole.js";
import { fitCoded, keepDropped } from "./coded.js";
import { dataOf, lessonsOf } from "./data.js";
import { runLoop } from "./loop.js";
import { DEFAULT_MINUTES, type DistillOptions, rateFrom, startOf } from "./options.js";
import { keepZeros, measured, nameOf, report, writeAll } from "./outcome.js";
import { type PhaseName, trainedIn } from "./phases.js";
import { planOf, type Trainee } from "./plan.js";
import { Shortlist } from "./shortlist.js";
import { openStudent } from "./student.js";
import { extentOf } from "./validation.js";
import { floatsOf } from "./write.js";

export type { DistillOptions, LossWeights, TrainedSet } from "./options.js";

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
			return typeof idle === "string" ? untouched(state, idle, context) : await train(state, idle, options, context);
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
		if (isRefusal(error)) return error.toLine();
		throw error;
	}
}

function isRefusal(error: unknown): error is DistembError {
	return error instanceof DistembError && (error.code === "refused" || error.code === "engine");
}

async function train(state: Trainee, whole: WholeModel, options: DistillOptions, context: PassContext): Promise<Distilled> {
	const { corpus, checkpoint } = options;
	if (corpus === undefined) throw new DistembError("internal", "training without data");
	await fitCoded(state.groups, context);
	const plan = await planOf(state, whole, corpus, options, context);
	const { recipe, whole: programs, head, phases, sharing } = plan;
	const first = programs[0] ?? head?.program;
	if (first === undefined || first.parameters.length === 0)
		return untouched(state, first?.untrained.join("; ") ?? "there are no batches", context);

	const lessons = await lessonsOf(state, whole, plan, context).catch((error: unknown) => {
		if (plan.states === undefined || options.weights?.states !== undefined || !isRefusal(error)) throw error;
		context.log(`states at the head are not compared: ${error.toLine()}`);
	});
	if (lessons === undefined) return await train(state, whole, { ...options, weights: { ...options.weights, states: 0 } }, context);
	const courses = {
		whole: lessons.whole && { programs, lessons: lessons.whole },
		head: lessons.head && head && { programs: [head.program], lessons: lessons.head },
	};
	const opened = [courses.whole, courses.head].filter((course) => course !== undefined);
	const courseOf = (phase: PhaseName) => (phase === "head" ? courses.head : courses.whole) ?? fail("a phase without a graph");
	const isShort = opened.some(({ programs }) => programs.some(({ shortlist }) => shortlist !== undefined));
	const shortlist = isShort ? await Shortlist.of(corpus, whole.width) : undefined;
	const student = await openStudent({ ...plan, shortlist, courses: opened, threads: context.threads });
	try {
		const from = await checkpoint?.load();
		const { batch, length } = (programs.at(-1) ?? first).shape;
		const extent = extentOf(whole.width, options.steps === undefined ? undefined : options.steps * plan.parts * batch * length);
		const { streams, held } = await dataOf(plan, whole, corpus, extent, from, context);
		const keepZeroRows = keepZeros(first, student);
		const keepZeroColumns = keepDropped(first.parameters, student.training.parameters);
		const trained = await runLoop({
			...context,
			training: student.training,
			phases: phases.map((phase, index) => ({
				...phase,
				trained: trainedIn(phase.name, programs, head?.program),
				batches: streams[index] ?? fail("a phase without data"),
				partOf: (batch, seed) => student.partOf(courseOf(phase.name), batch, seed),
			})),
			partsPerStep: plan.parts,
			validate: ({ batches, seconds }) => student.measure(held.slice(0, batches), seconds),
			rounds: extent.rounds,
			afterStep: () => {
				keepZeroRows();
				keepZeroColumns();
			},
			rate: (measured) => rateFrom(recipe, startOf(first.measures, measured, state.groups)),
			steps: options.steps,
			minutes: options.minutes ?? (options.steps === undefined ? DEFAULT_MINUTES : undefined),
			store: checkpoint,
			run: nameOf(first, plan, options, context),
			from,
		});
		for (const stream of streams) await stream.close();
		if (trained.best.step > 0) writeAll(first, student, sharing, recipe);
		const distillation = {
			measures: first.measures,
			...trained,
			trained: first.parameters.map(({ value }) => value.name),
			untrained: first.untrained,
		};
		report(distillation, Math.max(...streams.map(({ tooLong }) => tooLong)), context);
		return { ...state, distillation, reconstructions: await measured(state, context) };
	} finally {
		await student.close();
	}
}

function fail(message: string): never {
	throw new DistembError("internal", message);
}

function untouched(state: Reconstructed, why: string, { warn }: PassContext): Distilled {
	warn(`nothing was trained: ${why}`);
	return { ...state, distillation: undefined };
}
