// Rows of U as codes of different precision, one scale a row.
import { DistembError, throwIfAborted } from "../errors.js";
import { fromFloat16, toFloat16 } from "../ir/elements.js";
import { toHalves } from "../ir/halves.js";
import type { Coding } from "../state.js";
import { BYTE_VALUES, type CodedLayout, layoutOf } from "./coding.js";
import { halfGauge } from "./half-gauge.js";
import { quantizerOf } from "./levels.js";
import { type RowCoder, type RowScales, rowCoder, type Weighing } from "./row-coder.js";

/** U [V, r] and W [r, d] in float32. */
export interface FloatFactors {
	/** Rows [start, end) of U; may be a view. */
	left(start: number, end: number): Float32Array;
	readonly right: Float32Array;
}

export interface RoundedRows {
	/** All rows of all blocks, by place. */
	readonly codes: Uint8Array;
	/** float16, one for each row, by place. */
	readonly scales: Uint16Array;
	/** W is stored over this power of two, which the scales take up. */
	readonly gauge: number;
	/** Rows [start, end) of U by id, as a runtime reads them. */
	left(start: number, end: number): Float32Array;
}

/** Rows handled at a time. */
const ROWS = 4096;

/** Rounds factors of one coding, as often as they change. */
export class Rounding {
	readonly layout: CodedLayout;
	/** float16: for each kind of column, what each byte stands for. */
	readonly values: Uint16Array;
	private readonly coders: readonly RowCoder[];
	private readonly blockAt: Uint16Array;

	constructor(
		private readonly coding: Coding,
		private readonly rank: number,
		private readonly rows: number,
	) {
		this.layout = layoutOf(coding.blocks, rank, coding.spacing);
		this.values = byteValues(this.layout);
		this.coders = this.layout.blocks.map((block) => rowCoder(block, this.layout, this.values));
		this.blockAt = blockOfPlaces(this.layout, rows);
	}

	/** The same factors give the same codes. */
	encode({ left, right }: FloatFactors, signal?: AbortSignal): RoundedRows {
		const { layout, rank, rows } = this;
		let most = 0;
		for (let first = 0; first < rows; first += ROWS) most = Math.max(most, largest(left(first, Math.min(rows, first + ROWS))));
		const by = weighingOf(right, rank, most);
		const { gauge } = by;
		const codes = new Uint8Array(layout.bytes);
		const rowScales = scalesOf(rows);
		const scales = new Uint16Array(rows);
		for (let first = 0; first < rows; first += ROWS) {
			throwIfAborted(signal);
			const last = Math.min(rows, first + ROWS);
			const values = left(first, last);
			this.scale(values, first, last, by, rowScales);
			for (let id = first; id < last; id++) {
				const divisor = rowScales.divisors[id] as number;
				this.coderOf(id)?.encode(values, (id - first) * rank, divisor, codes, this.startOf(id));
				scales[this.placeOf(id)] = toFloat16((rowScales.factors[id] as number) * gauge);
			}
		}
		const decoded = (from: number, to: number): Float32Array => {
			const out = new Float32Array((to - from) * rank);
			for (let id = from; id < to; id++) {
				const scale = fromFloat16(scales[this.placeOf(id)] as number);
				this.coderOf(id)?.decode(codes, this.startOf(id), scale, out, (id - from) * rank);
			}
			return out;
		};
		return { codes, scales, gauge, left: decoded };
	}

	/** Finds the scales that {@link encode} gives rows [first, last) of U, which are `values`. */
	scale(values: Float32Array, first: number, last: number, by: Weighing, scales: RowScales): void {
		for (let id = first; id < last; id++) this.coderOf(id)?.scale(values, (id - first) * this.rank, by, scales, id);
	}

	/** Rounds rows [first, last) of U, which are `values`, in place by their scales; times the gauge of W they are what {@link encode} gives. */
	round(values: Float32Array, first: number, last: number, { divisors, factors }: RowScales): void {
		for (let id = first; id < last; id++)
			this.coderOf(id)?.round(values, (id - first) * this.rank, divisors[id] as number, factors[id] as number);
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

/** Room for the scales of so many rows. */
export function scalesOf(rows: number): RowScales {
	return { divisors: new Float32Array(rows), factors: new Float32Array(rows) };
}

/**
 * What an error in each column of U costs beside W.
 * @param largestLeft largest magnitude in U
 * @throws DistembError `refused` if halves cannot hold scales and W
 */
export function weighingOf(right: Float32Array, rank: number, largestLeft: number): Weighing {
	return { gauge: gaugeOf(largestLeft, largest(right)), weights: norms(right, rank) };
}

/** The largest magnitude in `values`. */
export function largest(values: Float32Array): number {
	let most = 0;
	for (let index = 0; index < values.length; index++) most = Math.max(most, Math.abs(values[index] as number));
	return most;
}

/** W over the gauge, as it is stored. */
export function roundRight(right: Float32Array, gauge: number): Uint16Array {
	return toHalves(
		right.map((value) => value / gauge),
		"float16",
	);
}

function blockOfPlaces({ blocks }: CodedLayout, rows: number): Uint16Array {
	const found = new Uint16Array(rows);
	for (const [index, { first, rows: count }] of blocks.entries()) found.fill(index, first, first + count);
	return found;
}

/** What each byte of each kind stands for, as float16. */
function byteValues({ kinds, spacing }: CodedLayout): Uint16Array {
	const values = new Uint16Array(kinds.length * BYTE_VALUES);
	for (const [index, { count, digit }] of kinds.entries()) {
		if (count === 0) continue;
		const quantizer = quantizerOf(count, spacing);
		for (let byte = 0; byte < BYTE_VALUES; byte++) {
			values[index * BYTE_VALUES + byte] = toFloat16(quantizer.values[Math.floor(byte / count ** digit) % count] ?? 0);
		}
	}
	return values;
}

/** No scale is more than twice the largest entry of its row. */
const LARGEST_SCALE = 2;

/** A power of two near the largest entry of W, so that W over it is near 1 and the scales take it up; another where these would leave float16. */
function gaugeOf(left: number, right: number): number {
	const gauge = halfGauge(LARGEST_SCALE * left, right, right > 0 ? 2 ** Math.round(Math.log2(right)) : 1);
	if (gauge !== undefined) return gauge;
	throw new DistembError("refused", "the table is out of the range of float16, in which scales and the right factor are stored", {
		hint: "use --dtype float32",
	});
}

/** ‖w_k‖² of each row of W: what an error in a column of U costs. */
function norms(right: Float32Array, rank: number): Float64Array {
	const cols = right.length / rank;
	return Float64Array.from({ length: rank }, (_, k) =>
		right.subarray(k * cols, (k + 1) * cols).reduce((sum, value) => sum + value * value, 0),
	);
}
