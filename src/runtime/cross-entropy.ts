// Cross-entropy of a decoder-only language model on a stream of token ids.
import { DistembError } from "../errors.js";
import { tensorOf } from "./numbers.js";
import type { EngineTensor, EngineValue, Feeds, Session } from "./session.js";

export interface WindowOptions {
	/** Tokens per window; windows do not overlap, and each is predicted from its own start. */
	readonly window: number;
	/** Windows per run of the engine. */
	readonly batch: number;
}

export interface CrossEntropy {
	/** Mean over predicted tokens, in nats. */
	readonly nats: number;
	/** Tokens predicted: window − 1 per window. */
	readonly tokens: number;
}

/**
 * Mean −ln p(token | the tokens before it in its window). exp of it is the perplexity.
 * Understands input_ids, attention_mask, position_ids and past inputs (which stay empty).
 * @throws DistembError `input` if the stream is shorter than a window or an input is not understood
 */
export async function crossEntropy(session: Session, tokens: ArrayLike<number>, { window, batch }: WindowOptions): Promise<CrossEntropy> {
	const windows = Math.floor(tokens.length / window);
	if (windows === 0) throw new DistembError("input", `${tokens.length} tokens do not fill a window of ${window}`);
	let total = 0;
	for (let first = 0; first < windows; first += batch) {
		const count = Math.min(batch, windows - first);
		const id = (index: number) => tokens[first * window + index] ?? 0;
		total += await nats(session, feedsFor(session, count, window, id), count * window, window, id);
	}
	return { nats: total / (windows * (window - 1)), tokens: windows * (window - 1) };
}

function feedsFor(session: Session, count: number, window: number, id: (index: number) => number): Feeds {
	return Object.fromEntries(session.inputs.map((input) => [input.name, inputFor(input, count, window, id)]));
}

function inputFor({ name, dtype, shape }: EngineValue, count: number, window: number, id: (index: number) => number): EngineTensor {
	if (dtype === undefined) throw new DistembError("input", `input "${name}" is no tensor`);
	const dims = [count, window];
	if (name === "input_ids") return tensorOf(dtype, dims, id);
	if (name === "attention_mask") return tensorOf(dtype, dims, () => 1);
	if (name === "position_ids") return tensorOf(dtype, dims, (index) => index % window);
	if (name.startsWith("past")) {
		// Batch first, then what is fixed; the symbol that remains is the past's length, here 0.
		const past = (shape ?? []).map((size, axis) => (axis === 0 ? count : typeof size === "number" ? size : 0));
		return tensorOf(dtype, past, () => 0);
	}
	throw new DistembError("input", `input "${name}" is not one of a decoder-only language model`);
}

async function nats(session: Session, feeds: Feeds, count: number, window: number, id: (index: number) => number): Promise<number> {
	const { logits } = await session.run(feeds, ["logits"]);
	const values = logits?.data;
	if (!(values instanceof Float32Array)) throw new DistembError("input", "the model gives no float32 logits");
	const vocabulary = values.length / count;
	let total = 0;
	for (let at = 0; at < count; at++) {
		if (at % window !== window - 1) total += negativeLogProbability(values.subarray(at * vocabulary, (at + 1) * vocabulary), id(at + 1));
	}
	return total;
}

/** −ln softmax(logits)[token]. */
export function negativeLogProbability(logits: Float32Array, token: number): number {
	let largest = Number.NEGATIVE_INFINITY;
	for (const value of logits) largest = Math.max(largest, value);
	let sum = 0;
	for (const value of logits) sum += Math.exp(value - largest);
	return largest + Math.log(sum) - (logits[token] ?? Number.NEGATIVE_INFINITY);
}
