// Rows of U as codes of different precision, one scale a row.
import { DistembError, throwIfAborted } from "../errors.js";
import { toFloat16 } from "../ir/elements.js";
import { toHalves } from "../ir/halves.js";
import type { Coding } from "../state.js";
import type { Basis } from "./basis.js";
import { type CodedLayout, layoutOf } from "./coding.js";
import { halfGauge } from "./half-gauge.js";
import type { NearestSearch } from "./nearest.js";
import { BYTE_VALUES, precisionOf } from "./precision.js";
import { type CodedRows, type RowCoder, rowCoder, type Weighing } from "./row-coder.js";
import { scaleGrid } from "./scale-grid.js";

/** U [V, r] and W [r, d] in float32. */
export interface FloatFactors {
	/** Rows [start, end) of U; may be a view. */
	left(start: number, end: number): Float32Array;
	readonly right: Float32Array;
}

export interface RoundedRows {
	/** All rows of all blocks, by place. */
	readonly codes: Uint8Array;
	/** One for each row, by place: its number in the grid. */
	readonly scales: Uint8Array;
	/** float16: what the scales' numbers stand for. */
	readonly grid: Uint16Array;
	/** W is stored over this power of two, which the grid takes up. */
	readonly gauge: number;
	/** Rows [start, end) of U by id, as a runtime reads them. */
	left(start: number, end: number): Float32Array;
}

/** Rows [first, last) of U. */
export interface RowsOfU {
	readonly values: Float32Array;
	readonly first: number;
	readonly last: number;
}

/** Rows handled at a time. */
const ROWS = 4096;

/** All rows, rounded: codes by place, scales by id. */
export interface StoredRows extends CodedRows {
	/** The codes as float32 without meaning: what training keeps is made of these. */
	readonly bits: Float32Array;
}

/** Rounds factors of one coding, as often as they change. */
export class Rounding {
	readonly layout: CodedLayout;
	/** float16: for each kind of column, what each byte stands for. */
	readonly values: Uint16Array;
	private readonly coders: readonly RowCoder[];
	private readonly blockAt: Uint16Array;
	private readonly weights: Float64Array;

	constructor(
		private readonly coding: Coding,
		private readonly rank: number,
		private readonly rows: number,
	) {
		this.layout = layoutOf(coding.blocks, rank, coding.spacing);
		this.values = byteValues(this.layout);
		const searches = new Map<number, NearestSearch>();
		this.coders = this.layout.blocks.map((block) => rowCoder(block, this.layout, this.values, searches));
		this.blockAt = blockOfPlaces(this.layout, rows);
		this.weights = weightsOf(coding.basis, rank);
	}

	/**
	 * What an error in each column of U costs in the basis of the coding, and what scales may be.
	 * @param largestLeft largest magnitude in U
	 * @throws DistembError `refused` if halves cannot hold scales and W
	 */
	weigh(right: Float32Array, largestLeft: number): Weighing {
		const gauge = gaugeOf(largestLeft, largest(right));
		// A power of two: training finds the same grid until the largest entry has doubled.
		const most = largestLeft > 0 ? 2 ** Math.ceil(Math.log2(LARGEST_SCALE * largestLeft * gauge)) : 1;
		return { gauge, weights: this.weights, grid: scaleGrid(Math.min(most, LARGEST_GRID)) };
	}

	/** The same factors give the same codes. */
	encode({ left, right }: FloatFactors, signal?: AbortSignal): RoundedRows {
		const { rank, rows } = this;
		let most = 0;
		for (let first = 0; first < rows; first += ROWS) most = Math.max(most, largest(left(first, Math.min(rows, first + ROWS))));
		const by = this.weigh(right, most);
		const { gauge } = by;
		const stored = this.room();
		for (let first = 0; first < rows; first += ROWS) {
			throwIfAborted(signal);
			const last = Math.min(rows, first + ROWS);
			this.encodeRows({ values: left(first, last), first, last }, by, stored, true);
		}
		const scales = new Uint8Array(rows);
		for (let id = 0; id < rows; id++) scales[this.placeOf(id)] = by.grid.codeOf((stored.scales[id] as number) * gauge);
		const decoded = (from: number, to: number): Float32Array => {
			const out = new Float32Array((to - from) * rank);
			this.decodeRows(stored, from, to, out);
			return out.map((value) => value * gauge);
		};
		return { codes: stored.codes, scales, grid: toHalves(by.grid.values, "float16"), gauge, left: decoded };
	}

