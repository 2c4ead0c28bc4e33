// What a model costs to run: time to load, memory, time per token; measured in a process of its own.
import { fork } from "node:child_process";
import { DistembError } from "../errors.js";
import type { Rows } from "../runtime/decode/feeds.js";
import { openTextModel, type TextModel } from "../runtime/decode/model.js";

export interface FootprintRequest {
	/** The model's file or folder. */
	readonly input: string;
	readonly threads: number;
	/** Token ids before those that are timed; one text, for a model that does not decode. */
	readonly prompt: readonly number[];
	/** What a translator translates. */
	readonly source: readonly number[];
	/** Tokens that are timed. */
	readonly steps: number;
}

export interface Footprint {
	/** Time the engine takes to open the graphs; files are in the system's cache. */
	readonly loadMilliseconds: number;
	/** Median time per decoded token at batch 1; of models that do not decode, of one text divided by its tokens. */
	readonly millisecondsPerToken: number;
	/** Largest resident memory of the process above that before the model was opened, in bytes. */
	readonly peakBytes?: number;
}

/** The smaller of each figure. */
export function better(a: Footprint, b: Footprint): Footprint {
	const peaks = [a.peakBytes, b.peakBytes].filter((bytes) => bytes !== undefined);
	return {
		loadMilliseconds: Math.min(a.loadMilliseconds, b.loadMilliseconds),
		millisecondsPerToken: Math.min(a.millisecondsPerToken, b.millisecondsPerToken),
		...(peaks.length === 0 ? {} : { peakBytes: Math.min(...peaks) }),
	};
}

/** Times one model in this process. */
export async function footprintHere({ input, threads, prompt, source, steps }: FootprintRequest): Promise<Footprint> {
	const model = await openTextModel(input, { threads });
	try {
		const times = await timesOf(model, row(prompt), row(source), steps);
		const median = times.toSorted((a, b) => a - b)[Math.floor(times.length / 2)] ?? 0;
		return { loadMilliseconds: model.loadMilliseconds, millisecondsPerToken: median };
	} finally {
		await model.close();
	}
}

const row = (ids: readonly number[]): Rows => ({ batch: 1, length: ids.length, ids: Int32Array.from(ids) });

async function timesOf(model: TextModel, prompt: Rows, source: Rows, steps: number): Promise<number[]> {
	const times: number[] = [];
	if (!model.decodes) {
		const text = sized(prompt, model.fixed);
		const encoded = model.kind === "translator" ? await model.encode(source) : undefined;
		for (let run = 0; run <= steps; run++) {
			const start = performance.now();
			await model.forward(text, encoded);
			if (run > 0) times.push((performance.now() - start) / text.ids.length);
		}
		return times;
	}
	const begin = model.begin(model.kind === "translator" ? await model.encode(source) : undefined);
	let { next } = await begin.advance(prompt);
	for (let step = 0; step <= steps; step++) {
		const start = performance.now();
		// Which token it is does not change the time.
		({ next } = await next.advance({ batch: 1, length: 1, ids: prompt.ids.slice(0, 1) }));
		if (step > 0) times.push(performance.now() - start);
	}
	return times;
}

/** The prompt over and over in the sizes that the graph fixes. */
function sized(prompt: Rows, { batch = 1, length = prompt.length }: TextModel["fixed"]): Rows {
	return { batch, length, ids: Int32Array.from({ length: batch * length }, (_, index) => prompt.ids[index % prompt.length] ?? 0) };
}

/** What the child process answers. */
export type FootprintAnswer = { readonly footprint: Footprint } | { readonly failure: string };

/** The argument of a child process that only starts another one; see {@link footprintApart}. */
export const RELAY = "relay";

/**
 * Times one model in a process of its own, with its memory. A process in between starts it: on Linux a new process counts
 * its parent's memory as its own peak (exec takes over ru_maxrss), so that the parent must be small.
 * @throws DistembError `engine` if the process cannot be started or fails
 */
export function footprintApart(request: FootprintRequest, signal?: AbortSignal): Promise<Footprint> {
	return inChild(request, [RELAY], signal);
}

/** For the process in between. */
export function footprintBelow(request: FootprintRequest): Promise<Footprint> {
	return inChild(request, []);
}

function inChild(request: FootprintRequest, args: readonly string[], signal?: AbortSignal): Promise<Footprint> {
	return new Promise((resolve, reject) => {
		const fail = (reason: string, cause?: unknown) => reject(new DistembError("engine", reason, { at: request.input, cause }));
		// Without the parent's flags: a debugger's port or a test runner's loader is not for it.
		const child = fork(new URL("./footprint-child.js", import.meta.url), args, {
			execArgv: [],
			stdio: ["ignore", "ignore", "ignore", "ipc"],
		});
		const stop = () => child.kill();
		signal?.addEventListener("abort", stop, { once: true });
		child.once("error", (cause) => fail("a process to measure it in cannot be started", cause));
		child.once("message", (answer: FootprintAnswer) => ("footprint" in answer ? resolve(answer.footprint) : fail(answer.failure)));
		child.once("exit", (code) => {
			signal?.removeEventListener("abort", stop);
			fail(`the process that measures it ended with ${code}`);
		});
		child.send(request, (cause) => {
			if (cause !== null) fail("the process that measures it cannot be reached", cause);
		});
	});
}
