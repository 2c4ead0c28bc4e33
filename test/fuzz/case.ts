// One case: the files of a hostile folder, and what the tool is asked to do with them.

/** What the tool does with a case's folder. */
export type Action =
	/** open → locate → factorize, as `inspect` does. */
	| "inspect"
	/** The same with the decisions of a conversion, nothing computed. */
	| "dry-run"
	/** Open, encode, open what was encoded. */
	| "encode"
	/** A whole conversion without training: the engine multiplies, loads and runs. */
	| "compile"
	| "plan"
	/** Tokenizer and configurations as training reads them; some texts there and back. */
	| "usage"
	/** Data of language models, read to its end. */
	| "tokens"
	/** Data of translators. */
	| "pairs"
	/** A checkpoint, read as `--resume` reads it. */
	| "checkpoint"
	/** A conversion that goes on from a checkpoint. */
	| "resume"
	/** The command line in a process of its own. */
	| "command";

export interface FuzzCase {
	readonly action: Action;
	/** Relative paths and contents. */
	readonly files: ReadonlyMap<string, Uint8Array>;
	/** Symbolic links by relative path; targets as they are written. */
	readonly links?: ReadonlyMap<string, string>;
	/** What the action is about: a model, a folder, or data files. */
	readonly targets: readonly string[];
	/** Arguments of a `command`; `IN` and `OUT` stand for the paths. */
	readonly args?: readonly string[];
}

/** How a case is named, so that it can be made again. */
export interface CaseName {
	readonly kind: string;
	readonly seed: number;
}

export const labelOf = ({ kind, seed }: CaseName): string => `${kind}:${seed}`;

export type Verdict =
	/** `success`, or the code of the one DistembError. */
	| { readonly outcome: "success" | "error"; readonly code: string; readonly peak: number; readonly seconds: number }
	| { readonly outcome: "failure"; readonly reason: string; readonly stack?: string | undefined };

/** What remains of a reason when numbers, names and paths are left out: equal for cases that fail alike. */
export function signatureOf(reason: string): string {
	return reason
		.replace(/"[^"]*"/g, '"…"')
		.replace(/\/[^\s:]+/g, "/…")
		.replace(/\d+(\.\d+)?/g, "N")
		.slice(0, 120);
}
