// Rows of U as codes of different precision, one scale a row.
import { throwIfAborted } from "../errors.js";
import { fromFloat16, toFloat16 } from "../ir/elements.js";
import { fromHalves, toHalves } from "../ir/halves.js";
import type { Coding } from "../state.js";
import { type BlockLayout, BYTE_VALUES, type CodedLayout, layoutOf } from "./coding.js";
import { quantizerOf } from "./levels.js";

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

/** Scales that are tried for each row, times its root mean square. */
const TRIED_SCALES = [1, 0.8, 0.9, 1.15, 1.35];

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
		this.layout = layoutOf(coding.blocks, rank);
		this.values = byteValues(this.layout);
		this.coders = this.layout.blocks.map((block) => rowCoder(block, this.layout, this.values));
		this.blockAt = blockOfPlaces(this.layout, rows);
	}

	/** The same factors give the same codes. */
	encode({ left, right }: FloatFactors, signal?: AbortSignal): RoundedRows {
		const { layout, coders, rank, rows } = this;
		const gauge = gaugeOf(right);
		const weights = norms(right, rank);
		const codes = new Uint8Array(layout.bytes);
		const scales = new Uint16Array(rows);
		for (let first = 0; first < rows; first += ROWS) {
			throwIfAborted(signal);
			const last = Math.min(rows, first + ROWS);
			const values = left(first, last);
			for (let id = first; id < last; id++) {
				const { block, place, start } = this.find(id);
				scales[place] = coders[block]?.encode(values, (id - first) * rank, { weights, gauge }, codes, start) ?? 0;
			}
		}
		const decoded = (from: number, to: number): Float32Array => {
			const out = new Float32Array((to - from) * rank);
			for (let id = from; id < to; id++) {
				const { block, place, start } = this.find(id);
				coders[block]?.decode(codes, start, fromFloat16(scales[place] as number), out, (id - from) * rank);
			}
			return out;
		};
		return { codes, scales, gauge, left: decoded };
	}

	/** Columns that a row does not have. */
	droppedOf(id: number): readonly number[] {
		return this.coders[this.find(id).block]?.dropped ?? [];
	}

	private find(id: number) {
		const place = this.coding.positions?.[id] ?? id;
		const block = this.blockAt[place] as number;
		return { block, place, start: rowStart(this.layout.blocks[block], place) };
	}
}

/** W over the gauge, as it is stored. */
export function roundRight(right: Float32Array, gauge: number): Uint16Array {
	return toHalves(
		right.map((value) => value / gauge),
		"float16",
	);
}

function rowStart(block: BlockLayout | undefined, place: number): number {
	return block === undefined ? 0 : block.start + (place - block.first) * block.rowBytes;
}

function blockOfPlaces({ blocks }: CodedLayout, rows: number): Uint16Array {
	const found = new Uint16Array(rows);
	for (const [index, { first, rows: count }] of blocks.entries()) found.fill(index, first, first + count);
	return found;
}

/** What each byte of each kind stands for, as float16. */
function byteValues({ kinds }: CodedLayout): Uint16Array {
	const values = new Uint16Array(kinds.length * BYTE_VALUES);
	for (const [index, { count, digit }] of kinds.entries()) {
		if (count === 0) continue;
		const quantizer = quantizerOf(count);
		for (let byte = 0; byte < BYTE_VALUES; byte++) {
			values[index * BYTE_VALUES + byte] = toFloat16(quantizer.values[Math.floor(byte / count ** digit) % count] ?? 0);
		}
	}
	return values;
}

/** A power of two near the largest entry of W: W over it is in the range of float16, and the scales take it up. */
function gaugeOf(right: Float32Array): number {
	const most = right.reduce((held, value) => Math.max(held, Math.abs(value)), 0);
	return most > 0 ? 2 ** Math.round(Math.log2(most)) : 1;
}

/** ‖w_k‖² of each row of W: what an error in a column of U costs. */
function norms(right: Float32Array, rank: number): Float64Array {
	const cols = right.length / rank;
	return Float64Array.from({ length: rank }, (_, k) =>
		right.subarray(k * cols, (k + 1) * cols).reduce((sum, value) => sum + value * value, 0),
	);
}

interface Weighing {
	readonly weights: Float64Array;
	readonly gauge: number;
}

interface RowCoder {
	readonly dropped: readonly number[];
	/** Adds the codes of one row to `codes` and returns its scale, float16. `weights`: what an error in each column costs. */
	encode(rows: Float32Array, at: number, by: Weighing, codes: Uint8Array, start: number): number;
	decode(codes: Uint8Array, start: number, scale: number, out: Float32Array, at: number): void;
}

function rowCoder(block: BlockLayout, { kinds }: CodedLayout, values: Uint16Array): RowCoder {
	const columns = [...block.kindOf.keys()].filter((column) => block.kindOf[column] !== 0);
	const kept = columns.map((column) => {
		const kind = block.kindOf[column] ?? 0;
		const { count, digit } = kinds[kind] ?? { count: 1, digit: 0 };
		const unit = count ** digit;
		const decoded = Float64Array.from({ length: count }, (_, code) => fromFloat16(values[kind * BYTE_VALUES + code * unit] ?? 0));
		const { encode } = quantizerOf(count);
		return { column, byte: block.byteOf[column] ?? 0, kind, unit, decoded, encode };
	});
	const dropped = [...block.kindOf.keys()].filter((column) => block.kindOf[column] === 0);
	const decodedValues = fromHalves(values, "float16");
	const encode: RowCoder["encode"] = (rows, at, { weights, gauge }, codes, start) => {
		let size = 0;
		let total = 0;
		for (const { column } of kept) {
			const weight = weights[column] as number;
			size += weight * (rows[at + column] as number) ** 2;
			total += weight;
		}
		const base = Math.sqrt(size / (total || 1));
		if (!(base > 0)) return 0;
		let best = { gain: -1, trial: base, scale: 0 };
		for (const factor of TRIED_SCALES) {
			const trial = base * factor;
			let cross = 0;
			let square = 0;
			for (const { column, decoded, encode: code } of kept) {
				const weight = weights[column] as number;
				const number = rows[at + column] as number;
				const value = decoded[code(number / trial)] as number;
				cross += weight * number * value;
				square += weight * value * value;
			}
			const gain = square > 0 ? (cross * cross) / square : 0;
			if (gain > best.gain) best = { gain, trial, scale: square > 0 ? cross / square : 0 };
		}
		for (const { column, byte, unit, encode: code } of kept) {
			codes[start + byte] = (codes[start + byte] as number) + code((rows[at + column] as number) / best.trial) * unit;
		}
		return toFloat16(best.scale * gauge);
	};
	const decode: RowCoder["decode"] = (codes, start, scale, out, at) => {
		for (const { column, byte, kind } of kept) {
			out[at + column] = scale * (decodedValues[kind * BYTE_VALUES + (codes[start + byte] as number)] as number);
		}
	};
	return { dropped, encode, decode };
}
