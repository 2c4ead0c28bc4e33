// Rows of U of one block: their scales, their codes, and what these stand for.
import { fromHalves } from "../ir/halves.js";
import type { BlockLayout, CodedLayout } from "./coding.js";
import { type Run, runsOf, type SomeRows, type Trial } from "./column-run.js";
import type { NearestSearch } from "./nearest.js";
import { BYTE_VALUES } from "./precision.js";
import type { ScaleGrid } from "./scale-grid.js";

/** What an error in each column of U costs, the power of two that W is stored over, and the scales that rows may have, times it. */
export interface Weighing {
	readonly weights: Float64Array;
	readonly gauge: number;
	readonly grid: ScaleGrid;
}

/** Some rows, rounded. */
export interface CodedRows {
	/** One row after the other. */
	readonly codes: Uint8Array;
	/** What each row was divided by before it was rounded, and is multiplied by later: one of the grid over the gauge. */
	readonly scales: Float32Array;
}

export interface RowCoder {
	/** Columns that its rows do not have, as ranges from … to, exclusively. */
	readonly dropped: readonly (readonly [number, number])[];
	/** @param scales those that were found for these rows before, which saves most of the time; undefined: they are sought */
	encode(rows: SomeRows, by: Weighing, scales: Float32Array | undefined): CodedRows;
	/** Writes the columns that a row has. */
	decode(codes: Uint8Array, start: number, scale: number, out: Float32Array, at: number): void;
}

/** What the best divisor of a row so far is multiplied by, round after round. */
const ROUNDS = [
	[0.8, 1.25],
	[0.9, 1.12],
];

/**
 * @param values float16: for each kind of column, what each byte stands for
 * @param searches for each number of columns to a byte; shared by all blocks
 */
export function rowCoder(block: BlockLayout, layout: CodedLayout, values: Uint16Array, searches: Map<number, NearestSearch>): RowCoder {
	const decoded = fromHalves(values, "float16");
	const runs = runsOf(block, layout, decoded, searches);
	const kept = [...block.kindOf.keys()].flatMap((column) => {
		const kind = block.kindOf[column] ?? 0;
		return kind === 0 ? [] : [{ column, byte: block.byteOf[column] ?? 0, first: kind * BYTE_VALUES }];
	});
	return {
		dropped: droppedOf(block),
		encode: (rows, by, held) => {
			const scales = held ?? scalesOf(rows, by, runs, block.rowBytes);
			const trial = trialOf(scales, block.rowBytes);
			for (const run of runs) run.encode(rows, by.weights, [trial]);
			return { codes: trial.codes, scales };
		},
		decode: (codes, start, scale, out, at) => {
			for (const { column, byte, first } of kept) out[at + column] = scale * (decoded[first + (codes[start + byte] as number)] as number);
		},
	};
}

/**
 * Scales that, fitted to what they round to, take most off Σ w·x²; each the nearest of the grid to what fits. Sought from the root mean
 * square of the numbers by what errors in them cost, and from the plain one: where few columns cost nearly all, the others are cut off by
 * the first, and where all cost alike the second is further off.
 */
function scalesOf(rows: SomeRows, { weights, gauge, grid }: Weighing, runs: readonly Run[], rowBytes: number): Float32Array {
	const count = rows.at.length;
	const best = { gains: new Float64Array(count), divisors: new Float32Array(count), scales: new Float64Array(count) };
	const attempt = (tried: readonly Float32Array[]) => {
		const trials = tried.map((divisors) => trialOf(divisors, rowBytes));
		for (const run of runs) run.encode(rows, weights, trials);
		for (const trial of trials)
			for (let row = 0; row < count; row++) {
				const scale = fittedScale(trial, row);
				const gain = scale * (trial.cross[row] as number);
				if (gain <= (best.gains[row] as number)) continue;
				best.gains[row] = gain;
				best.divisors[row] = trial.divisors[row] as number;
				best.scales[row] = scale;
			}
	};
	attempt([weights, weights.map(() => 1)].map((by) => Float32Array.from(rows.at, (at) => meanSize(runs, rows.values, at, by))));
	for (const steps of ROUNDS) attempt(steps.map((step) => best.divisors.map((divisor) => divisor * step)));
	return Float32Array.from(best.scales, (scale) => (grid.values[grid.codeOf(scale * gauge)] as number) / gauge);
}

function trialOf(divisors: Float32Array, rowBytes: number): Trial {
	const count = divisors.length;
	return { divisors, codes: new Uint8Array(count * rowBytes), cross: new Float64Array(count), square: new Float64Array(count) };
}

/** The s that minimises Σ w(x − s·v)². */
function fittedScale({ cross, square }: Trial, row: number): number {
	return (square[row] as number) > 0 ? (cross[row] as number) / (square[row] as number) : 0;
}

/** √(Σ wₖxₖ² / Σ wₖ) over the columns that the row has. */
function meanSize(runs: readonly Run[], values: Float32Array, at: number, weights: Float64Array): number {
	let size = 0;
	let total = 0;
	for (const { columns } of runs) {
		for (let index = 0; index < columns.length; index++) {
			const column = columns[index] as number;
			const weight = weights[column] as number;
			const number = values[at + column] as number;
			size += weight * number * number;
			total += weight;
		}
	}
	return Math.sqrt(size / (total || 1));
}

function droppedOf({ kindOf }: BlockLayout): [number, number][] {
	const ranges: [number, number][] = [];
	for (const [column, kind] of kindOf.entries()) {
		if (kind !== 0) continue;
		const last = ranges.at(-1);
		if (last?.[1] === column) last[1]++;
		else ranges.push([column, column + 1]);
	}
	return ranges;
}
