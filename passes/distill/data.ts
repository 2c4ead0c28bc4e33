// What the student learns from: batches, in an order that a seed decides, and what the original says to them.
import type { PassContext } from "../../src/pass.js";
import type { Reconstructed } from "../../src/state.js";
import type { TrainingBatch } from "../../src/training/batches.js";
import type { Checkpoint } from "../../src/training/checkpoint.js";
import type { Corpus } from "../../src/training/corpus.js";
import { openOriginal, openWholeOriginal, type WholeOriginal } from "../../src/training/original.js";
import { openTeacher } from "../../src/training/teacher.js";
import type { WholeModel } from "../../src/training/whole.js";
import { headLessons, type Lessons, shapeName, statesLessons, wholeLessons } from "./lessons.js";
import type { Plan } from "./plan.js";
import { BatchStream, RepeatedStream, validationBatches } from "./stream.js";
import type { Extent } from "./validation.js";

export interface TrainingData {
	/** For each phase. */
	readonly streams: readonly (BatchStream | RepeatedStream)[];
	/** Held out, always the same. */
	readonly held: readonly TrainingBatch[];
}

export async function dataOf(
	{ whole, head, phases }: Plan,
	{ kind }: WholeModel,
	corpus: Corpus,
	{ positions }: Extent,
	from: Checkpoint | undefined,
	{ seed, signal }: PassContext,
): Promise<TrainingData> {
	const at = (programs: Plan["whole"]) => ({ kind, corpus, shapes: programs.map(({ shape }) => shape), seed });
	const ofHead = at(head === undefined ? [] : [head.program]);
	const held = await validationBatches({ ...(whole.length === 0 ? ofHead : at(whole)), signal }, positions);
	const under = phases[from?.facts.phase ?? 0]?.name;
	const { epoch, batch } = from?.facts ?? {};
	const streams = {
		head:
			under === "head"
				? new RepeatedStream(new BatchStream(ofHead), seed, epoch, batch)
				: new RepeatedStream(new BatchStream(ofHead), seed),
		whole: under === "head" ? new BatchStream(at(whole)) : new BatchStream(at(whole), epoch, batch),
	};
	return { streams: phases.map(({ name }) => (name === "head" ? streams.head : streams.whole)), held };
}

/** What the original says to the whole model, and to its head. Close them when done. @throws DistembError `refused`, `engine` */
export async function lessonsOf(
	{ path }: Reconstructed,
	model: WholeModel,
	{ whole, head, states }: Plan,
	{ threads }: PassContext,
): Promise<{ readonly whole: Lessons | undefined; readonly head: Lessons | undefined }> {
	const ofHead = head && headLessons(await openOriginal(path, head.projection, head.program.shape, threads));
	if (whole.length === 0) return { whole: undefined, head: ofHead };
	const originals = new Map<string, WholeOriginal>();
	try {
		if (states !== undefined) {
			for (const { shape } of whole) originals.set(shapeName(shape), await openWholeOriginal(path, states, shape, threads));
			return { whole: statesLessons(model, originals), head: ofHead };
		}
		return { whole: wholeLessons(model, await openTeacher(path, { threads })), head: ofHead };
	} catch (error) {
		await ofHead?.close();
		for (const original of originals.values()) await original.close();
		throw error;
	}
}
