// Progress on stderr: a live bar on a terminal, plain lines otherwise.
import { SingleBar } from "cli-progress";
import type { Progress } from "./pass.js";
import { visible } from "./report/visible.js";

export interface ProgressDisplay {
	readonly show: (progress: Progress) => void;
	/** Clears the bar; nothing is shown afterwards. */
	readonly stop: () => void;
}

/** A bar is worth its flicker only for work that takes this long, in milliseconds. */
const PATIENCE = 300;

export function progressDisplay(stream: NodeJS.WriteStream, quiet: boolean): ProgressDisplay {
	if (quiet) return { show: () => undefined, stop: () => undefined };
	return stream.isTTY ? liveBar(stream) : plainLines(stream);
}

function liveBar(stream: NodeJS.WriteStream): ProgressDisplay {
	const bar = new SingleBar({ stream, format: "{pass} {bar} {percentage} % {note}", barsize: 30, hideCursor: true, clearOnComplete: true });
	const start = performance.now();
	let running = false;
	return {
		show: ({ pass, fraction, note }) => {
			const fields = { pass: pass.padEnd(12), note: visible(note ?? "") };
			if (!running && performance.now() - start > PATIENCE) {
				bar.start(100, 0, fields);
				running = true;
			}
			if (running) bar.update(Math.floor(fraction * 100), fields);
		},
		stop: () => {
			if (running) bar.stop();
			running = false;
		},
	};
}

/** Time between two lines of one pass, in milliseconds. */
const PAUSE = 10_000;

/** A line when a pass begins, one with its first news, and from then on one now and again. */
export function plainLines(stream: Pick<NodeJS.WriteStream, "write">, now: () => number = () => performance.now()): ProgressDisplay {
	let shown = "";
	let last = Number.NEGATIVE_INFINITY;
	return {
		show: ({ pass, fraction, note }) => {
			if (pass !== shown) {
				stream.write(`${pass}\n`);
				shown = pass;
				last = Number.NEGATIVE_INFINITY;
			}
			if (note === undefined || now() - last < PAUSE) return;
			stream.write(`${pass} ${Math.floor(100 * fraction)} %: ${visible(note)}\n`);
			last = now();
		},
		stop: () => undefined,
	};
}
