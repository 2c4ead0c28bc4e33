// What the student learns from: batches, in an order that a seed decides, and what the original says to them.
import type { PassContext } from "../../src/pass.js";
import type { Projection, Reconstructed } from "../../src/state.js";
import type { TrainingBatch } from "../../src/training/batches.js";
import type { Checkpoint } from "../../src/training/checkpoint.js";
import type { Corpus } from "../../src/training/corpus.js";
import { openOriginal } from "../../src/training/original.js";
import { openTeacher } from "../../src/training/teacher.js";
import type { WholeModel } from "../../src/training/whole.js";
import type { StudentProgram } from "./graph.js";
import { headLessons, type Lessons, wholeLessons } from "./lessons.js";
import type { Plan } from "./plan.js";
import { BatchStream, RepeatedStream, validationBatches } from "./stream.js";

export interface TrainingData {
	readonly stream: BatchStream | RepeatedStream;
	/** Held out, always the same. */
	readonly held: readonly TrainingBatch[];
}

export async function dataOf(
	{ programs, head }: Plan,
	{ kind }: WholeModel,
	corpus: Corpus,
	from: Checkpoint | undefined,
	{ seed, signal }: PassContext,
): Promise<TrainingData> {
	const data = { kind, corpus, shapes: programs.map(({ shape }) => shape), seed };
	const held = await validationBatches({ ...data, signal });
	const { epoch, batch } = from?.facts ?? {};
	const stream = head === undefined ? new BatchStream(data, epoch, batch) : new RepeatedStream(new BatchStream(data), seed, epoch, batch);
	return { stream, held };
}

export async function wholeLessonsOf({ path }: Reconstructed, whole: WholeModel, { threads }: PassContext): Promise<Lessons> {
	return wholeLessons(whole, await openTeacher(path, { threads }));
}

export async function headLessonsOf(
	{ path }: Reconstructed,
	head: Projection,
	{ shape }: StudentProgram,
	{ threads }: PassContext,
): Promise<Lessons> {
	return headLessons(await openOriginal(path, head, shape, threads));
}
