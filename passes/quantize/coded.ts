// Rows of U as codes of different precision, one scale a row; W is fitted again to what a runtime will read.
import { throwIfAborted } from "../../src/errors.js";
import { fromFloat16, toFloat16 } from "../../src/ir/elements.js";
import { type BlockLayout, BYTE_VALUES, type CodedLayout, layoutOf } from "../../src/linalg/coding.js";
import { quantizerOf } from "../../src/linalg/levels.js";
import type { DenseProducts } from "../../src/linalg/products.js";
import type { Coding, FactorGroup } from "../../src/state.js";
import { fromHalves, toHalves } from "./codes.js";
import { FactorSource } from "./encode.js";
import { leastSquares } from "./refit.js";

export interface CodedGroup {
	readonly group: FactorGroup;
	readonly coding: Coding;
	readonly layout: CodedLayout;
	/** All rows of all blocks, by place. */
	readonly codes: Uint8Array;
	/** float16, one for each row, by place. */
	readonly scales: Uint16Array;
	/** float16: for each kind of column, what each byte stands for. */
	readonly values: Uint16Array;
	/** W as stored, r×d float16. */
	readonly factor: Uint16Array;
	/** Rows [start, end) of U by id, as a runtime reads them. */
	left(start: number, end: number): Float32Array;
	/** W, likewise. */
	readonly right: Float32Array;
}

export interface CodeOptions {
	/** Fit W to the table once U is rounded. Not after training, which fitted it to more than the table. */
	readonly refit: boolean;
	readonly products: DenseProducts;
	readonly signal: AbortSignal | undefined;
}

/** Scales that are tried for each row, times its root mean square. */
const TRIED_SCALES = [1, 0.8, 0.9, 1.15, 1.35];

/** Encodes the float32 factors of a group. */
export async function encodeCoded(group: FactorGroup, coding: Coding, { refit, products, signal }: CodeOptions): Promise<CodedGroup> {
	const { rank } = group;
	const { table } = group.vocabulary;
	const layout = layoutOf(coding.blocks, rank);
	const values = byteValues(layout);
	const source = new FactorSource(group);
	const start = source.right();
	const gauge = gaugeOf(start);
	const columnWeights = norms(start, rank, table.cols);
	const coders = layout.blocks.map((block) => rowCoder(block, layout, values, columnWeights));
	const codes = new Uint8Array(layout.bytes);
	const scales = new Uint16Array(table.rows);
	const blockAt = blockOfPlaces(layout, table.rows);
	const place = (id: number) => coding.positions?.[id] ?? id;
	for (let first = 0; first < table.rows; first += ROWS) {
		throwIfAborted(signal);
		const last = Math.min(table.rows, first + ROWS);
		const rows = source.left(first, last);
		for (let id = first; id < last; id++) {
			const at = place(id);
			const block = blockAt[at] as number;
			scales[at] = coders[block]?.encode(rows, (id - first) * rank, gauge, codes, rowStart(layout.blocks[block], at)) ?? 0;
		}
	}
	const left = (from: number, to: number): Float32Array => {
		const out = new Float32Array((to - from) * rank);
		for (let id = from; id < to; id++) {
			const at = place(id);
			const block = blockAt[at] as number;
			coders[block]?.decode(codes, rowStart(layout.blocks[block], at), fromFloat16(scales[at] as number), out, (id - from) * rank);
		}
		return out;
	};
	const fitted = refit ? await leastSquares(table, { rank, left, rowWeights: coding.rowWeights }, products, signal) : undefined;
	const factor = toHalves(fitted ?? start.map((value) => value / gauge), "float16");
	return { group, coding, layout, codes, scales, values, factor, left, right: fromHalves(factor, "float16") };
}

/** Rows handled at a time. */
const ROWS = 4096;

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
function norms(right: Float32Array, rank: number, cols: number): Float64Array {
	return Float64Array.from({ length: rank }, (_, k) =>
		right.subarray(k * cols, (k + 1) * cols).reduce((sum, value) => sum + value * value, 0),
	);
}

interface RowCoder {
	/** Adds the codes of one row to `codes` and returns its scale, float16. */
	encode(rows: Float32Array, at: number, gauge: number, codes: Uint8Array, start: number): number;
	decode(codes: Uint8Array, start: number, scale: number, out: Float32Array, at: number): void;
}

function rowCoder(block: BlockLayout, { kinds }: CodedLayout, values: Uint16Array, weights: Float64Array): RowCoder {
	const columns = [...block.kindOf.keys()].filter((column) => block.kindOf[column] !== 0);
	const kept = columns.map((column) => {
		const kind = block.kindOf[column] ?? 0;
		const { count, digit } = kinds[kind] ?? { count: 1, digit: 0 };
		const unit = count ** digit;
		const decoded = Float64Array.from({ length: count }, (_, code) => fromFloat16(values[kind * BYTE_VALUES + code * unit] ?? 0));
		const { encode } = quantizerOf(count);
		return { column, byte: block.byteOf[column] ?? 0, kind, unit, weight: weights[column] ?? 0, decoded, encode };
	});
	const decodedValues = fromHalves(values, "float16");
	const encode: RowCoder["encode"] = (rows, at, gauge, codes, start) => {
		let size = 0;
		let total = 0;
		for (const { column, weight } of kept) {
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
			for (const { column, weight, decoded, encode: code } of kept) {
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
	return { encode, decode };
}
