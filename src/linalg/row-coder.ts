// Rows of U of one block: their scales, their codes, and what these stand for.
import { fromFloat16, toFloat16 } from "../ir/elements.js";
import { fromHalves } from "../ir/halves.js";
import type { BlockLayout, CodedLayout } from "./coding.js";
import { type Run, runsOf, type SomeRows, type Trial } from "./column-run.js";
import type { NearestSearch } from "./nearest.js";
import { BYTE_VALUES } from "./precision.js";

/** What an error in each column of U costs, and the power of two that W is stored over. */
export interface Weighing {
	readonly weights: Float64Array;
	readonly gauge: number;
}

/** Some rows, rounded. */
export interface CodedRows {
	/** One row after the other. */
	readonly codes: Uint8Array;
	/** What each row was divided by before it was rounded. */
	readonly divisors: Float32Array;
	/** What its rounded numbers are multiplied by: float16 once multiplied by the gauge. */
	readonly factors: Float32Array;
}

export interface RowCoder {
	/** Columns that its rows do not have, as ranges from … to, exclusively. */
	readonly dropped: readonly (readonly [number, number])[];
	/** @param divisors those that were found for these rows before, which saves most of the time; undefined: they are sought */
	encode(rows: SomeRows, by: Weighing, divisors: Float32Array | undefined): CodedRows;
	/** Writes the columns that a row has. */
	decode(codes: Uint8Array, start: number, scale: number, out: Float32Array, at: number): void;
}

/** Scales that are tried for each row, times its root mean square. */
const TRIED_SCALES = [1, 0.8, 0.9, 1.15, 1.35];

/** Bytes of a row by which its scale is chosen: they tell it nearly as well as all. */
const TRIED_BYTES = 64;

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
		encode: (rows, by, divisors) => encode(rows, by, divisors ?? divisorsOf(rows, by, runs, block.rowBytes), runs, block.rowBytes),
		decode: (codes, start, scale, out, at) => {
			for (const { column, byte, first } of kept) out[at + column] = scale * (decoded[first + (codes[start + byte] as number)] as number);
		},
	};
}

function encode(rows: SomeRows, { weights, gauge }: Weighing, divisors: Float32Array, runs: readonly Run[], rowBytes: number): CodedRows {
	const trial = trialOf(divisors, rowBytes);
	for (const run of runs) run.encode(rows, weights, [trial], 1);
	const factors = divisors.map((_, row) => fromFloat16(toFloat16(scaleOf(trial, row) * gauge)) / gauge);
	return { codes: trial.codes, divisors, factors };
}

/** Of the tried scales those that, fitted to what they round to, take most off Σ w·x². */
function divisorsOf(rows: SomeRows, { weights }: Weighing, runs: readonly Run[], rowBytes: number): Float32Array {
	const sizes = rows.at.map((at) => meanSize(runs, rows.values, at, weights));
	const trials = TRIED_SCALES.map((tried) =>
		trialOf(
			Float32Array.from(sizes, (size) => size * tried),
			rowBytes,
		),
	);
	for (const run of runs) run.encode(rows, weights, trials, Math.ceil(rowBytes / TRIED_BYTES));
	return Float32Array.from(sizes, (_, row) => {
		let best = { gain: 0, divisor: 0 };
		for (const trial of trials) {
			const gain = scaleOf(trial, row) * (trial.cross[row] as number);
			if (gain > best.gain) best = { gain, divisor: trial.divisors[row] as number };
		}
		return best.divisor;
	});
}

function trialOf(divisors: Float32Array, rowBytes: number): Trial {
	const count = divisors.length;
	return { divisors, codes: new Uint8Array(count * rowBytes), cross: new Float64Array(count), square: new Float64Array(count) };
}

/** The s that minimises Σ w(x − s·v)². */
function scaleOf({ cross, square }: Trial, row: number): number {
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
