// The training loop's body: one step of forward, backward and AdamW, with snapshots to go back to.
import { DistembError } from "../../errors.js";
import { encodeToBytes } from "../../onnx/index.js";
import { type EngineTensor, type Feeds, openSession, type Session } from "../session.js";
import { AdamW, type AdamWOptions, type AdamWState } from "./adamw.js";
import { modelOf, type TrainedParameter, type TrainingProgram } from "./program.js";
import { rateAt, type Schedule } from "./schedule.js";

export interface TrainingOptions extends Partial<AdamWOptions> {
	/** Threads of the engine; results repeat to the bit for one number of threads. */
	readonly threads: number;
	readonly schedule: Schedule;
	/** What messages call the model. */
	readonly at?: string | undefined;
}

export interface StepResult {
	/** Before the update. */
	readonly loss: number;
	/** Norm of the gradients of all parameters together, before clipping. */
	readonly gradientNorm: number;
	/** Learning rate of this step. */
	readonly rate: number;
	/** False: loss or gradients are not finite; nothing was changed, and the step does not count. */
	readonly applied: boolean;
}

/** Parameters and moments at one moment; its arrays are its own. */
export interface Snapshot {
	/** Steps done. */
	readonly step: number;
	readonly states: readonly { readonly values: Float32Array; readonly mean: Float32Array; readonly square: Float32Array }[];
}

/**
 * Opens a session that trains the program's parameters. Close it when done.
 * @throws DistembError `engine` if the engine refuses the graph
 */
export async function openTraining(program: TrainingProgram, options: TrainingOptions): Promise<Training> {
	const { threads, at } = options;
	const bytes = encodeToBytes(modelOf(program), program.source);
	const session = await openSession(bytes, { threads, spinning: false, ...(at === undefined ? {} : { at }) });
	return new Training(session, program, options);
}

/** Parameters under training. All arrays are made once: memory does not grow with the steps. */
export class Training {
	/** Kept apart from the schedule, so that a rollback can lower all rates from then on. */
	rateFactor = 1;
	private done = 0;
	private readonly adam: AdamW;
	private readonly names: readonly string[];
	private readonly loss = new Float32Array(1);
	private readonly feeds: Feeds;
	private readonly fetches: Feeds;
	private readonly schedule: Schedule;

	constructor(
		private readonly session: Session,
		{ parameters, loss }: TrainingProgram,
		{ schedule, threads: _threads, at: _at, ...adam }: TrainingOptions,
	) {
		this.schedule = schedule;
		this.adam = new AdamW(parameters, adam);
		this.names = parameters.map(({ value }) => value.name);
		const { states } = this.adam;
		const tensors = (name: (parameter: TrainedParameter) => string, array: (state: AdamWState) => Float32Array) =>
			parameters.flatMap((parameter, index) => {
				const state = states[index];
				return state === undefined ? [] : [[name(parameter), float32(array(state), parameter.dims)] as const];
			});
		this.feeds = Object.fromEntries(
			tensors(
				({ value }) => value.name,
				({ values }) => values,
			),
		);
		const gradients = tensors(
			({ gradient }) => gradient.name,
			({ gradient }) => gradient,
		);
		this.fetches = { [loss.name]: float32(this.loss, []), ...Object.fromEntries(gradients) };
	}

	/** Steps done. */
	get steps(): number {
		return this.done;
	}

	/** Current elements of every parameter by name. Steps write into these arrays: copy what must last. */
	get parameters(): ReadonlyMap<string, Float32Array> {
		return this.byName(({ values }) => values);
	}

	/** Gradients of the last {@link step} or {@link measure}, by the parameter's name; overwritten by the next. */
	get gradients(): ReadonlyMap<string, Float32Array> {
		return this.byName(({ gradient }) => gradient);
	}

	/**
	 * One step on `batch`, the graph's inputs other than the parameters.
	 * @throws DistembError `engine` if the batch does not fit the graph
	 */
	async step(batch: Feeds): Promise<StepResult> {
		const loss = await this.measure(batch);
		const gradientNorm = this.adam.gradientNorm();
		const rate = this.rateFactor * rateAt(this.schedule, this.done + 1);
		const applied = Number.isFinite(loss) && Number.isFinite(gradientNorm);
		if (applied) this.adam.update(++this.done, rate, gradientNorm);
		return { loss, gradientNorm, rate, applied };
	}

	/** The loss on `batch`, without a step: for validation. Computes the gradients too. */
	async measure(batch: Feeds): Promise<number> {
		await this.session.run({ ...batch, ...this.feeds }, this.fetches);
		return this.loss[0] ?? Number.NaN;
	}

	/** A copy of parameters, moments and step count. */
	snapshot(): Snapshot {
		const states = this.adam.states.map(({ values, mean, square }) => ({
			values: values.slice(),
			mean: mean.slice(),
			square: square.slice(),
		}));
		return { step: this.done, states };
	}

	/** Goes back (or on) to a snapshot; the snapshot can be used again. */
	restore({ step, states }: Snapshot): void {
		for (const [index, { values }] of this.adam.states.entries()) {
			if (states[index]?.values.length !== values.length) throw new DistembError("internal", "a snapshot of other parameters");
		}
		for (const [index, { values, mean, square }] of this.adam.states.entries()) {
			const saved = states[index];
			if (saved === undefined) continue;
			values.set(saved.values);
			mean.set(saved.mean);
			square.set(saved.square);
		}
		this.done = step;
	}

	private byName(array: (state: AdamWState) => Float32Array): Map<string, Float32Array> {
		return new Map(this.adam.states.flatMap((state, index) => [[this.names[index] ?? "", array(state)] as const]));
	}

	/** Frees the engine's memory. */
	async close(): Promise<void> {
		await this.session.close();
	}
}

function float32(data: Float32Array, dims: readonly number[]): EngineTensor {
	return { dtype: "float32", dims, data };
}
