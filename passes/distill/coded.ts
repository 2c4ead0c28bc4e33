// Factors that will be written as codes: the student reads them rounded while gradients act on the float ones. From the first step on: steps on
// float factors lose what rounding was fitted to. On the fixture's language model at 16 times, 120 steps, KL on test text ends at 0.082 nats;
// rounded from a tenth on 0.093, from the half on 0.135.
import { leastSquares } from "../../src/linalg/refit.js";
import { type RightForm, readRight, storeRight } from "../../src/linalg/right-factor.js";
import { largest, Rounding, type StoredRows } from "../../src/linalg/rounding.js";
import type { PassContext } from "../../src/pass.js";
import { engineProducts } from "../../src/runtime/products.js";
import type { Look, Sight } from "../../src/runtime/training/training.js";
import type { FactorGroup } from "../../src/state.js";
import type { Parameter } from "./parameters.js";
import { floatsOf, transposed, writeFactor } from "./write.js";

/** Fits W of each coded group to the rounded U, as `quantize` would: training begins where a conversion without training ends. */
export async function fitCoded(groups: readonly FactorGroup[], { threads, signal }: PassContext): Promise<void> {
	const products = engineProducts({ threads });
	try {
		for (const group of groups) {
			const { coding, rank, values, vocabulary } = group;
			const { table } = vocabulary;
			if (coding === undefined) continue;
			const of = (side: "left" | "right", height: number, width: number) => {
				const { role, value } = values.find((one) => one.role === side) ?? values.find((one) => one.role === `${side}T`) ?? {};
				if (value === undefined) return new Float32Array(height * width);
				return role === side ? floatsOf(value) : transposed(floatsOf(value), width, height);
			};
			const [left, right] = [of("left", table.rows, rank), of("right", rank, table.cols)];
			const factors = { right, left: (start: number, end: number) => left.subarray(start * rank, end * rank) };
			const rounded = new Rounding(coding, rank, table.rows).encode(factors, signal);
			const fitted = await leastSquares(table, { rank, left: rounded.left, rowWeights: coding.rowWeights }, products, signal);
			const plain = fitted.map((value) => value * rounded.gauge);
			writeFactor(group, "right", "right", plain);
		}
	} finally {
		await products.close();
	}
}

/** A coded group under training. */
interface CodedPair {
	readonly left: Parameter;
	readonly right: Parameter;
	readonly rank: number;
	readonly rounding: Rounding;
	/** How W is stored. */
	readonly form: RightForm;
	readonly rows: number;
	/** The rows of U as they were last rounded, … */
	readonly stored: StoredRows;
	/** … and the gauge of W then, one number. */
	readonly gauge: Float32Array;
}

/** What the student reads in place of coded factors; undefined: there are none. */
export function codedSight(parameters: readonly Parameter[]): Sight | undefined {
	const pairs = pairsOf(parameters);
	if (pairs.length === 0) return undefined;
	return {
		names: new Set(pairs.flatMap(({ left, right }) => [left.value.name, right.value.name])),
		kept: new Map(
			pairs.flatMap(({ left, gauge, stored: { bits, scales } }) => [
				[`${left.value.name}/codes`, bits],
				[`${left.value.name}/scales`, scales],
				[`${left.value.name}/gauge`, gauge],
			]),
		),
		show: (values, seen, how) => {
			for (const pair of pairs) show(pair, values, seen, how);
		},
	};
}

/** Puts columns that a row does not have back to zero. */
export function keepDropped(parameters: readonly Parameter[], values: ReadonlyMap<string, Float32Array>): () => void {
	const pairs = pairsOf(parameters);
	return () => {
		for (const { left, rank, rows, rounding } of pairs) {
			const array = values.get(left.value.name) ?? new Float32Array(0);
			const turned = isTurned(left);
			for (let row = 0; row < rows; row++)
				for (const [from, to] of rounding.droppedOf(row))
					if (turned) for (let column = from; column < to; column++) array[column * rows + row] = 0;
					else array.fill(0, row * rank + from, row * rank + to);
		}
	};
}

/** The factor as it is stored, without the scales that it was trained with; its own array. */
export function unscaled(parameter: Parameter, values: Float32Array): Float32Array {
	const { scales } = parameter;
	return scales === undefined
		? values.slice()
		: scaled(
				parameter,
				values,
				scales.map((scale) => 1 / scale),
			);
}

function pairsOf(parameters: readonly Parameter[]): CodedPair[] {
	const of = (group: FactorGroup, side: "left" | "right") =>
		parameters.find(({ stored }) => "group" in stored && stored.group === group && stored.factor === side);
	const groups = new Set(parameters.flatMap(({ stored }) => ("group" in stored ? [stored.group] : [])));
	return [...groups].flatMap((group): CodedPair[] => {
		const { coding, rank, vocabulary } = group;
		const [left, right] = [of(group, "left"), of(group, "right")];
		if (coding === undefined || left === undefined || right === undefined) return [];
		const { rows } = vocabulary.table;
		const rounding = new Rounding(coding, rank, rows);
		return [{ left, right, rank, rounding, form: coding.right, rows, stored: rounding.room(), gauge: new Float32Array(1) }];
	});
}

