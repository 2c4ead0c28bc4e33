// What an interrupted training needs to go on as if nothing had happened. Whoever calls the pass decides where it is kept.
import type { CurvePoint } from "../state.js";

/** Plain JSON: what is no array of numbers. */
export interface CheckpointFacts {
	/** Names what was trained, on what and how; a run of another name cannot go on from here. */
	readonly run: string;
	/** Place of the phase under way among the run's phases. */
	readonly phase: number;
	/** Batches of the validation part that are looked at; undefined before the first time. */
	readonly held: number | undefined;
	/** Steps done. */
	readonly step: number;
	/** Steps of the optimizer in this phase; fewer after a rollback. */
	readonly updates: number;
	/** Place in the data of this phase: passes finished, and batches taken of the one under way. */
	readonly epoch: number;
	readonly batch: number;
	/** Spent on training so far. */
	readonly seconds: number;
	readonly tokens: number;
	readonly rollbacks: number;
	/** Times that the rate was halved because nothing improved. */
	readonly plateaus: number;
	/** Of the phase's first step; undefined before it. */
	readonly firstLoss: number | undefined;
	/** Sum over the steps since the last point of the curve. */
	readonly lossSum: number;
	readonly lossCount: number;
	readonly best: { readonly step: number; readonly updates: number; readonly validation: number };
	/** Validations since the last that was better. */
	readonly stale: number;
	readonly curve: readonly CurvePoint[];
}

export interface Checkpoint {
	readonly facts: CheckpointFacts;
	/** By name, e.g. "values/wte.left"; float32, exact. */
	readonly arrays: ReadonlyMap<string, Float32Array>;
}

/** Where a checkpoint is kept between two runs. */
export interface CheckpointStore {
	/** What an earlier run left; undefined: begin anew. */
	readonly load: () => Promise<Checkpoint | undefined>;
	/** Replaces what was kept before, wholly or not at all. The arrays may change once the promise is settled. */
	readonly save: (checkpoint: Checkpoint) => Promise<void>;
}
