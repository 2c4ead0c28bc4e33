// What the student's graph reads for a batch, and what the original says to it: of whole models, or of their heads on kept states.
import { DistembError } from "../../src/errors.js";
import type { EngineTensor, Feeds } from "../../src/runtime/session.js";
import { feedsFor, type TrainingBatch } from "../../src/training/batches.js";
import { type Original, STATES, type WholeOriginal } from "../../src/training/original.js";
import type { Teacher } from "../../src/training/teacher.js";
import type { WholeModel } from "../../src/training/whole.js";

export interface Lessons {
	readonly reads: (batch: TrainingBatch) => Promise<Feeds>;
	/** The original's logits or states; the next call may write into the same tensor. */
	readonly teach: (batch: TrainingBatch) => Promise<EngineTensor>;
	/** The original's states at its head, where they are asked for. */
	readonly states?: (batch: TrainingBatch) => Promise<EngineTensor>;
	readonly close: () => Promise<void>;
}

export function wholeLessons({ roles }: WholeModel, teacher: Teacher): Lessons {
	return {
		reads: async (batch) => feedsFor(roles, batch),
		teach: (batch) => teacher.teach(batch),
		close: () => teacher.close(),
	};
}

/** Whole models whose states are compared too: the original at each shape that {@link shapeName} names, run once for each batch. */
export function statesLessons({ roles }: WholeModel, originals: ReadonlyMap<string, WholeOriginal>): Lessons {
	// Of one batch only: logits are large, and validation keeps its batches.
	let last: { readonly batch: TrainingBatch; readonly said: Awaited<ReturnType<WholeOriginal["predict"]>> } | undefined;
	const said = async (batch: TrainingBatch) => {
		if (last?.batch === batch) return last.said;
		const original = originals.get(shapeName(batch.tokens));
		if (original === undefined) throw new DistembError("internal", `no original at ${shapeName(batch.tokens)}`);
		last = undefined;
		last = { batch, said: await original.predict(batch) };
		return last.said;
	};
	return {
		reads: async (batch) => feedsFor(roles, batch),
		teach: async (batch) => (await said(batch)).logits,
		states: async (batch) => (await said(batch)).states,
		close: async () => {
			for (const original of originals.values()) await original.close();
		},
	};
}

export const shapeName = ({ batch, length }: { readonly batch: number; readonly length: number }): string => `${batch} x ${length}`;

/** The body is run once for each batch; its states are kept as long as the batch is. */
export function headLessons(original: Original): Lessons {
	const kept = new WeakMap<TrainingBatch, EngineTensor>();
	const statesOf = async (batch: TrainingBatch) => {
		const states = kept.get(batch) ?? (await original.statesOf(batch));
		kept.set(batch, states);
		return states;
	};
	return {
		reads: async (batch) => ({ [STATES]: await statesOf(batch) }),
		teach: async (batch) => await original.predict(await statesOf(batch)),
		close: () => original.close(),
	};
}
