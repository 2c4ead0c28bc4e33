// Rows of the table that a step of embedding distillation looks at: half of them as often as they are met, half all alike.
import { rowBlocks } from "../../src/linalg/rows.js";
import { uniform } from "../../src/random.js";
import { tensorOf } from "../../src/runtime/numbers.js";
import type { Feeds } from "../../src/runtime/session.js";
import type { FactorGroup, Table } from "../../src/state.js";
import { INPUTS, type RowTerm } from "./objective.js";

/** Rows per step at most. */
const ROWS = 2048;

export interface RowSource extends RowTerm {
	/** Inputs of term number `index` of the loss at one step; the same for the same seed. */
	readonly feeds: (index: number, seed: number) => Feeds;
}

export interface RowOptions {
	/** How often each row is met, any scale; undefined: all rows alike. */
	readonly frequency: Float64Array | Float32Array | undefined;
	readonly metric: Float32Array | undefined;
	/** True: the loss is a share of what the table holds; false: the plain mean over its rows, as in the paper. */
	readonly relative: boolean;
	readonly seed: number;
}

/** Embedding distillation of one group of factors: Σ wᵢ ‖(eᵢ − uᵢW)A‖², its weights half those of the frequency, half uniform. */
export function rowSource(group: FactorGroup, { frequency, metric, relative, seed }: RowOptions): RowSource {
	const { table } = group.vocabulary;
	const count = Math.min(ROWS, table.rows);
	const draw = sampler(frequency, table.rows);
	const scale = relative ? 1 / energy(table, pick(draw, count, seed), metric) : 1;
	return {
		group,
		count,
		metric,
		feeds: (index, stepSeed) => {
			const names = INPUTS.rows(index);
			const ids = pick(draw, count, stepSeed);
			return {
				[names.ids]: tensorOf("int64", [count], (at) => ids[at] ?? 0),
				[names.original]: { dtype: "float32", dims: [count, table.cols], data: readRows(table, ids) },
				[names.weights]: tensorOf("float32", [count], () => scale / count),
			};
		},
	};
}

/** Elements of a table that a step of the paper's embedding distillation looks at as a whole. */
const WHOLE_TABLE = 2 ** 24;

/** All rows of a table at every step, each alike; undefined for a table too large for it. */
export function wholeTable(group: FactorGroup): RowSource | undefined {
	const { table } = group.vocabulary;
	if (table.rows * table.cols > WHOLE_TABLE) return undefined;
	const data = new Float32Array(table.rows * table.cols);
	for (const { start, values } of rowBlocks(table)) data.set(values, start * table.cols);
	const original = { dtype: "float32", dims: [table.rows, table.cols], data } as const;
	const sum = data.reduce((squares, element) => squares + element * element, 0);
	return { group, count: table.rows, metric: undefined, energy: sum, feeds: (index) => ({ [INPUTS.rows(index).original]: original }) };
}

type Draw = (random: () => number, at: number) => number;

/** Even places draw by frequency, odd ones uniformly. */
function sampler(frequency: RowOptions["frequency"], rows: number): Draw {
	let total = 0;
	for (const weight of frequency ?? []) total += weight;
	if (frequency === undefined || !(total > 0)) return (random) => Math.floor(random() * rows);
	const ends = new Float64Array(rows);
	let sum = 0;
	for (let row = 0; row < rows; row++) ends[row] = sum += (frequency[row] ?? 0) / total;
	return (random, at) => (at % 2 === 0 ? firstAbove(ends, random()) : Math.floor(random() * rows));
}

/** Index of the first element above `level`, by halving. */
function firstAbove(ends: Float64Array, level: number): number {
	let [low, high] = [0, ends.length - 1];
	while (low < high) {
		const middle = (low + high) >> 1;
		if ((ends[middle] as number) > level) high = middle;
		else low = middle + 1;
	}
	return low;
}

/** Sorted, so that the table is read front to back. */
function pick(draw: Draw, count: number, seed: number): Int32Array {
	const random = uniform(seed);
	return Int32Array.from({ length: count }, (_, at) => draw(random, at)).sort();
}

function readRows(table: Table, ids: Int32Array): Float32Array {
	const rows = new Float32Array(ids.length * table.cols);
	for (const [index, id] of ids.entries()) rows.set(table.read(id, id + 1), index * table.cols);
	return rows;
}

/** Mean of ‖eA‖² over the rows. */
function energy(table: Table, ids: Int32Array, metric: Float32Array | undefined): number {
	const { cols } = table;
	let sum = 0;
	for (const id of ids) {
		const row = table.read(id, id + 1);
		for (let column = 0; column < cols; column++) {
			let element = metric === undefined ? (row[column] as number) : 0;
			if (metric !== undefined) for (let k = 0; k < cols; k++) element += (row[k] as number) * (metric[k * cols + column] as number);
			sum += element * element;
		}
	}
	return sum > 0 ? sum / ids.length : 1;
}
