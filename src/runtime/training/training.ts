// The training loop's body: one step of forward, backward and AdamW, with snapshots to go back to.
import { DistembError } from "../../errors.js";
import { encodeToBytes } from "../../onnx/index.js";
import { type EngineTensor, type Feeds, openSession, type Session } from "../session.js";
import { AdamW, type AdamWOptions, type AdamWState } from "./adamw.js";
import { modelOf, type TrainedParameter, type TrainingProgram } from "./program.js";

export interface TrainingOptions extends Partial<AdamWOptions> {
	/** Threads of the engine; results repeat to the bit for one number of threads. */
	readonly threads: number;
	/** What messages call the model. */
	readonly at?: string | undefined;
	readonly sight?: Sight | undefined;
}

/**
 * What the programs read in place of some parameters, such as rounded values, while steps act on the parameters themselves by the
 * gradient at what was read (the straight-through estimator: Bengio, Léonard and Courville 2013).
 */
export interface Sight {
	readonly names: ReadonlySet<string>;
	/** What {@link show} found last, such as codes and scales, and keeps until it finds others; part of a snapshot. */
	readonly kept: ReadonlyMap<string, Float32Array>;
	/** Writes what is read in place of each of `values` into `seen`, by name; nothing but `values` and `kept` may decide it. */
	show(values: ReadonlyMap<string, Float32Array>, seen: ReadonlyMap<string, Float32Array>, how: Look): void;
}

/**
 * How values are shown: `anew`, with all that is kept found for them, as it is written in the end; `again`, with what goes on from what is
 * kept; `kept`, with what is kept as it is; or `still`, as `kept` where what is kept was shown before, so that only what else decides has to be
 * shown. Each takes several times as long as the next. Directly after `anew` the same values give the same by all four.
 */
export type Look = "anew" | "again" | "kept" | "still";

/** Steps after which values are shown again; anew they are shown before each measurement. */
const KEPT_STEPS = 8;

/** Steps since values were shown, where they never were. */
const NEVER = Number.POSITIVE_INFINITY;

export interface StepResult {
	/** Before the update; the mean over the parts. */
	readonly loss: number;
	/** Norm of the gradients of all parameters together, before clipping. */
	readonly gradientNorm: number;
	/** False: loss or gradients are not finite; nothing was changed, and the step does not count. */
	readonly applied: boolean;
}

/** What one run reads: the inputs of one of the programs other than the parameters. */
export interface Part {
	/** As a function: asked for directly before the run, so that parts may share tensors that each fills anew. */
	readonly feeds: Feeds | (() => Promise<Feeds>);
	/** Place among the programs that training was opened with; 0 by default. */
	readonly program?: number | undefined;
	/** Weight among the parts of a step; all alike by default. */
	readonly weight?: number | undefined;
}

/** Parameters and moments at one moment; its arrays are its own. */
export interface Snapshot {
	/** Steps done. */
	readonly step: number;
	readonly states: readonly Pick<AdamWState, "values" | "mean" | "square" | "level">[];
	/** What the sight kept, by name, and for how many steps. */
	readonly kept: ReadonlyMap<string, Float32Array>;
	readonly keptFor: number;
}

/**
 * Opens sessions that train the same parameters by the programs: one graph at several shapes of batches, or a part of it.
 * The first has all parameters; another may lack some, which must not be trained ({@link Training.begin}) by a step of it.
 * Close it when done.
 * @throws DistembError `engine` if the engine refuses a graph
 */
export async function openTraining(programs: TrainingProgram | readonly TrainingProgram[], options: TrainingOptions): Promise<Training> {
	const { threads, at } = options;
	const all: readonly TrainingProgram[] = "graph" in programs ? [programs] : programs;
	const sessions: Session[] = [];
	try {
		for (const program of all) {
			const bytes = encodeToBytes(modelOf(program));
			sessions.push(await openSession(bytes, { threads, spinning: "briefly", ...(at === undefined ? {} : { at }) }));
		}
		return new Training(sessions, all, options);
	} catch (error) {
		for (const session of sessions) await session.close();
		throw error;
	}
}