	/** Room for all rows. */
	room(): StoredRows {
		const bits = new Float32Array(Math.ceil(this.layout.bytes / Float32Array.BYTES_PER_ELEMENT));
		return { bits, codes: new Uint8Array(bits.buffer, 0, this.layout.bytes), scales: new Float32Array(this.rows) };
	}

	/**
	 * Rounds rows [first, last) of U, which are `values`, into `stored`.
	 * @param anew the scales that suit these rows best are sought; else they are those that `stored` has
	 */
	encodeRows({ values, first, last }: RowsOfU, by: Weighing, stored: CodedRows, anew: boolean): void {
		const { rank, layout, coders } = this;
		const ids = coders.map((): number[] => []);
		for (let id = first; id < last; id++) ids[this.blockAt[this.placeOf(id)] as number]?.push(id);
		for (const [index, coder] of coders.entries()) {
			const own = ids[index] ?? [];
			if (own.length === 0) continue;
			const width = layout.blocks[index]?.rowBytes ?? 0;
			const held = anew ? undefined : Float32Array.from(own, (id) => stored.scales[id] as number);
			const { codes, scales } = coder.encode({ values, at: own.map((id) => (id - first) * rank) }, by, held);
			for (const [row, id] of own.entries()) {
				stored.codes.set(codes.subarray(row * width, (row + 1) * width), this.startOf(id));
				stored.scales[id] = scales[row] as number;
			}
		}
	}

	/** Rows [first, last) of U as they are read, into `out`; times the gauge of W they are what {@link encode} gives. */
	decodeRows({ codes, scales }: CodedRows, first: number, last: number, out: Float32Array): void {
		out.fill(0, 0, (last - first) * this.rank);
		for (let id = first; id < last; id++)
			this.coderOf(id)?.decode(codes, this.startOf(id), scales[id] as number, out, (id - first) * this.rank);
	}

	/** Columns that a row does not have, as ranges from … to, exclusively. */
	droppedOf(id: number): RowCoder["dropped"] {
		return this.coderOf(id)?.dropped ?? [];
	}

	private placeOf(id: number): number {
		return this.coding.positions === undefined ? id : (this.coding.positions[id] as number);
	}

	private coderOf(id: number): RowCoder | undefined {
		return this.coders[this.blockAt[this.placeOf(id)] as number];
	}

	/** Where the codes of a row begin. */
	private startOf(id: number): number {
		const place = this.placeOf(id);
		const block = this.layout.blocks[this.blockAt[place] as number];
		return block === undefined ? 0 : block.start + (place - block.first) * block.rowBytes;
	}
}

/** The largest magnitude in `values`. */
export function largest(values: Float32Array): number {
	let most = 0;
	for (let index = 0; index < values.length; index++) most = Math.max(most, Math.abs(values[index] as number));
	return most;
}

function blockOfPlaces({ blocks }: CodedLayout, rows: number): Uint16Array {
	const found = new Uint16Array(rows);
	for (const [index, { first, rows: count }] of blocks.entries()) found.fill(index, first, first + count);
	return found;
}

/** What each byte of each kind stands for, as float16. */
function byteValues({ kinds, spacing }: CodedLayout): Uint16Array {
	const values = new Uint16Array(kinds.length * BYTE_VALUES);
	for (const [index, { perByte, digit }] of kinds.entries()) {
		if (perByte === 0) continue;
		const { values: stand } = precisionOf(perByte, spacing);
		for (let byte = 0; byte < BYTE_VALUES; byte++) values[index * BYTE_VALUES + byte] = toFloat16(stand[byte * perByte + digit] ?? 0);
	}
	return values;
}

/** No scale is more than twice the largest entry of its row. */
const LARGEST_SCALE = 2;

/** The largest power of two in float16. */
const LARGEST_GRID = 2 ** 15;

/** A power of two near the largest entry of W, so that W over it is near 1 and the scales take it up; another where these would leave float16. */
function gaugeOf(left: number, right: number): number {
	const gauge = halfGauge(LARGEST_SCALE * left, right, right > 0 ? 2 ** Math.round(Math.log2(right)) : 1);
	if (gauge !== undefined) return gauge;
	throw new DistembError("refused", "the table is out of the range of float16, in which scales and the right factor are stored", {
		hint: "use --dtype float32",
	});
}

/** No error is free, whatever the calibration says. */
const LEAST_WEIGHT = 1e-9;

/** Columns of U have a weighted mean square of 1 where training begins: what an error in one costs is what is lost with it. */
function weightsOf({ losses }: Basis, rank: number): Float64Array {
	const least = LEAST_WEIGHT * losses.reduce((most, loss) => Math.max(most, loss), 0);
	return Float64Array.from({ length: rank }, (_, k) => Math.max(losses[k] as number, least));
}
