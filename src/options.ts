// What a caller may ask for: one typed object for the library and the command line, validated once.
import { availableParallelism } from "node:os";
import { checkOptions } from "./check-options.js";
import type { Progress } from "./pass.js";

/**
 * How factors are found. `distemb`: fitted to data, then distilled. `paper`: nonnegative left factor, then cross-entropy and embedding
 * distillation, as in Distilled Embedding (Lioutas et al., 2020). `svd`: the best approximation of the table, nothing trained.
 */
export type Method = "distemb" | "paper" | "svd";
/** Precision of the factors. `mixed`: as many bits for each column of each block of rows as pay; `auto`: the best for the bytes. */
export type FactorDType = "float32" | "float16" | "int8" | "mixed" | "auto";
/** Operators of the result: those of the ONNX standard, or onnxruntime's quantized ones as well. */
export type OperatorSet = "standard" | "onnxruntime";
/** Parts of a training: the head on the original's states; factors, norms and biases; everything. */
export type TrainingPhase = "head" | "factors" | "all";
/** Which weights are trained: the factors; with the norms and biases of the model; everything. */
export type Trained = "factors" | "norms" | "all";

export const METHODS = ["distemb", "paper", "svd"] as const satisfies readonly Method[];
export const DTYPES = ["float32", "float16", "int8", "mixed", "auto"] as const satisfies readonly FactorDType[];
export const OPS = ["standard", "onnxruntime"] as const satisfies readonly OperatorSet[];
export const TRAINED = ["factors", "norms", "all"] as const satisfies readonly Trained[];
/** In the order in which they may follow each other. */
export const PHASES = ["head", "factors", "all"] as const satisfies readonly TrainingPhase[];

/** Weights of the terms of the training loss. A term that is not named keeps its default. */
export interface LossWeights {
	/** KL(original ‖ student) in nats per predicted token, times the square of the temperature. */
	readonly kl?: number;
	/** −ln p of the token that stands in the data, in nats. */
	readonly crossEntropy?: number;
	/** Squared difference of hidden states as a share of their square: those that an encoder gives, or those that meet the head. */
	readonly states?: number;
	/** Embedding distillation: what the factors miss of the table, as a share of the whole. */
	readonly embedding?: number;
	/** Both models' logits are divided by this before their divergence is taken; not a weight. */
	readonly temperature?: number;
}

export const LOSSES = ["kl", "crossEntropy", "states", "embedding", "temperature"] as const satisfies readonly (keyof LossWeights)[];

/** Where to look for the vocabulary, where the structure alone does not decide. */
export interface LocateOptions {
	/** Name of the table's initializer, or of the node that looks it up. */
	readonly embedding?: string | undefined;
	/** Name of the projection's initializer or node. */
	readonly head?: string | undefined;
	/** Rewrite lookups and projections even if something else reads the table; the table then stays in the file. */
	readonly keepOtherReaders?: boolean | undefined;
}

/** How small: one of rank, ratio and targetSize, or ranks per side. */
export interface SizeOptions {
	/** Columns of U. Default 64, if nothing else is asked for. */
	readonly rank?: number | undefined;
	/** The vocabulary's bytes divided by this. */
	readonly ratio?: number | undefined;
	/** Bytes that the whole result may have. */
	readonly targetSize?: number | undefined;
	/** Rank of the lookups; unties them from the projections if it differs from `outputRank`. */
	readonly inputRank?: number | undefined;
	/** Rank of the projections. */
	readonly outputRank?: number | undefined;
}

/** Options that every call understands. */
export interface CommonOptions {
	/** Aborted: the call ends with a DistembError `interrupted`; a training leaves a checkpoint to resume from. */
	readonly signal?: AbortSignal | undefined;
	/** Called when a pass begins and while it works, more often than a display needs. */
	readonly onProgress?: ((progress: Progress) => void) | undefined;
	/** Threads of the engine; default: the machine's. Results repeat to the bit for one number of threads. */
	readonly threads?: number | undefined;
}

/** Text or token ids that a model is fitted to and measured on. */
export interface DataOptions {
	/** Language models: .txt, .jsonl, .npy. Translators: .tsv, .jsonl, .safetensors, or two parallel text files. */
	readonly data?: readonly string[] | undefined;
	/** Default: the one beside the model. */
	readonly tokenizer?: string | undefined;
}

/** How long and how the result is trained against the original. */
export interface TrainingOptions {
	/** False: reconstruction only. Default: train, unless the method is `svd`. */
	readonly distill?: boolean | undefined;
	/** Time for training; default 10, less for models below 10 million parameters: one minute a million. */
	readonly minutes?: number | undefined;
	/** Steps instead of minutes: then the same seed gives the same bytes. */
	readonly steps?: number | undefined;
	/** Windows or pairs per step. */
	readonly batch?: number | undefined;
	/** Tokens per window, or per side of a pair. */
	readonly length?: number | undefined;
	/** Highest learning rate. */
	readonly lr?: number | undefined;
	/** The factors; with the norms and biases of the model; everything. */
	readonly train?: Trained | undefined;
	/** Parts of the training of everything, one after the other: the head on the original's states; factors, norms and biases; everything. */
	readonly phases?: readonly TrainingPhase[] | undefined;
	/** Weights of the loss; what is not named keeps its default. */
	readonly loss?: LossWeights | undefined;
	/** A folder that an interrupted run left: goes on from there. All other options must be the same. */
	readonly resume?: string | undefined;
}