/** Parameters under training. All arrays are made once: memory does not grow with the steps. */
export class Training {
	private done = 0;
	private readonly adam: AdamW;
	private readonly names: readonly string[];
	private readonly loss = new Float32Array(1);
	private readonly feeds: Feeds;
	private readonly runs: readonly { readonly session: Session; readonly own: Feeds; readonly fetches: Feeds }[];
	/** Weighted sums of gradients over the parts of a step; made when a step first has several. */
	private sums: readonly Float32Array[] | undefined;
	private readonly sight: Sight | undefined;
	/** What is fed in place of the parameters in sight, and how that was shown for the parameters as they are; undefined: not yet. */
	private readonly seen: ReadonlyMap<string, Float32Array>;
	private shown: Look | undefined;
	/** Steps since something else than what is kept was shown. */
	private keptFor = NEVER;
	/** What is kept is what was shown last. */
	private isSeen = false;

	constructor(
		sessions: readonly Session[],
		programs: readonly TrainingProgram[],
		{ threads: _threads, at: _at, sight, ...adam }: TrainingOptions,
	) {
		const [first] = programs;
		if (first === undefined) throw new DistembError("internal", "training without a program");
		const { parameters } = first;
		this.adam = new AdamW(parameters, adam);
		this.names = parameters.map(({ value }) => value.name);
		this.sight = sight;
		this.seen = new Map(
			parameters.flatMap(({ value, initial }) => (sight?.names.has(value.name) ? [[value.name, initial.slice()] as const] : [])),
		);
		const read = ({ values }: AdamWState, name: string) => this.seen.get(name) ?? values;
		this.feeds = this.tensors(parameters, ({ value }) => value.name, read);
		this.runs = programs.flatMap((program, index) => {
			const session = sessions[index];
			if (session === undefined) return [];
			if (program.parameters.some(({ value }) => !this.names.includes(value.name)))
				throw new DistembError("internal", "programs of other parameters");
			const own = this.tensors(program.parameters, ({ value }) => value.name, read);
			const gradients = this.tensors(
				program.parameters,
				({ gradient }) => gradient.name,
				({ gradient }) => gradient,
			);
			return [{ session, own, fetches: { [program.loss.name]: float32(this.loss, []), ...gradients } }];
		});
	}

	/** Steps done since training began, or {@link begin}. */
	get steps(): number {
		return this.done;
	}

	/** Current elements of every parameter by name. Steps write into these arrays: copy what must last. */
	get parameters(): ReadonlyMap<string, Float32Array> {
		return this.byName(({ values }) => values);
	}

	/** What the sight keeps, by name; overwritten by steps. */
	get kept(): Sight["kept"] {
		return this.sight?.kept ?? new Map();
	}

	/** The parameters as a session reads them, those in sight as it shows them: in arrays that are overwritten. */
	get parameterFeeds(): Feeds {
		this.look("anew");
		return this.feeds;
	}

	private look(how: Look): void {
		const isShown = this.shown === "anew" || (this.shown !== undefined && how !== "anew");
		if (this.sight === undefined || isShown) return;
		this.sight.show(this.parameters, this.seen, how);
		if (how === "anew" || how === "again") this.keptFor = 0;
		this.shown = how;
		this.isSeen = true;
	}

	/** Gradients of the last {@link step} or {@link measure}, by the parameter's name; overwritten by the next. */
	get gradients(): ReadonlyMap<string, Float32Array> {
		return this.byName(({ gradient }) => gradient);
	}

	/** Trains only the parameters of these names (undefined: all) from now on; moments and the count of steps begin anew. */
	begin(names?: ReadonlySet<string>): void {
		this.adam.begin(names && new Set(this.names.flatMap((name, place) => (names.has(name) ? [place] : []))));
		this.done = 0;
	}

	/**
	 * One step at `rate` on the mean loss of `parts`: one batch, or several that do not fit into memory at once.
	 * @throws DistembError `engine` if a batch does not fit the graph
	 */
	async step(parts: Feeds | readonly Part[], rate: number): Promise<StepResult> {
		const loss = await this.lossOf(isParts(parts) ? parts : [{ feeds: parts }]);
		const norm = this.adam.gradientNorm();
		const applied = Number.isFinite(loss) && Number.isFinite(norm.all);
		if (applied) this.adam.update(++this.done, rate, norm);
		this.shown = undefined;
		this.keptFor++;
		return { loss, gradientNorm: norm.all, applied };
	}

