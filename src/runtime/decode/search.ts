// Greedy and beam search over a decoding state.
import { throwIfAborted } from "../../errors.js";
import type { Decoding } from "./decoding.js";
import type { Rows } from "./feeds.js";
import type { Vector } from "./logits.js";

export interface SearchOptions {
	/** Id before the first token. */
	readonly start: number;
	/** Ids that end a sequence. */
	readonly ends: ReadonlySet<number>;
	/** Ids that are never produced, such as padding. */
	readonly never?: ReadonlySet<number> | undefined;
	/** The first token, where the model's configuration forces one (a target language). */
	readonly first?: number | undefined;
	readonly signal?: AbortSignal | undefined;
}

export interface GreedyOptions extends SearchOptions {
	/** What each row reads first, all of one length; default: `start`. */
	readonly prompts?: readonly ArrayLike<number>[] | undefined;
}

/**
 * The most probable token at each step; the lowest id of equals. All rows advance together.
 * @param limits most tokens of each row, the end left out
 * @returns ids of each row, without start and end
 */
export async function greedySearch(begin: Decoding, limits: readonly number[], options: GreedyOptions): Promise<number[][]> {
	const found: number[][] = limits.map(() => []);
	let live = limits.map((_, row) => row);
	let read: readonly ArrayLike<number>[] = options.prompts ?? live.map(() => [options.start]);
	let state = begin;
	for (let step = 0; live.length > 0; step++) {
		throwIfAborted(options.signal);
		const { logits, next } = await state.advance(rowsOf(read));
		const chosen = logits.map((row) => (step === 0 && options.first !== undefined ? options.first : best(row, options.never)));
		const going: number[] = [];
		for (const [index, row] of live.entries()) {
			const token = chosen[index] ?? 0;
			const ids = found[row] ?? [];
			if (options.ends.has(token) || ids.length >= (limits[row] ?? 0)) continue;
			ids.push(token);
			going.push(index);
		}
		// Rows that have ended are not run any further.
		state = going.length === live.length || going.length === 0 ? next : next.pick(going);
		read = going.map((index) => [chosen[index] ?? 0]);
		live = going.map((index) => live[index] ?? 0);
	}
	return found;
}

function rowsOf(read: readonly ArrayLike<number>[]): Rows {
	return { batch: read.length, length: read[0]?.length ?? 0, ids: Int32Array.from(read.flatMap((ids) => Array.from(ids))) };
}

function best(logits: Vector, never: ReadonlySet<number> | undefined): number {
	let token = 0;
	let largest = Number.NEGATIVE_INFINITY;
	for (let id = 0; id < logits.length; id++) {
		const logit = logits[id] ?? 0;
		if (logit > largest && never?.has(id) !== true) {
			largest = logit;
			token = id;
		}
	}
	return token;
}

export interface BeamOptions extends SearchOptions {
	/** Sequences kept at each step, at least 1. */
	readonly beam: number;
	/** Sums of log-probabilities are divided by length^this; default 1: their mean, as in `transformers`. */
	readonly lengthPenalty?: number | undefined;
}

interface Hypothesis {
	readonly ids: readonly number[];
	/** Sum of ln p, the end included. */
	readonly sum: number;
}

/**
 * Beam search for one sequence: keeps the `beam` most probable beginnings, collects those that end, and gives the one with the
 * highest mean ln p. Stops when no beginning can still do better than all collected ones.
 * @param begin the state of one row
 */
export async function beamSearch(begin: Decoding, limit: number, options: BeamOptions): Promise<number[]> {
	const { beam, lengthPenalty = 1 } = options;
	const value = ({ ids, sum }: Hypothesis, ended: number) => sum / (ids.length + ended) ** lengthPenalty;
	let live: Hypothesis[] = [{ ids: [], sum: 0 }];
	let ended: Hypothesis[] = [];
	let state = begin;
	for (let step = 0; step <= limit && live.length > 0; step++) {
		throwIfAborted(options.signal);
		const ids = Int32Array.from(live, (hypothesis) => hypothesis.ids.at(-1) ?? options.start);
		const { logits, next } = await state.advance({ batch: live.length, length: 1, ids });
		const candidates = step === 0 && options.first !== undefined ? forced(options.first) : continuationsOf(live, logits, 2 * beam, options);
		const going: { hypothesis: Hypothesis; from: number }[] = [];
		for (const [rank, { from, token, sum }] of candidates.entries()) {
			const before = live[from]?.ids ?? [];
			// An end counts only among the best, so that poor ends do not crowd out good beginnings.
			if (options.ends.has(token)) {
				if (rank < beam) ended.push({ ids: before, sum });
			} else if (going.length < beam && before.length < limit) going.push({ hypothesis: { ids: [...before, token], sum }, from });
		}
		ended = ended.toSorted((a, b) => value(b, 1) - value(a, 1)).slice(0, beam);
		const [leader] = going;
		const worst = ended.at(-1);
		if (leader === undefined) break;
		if (ended.length === beam && worst !== undefined && value(worst, 1) >= value(leader.hypothesis, 0)) break;
		state = next.pick(going.map(({ from }) => from));
		live = going.map(({ hypothesis }) => hypothesis);
	}
	const [winner = live[0]] = ended;
	return [...(winner?.ids ?? [])];
}

interface Continuation {
	/** Index of the beginning. */
	readonly from: number;
	readonly token: number;
	readonly sum: number;
}

const forced = (token: number): Continuation[] => [{ from: 0, token, sum: 0 }];

/** The `count` most probable continuations of all beginnings, best first; lower ids first of equals. */
function continuationsOf(live: readonly Hypothesis[], logits: readonly Vector[], count: number, { never }: SearchOptions): Continuation[] {
	const kept: Continuation[] = [];
	for (const [from, row] of logits.entries()) {
		const shift = (live[from]?.sum ?? 0) - logSumExp(row);
		for (let token = 0; token < row.length; token++) {
			const sum = (row[token] ?? 0) + shift;
			if ((kept.length === count && sum <= (kept.at(-1)?.sum ?? 0)) || never?.has(token) === true) continue;
			let at = kept.length;
			while (at > 0 && (kept[at - 1]?.sum ?? 0) < sum) at--;
			kept.splice(at, 0, { from, token, sum });
			if (kept.length > count) kept.pop();
		}
	}
	return kept;
}

function logSumExp(logits: Vector): number {
	let largest = Number.NEGATIVE_INFINITY;
	for (const logit of logits) if (logit > largest) largest = logit;
	let sum = 0;
	for (const logit of logits) sum += Math.exp(logit - largest);
	return largest + Math.log(sum);
}
