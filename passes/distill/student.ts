// The student in the engine: sessions that train it and that measure it, and the original beside them.
import { DistembError } from "../../src/errors.js";
import { seedFor } from "../../src/random.js";
import { openComputation } from "../../src/runtime/computation.js";
import { tensorOf } from "../../src/runtime/numbers.js";
import type { EngineTensor, Feeds, Session } from "../../src/runtime/session.js";
import { openTraining, type Part, type Training } from "../../src/runtime/training/training.js";
import type { TrainingBatch } from "../../src/training/batches.js";
import { codedSight } from "./coded.js";
import type { StudentProgram } from "./graph.js";
import type { Lessons } from "./lessons.js";
import type { Validated } from "./loop.js";
import { INPUTS } from "./objective.js";
import type { Recipe } from "./options.js";
import type { RowSource } from "./rows.js";
import type { Shortlist } from "./shortlist.js";

/** Graphs that are trained, and what the original says to them. */
export interface Course {
	/** Closed with the student. */
	readonly lessons: Lessons;
	/** The same graph at every shape of batches. */
	readonly programs: readonly StudentProgram[];
}

export interface StudentOptions {
	/** The first has all parameters, and is what validation measures. */
	readonly courses: readonly Course[];
	readonly rows: readonly RowSource[];
	/** Chooses tokens for programs that look at some only. */
	readonly shortlist: Shortlist | undefined;
	readonly recipe: Recipe;
	readonly threads: number;
}

/** Opens the engine's sessions. Close it when done. @throws DistembError `engine` */
export async function openStudent(options: StudentOptions): Promise<Student> {
	const { courses, threads, recipe } = options;
	const programs = courses.flatMap((course) => course.programs);
	const sight = codedSight(programs[0]?.parameters ?? []);
	return new Student(await openTraining(programs, { threads, sight, damping: recipe.damping }), options);
}

export class Student {
	/** Forward sessions, opened when first needed. */
	private readonly forward = new Map<StudentProgram, Session>();

	constructor(
		readonly training: Training,
		private readonly options: StudentOptions,
	) {}

	/** One part of a training step; `seed` chooses the rows of embedding distillation. */
	partOf(course: Course, batch: TrainingBatch, seed: number): Part {
		const program = programFor(course.programs, batch);
		const index = this.options.courses.flatMap(({ programs }) => programs).indexOf(program);
		// The original writes what it says of every batch of one shape into the same tensor.
		return { feeds: async () => await this.feedsOf(course, program, batch, seed), program: index, weight: batch.count };
	}

	private async feedsOf({ lessons }: Course, program: StudentProgram, batch: TrainingBatch, seed: number): Promise<Feeds> {
		const { recipe, rows, shortlist } = this.options;
		const feeds: Record<string, Feeds[string]> = { ...(await lessons.reads(batch)), ...program.constants };
		if (program.learnsFrom.original) Object.assign(feeds, await taught(lessons, batch));
		if (program.learnsFrom.states && lessons.states !== undefined) {
			feeds[INPUTS.states] = await lessons.states(batch);
			feeds[INPUTS.weights] = weightsOf(batch);
		}
		if (program.shortlist !== undefined && shortlist !== undefined)
			Object.assign(feeds, shortlist.feeds(program.shortlist, batch.labels, seedFor(seed, "shortlist")));
		else if (program.learnsFrom.labels) feeds[INPUTS.labels] = ids(batch);
		if (recipe.weights.embedding > 0)
			for (const [at, row] of rows.entries()) Object.assign(feeds, row.feeds(at, seedFor(seed, `rows ${at}`)));
		return feeds;
	}

	/**
	 * Mean of what validation measures over the positions of `batches`, at least one.
	 * @param seconds what is done after so many is enough; undefined: all
	 */
	async measure(batches: readonly TrainingBatch[], seconds = Number.POSITIVE_INFINITY): Promise<Validated> {
		const [course] = this.options.courses;
		if (course === undefined) throw new DistembError("internal", "nothing is trained");
		const { programs, lessons } = course;
		let sum = 0;
		let positions = 0;
		let done = 0;
		const end = performance.now() + 1000 * seconds;
		for (const batch of batches) {
			const program = programFor(programs, batch);
			const session = await this.forwardOf(program);
			const fixed = { ...(await lessons.reads(batch)), ...program.constants, ...this.training.parameterFeeds };
			const read = {
				...(program.measures === "crossEntropy" ? {} : await taught(lessons, batch)),
				...(program.measures === "crossEntropy" || program.measures === "both" ? { [INPUTS.labels]: ids(batch) } : {}),
			};
			const results = await session.run({ ...fixed, ...read }, [program.measure.name]);
			sum += batch.count * Number(results[program.measure.name]?.data[0] ?? Number.NaN);
			positions += batch.count;
			done++;
			if (performance.now() > end) break;
		}
		return { mean: sum / positions, batches: done };
	}

	private async forwardOf(program: StudentProgram): Promise<Session> {
		const { threads } = this.options;
		const session = this.forward.get(program) ?? (await openComputation(program.graph, [program.measure], { threads, arena: false }));
		this.forward.set(program, session);
		return session;
	}

	async close(): Promise<void> {
		await this.training.close();
		for (const { lessons } of this.options.courses) await lessons.close();
		for (const session of this.forward.values()) await session.close();
	}
}

async function taught(lessons: Lessons, batch: TrainingBatch): Promise<Feeds> {
	return {
		[INPUTS.teacher]: await lessons.teach(batch),
		[INPUTS.weights]: weightsOf(batch),
	};
}

function weightsOf({ tokens, weights }: TrainingBatch): EngineTensor {
	return { dtype: "float32", dims: [tokens.batch, tokens.length], data: weights };
}

function programFor(programs: readonly StudentProgram[], { tokens }: TrainingBatch): StudentProgram {
	const program = programs.find(({ shape }) => shape.batch === tokens.batch && shape.length === tokens.length);
	if (program === undefined) throw new DistembError("internal", `no program for [${tokens.batch}, ${tokens.length}]`);
	return program;
}

function ids({ labels, tokens }: TrainingBatch): Feeds[string] {
	return tensorOf("int64", [tokens.batch, tokens.length], (index) => labels[index] ?? -1);
}
