// One row of U at a time: its scale, its codes, and what these stand for.
import { fromFloat16, toFloat16 } from "../ir/elements.js";
import { fromHalves } from "../ir/halves.js";
import { type BlockLayout, BYTE_VALUES, type CodedLayout } from "./coding.js";
import { codeOf, quantizerOf, type Search } from "./levels.js";

/** What an error in each column of U costs, and the power of two that W is stored over. */
export interface Weighing {
	readonly weights: Float64Array;
	readonly gauge: number;
}

/** Of each row, by id: what its numbers are divided by before they are rounded, and what the rounded ones are multiplied by. */
export interface RowScales {
	readonly divisors: Float32Array;
	/** float16 once multiplied by the gauge. */
	readonly factors: Float32Array;
}

/** Rows of one block. */
export interface RowCoder {
	/** Columns that its rows do not have, as ranges from … to, exclusively. */
	readonly dropped: readonly (readonly [number, number])[];
	/** Finds the scale of row `id`, which begins at `at`. */
	scale(rows: Float32Array, at: number, by: Weighing, scales: RowScales, id: number): void;
	/** Adds the codes of a row to `codes`, which hold zeros there. */
	encode(rows: Float32Array, at: number, divisor: number, codes: Uint8Array, start: number): void;
	/** Rounds a row in place, as it is read once it is encoded and decoded. */
	round(rows: Float32Array, at: number, divisor: number, factor: number): void;
	/** Writes the columns that a row has. */
	decode(codes: Uint8Array, start: number, scale: number, out: Float32Array, at: number): void;
}

/** Scales that are tried for each row, times its root mean square. */
const TRIED_SCALES = [1, 0.8, 0.9, 1.15, 1.35];

/** Columns of one precision, and where their codes go. */
interface Run {
	readonly columns: Int32Array;
	readonly bytes: Int32Array;
	readonly units: Int32Array;
	/** What each code stands for, as it is stored. */
	readonly values: Float64Array;
	readonly search: Search;
}

/** @param values float16: for each kind of column, what each byte stands for */
export function rowCoder(block: BlockLayout, layout: CodedLayout, values: Uint16Array): RowCoder {
	const runs = runsOf(block, layout, values);
	const kept = [...block.kindOf.keys()].flatMap((column) => {
		const kind = block.kindOf[column] ?? 0;
		return kind === 0 ? [] : [{ column, byte: block.byteOf[column] ?? 0, first: kind * BYTE_VALUES }];
	});
	const decoded = fromHalves(values, "float16");
	const dropped = droppedOf(block);
	return {
		dropped,
		scale: (rows, at, by, { divisors, factors }, id) => {
			const base = meanSize(runs, rows, at, by.weights);
			let best = { gain: 0, divisor: 0, scale: 0 };
			for (const tried of base > 0 ? TRIED_SCALES : []) {
				const divisor = Math.fround(base * tried);
				const { gain, scale } = fitted(runs, rows, at, divisor, by.weights);
				if (gain > best.gain) best = { gain, divisor, scale };
			}
			divisors[id] = best.divisor;
			factors[id] = fromFloat16(toFloat16(best.scale * by.gauge)) / by.gauge;
		},
		encode: (rows, at, divisor, codes, start) => {
			if (!(divisor > 0)) return;
			for (const { columns, bytes, units, search } of runs) {
				const { low, perUnit, start: first, ends } = search;
				for (let index = 0; index < columns.length; index++) {
					const code = codeOf((rows[at + (columns[index] as number)] as number) / divisor, low, perUnit, first, ends);
					const byte = start + (bytes[index] as number);
					codes[byte] = (codes[byte] as number) + code * (units[index] as number);
				}
			}
		},
		round: (rows, at, divisor, factor) => {
			for (const [from, to] of dropped) rows.fill(0, at + from, at + to);
			for (const run of runs) roundRun(run, rows, at, divisor, factor);
		},
		decode: (codes, start, scale, out, at) => {
			for (const { column, byte, first } of kept) out[at + column] = scale * (decoded[first + (codes[start + byte] as number)] as number);
		},
	};
}

function runsOf(block: BlockLayout, { kinds, spacing }: CodedLayout, values: Uint16Array): Run[] {
	const counts = [...new Set(kinds.map(({ count }) => count))].filter((count) => count > 0);
	return counts.flatMap((count): Run[] => {
		const columns = [...block.kindOf.keys()].filter((column) => kinds[block.kindOf[column] ?? 0]?.count === count);
		if (columns.length === 0) return [];
		const first = kinds.findIndex((kind) => kind.count === count) * BYTE_VALUES;
		return [
			{
				columns: Int32Array.from(columns),
				bytes: Int32Array.from(columns, (column) => block.byteOf[column] ?? 0),
				units: Int32Array.from(columns, (column) => count ** (kinds[block.kindOf[column] ?? 0]?.digit ?? 0)),
				values: Float64Array.from({ length: count }, (_, code) => fromFloat16(values[first + code] ?? 0)),
				search: quantizerOf(count, spacing).search,
			},
		];
	});
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

/** √(Σ wₖxₖ² / Σ wₖ) over the columns that the row has. */
function meanSize(runs: readonly Run[], rows: Float32Array, at: number, weights: Float64Array): number {
	let size = 0;
	let total = 0;
	for (const { columns } of runs) {
		for (let index = 0; index < columns.length; index++) {
			const column = columns[index] as number;
			const weight = weights[column] as number;
			const number = rows[at + column] as number;
			size += weight * number * number;
			total += weight;
		}
	}
	return Math.sqrt(size / (total || 1));
}

/** With x rounded to v after a division: the scale s that minimises Σ wₖ(xₖ − s·vₖ)², and how much it takes off Σ wₖxₖ². */
function fitted(runs: readonly Run[], rows: Float32Array, at: number, divisor: number, weights: Float64Array) {
	let cross = 0;
	let square = 0;
	for (const { columns, values, search } of runs) {
		const { low, perUnit, start, ends } = search;
		for (let index = 0; index < columns.length; index++) {
			const column = columns[index] as number;
			const number = rows[at + column] as number;
			const value = values[codeOf(number / divisor, low, perUnit, start, ends)] as number;
			const weighted = (weights[column] as number) * value;
			cross += weighted * number;
			square += weighted * value;
		}
	}
	return square > 0 ? { gain: (cross * cross) / square, scale: cross / square } : { gain: 0, scale: 0 };
}

function roundRun({ columns, values, search }: Run, rows: Float32Array, at: number, divisor: number, factor: number): void {
	const { low, perUnit, start, ends } = search;
	for (let index = 0; index < columns.length; index++) {
		const place = at + (columns[index] as number);
		rows[place] = divisor > 0 ? factor * (values[codeOf((rows[place] as number) / divisor, low, perUnit, start, ends)] as number) : 0;
	}
}
