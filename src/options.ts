// What a caller may ask for: one typed object for the library and the command line, validated once.
import { availableParallelism } from "node:os";
import { DistembError } from "./errors.js";
import type { Progress } from "./pass.js";

export const METHODS = ["svd", "paper"] as const;
export const DTYPES = ["float32", "float16", "int8"] as const;
export const OPS = ["standard", "onnxruntime"] as const;

export type Method = (typeof METHODS)[number];
export type FactorDType = (typeof DTYPES)[number];
export type OperatorSet = (typeof OPS)[number];

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
	readonly signal?: AbortSignal | undefined;
	readonly onProgress?: ((progress: Progress) => void) | undefined;
	/** Threads of the engine; default: the machine's. Results repeat to the bit for one number of threads. */
	readonly threads?: number | undefined;
}

export interface CompileOptions extends LocateOptions, SizeOptions, CommonOptions {
	/** `svd`: the best approximation of the table; `paper`: nonnegative left factor, as in Distilled Embedding. */
	readonly method?: Method | undefined;
	/** Precision of the left factor; default: as the table is stored. */
	readonly dtype?: FactorDType | undefined;
	/** `onnxruntime` allows that engine's quantized operators (with `dtype: "int8"`). */
	readonly ops?: OperatorSet | undefined;
	readonly seed?: number | undefined;
	/** Replace an existing output. */
	readonly overwrite?: boolean | undefined;
	/** Factorize even where that takes more bytes. */
	readonly allowLarger?: boolean | undefined;
	/** Find and measure, but compute and write nothing. */
	readonly dryRun?: boolean | undefined;
}

export const COMPILE_DEFAULTS = {
	method: "svd",
	ops: "standard",
	seed: 0,
	allowLarger: false,
	keepOtherReaders: false,
} as const satisfies CompileOptions;

/** Rank, where no size is asked for. */
const DEFAULT_RANK = 64;

/** Options with every default filled in, as the passes want them. */
export type ResolvedOptions = CompileOptions & {
	readonly [K in keyof typeof COMPILE_DEFAULTS]-?: NonNullable<CompileOptions[K]>;
} & {
	readonly size: { readonly rank?: number | undefined; readonly ratio?: number | undefined; readonly targetBytes?: number | undefined };
};

/**
 * Fills in the defaults.
 * @throws DistembError `usage` for contradictions and impossible numbers
 */
export function resolveOptions(options: CompileOptions): ResolvedOptions {
	validate(options);
	const { rank, ratio, targetSize: targetBytes } = options;
	const sized = rank !== undefined || ratio !== undefined || targetBytes !== undefined;
	return { ...COMPILE_DEFAULTS, ...given(options), size: sized ? { rank, ratio, targetBytes } : { rank: DEFAULT_RANK } };
}

/** The options that have a value. */
function given<T extends object>(options: T): { [K in keyof T]?: NonNullable<T[K]> } {
	return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as { [K in keyof T]?: NonNullable<T[K]> };
}

/** What the caller asked for, for the report. */
export function givenOptions(options: CompileOptions): Readonly<Record<string, string | number | boolean>> {
	const plain: Record<string, string | number | boolean> = {};
	for (const [name, value] of Object.entries(options)) {
		if (typeof value === "string" || typeof value === "number" || typeof value === "boolean") plain[name] = value;
	}
	return plain;
}

/** Threads to use if the caller does not say. */
export function threadsOf(options: CommonOptions): number {
	return options.threads ?? availableParallelism();
}

/** Refuses contradictions and impossible numbers. */
function validate(options: CompileOptions): void {
	const fail = (message: string, hint?: string) => new DistembError("usage", message, { hint });
	const sizes = ["rank", "ratio", "targetSize"] as const;
	const given = sizes.filter((name) => options[name] !== undefined);
	if (given.length > 1) throw fail(`${given.map(flag).join(" and ")} exclude each other`, "give one of them");
	for (const name of ["rank", "inputRank", "outputRank", "threads"] as const) {
		const value = options[name];
		if (value !== undefined && (!Number.isInteger(value) || value < 1)) throw fail(`${flag(name)} must be a whole number of at least 1`);
	}
	for (const name of ["ratio", "targetSize"] as const) {
		const value = options[name];
		if (value !== undefined && !(value > 0 && Number.isFinite(value))) throw fail(`${flag(name)} must be a positive number`);
	}
	if (options.seed !== undefined && !(Number.isInteger(options.seed) && options.seed >= 0))
		throw fail("--seed must be a whole number from 0");
	if (options.ops === "onnxruntime" && options.dtype !== "int8") {
		throw fail("--ops onnxruntime is for quantized factors", "add --dtype int8");
	}
	if (options.method === "paper" && options.dtype === "int8") throw fail("--method paper keeps float factors", "leave --dtype out");
}

const flag = (name: string): string => `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
