// The columns of one precision in the rows of a block: how their numbers become codes.
import type { BlockLayout, CodedLayout } from "./coding.js";
import { codeOf, quantizerOf, type Search } from "./levels.js";
import { NearestSearch, PAIRS } from "./nearest.js";
import { BYTE_VALUES, isScalar, valueCount } from "./precision.js";

/** Some rows of a block, and where in `values` each begins. */
export interface SomeRows {
	readonly values: Float32Array;
	readonly at: readonly number[];
}

/** What the rounding of some rows, divided by some numbers, is collected in. */
export interface Trial {
	readonly divisors: Float32Array;
	readonly codes: Uint8Array;
	/** Σ w·x·v and Σ w·v² of each row, v what x is rounded to. */
	readonly cross: Float64Array;
	readonly square: Float64Array;
}

export interface Run {
	readonly columns: readonly number[];
	/** Adds to each trial what the rows round to by its divisors. */
	encode(rows: SomeRows, weights: Float64Array, trials: readonly Trial[]): void;
}

/**
 * @param decoded for each kind of column, what each byte stands for
 * @param searches for each number of columns to a byte; those that are missing are added
 */
export function runsOf(block: BlockLayout, layout: CodedLayout, decoded: Float32Array, searches: Map<number, NearestSearch>): Run[] {
	const { kinds, spacing } = layout;
	const { rowBytes } = block;
	const precisions = [...new Set(kinds.map(({ perByte }) => perByte))].filter((perByte) => perByte > 0);
	return precisions.flatMap((perByte): Run[] => {
		const columns = [...block.kindOf.keys()].filter((column) => kinds[block.kindOf[column] ?? 0]?.perByte === perByte);
		if (columns.length === 0) return [];
		const first = kinds.findIndex((kind) => kind.perByte === perByte) * BYTE_VALUES;
		const digitOf = (column: number) => kinds[block.kindOf[column] ?? 0]?.digit ?? 0;
		const byteOf = (column: number) => block.byteOf[column] ?? 0;
		if (isScalar(perByte, spacing)) {
			const count = valueCount(perByte);
			const units = columns.map((column) => count ** digitOf(column));
			const { search } = quantizerOf(count, spacing);
			return [scalarRun({ columns, bytes: columns.map(byteOf), rowBytes, units, search, values: decoded.subarray(first, first + count) })];
		}
		const values = Float64Array.from({ length: BYTE_VALUES * perByte }, (_, at) => {
			return decoded[first + (at % perByte) * BYTE_VALUES + Math.floor(at / perByte)] as number;
		});
		const search = searches.get(perByte) ?? searchFor(perByte, values);
		searches.set(perByte, search);
		const bytes = [...new Set(columns.map(byteOf))].map((byte) => ({
			byte,
			columns: Array.from({ length: perByte }, (_, digit) => columns.find((one) => byteOf(one) === byte && digitOf(one) === digit) ?? -1),
		}));
		return [vectorRun({ columns, bytes, rowBytes, search, values })];
	});
}

function searchFor(width: number, values: Float64Array): NearestSearch {
	const search = new NearestSearch(width);
	search.setVectors(
		Float64Array.from({ length: PAIRS * width }, (_, at) => values[2 * Math.floor(at / width) * width + (at % width)] as number),
	);
	return search;
}

interface ScalarColumns {
	readonly columns: readonly number[];
	readonly bytes: readonly number[];
	readonly rowBytes: number;
	/** What a code is multiplied by in its byte. */
	readonly units: readonly number[];
	readonly search: Search;
	/** What each code stands for. */
	readonly values: Float32Array;
}

/** Each number to the nearest value. */
function scalarRun({ columns, bytes, rowBytes, units, search, values }: ScalarColumns): Run {
	const { low, perUnit, start, ends } = search;
	return {
		columns,
		encode: ({ values: numbers, at }, weights, trials) => {
			for (const { divisors, codes, cross, square } of trials)
				for (let row = 0; row < at.length; row++) {
					const [first, divisor] = [at[row] as number, divisors[row] as number];
					if (!(divisor > 0)) continue;
					let [along, own] = [0, 0];
					for (let index = 0; index < columns.length; index++) {
						const column = columns[index] as number;
						const number = numbers[first + column] as number;
						const code = codeOf(number / divisor, low, perUnit, start, ends);
						const byte = row * rowBytes + (bytes[index] as number);
						codes[byte] = (codes[byte] as number) + code * (units[index] as number);
						const value = values[code] as number;
						const weighted = (weights[column] as number) * value;
						along += weighted * number;
						own += weighted * value;
					}
					cross[row] = (cross[row] as number) + along;
					square[row] = (square[row] as number) + own;
				}
		},
	};
}

interface VectorColumns {
	readonly columns: readonly number[];
	/** Places of bytes in a row, and the columns that share each; −1: none, at the end of a run. */
	readonly bytes: readonly SharedByte[];
	readonly rowBytes: number;
	readonly search: NearestSearch;
	/** Number `digit` of what `byte` stands for, at byte · width + digit. */
	readonly values: Float64Array;
}

interface SharedByte {
	readonly byte: number;
	readonly columns: readonly number[];
}

/** All numbers of a byte to the vector that is nearest by the columns' weights. */
function vectorRun({ columns, bytes, rowBytes, search, values }: VectorColumns): Run {
	const { width, batch, queries } = search;
	const found = new Uint8Array(batch);
	// Distances are compared in float32: weights near 1.
	const relative = new Float64Array(width);
	const ask = ({ values: numbers, at }: SomeRows, { divisors }: Trial, shared: readonly number[], start: number, count: number) => {
		for (let row = start, query = 0; row < start + count; row++) {
			const [first, divisor] = [at[row] as number, divisors[row] as number];
			for (let digit = 0; digit < width; digit++, query++) {
				const column = shared[digit] as number;
				queries[query] = column < 0 || !(divisor > 0) ? 0 : ((relative[digit] as number) * (numbers[first + column] as number)) / divisor;
			}
		}
		search.find(count, found);
	};
	const collect = (
		{ values: numbers, at }: SomeRows,
		{ codes, cross, square }: Trial,
		{ byte, columns: shared }: SharedByte,
		weights: Float64Array,
		start: number,
		count: number,
	) => {
		for (let row = start; row < start + count; row++) {
			const code = found[row - start] as number;
			codes[row * rowBytes + byte] = code;
			const first = at[row] as number;
			let [along, own] = [0, 0];
			for (let digit = 0; digit < width; digit++) {
				const column = shared[digit] as number;
				if (column < 0) continue;
				const value = values[code * width + digit] as number;
				const weighted = (weights[column] as number) * value;
				along += weighted * (numbers[first + column] as number);
				own += weighted * value;
			}
			cross[row] = (cross[row] as number) + along;
			square[row] = (square[row] as number) + own;
		}
	};
	return {
		columns,
		encode: (rows, weights, trials) => {
			for (const shared of bytes) {
				for (let digit = 0; digit < width; digit++) relative[digit] = weights[shared.columns[digit] as number] ?? 0;
				const largest = relative.reduce((most, weight) => Math.max(most, weight), 0) || 1;
				for (let digit = 0; digit < width; digit++) relative[digit] = (relative[digit] as number) / largest;
				search.setWeights(relative);
				for (const trial of trials)
					for (let start = 0; start < rows.at.length; start += batch) {
						const count = Math.min(batch, rows.at.length - start);
						ask(rows, trial, shared.columns, start, count);
						collect(rows, trial, shared, weights, start, count);
					}
			}
		},
	};
}
