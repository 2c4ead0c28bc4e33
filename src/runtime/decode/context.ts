// How many tokens a model can read, where nothing beside it says so.
import { DistembError } from "../../errors.js";
import type { Rows } from "./feeds.js";
import type { TextModel } from "./model.js";

/** Tokens that are tried: no longer texts are read unless they are asked for. */
const TRIED = 256;

/** Tokens that every model was seen to read when it was opened. */
const SEEN = 2;

type Readable = Pick<TextModel, "kind" | "fixed" | "forward" | "encode">;

/**
 * The longest text that the engine runs the model on, in tokens: those that look positions up in a table end with it. Undefined: it is
 * {@link TRIED} tokens or more, or the graph fixes their number.
 */
export async function contextOf(model: Readable): Promise<number | undefined> {
	if (model.fixed.length !== undefined || (await reads(model, TRIED))) return undefined;
	let [longest, tooLong] = [SEEN, TRIED];
	while (tooLong - longest > 1) {
		const length = Math.floor((longest + tooLong) / 2);
		if (await reads(model, length)) longest = length;
		else tooLong = length;
	}
	return longest;
}

async function reads(model: Readable, length: number): Promise<boolean> {
	const { kind, fixed, forward, encode } = model;
	const batch = fixed.batch ?? 1;
	const rows = (tokens: number): Rows => ({ batch, length: tokens, ids: new Int32Array(batch * tokens) });
	try {
		await forward(rows(length), kind === "translator" ? await encode(rows(fixed.source ?? length)) : undefined);
		return true;
	} catch (error) {
		if (error instanceof DistembError && error.code === "engine") return false;
		throw error;
	}
}