/** What the result must keep; missed: an error `gate`, and nothing is written. Measured on a held-out part of `data`. */
export interface GateOptions {
	/** Most by which the perplexity may rise, as a share: 0.01 is 1 %. */
	readonly maxPerplexityIncrease?: number | undefined;
	/** Most KL(original ‖ result) in nats per predicted token. */
	readonly maxKl?: number | undefined;
}

/** What `compile` may be asked for. Contradictions and impossible numbers are a DistembError `usage`. */
export interface CompileOptions extends LocateOptions, SizeOptions, DataOptions, TrainingOptions, GateOptions, CommonOptions {
	/**
	 * `distemb` (default): fitted to data, then distilled. `paper`: nonnegative left factor, then cross-entropy and embedding
	 * distillation, as in Distilled Embedding. `svd`: the best approximation of the table, nothing trained.
	 */
	readonly method?: Method | undefined;
	/**
	 * Precision of the left factor; default: as the table is stored. `mixed`: as many bits for each column of each block of rows as pay;
	 * `auto`: the best for the bytes, which is `mixed`, or `int8` in operator sets before 11.
	 */
	readonly dtype?: FactorDType | undefined;
	/** Most blocks of rows with bits of their own, for `mixed`; 1: all rows alike. Default `auto`. */
	readonly blocks?: number | "auto" | undefined;
	/** What rows weigh by, for `mixed`: this power of a token's frequency and spread, from 0 to 1; lower is more for rare tokens. Default 0.67. */
	readonly frequencyPower?: number | undefined;
	/** `onnxruntime` allows that engine's quantized operators (with `dtype: "int8"`, `"mixed"` or `"auto"`). */
	readonly ops?: OperatorSet | undefined;
	/** Of everything random; default 0. */
	readonly seed?: number | undefined;
	/** Replace an existing output. */
	readonly overwrite?: boolean | undefined;
	/** Factorize even where that takes more bytes. */
	readonly allowLarger?: boolean | undefined;
	/** Path of an HTML page about the run, which takes some seconds more. An existing one is replaced. */
	readonly report?: string | undefined;
	/** Find and measure, but compute and write nothing. */
	readonly dryRun?: boolean | undefined;
}

/** For `plan`: one size, or several ratios. */
export interface PlanOptions extends LocateOptions, DataOptions, CommonOptions {
	/** The vocabulary so many times smaller, each in turn; default 4, 8, 16, 32. */
	readonly ratios?: readonly number[] | undefined;
	/** Instead: the bytes that factors of this rank would take. */
	readonly rank?: number | undefined;
	/** Instead: bytes that the whole result may have. */
	readonly targetSize?: number | undefined;
	/** Most blocks of rows with bits of their own; default `auto`. */
	readonly blocks?: number | "auto" | undefined;
	/** What rows weigh by: this power of a token's frequency and spread, from 0 to 1; lower is more for rare tokens. Default 0.67. */
	readonly frequencyPower?: number | undefined;
	/** Of everything random; default 0. */
	readonly seed?: number | undefined;
}

export const COMPILE_DEFAULTS = {
	method: "distemb",
	ops: "standard",
	seed: 0,
	allowLarger: false,
	keepOtherReaders: false,
} as const satisfies CompileOptions;

/** Rank, where no size is asked for. */
export const DEFAULT_RANK = 64;

/** Options with every default filled in, as the passes want them. */
export type ResolvedOptions = Omit<CompileOptions, "dtype"> & {
	readonly [K in keyof typeof COMPILE_DEFAULTS]-?: NonNullable<CompileOptions[K]>;
} & {
	/** `auto` decided. */
	readonly dtype?: Exclude<FactorDType, "auto"> | undefined;
	readonly size: { readonly rank?: number | undefined; readonly ratio?: number | undefined; readonly targetBytes?: number | undefined };
};

/**
 * Fills in the defaults.
 * @throws DistembError `usage` for contradictions and impossible numbers
 */
export function resolveOptions(options: CompileOptions): ResolvedOptions {
	checkOptions(options);
	const { rank, ratio, targetSize: targetBytes } = options;
	const sized = rank !== undefined || ratio !== undefined || targetBytes !== undefined;
	const dtype = options.dtype === "auto" ? "mixed" : options.dtype;
	return { ...COMPILE_DEFAULTS, ...given({ ...options, dtype }), size: sized ? { rank, ratio, targetBytes } : { rank: DEFAULT_RANK } };
}

/** The options that have a value. */
function given<T extends object>(options: T): { [K in keyof T]?: NonNullable<T[K]> } {
	return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as { [K in keyof T]?: NonNullable<T[K]> };
}

/** The value of an option, as a report repeats it. */
export type ReportedOption = string | number | boolean | readonly string[] | LossWeights;

/** What the caller asked for, for the report. */
export function givenOptions(options: CompileOptions): Readonly<Record<string, ReportedOption>> {
	const { signal: _signal, onProgress: _onProgress, ...asked } = options;
	return given(asked);
}

/** Threads to use if the caller does not say. */
export function threadsOf(options: CommonOptions): number {
	return options.threads ?? availableParallelism();
}

/** An option as the command line calls it: `--target-size` for `targetSize`. */
export function flagOf(name: string): string {
	return `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}
