// Steps until the budget is spent: warm-up and decay, the best by validation, back to it at half the rate when it goes wrong.
import { DistembError, throwIfAborted } from "../../src/errors.js";
import { seedFor } from "../../src/random.js";
import { rateAt } from "../../src/runtime/training/schedule.js";
import type { Part, Snapshot, Training } from "../../src/runtime/training/training.js";
import type { Distillation } from "../../src/state.js";
import type { TrainingBatch } from "../../src/training/batches.js";
import type { Checkpoint, CheckpointFacts, CheckpointStore } from "../../src/training/checkpoint.js";
import { type Phase, phaseAt } from "./phases.js";
import { arraysOf, snapshotsOf } from "./snapshots.js";
import { ROUNDS, VALIDATION_SHARE } from "./validation.js";
import { isDivergence, isHopeless, isOnPlateau, isStale, isWorse } from "./watch.js";

/** A phase with what it reads and trains. */
export interface LoopPhase extends Phase {
	/** Names of the parameters. */
	readonly trained: ReadonlySet<string>;
	/** What a step reads: so many batches, in parts that fit into memory. */
	readonly batches: { next(): Promise<TrainingBatch>; readonly place: { readonly epoch: number; readonly batch: number } };
	readonly partOf: (batch: TrainingBatch, seed: number) => Part;
}

export interface LoopOptions {
	readonly training: Pick<Training, "begin" | "step" | "steps" | "parameters" | "kept" | "snapshot" | "restore">;
	/** At least one. Each begins with the best of the one before, with a rate and moments of its own. */
	readonly phases: readonly LoopPhase[];
	readonly partsPerStep: number;
	/** On the first so many batches of the validation part; without a number on all, or those that are done in so many seconds. */
	readonly validate: (extent: { readonly batches?: number | undefined; readonly seconds?: number | undefined }) => Promise<Validated>;
	/** Validations in the course of a budget of steps; the most in one of minutes. */
	readonly rounds: number;
	/** Called after every step, on the parameters in place. */
	readonly afterStep: () => void;
	/** The highest, for a student whose first validation is `first`. */
	readonly rate: (first: number) => number;
	readonly steps: number | undefined;
	readonly minutes: number | undefined;
	readonly seed: number;
	readonly signal: AbortSignal | undefined;
	readonly progress: (fraction: number, note: string) => void;
	readonly log: (line: string) => void;
	readonly store: CheckpointStore | undefined;
	/** Names this run among checkpoints. */
	readonly run: string;
	/** Where an earlier run stopped. */
	readonly from: Checkpoint | undefined;
}

export interface Validated {
	readonly mean: number;
	/** Batches that it is the mean of. */
	readonly batches: number;
}

export type Trained = Pick<Distillation, "curve" | "best" | "stopped" | "rollbacks" | "tokens">;

const WARM_UP = 0.03;
/** A schedule by the clock has so many ticks. */
const TICKS = 10_000;
/** Seconds between two checkpoints, at least, … */
const CHECKPOINT_SECONDS = 120;
/** … and as a multiple of what saving one takes. */
const CHECKPOINT_SAVINGS = 100;

/** Trains; the parameters end as they were at the best validation. @throws DistembError `interrupted`, with a checkpoint left behind */
export async function runLoop(options: LoopOptions): Promise<Trained> {
	const loop = new Loop(options);
	return await loop.run();
}

type Stopped = Distillation["stopped"];

class Loop {
	private facts: Omit<CheckpointFacts, "run" | "epoch" | "batch" | "seconds" | "updates">;
	private best: Snapshot;
	/** Clock time at which training would have begun, had it never been interrupted. */
	private readonly began: number;
	/** When a checkpoint was saved, and the milliseconds that it took. */
	private saved = { at: performance.now(), took: 0 };
	/** Seconds that the last validation took. */
	private validating = 0;
	private validatedAt = 0;
	/** In the data, after the last finished step. */
	private place: LoopPhase["batches"]["place"];

	constructor(private readonly options: LoopOptions) {
		const { training, from } = options;
		this.facts = {
			phase: 0,
			held: undefined,
			step: 0,
			tokens: 0,
			rollbacks: 0,
			plateaus: 0,
			firstLoss: undefined,
			lossSum: 0,
			lossCount: 0,
			best: { step: 0, updates: 0, validation: Number.POSITIVE_INFINITY },
			stale: 0,
			curve: [],
		};
		if (from !== undefined) {
			if (from.facts.run !== options.run || options.phases[from.facts.phase] === undefined)
				throw new DistembError("input", "the checkpoint is of another model, other data or other options", {
					hint: "resume with the options of the interrupted run, or begin anew",
				});
			this.facts = from.facts;
			training.begin(this.phase.trained);
			const { now, best } = snapshotsOf(from, training);
			training.restore(now);
			this.best = best;
			this.validatedAt = from.facts.curve.at(-1)?.step ?? 0;
		} else {
			training.begin(this.phase.trained);
			this.best = training.snapshot();
		}
		this.place = this.phase.batches.place;
		this.began = performance.now() - 1000 * (from?.facts.seconds ?? 0);
	}

