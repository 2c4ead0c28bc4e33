// Runs of tokens cut into windows of at most a fixed length.
import type { Piece } from "./data.js";

export interface WindowOptions {
	/** Tokens per window at most. */
	readonly length: number;
	/**
	 * `packed` (default): sequences follow each other without padding, a window may hold the end of one and the beginning of the next;
	 * only the last window before a gap in the data, or at its end, is shorter. `separate`: every sequence begins a window.
	 */
	readonly layout?: "packed" | "separate" | undefined;
	/** Leave out windows that are shorter; default: keep them. */
	readonly fullOnly?: boolean | undefined;
}

/** Windows that hold every token exactly once (but for those left out), in order. Never empty. */
export async function* windows(pieces: AsyncIterable<Piece>, options: WindowOptions): AsyncGenerator<Int32Array> {
	const { length, layout = "packed", fullOnly = false } = options;
	let window = new Int32Array(length);
	let filled = 0;
	for await (const { ids, starts, afterGap } of pieces) {
		if (filled > 0 && (afterGap === true || (starts && layout === "separate"))) {
			if (!fullOnly) yield window.slice(0, filled);
			filled = 0;
		}
		for (let start = 0; start < ids.length; ) {
			const part = ids.subarray(start, start + length - filled);
			window.set(part, filled);
			filled += part.length;
			start += part.length;
			if (filled < length) continue;
			yield window;
			window = new Int32Array(length);
			filled = 0;
		}
	}
	if (filled > 0 && !fullOnly) yield window.slice(0, filled);
}
