// The student in the engine: sessions that train it and that measure it, and the original beside them.
import { seedFor } from "../../src/random.js";
import { openComputation } from "../../src/runtime/computation.js";
import { tensorOf } from "../../src/runtime/numbers.js";
import type { Feeds, Session } from "../../src/runtime/session.js";
import { openTraining, type Part, type Training } from "../../src/runtime/training/training.js";
import type { TrainingBatch } from "../../src/training/batches.js";
import { INPUTS, type StudentProgram } from "./graph.js";
import type { Lessons } from "./lessons.js";
import type { Recipe } from "./options.js";
import type { RowSource } from "./rows.js";

export interface StudentOptions {
	/** Closed with the student. */
	readonly lessons: Lessons;
	/** The same graph at every shape of batches. */
	readonly programs: readonly StudentProgram[];
	readonly rows: readonly RowSource[];
	readonly recipe: Recipe;
	readonly threads: number;
}

/** Opens the engine's sessions. Close it when done. @throws DistembError `engine` */
export async function openStudent(options: StudentOptions): Promise<Student> {
	const { programs, threads } = options;
	return new Student(await openTraining(programs, { threads }), options);
}

export class Student {
	/** Forward sessions, opened when first needed. */
	private readonly forward = new Map<StudentProgram, Session>();

	constructor(
		readonly training: Training,
		private readonly options: StudentOptions,
	) {}

	/** Inputs of one part of a training step; `seed` chooses the rows of embedding distillation. */
	async partOf(batch: TrainingBatch, seed: number): Promise<Part> {
		const { recipe, rows, lessons } = this.options;
		const { weights } = recipe;
		const { index, program } = this.programFor(batch);
		const feeds: Record<string, Feeds[string]> = { ...(await lessons.reads(batch)), ...program.constants };
		if (program.learnsFrom.original) Object.assign(feeds, await this.taught(batch));
		if (program.learnsFrom.labels) feeds[INPUTS.labels] = ids(batch);
		if (weights.embedding > 0) for (const [at, row] of rows.entries()) Object.assign(feeds, row.feeds(at, seedFor(seed, `rows ${at}`)));
		return { feeds, program: index, weight: batch.count };
	}

	/** Mean of what validation measures over the positions of `batches`. */
	async measure(batches: readonly TrainingBatch[]): Promise<number> {
		let sum = 0;
		let positions = 0;
		for (const batch of batches) {
			const { program } = this.programFor(batch);
			const session = await this.forwardOf(program);
			const fixed = { ...(await this.options.lessons.reads(batch)), ...program.constants, ...this.training.parameterFeeds };
			const results = await session.run({ ...fixed, ...(await this.taught(batch)) }, [program.measure.name]);
			sum += batch.count * Number(results[program.measure.name]?.data[0] ?? Number.NaN);
			positions += batch.count;
		}
		return sum / positions;
	}

	private async taught(batch: TrainingBatch): Promise<Feeds> {
		const { batch: count, length } = batch.tokens;
		return {
			[INPUTS.teacher]: await this.options.lessons.teach(batch),
			[INPUTS.weights]: { dtype: "float32", dims: [count, length], data: batch.weights },
		};
	}

	private programFor({ tokens }: TrainingBatch): { index: number; program: StudentProgram } {
		const { programs } = this.options;
		const index = programs.findIndex(({ shape }) => shape.batch === tokens.batch && shape.length === tokens.length);
		const program = programs[index];
		if (program === undefined) throw new Error(`no program for [${tokens.batch}, ${tokens.length}]`);
		return { index, program };
	}

	private async forwardOf(program: StudentProgram): Promise<Session> {
		const { threads } = this.options;
		const session = this.forward.get(program) ?? (await openComputation(program.graph, [program.measure], { threads }));
		this.forward.set(program, session);
		return session;
	}

	async close(): Promise<void> {
		await this.training.close();
		await this.options.lessons.close();
		for (const session of this.forward.values()) await session.close();
	}
}

function ids({ labels, tokens }: TrainingBatch): Feeds[string] {
	return tensorOf("int64", [tokens.batch, tokens.length], (index) => labels[index] ?? -1);
}