	async run(): Promise<Trained> {
		const { options } = this;
		if (this.facts.curve.length === 0) await this.validate(0);
		let stopped = this.stopReason();
		while (stopped === undefined) {
			await this.interruptible(() => this.step());
			stopped = this.stopReason();
			const isOver = phaseAt(options.phases, this.fraction()).phase > this.facts.phase;
			if (stopped !== undefined || isOver || this.isValidationDue()) {
				await this.validate(this.rate());
				if (isOver) this.enter(this.facts.phase + 1);
				else stopped ??= this.isLast && isOnPlateau(this.facts.stale) ? "plateau" : undefined;
			}
			if (this.isCheckpointDue()) await this.save();
		}
		options.training.restore(this.best);
		const { curve, best, rollbacks, tokens } = this.facts;
		return { curve, best: { step: best.step, validation: best.validation }, stopped, rollbacks, tokens };
	}

	private get phase(): LoopPhase {
		const phase = this.options.phases[this.facts.phase];
		if (phase === undefined) throw new DistembError("internal", `there is no phase ${this.facts.phase}`);
		return phase;
	}

	/** From the best so far, with new moments; what is a divergence is seen anew. */
	private enter(phase: number): void {
		const { training } = this.options;
		training.restore(this.best);
		this.facts = { ...this.facts, phase, firstLoss: undefined, stale: 0, best: { ...this.facts.best, updates: 0 } };
		training.begin(this.phase.trained);
		this.best = training.snapshot();
		this.place = this.phase.batches.place;
	}

	/** Only what comes last may end the training before its time. */
	private get isLast(): boolean {
		return this.facts.phase === this.options.phases.length - 1;
	}

	private async step(): Promise<void> {
		const { training, partsPerStep, seed, afterStep } = this.options;
		const { batches, partOf } = this.phase;
		const rate = this.rate();
		const step = this.facts.step + 1;
		const parts: Part[] = [];
		let tokens = 0;
		for (let part = 0; part < partsPerStep; part++) {
			const batch = await batches.next();
			tokens += batch.count;
			parts.push(partOf(batch, seedFor(seed, `step ${step} part ${part}`)));
		}
		const result = await training.step(parts, rate);
		const { firstLoss = result.loss } = this.facts;
		this.facts = { ...this.facts, step, tokens: this.facts.tokens + tokens };
		if (!result.applied || isDivergence(result.loss, firstLoss)) return this.rollBack(`loss ${result.loss.toPrecision(3)}`);
		afterStep();
		// The first point, before any step, shows what the first step met.
		const curve =
			this.facts.curve.length === 1 && this.facts.firstLoss === undefined
				? this.facts.curve.map((point) => ({ ...point, loss: firstLoss }))
				: this.facts.curve;
		this.facts = { ...this.facts, curve, firstLoss, lossSum: this.facts.lossSum + result.loss, lossCount: this.facts.lossCount + 1 };
		this.report(result.loss);
	}

	/** Back to the best so far, at half the rate from now on. */
	private rollBack(why: string): void {
		const { training, log } = this.options;
		training.restore(this.best);
		const { rollbacks, step, best } = this.facts;
		this.facts = { ...this.facts, rollbacks: rollbacks + 1, stale: 0, lossSum: 0, lossCount: 0 };
		log(`step ${step}: ${why}; back to step ${best.step} at half the rate`);
	}

	/** On from here at half the rate; if no step of this phase has helped, from its start. */
	private slowDown(): void {
		const { plateaus, step, best } = this.facts;
		if (best.updates === 0) this.options.training.restore(this.best);
		this.facts = { ...this.facts, plateaus: plateaus + 1 };
		const how = best.updates === 0 ? "back to it" : "on";
		this.options.log(`step ${step}: nothing better since step ${best.step}; ${how} at half the rate`);
	}