/** Rows of U that are rounded at a time, so that they stay in the processor's cache. */
const TILE = 1024;

/** @param how U is rounded as it is when codes are written, or by the scales that it has, or read as it was rounded last, or as it was read last */
function show(pair: CodedPair, values: ReadonlyMap<string, Float32Array>, seen: ReadonlyMap<string, Float32Array>, how: Look) {
	const { left, right, rank, rounding, rows, stored, gauge } = pair;
	const own = unscaled(right, values.get(right.value.name) ?? new Float32Array(0));
	const w = isTurned(right) ? transposed(own, own.length / rank, rank) : own;
	const [from, to] = [values, seen].map((arrays) => arrays.get(left.value.name) ?? new Float32Array(0)) as [Float32Array, Float32Array];
	const [tile, columns] = [new Float32Array(TILE * rank), scalesIn(left, rank)];
	const tiles = Array.from({ length: Math.ceil(rows / TILE) }, (_, index) => {
		const first = index * TILE;
		return { first, last: Math.min(rows, first + TILE), rows, columns, turned: isTurned(left) };
	});
	if (how === "anew" || how === "again") {
		let most = 0;
		for (const { first, last, ...shape } of tiles) {
			takeRows(from, tile, { first, last, ...shape });
			most = Math.max(most, largest(tile.subarray(0, (last - first) * rank)));
		}
		const by = rounding.weigh(w, most);
		gauge[0] = by.gauge;
		for (const { first, last, ...shape } of tiles) {
			takeRows(from, tile, { first, last, ...shape });
			rounding.encodeRows({ values: tile, first, last }, by, stored, how === "anew");
		}
	}
	if (how !== "still")
		for (const { first, last, ...shape } of tiles) {
			rounding.decodeRows(stored, first, last, tile);
			putRows(tile, to, { first, last, ...shape });
		}
	showRight(pair, w, seen);
}

/** W over the gauge, as it is stored, times the gauge. */
function showRight({ right, rank, gauge, form }: CodedPair, w: Float32Array, seen: ReadonlyMap<string, Float32Array>): void {
	const by = gauge[0] as number;
	const over = w.map((value) => value / by);
	const rounded = readRight(storeRight(over, rank, form)).map((value) => value * by);
	const turned = isTurned(right) ? transposed(rounded, rank, w.length / rank) : rounded;
	seen.get(right.value.name)?.set(scaled(right, turned, scalesIn(right, rank)));
}

function scalesIn({ scales }: Parameter, rank: number): Float64Array {
	return scales ?? new Float64Array(rank).fill(1);
}

interface Tile {
	readonly first: number;
	readonly last: number;
	readonly rows: number;
	/** What each column of U was multiplied by. */
	readonly columns: Float64Array;
	/** U is stored as its transpose. */
	readonly turned: boolean;
}

/** Rows of U as they are stored, into `tile`. */
function takeRows(from: Float32Array, tile: Float32Array, { first, last, rows, columns, turned }: Tile): void {
	const rank = columns.length;
	const [down, along] = turned ? [1, rows] : [rank, 1];
	const by = columns.map((scale) => 1 / scale);
	for (let row = first, at = 0; row < last; row++)
		for (let k = 0; k < rank; k++, at++) tile[at] = (from[row * down + k * along] as number) * (by[k] as number);
}

/** Rows of U from `tile` to where they are trained. */
function putRows(tile: Float32Array, to: Float32Array, { first, last, rows, columns, turned }: Tile): void {
	const rank = columns.length;
	const [down, along] = turned ? [1, rows] : [rank, 1];
	for (let row = first, at = 0; row < last; row++)
		for (let k = 0; k < rank; k++, at++) to[row * down + k * along] = (tile[at] as number) * (columns[k] as number);
}

/** `values` with each column of U, or row of W, times its scale. */
function scaled(parameter: Parameter, values: Float32Array, scales: Float64Array): Float32Array {
	const rank = scales.length;
	const length = values.length / rank;
	const isLeft = "group" in parameter.stored && parameter.stored.factor === "left";
	const result = new Float32Array(values.length);
	// The axis of size `rank` is the last of U and Wᵀ, the first of W and Uᵀ.
	const isLast = isLeft !== isTurned(parameter);
	const [down, along] = isLast ? [rank, 1] : [1, length];
	const by = isLeft ? scales : scales.map((scale) => 1 / scale);
	for (let index = 0; index < length; index++)
		for (let k = 0; k < rank; k++) {
			const at = index * down + k * along;
			result[at] = (values[at] as number) * (by[k] as number);
		}
	return result;
}

function isTurned({ stored }: Parameter): boolean {
	return "group" in stored && stored.stored.role.endsWith("T");
}
