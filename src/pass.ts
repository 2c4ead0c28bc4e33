// What a pass is, and the one way to run it: requires → run → check → ensures, with its time in the report.
import { throwIfAborted } from "./errors.js";
import { checkModel } from "./ir/check.js";
import type { Model } from "./ir/graph.js";

/** What happens while a pass works; `fraction` runs from 0 to 1. */
export interface Progress {
	/** Such as `locate`, `calibrate`, `distill`. */
	readonly pass: string;
	readonly fraction: number;
	/** What it is at, in words, for people. */
	readonly note?: string | undefined;
}

export interface PassContext {
	readonly signal: AbortSignal | undefined;
	readonly threads: number;
	readonly seed: number;
	readonly progress: (fraction: number, note?: string) => void;
	/** A line for the report's pass log: what was done, or why nothing was, with the node's name. */
	readonly log: (line: string) => void;
	/** A line for the log that a person should see too: what could not be done as well as usual, and why. */
	readonly warn: (line: string) => void;
}

/**
 * One step of the pipeline. Properties, not methods: TypeScript then compares them contravariantly,
 * and passes put in a wrong order do not compile.
 */
export interface Pass<In, Out> {
	readonly name: string;
	readonly requires?: (state: In) => void;
	readonly run: (state: In, context: PassContext) => Promise<Out>;
	readonly ensures?: (after: Out, before: In) => void;
}

export interface PassRecord {
	readonly name: string;
	readonly milliseconds: number;
	readonly log: readonly string[];
	/** Those lines of the log that were warnings. */
	readonly warnings: readonly string[];
}

/** States that know their models can be checked after every pass. */
export interface HasModels {
	readonly files: readonly { readonly model: Model }[];
}

export interface PassRunner {
	readonly signal?: AbortSignal | undefined;
	readonly threads: number;
	readonly seed: number;
	readonly onProgress?: ((progress: Progress) => void) | undefined;
	readonly records: PassRecord[];
}

/** Runs one pass on `state` and records it in `runner.records`. */
export async function runPass<In, Out extends HasModels>(pass: Pass<In, Out>, state: In, runner: PassRunner): Promise<Out> {
	throwIfAborted(runner.signal);
	pass.requires?.(state);
	const lines = { log: [], warnings: [] };
	const start = performance.now();
	const context = contextOf(pass.name, runner, lines);
	context.progress(0);
	const after = await pass.run(state, context);
	for (const { model } of after.files) checkModel(model);
	pass.ensures?.(after, state);
	context.progress(1);
	runner.records.push({ name: pass.name, milliseconds: performance.now() - start, ...lines });
	return after;
}

/** Runs and records work that is no pass (it changes no state) under `name`. */
export async function timed<T>(name: string, runner: PassRunner, work: (context: PassContext) => Promise<T>): Promise<T> {
	throwIfAborted(runner.signal);
	const lines = { log: [], warnings: [] };
	const start = performance.now();
	const context = contextOf(name, runner, lines);
	context.progress(0);
	const result = await work(context);
	runner.records.push({ name, milliseconds: performance.now() - start, ...lines });
	return result;
}

interface Lines {
	readonly log: string[];
	readonly warnings: string[];
}

function contextOf(name: string, { signal, threads, seed, onProgress }: PassRunner, { log, warnings }: Lines): PassContext {
	const progress = (fraction: number, note?: string) => onProgress?.({ pass: name, fraction, note });
	const warn = (line: string) => {
		log.push(line);
		warnings.push(line);
	};
	return { signal, threads, seed, progress, log: (line) => log.push(line), warn };
}