	/** The loss on one batch, and its gradients, without a step. */
	async measure(batch: Feeds, program = 0): Promise<number> {
		const run = this.runs[program];
		if (run === undefined) throw new DistembError("internal", `there is no program ${program}`);
		this.look(this.keptFor < KEPT_STEPS ? (this.isSeen ? "still" : "kept") : this.keptFor < NEVER ? "again" : "anew");
		await run.session.run({ ...batch, ...run.own }, run.fetches);
		return this.loss[0] ?? Number.NaN;
	}

	/** The mean loss; its gradients are where {@link measure} leaves those of a single batch. */
	private async lossOf(parts: readonly Part[]): Promise<number> {
		const [first] = parts;
		if (first === undefined) throw new DistembError("internal", "a step without a batch");
		const read = async ({ feeds }: Part) => (typeof feeds === "function" ? await feeds() : feeds);
		if (parts.length === 1) return await this.measure(await read(first), first.program);
		this.sums ??= this.adam.states.map(({ gradient }) => new Float32Array(gradient.length));
		for (const sum of this.sums) sum.fill(0);
		const total = parts.reduce((sum, { weight = 1 }) => sum + weight, 0);
		let loss = 0;
		for (const part of parts) {
			const { program, weight = 1 } = part;
			const share = weight / total;
			loss += share * (await this.measure(await read(part), program));
			for (const [index, { gradient }] of this.adam.states.entries()) addScaled(this.sums[index], gradient, share);
		}
		for (const [index, { gradient }] of this.adam.states.entries()) gradient.set(this.sums[index] ?? []);
		return loss;
	}

	/** A copy of parameters, moments and step count. */
	snapshot(): Snapshot {
		const states = this.adam.states.map(({ values, mean, square, level }) => ({
			values: values.slice(),
			mean: mean.slice(),
			square: square.slice(),
			level: level.slice(),
		}));
		const kept = new Map([...this.kept].map(([name, array]) => [name, array.slice()]));
		return { step: this.done, states, kept, keptFor: this.keptFor };
	}

	/** Goes back (or on) to a snapshot; the snapshot can be used again. */
	restore({ step, states, kept, keptFor }: Snapshot): void {
		for (const [index, { values }] of this.adam.states.entries()) {
			if (states[index]?.values.length !== values.length) throw new DistembError("internal", "a snapshot of other parameters");
		}
		for (const [index, { values, mean, square, level }] of this.adam.states.entries()) {
			const saved = states[index];
			if (saved === undefined) continue;
			values.set(saved.values);
			mean.set(saved.mean);
			square.set(saved.square);
			level.set(saved.level);
		}
		for (const [name, array] of this.kept) array.set(kept.get(name) ?? []);
		this.done = step;
		this.keptFor = keptFor;
		this.shown = undefined;
		this.isSeen = false;
	}

	private tensors(
		parameters: readonly TrainedParameter[],
		name: (parameter: TrainedParameter) => string,
		array: (state: AdamWState, name: string) => Float32Array,
	): Feeds {
		const entries = parameters.flatMap((parameter) => {
			const state = this.adam.states[this.names.indexOf(parameter.value.name)];
			return state === undefined ? [] : [[name(parameter), float32(array(state, parameter.value.name), parameter.dims)] as const];
		});
		return Object.fromEntries(entries);
	}

	private byName(array: (state: AdamWState) => Float32Array): Map<string, Float32Array> {
		return new Map(this.adam.states.flatMap((state, index) => [[this.names[index] ?? "", array(state)] as const]));
	}

	/** Frees the engine's memory. */
	async close(): Promise<void> {
		for (const { session } of this.runs) await session.close();
	}
}

function isParts(parts: Feeds | readonly Part[]): parts is readonly Part[] {
	return Array.isArray(parts);
}

function addScaled(sum: Float32Array | undefined, gradient: Float32Array, share: number): void {
	if (sum === undefined) return;
	for (let i = 0; i < gradient.length; i++) sum[i] = (sum[i] as number) + share * (gradient[i] as number);
}

function float32(data: Float32Array, dims: readonly number[]): EngineTensor {
	return { dtype: "float32", dims, data };
}