	private rate(): number {
		const { steps, phases } = this.options;
		const rate = this.options.rate(this.facts.curve[0]?.validation ?? Number.POSITIVE_INFINITY);
		const { phase, within } = phaseAt(phases, this.fraction());
		// At the end of a phase, which is validated in it, its rate has come down.
		const done = phase > this.facts.phase ? 1 : within;
		const schedule = { rate, steps: steps === undefined ? TICKS : Math.ceil(steps * this.phase.share), warmUp: WARM_UP, end: 0 };
		return rateAt(schedule, done * schedule.steps + 1) / 2 ** (this.facts.rollbacks + this.facts.plateaus);
	}

	private fraction(): number {
		const { steps = Number.POSITIVE_INFINITY, minutes = Number.POSITIVE_INFINITY } = this.options;
		return Math.min(1, Math.max(this.facts.step / steps, this.seconds() / (60 * minutes)));
	}

	private seconds(): number {
		return (performance.now() - this.began) / 1000;
	}

	private stopReason(): Stopped | undefined {
		const { steps = Number.POSITIVE_INFINITY, minutes = Number.POSITIVE_INFINITY } = this.options;
		if (isHopeless(this.facts.rollbacks)) return "diverged";
		if (this.facts.step >= steps) return "steps";
		return this.seconds() >= 60 * minutes ? "minutes" : undefined;
	}

	/** By steps where the budget is in steps, so that the clock changes nothing. */
	private isValidationDue(): boolean {
		const { steps, minutes, rounds } = this.options;
		const { step } = this.facts;
		if (steps !== undefined && minutes === undefined) return step - this.validatedAt >= Math.max(1, Math.ceil(steps / rounds));
		const last = this.facts.curve.at(-1)?.seconds ?? 0;
		return this.seconds() - last >= Math.max((60 * (minutes ?? 0)) / rounds, this.validating / VALIDATION_SHARE);
	}

	private isCheckpointDue(): boolean {
		const { at, took } = this.saved;
		return performance.now() - at > Math.max(1000 * CHECKPOINT_SECONDS, CHECKPOINT_SAVINGS * took);
	}

	private async validate(rate: number): Promise<void> {
		const { training } = this.options;
		const validation = await this.measured();
		const { step, lossSum, lossCount, curve, best, stale } = this.facts;
		const loss = lossCount > 0 ? lossSum / lossCount : (curve.at(-1)?.loss ?? Number.NaN);
		const point = { phase: this.phase.name, step, seconds: this.seconds(), loss, validation, rate };
		const better = validation < best.validation;
		if (better) this.best = training.snapshot();
		this.facts = {
			...this.facts,
			lossSum: 0,
			lossCount: 0,
			curve: [...curve, point],
			best: better ? { step, updates: training.steps, validation } : best,
			stale: better ? 0 : stale + 1,
		};
		this.validatedAt = step;
		if (isWorse(validation, best.validation)) this.rollBack(`validation ${validation.toPrecision(3)}`);
		else if (isStale(this.facts.stale, best.updates)) this.slowDown();
	}

	/** The first by the clock takes what it can look at in its share of the time; all others look at the same. */
	private async measured(): Promise<number> {
		const { validate, minutes } = this.options;
		const seconds = minutes === undefined ? undefined : (60 * minutes * VALIDATION_SHARE) / ROUNDS.least;
		const began = performance.now();
		const { mean, batches } = await validate(this.facts.held === undefined ? { seconds } : { batches: this.facts.held });
		this.validating = (performance.now() - began) / 1000;
		this.facts = { ...this.facts, held: batches };
		return mean;
	}

	private report(loss: number): void {
		const { step, tokens, curve } = this.facts;
		const seconds = this.seconds();
		const fraction = this.fraction();
		const left = fraction > 0 ? (seconds * (1 - fraction)) / fraction : 0;
		const validation = curve.at(-1)?.validation?.toPrecision(3) ?? "?";
		const note = `step ${step}, loss ${loss.toPrecision(3)}, validation ${validation}, ${Math.round(tokens / seconds)} tokens/s, ${clock(left)} left`;
		this.options.progress(fraction, note);
	}

	/** An interruption leaves a checkpoint behind: of the last step that was finished. */
	private async interruptible(work: () => Promise<void>): Promise<void> {
		try {
			throwIfAborted(this.options.signal);
			await work();
			this.place = this.phase.batches.place;
		} catch (error) {
			if (error instanceof DistembError && error.code === "interrupted") await this.save();
			throw error;
		}
	}

	private async save(): Promise<void> {
		const { store, training, run } = this.options;
		const began = performance.now();
		const facts = { ...this.facts, ...this.place, run, seconds: this.seconds(), updates: training.steps };
		await store?.save({ facts, arrays: arraysOf(training, this.best) });
		this.saved = { at: performance.now(), took: performance.now() - began };
	}
}

function clock(seconds: number): string {
	const whole = Math.round(seconds);
	return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
}
