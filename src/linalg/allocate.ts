// Bits for the columns of each block of rows, under a number of bytes: reverse water-filling (math.md §5) in one shared basis.
import type { Spacing } from "./levels.js";
import { precisionOf } from "./precision.js";

/** Consecutive rows, the most important first, in a basis whose columns are uncorrelated. */
export interface Interval {
	readonly rows: number;
	/** What each column costs if it is dropped from these rows, in nats. */
	readonly losses: Float64Array;
}

/** Rows that are coded alike. */
export interface CodedBlock {
	readonly rows: number;
	/** For each column, how many of its precision share a byte; 0 where it is dropped. */
	readonly perByte: Uint8Array;
}

export interface Allocation {
	readonly blocks: readonly CodedBlock[];
	/** Columns that some block keeps are among the first `rank`. */
	readonly rank: number;
	/** As `bytesOf` counts them. */
	readonly bytes: number;
	/** Sum of the losses that remain, for normally distributed numbers. */
	readonly loss: number;
}

export interface AllocateOptions {
	readonly budget: number;
	/** How many columns may share a byte, and how the values lie. */
	readonly precisions: readonly number[];
	readonly spacing: Spacing;
	/** At most so many blocks. */
	readonly blocks: number;
	/** Stored bytes of an allocation, everything included. */
	readonly bytesOf: (blocks: readonly CodedBlock[], rank: number) => number;
}

/** Columns that get the same precision: the codes of so many fill whole bytes at most precisions, or a block of an engine's operators. */
export const COLUMN_GROUPS: Readonly<Record<Spacing, number>> = { fitted: 8, equal: 32 };

/**
 * The allocation of least loss within the budget, or undefined if not even nothing at all fits. Column group g of block b gets the precision that
 * minimises loss·distortion + λ·bytes, with one λ for all: at the optimum every byte buys the same. Neighbouring blocks are merged, the
 * cheapest pair first, until there are few enough; bytes that λ leaves over buy what fits. One precision for all is among the candidates. The price of a column of the right factor is left out of λ's rule, but not out of the bytes.
 */
export function allocate(intervals: readonly Interval[], options: AllocateOptions): Allocation | undefined {
	let merged = intervals.map((interval) => grouped(interval, options.spacing));
	let found = fitted(merged, options);
	while (merged.length > options.blocks && found !== undefined) {
		merged = mergeCheapest(merged, options, found.price);
		if (merged.length % 4 === 0 || merged.length <= options.blocks) found = fitted(merged, options);
	}
	const plain = options.precisions.map((perByte) => uniform(intervals, perByte, options)).filter(({ bytes }) => bytes <= options.budget);
	return leastOf(found === undefined ? plain : [filledUp(found.allocation, merged, options), ...plain]);
}

/** One precision for all columns of one block, which are as many as there are `losses`; undefined if no precision fits the budget. */
export function uniformly(rows: number, losses: Float64Array, options: AllocateOptions): Allocation | undefined {
	const all = options.precisions.map((perByte) => uniform([{ rows, losses }], perByte, options));
	return leastOf(all.filter(({ bytes }) => bytes <= options.budget));
}

function leastOf(candidates: readonly Allocation[]): Allocation | undefined {
	return candidates.reduce<Allocation | undefined>((best, one) => (best === undefined || one.loss < best.loss ? one : best), undefined);
}

/** One precision for all: where tables of values take more than the columns' differences save. */
function uniform(intervals: readonly Interval[], perByte: number, { bytesOf, spacing }: AllocateOptions): Allocation {
	const all = intervals.reduce(join);
	const blocks = [{ rows: all.rows, perByte: new Uint8Array(all.losses.length).fill(perByte) }];
	const rank = all.losses.length;
	const loss = all.losses.reduce((sum, part) => sum + part, 0) * precisionOf(perByte, spacing).distortion;
	return { blocks, rank, bytes: bytesOf(blocks, rank), loss };
}

interface Fit {
	readonly allocation: Allocation;
	readonly price: number;
}

/** Steps of the bisection for λ, on a logarithmic scale. */
const STEPS = 40;
const LEAST_PRICE = 1e-24;

/** An interval with the losses of the columns that get the same precision added up. */
interface Grouped extends Interval {
	readonly groups: Float64Array;
}

function grouped({ rows, losses }: Interval, spacing: Spacing): Grouped {
	const size = COLUMN_GROUPS[spacing];
	const groups = Float64Array.from({ length: Math.ceil(losses.length / size) }, (_, group) =>
		losses.subarray(group * size, (group + 1) * size).reduce((sum, loss) => sum + loss, 0),
	);
	return { rows, losses, groups };
}

function fitted(intervals: readonly Grouped[], options: AllocateOptions): Fit | undefined {
	const { budget, bytesOf } = options;
	const at = (price: number): Allocation => {
		const chosen = intervals.map((interval) => choose(interval, options, price));
		const trimmed = withoutUnused(chosen.map(({ block }) => block));
		return { ...trimmed, bytes: bytesOf(trimmed.blocks, trimmed.rank), loss: chosen.reduce((sum, { loss }) => sum + loss, 0) };
	};
	const total = intervals.reduce((sum, { losses }) => losses.reduce((part, loss) => part + loss, sum), 0);
	let dear = Math.max(total, LEAST_PRICE);
	let best = at(dear);
	if (best.bytes > budget) return undefined;
	let cheap = dear * LEAST_PRICE;
	for (let step = 0; step < STEPS; step++) {
		const price = Math.sqrt(cheap * dear);
		const allocation = at(price);
		if (allocation.bytes <= budget) [dear, best] = [price, allocation];
		else cheap = price;
	}
	return { allocation: best, price: dear };
}

