// The one error class of the project: a code, a message that names the offender, and the way out; and what the system's codes mean in it.

/**
 * Why a conversion stopped.
 * - `usage`: the command line or the options contradict each other (exit code 2)
 * - `input`: a file is missing, broken or not what it should be (exit code 1)
 * - `refused`: the model is sound, but rewriting it would not be safe (exit code 1)
 * - `nothing-to-do`: no vocabulary, or none that would shrink (exit code 4)
 * - `gate`: a quality gate was missed (exit code 3)
 * - `output`: the result could not be written (exit code 1)
 * - `engine`: onnxruntime failed (exit code 1)
 * - `interrupted`: stopped by the caller (exit code 130)
 * - `internal`: a check of our own failed: a defect of this tool (exit code 1)
 */
export type ErrorCode = "usage" | "input" | "refused" | "nothing-to-do" | "gate" | "output" | "engine" | "interrupted" | "internal";

/** What an error concerns, and what to do. */
export interface ErrorDetails {
	/** File, node, tensor or option that is concerned. */
	readonly at?: string | undefined;
	/** What the user can do about it. */
	readonly hint?: string | undefined;
	readonly cause?: unknown;
}

/** Exit code of each kind of error; see the table in the README. */
export const EXIT_CODES: Readonly<Record<ErrorCode, number>> = {
	usage: 2,
	input: 1,
	refused: 1,
	"nothing-to-do": 4,
	gate: 3,
	output: 1,
	engine: 1,
	interrupted: 130,
	internal: 1,
};

/**
 * The only error that calls of this library end with.
 * @example
 * ```ts
 * import { compile, DistembError } from "onnx-distemb";
 *
 * try {
 * 	await compile("model.onnx", "small.onnx", { ratio: 8, dtype: "mixed", data: ["train.txt"], maxPerplexityIncrease: 0.01 });
 * } catch (error) {
 * 	if (!(error instanceof DistembError && error.code === "gate")) throw error;
 * 	console.log(error.toLine());
 * }
 * ```
 */
export class DistembError extends Error {
	readonly code: ErrorCode;
	/** File, node, tensor or option that is concerned. */
	readonly at: string | undefined;
	/** What the user can do about it. */
	readonly hint: string | undefined;

	constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
		super(message, details.cause === undefined ? undefined : { cause: details.cause });
		this.name = "DistembError";
		this.code = code;
		this.at = details.at;
		this.hint = details.hint;
	}

	/** `at: message; hint`, on one line. */
	toLine(): string {
		const where = this.at === undefined ? "" : `${this.at}: `;
		const hint = this.hint === undefined ? "" : `; ${this.hint}`;
		return `${where}${this.message}${hint}`.replace(/\s+/g, " ");
	}

	/** The same error, located at `at` unless it already names a place. */
	located(at: string): DistembError {
		return this.at === undefined ? new DistembError(this.code, this.message, { at, hint: this.hint, cause: this.cause }) : this;
	}
}

/** Throws `interrupted` if the caller asked to stop. */
export function throwIfAborted(signal: AbortSignal | undefined): void {
	if (signal?.aborted === true) throw new DistembError("interrupted", "interrupted", { cause: signal.reason });
}

/** Message and hint by the system's code (errno(3)). */
const REASONS: Readonly<Record<string, readonly [message: string, hint: string]>> = {
	ENOSPC: ["no space left on the device", "free some space or choose another output"],
	EDQUOT: ["no space left in your quota", "free some space or choose another output"],
	EFBIG: ["the file grows larger than this file system or your limits allow", "choose another output"],
	EACCES: ["cannot be written: permission denied", "choose a folder that you may write to"],
	EPERM: ["cannot be written: permission denied", "choose a folder that you may write to"],
	EROFS: ["cannot be written: the file system is read-only", "choose a folder that you may write to"],
	ENOENT: ["the folder does not exist", "create it first"],
	ENOTDIR: ["is below a file where a folder is due", "choose another output"],
	EBUSY: ["cannot be replaced: something is mounted there", "name a folder inside it"],
	EXDEV: ["cannot be moved into place: it is on another file system", "name a folder inside it"],
	EEXIST: ["was made by something else in the meantime", "choose another output"],
	ENOTEMPTY: ["was made by something else in the meantime", "choose another output"],
};

/**
 * One line for what went wrong at the file system while writing.
 * @param at file or folder that could not be written
 */
export function outputError(at: string, cause: unknown): DistembError {
	const code = cause instanceof Error && "code" in cause ? String(cause.code) : undefined;
	const [message, hint] = REASONS[code ?? ""] ?? [`cannot be written (${code ?? String(cause)})`, undefined];
	return new DistembError("output", message, { at, hint, cause });
}

/** True if `cause` says that memory was wanting: in the engine, in a typed array, in WebAssembly. */
export function isOutOfMemory(cause: unknown): boolean {
	const message = cause instanceof Error ? cause.message : String(cause);
	return /bad_alloc|failed to allocate|could not allocate|out of memory|array buffer allocation failed/i.test(message);
}