/**
 * Spends what is left of the budget: of all column groups that could be stored more precisely, those first where a byte buys most. Few groups are
 * as small as what is left, for a group of a block of thousands of rows is thousands of bytes.
 */
function filledUp(
	allocation: Allocation,
	intervals: readonly Grouped[],
	{ budget, bytesOf, precisions, spacing }: AllocateOptions,
): Allocation {
	const size = COLUMN_GROUPS[spacing];
	const distortionAt = (perByte: number) => (perByte === 0 ? 1 : precisionOf(perByte, spacing).distortion);
	const raises = intervals.flatMap(({ rows, losses, groups }, block) =>
		Array.from(groups, (dropped, group) => {
			const [start, end] = [group * size, Math.min((group + 1) * size, losses.length)];
			const now = allocation.blocks[block]?.perByte[start] ?? 0;
			return precisions.map((perByte) => {
				const bytes = rows * (end - start) * (1 / perByte - (now === 0 ? 0 : 1 / now));
				const gain = dropped * (distortionAt(now) - distortionAt(perByte));
				// In single precision: what is worth as much stays in its order whatever rounding makes of it.
				return { block, start, end, perByte, bytes, gain, worth: Math.fround(gain / bytes) };
			});
		}).flat(),
	);
	const worthwhile = raises.filter(({ bytes, gain }) => bytes > 0 && bytes <= budget - allocation.bytes && gain > 0);
	let best = allocation;
	const raised = new Set<string>();
	for (const { block, start, end, perByte, bytes: more, gain } of worthwhile.sort((a, b) => b.worth - a.worth)) {
		if (more > budget - best.bytes || raised.has(`${block} ${start}`)) continue;
		const blocks = best.blocks.map((held, index) => {
			const all = new Uint8Array(intervals[index]?.losses.length ?? 0);
			all.set(held.perByte);
			return { rows: held.rows, perByte: index === block ? all.fill(perByte, start, end) : all };
		});
		const trimmed = withoutUnused(blocks);
		const bytes = bytesOf(trimmed.blocks, trimmed.rank);
		if (bytes > budget) continue;
		best = { ...trimmed, bytes, loss: best.loss - gain };
		raised.add(`${block} ${start}`);
	}
	return best;
}

/** Blocks up to the last column that one of them keeps. */
function withoutUnused(blocks: readonly CodedBlock[]): Pick<Allocation, "blocks" | "rank"> {
	const rank = blocks.reduce((most, { perByte }) => Math.max(most, lastUsed(perByte)), 0);
	return { blocks: blocks.map(({ rows, perByte }) => ({ rows, perByte: perByte.slice(0, rank) })), rank };
}

function lastUsed(perByte: Uint8Array): number {
	let last = perByte.length;
	while (last > 0 && perByte[last - 1] === 0) last--;
	return last;
}

type Precisions = Pick<AllocateOptions, "precisions" | "spacing">;

function choose(
	{ rows, losses, groups }: Grouped,
	{ precisions, spacing }: Precisions,
	price: number,
): { block: CodedBlock; loss: number; cost: number } {
	const perByte = new Uint8Array(losses.length);
	let loss = 0;
	let cost = 0;
	const size = COLUMN_GROUPS[spacing];
	const candidates = precisions.map((precision) => precisionOf(precision, spacing));
	for (let group = 0; group < groups.length; group++) {
		const start = group * size;
		const end = Math.min(start + size, losses.length);
		const dropped = groups[group] as number;
		// A block keeps its first columns, so that no row is without a code.
		let best = { perByte: 0, loss: dropped, value: start === 0 ? Number.POSITIVE_INFINITY : dropped };
		for (const { perByte: shared, distortion } of candidates) {
			const value = dropped * distortion + (price * rows * (end - start)) / shared;
			if (value < best.value) best = { perByte: shared, loss: dropped * distortion, value };
		}
		perByte.fill(best.perByte, start, end);
		loss += best.loss;
		cost += best.value;
	}
	return { block: { rows, perByte }, loss, cost };
}

/** Increases below this part of the whole cost are rounding errors. */
const TIE = 1e-9;

/** Joins the neighbours that lose least by it; among those that lose nothing, which have one precision, those of the fewest rows. */
function mergeCheapest(intervals: readonly Grouped[], precisions: Precisions, price: number): Grouped[] {
	const costs = intervals.map((interval) => choose(interval, precisions, price).cost);
	const nothing = TIE * costs.reduce((sum, cost) => sum + cost, 0);
	let best = { index: 0, joined: intervals[0] as Grouped, increase: Number.POSITIVE_INFINITY };
	for (let index = 0; index + 1 < intervals.length; index++) {
		const joined = grouped(join(intervals[index] as Interval, intervals[index + 1] as Interval), precisions.spacing);
		const exact = choose(joined, precisions, price).cost - (costs[index] as number) - (costs[index + 1] as number);
		const increase = Math.abs(exact) < nothing ? 0 : exact;
		const isTie = increase === best.increase && joined.rows < best.joined.rows;
		if (increase < best.increase || isTie) best = { index, joined, increase };
	}
	return [...intervals.slice(0, best.index), best.joined, ...intervals.slice(best.index + 2)];
}

function join(a: Interval, b: Interval): Interval {
	return { rows: a.rows + b.rows, losses: a.losses.map((loss, column) => loss + (b.losses[column] as number)) };
}
