// The stored form of a group of factors: bytes per role, and what a runtime reads from them.
import { DistembError } from "../../src/errors.js";
import type { DType } from "../../src/ir/dtype.js";
import { fromHalves, toHalves } from "../../src/ir/halves.js";
import { dataOf, type TensorData } from "../../src/ir/tensor.js";
import { halfGauge } from "../../src/linalg/half-gauge.js";
import type { FactorGroup } from "../../src/state.js";
import { computeType, type Operators, type Role, type Storage } from "../../src/storage.js";
import { type Codes, largest, type RowCoder, roomForScales, rowCoder, type Scales } from "./codes.js";

/** A tensor's contents, not yet placed in a file. */
export interface Contents {
	readonly dtype: DType;
	readonly dims: readonly number[];
	readonly data: TensorData;
}

/** One factor as stored; `scales` with one row of scales per row of U. */
export interface EncodedFactor {
	readonly main: Contents;
	readonly scales: Contents | undefined;
}

export interface EncodedGroup {
	readonly group: FactorGroup;
	readonly storage: Storage;
	readonly ops: Operators;
	readonly compute: "float32" | "float16";
	readonly coder: RowCoder;
	readonly factors: ReadonlyMap<Role, EncodedFactor>;
	/** Rows [start, end) of U as a runtime reads them. */
	left(start: number, end: number): Float32Array;
	/** W, r×d, likewise. */
	readonly right: Float32Array;
	/** False: nothing was rounded. */
	readonly rounded: boolean;
}

/** Rows handled at a time. */
const BLOCK = 4096;

/** @throws DistembError `refused` if float16 cannot hold the factors. */
export function encodeGroup(group: FactorGroup, storage: Storage, ops: Operators): EncodedGroup {
	const compute = computeType(group.dtype);
	const { rank } = group;
	const { rows, cols } = group.vocabulary.table;
	const coder = rowCoder(rank, storage, ops, compute);
	const rightType: DType = storage === "int8" ? compute : storage;
	const source = new FactorSource(group);
	const halves = storage === "float16" || compute === "float16";
	const gauge = halves ? gaugeOf(source, group) : 1;
	const scaledLeft = (start: number, end: number) => scaled(source.left(start, end), gauge);
	const right = scaled(source.right(), 1 / gauge);
	const factors = new Map<Role, EncodedFactor>();
	const untouched = storage === "float32" && gauge === 1;
	for (const { role, value } of group.values) {
		const held = value.tensor?.data;
		if (factors.has(role)) continue;
		if (untouched && held !== undefined)
			factors.set(role, { main: { dtype: "float32", dims: value.tensor?.dims ?? [], data: held }, scales: undefined });
		else if (role === "left" || role === "leftT") factors.set(role, encodeLeft(role, scaledLeft, rows, coder));
		else factors.set(role, { main: encodeRight(role, right, { rank, cols, padded: coder.width, dtype: rightType }), scales: undefined });
	}
	return {
		group,
		storage,
		ops,
		compute,
		coder,
		factors,
		left: (start, end) => {
			const { codes, scales } = coder.encode(scaledLeft(start, end));
			return coder.decode(codes, scales);
		},
		right: rightType === "float32" ? right : fromHalves(toHalves(right, rightType), rightType),
		rounded: storage !== "float32",
	};
}

/** The float32 factors of a group, whichever orientation its files hold. */
export class FactorSource {
	private readonly arrays = new Map<Role, Float32Array>();
	private readonly rank: number;
	private readonly rows: number;
	private readonly cols: number;

	constructor(group: FactorGroup) {
		this.rank = group.rank;
		this.rows = group.vocabulary.table.rows;
		this.cols = group.vocabulary.table.cols;
		for (const { role, value } of group.values) {
			const data = value.tensor?.data;
			if (data === undefined || value.tensor?.dtype !== "float32")
				throw new DistembError("internal", `factor "${value.name}" has no float32 values`);
			if (!this.arrays.has(role)) this.arrays.set(role, floatsOf(data));
		}
	}

	/** Rows [start, end) of U; may be a view. */
	left(start: number, end: number): Float32Array {
		const whole = this.arrays.get("left");
		if (whole !== undefined) return whole.subarray(start * this.rank, end * this.rank);
		const other = this.arrays.get("leftT") ?? new Float32Array(0);
		return transposed(other, this.rank, this.rows, start, end);
	}

	/** W, r×d; may be a view. */
	right(): Float32Array {
		return this.arrays.get("right") ?? transposed(this.arrays.get("rightT") ?? new Float32Array(0), this.cols, this.rank, 0, this.rank);
	}

	/** max |u| over all of U. */
	largestLeft(): number {
		return largest(this.arrays.get("left") ?? this.arrays.get("leftT") ?? new Float32Array(0));
	}
}

function floatsOf(data: TensorData): Float32Array {
	const bytes = data.read(0, data.byteLength);
	if (bytes.byteOffset % 4 === 0) return new Float32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4);
	return new Float32Array(bytes.slice().buffer);
}

/** Columns [start, end) of a `rows`×`cols` matrix, as rows. */
export function transposed(matrix: Float32Array, rows: number, cols: number, start: number, end: number): Float32Array {
	const out = new Float32Array((end - start) * rows);
	for (let row = 0; row < rows; row++)
		for (let col = start; col < end; col++) out[(col - start) * rows + row] = matrix[row * cols + col] ?? 0;
	return out;
}

function scaled(values: Float32Array, factor: number): Float32Array {
	return factor === 1 ? values : values.map((value) => value * factor);
}

/** The scale of {@link halfGauge}, 1 where that will do. */
function gaugeOf(source: FactorSource, group: FactorGroup): number {
	const gauge = halfGauge(source.largestLeft(), largest(source.right()), 1);
	if (gauge !== undefined) return gauge;
	throw new DistembError("refused", `the factors of "${group.vocabulary.name}" are out of the range of float16`, {
		hint: "use --dtype float32",
	});
}

function encodeLeft(
	role: "left" | "leftT",
	read: (start: number, end: number) => Float32Array,
	rows: number,
	coder: RowCoder,
): EncodedFactor {
	const { width } = coder;
	const perRow = coder.scales?.perRow ?? 0;
	const codes = coder.room(rows);
	const scales = roomForScales(coder.scales?.dtype ?? "float32", rows * perRow);
	for (let start = 0; start < rows; start += BLOCK) {
		const end = Math.min(rows, start + BLOCK);
		const block = coder.encode(read(start, end));
		if (role === "left") codes.set(block.codes, start * width);
		else scatter(block.codes, codes, { start, end, rows, width });
		if (block.scales !== undefined) scales.set(block.scales, start * perRow);
	}
	return {
		main: { dtype: coder.dtype, dims: role === "left" ? [rows, width] : [width, rows], data: contentsOf(codes) },
		scales: coder.scales && { dtype: coder.scales.dtype, dims: [rows, perRow], data: contentsOf(scales) },
	};
}

/** Rows [start, end) become columns. */
function scatter(
	block: Codes,
	whole: Codes,
	{ start, end, rows, width }: { start: number; end: number; rows: number; width: number },
): void {
	for (let row = start; row < end; row++) {
		for (let column = 0; column < width; column++) whole[column * rows + row] = block[(row - start) * width + column] ?? 0;
	}
}

interface RightForm {
	readonly rank: number;
	readonly cols: number;
	/** Rows of W as stored: those beyond the rank are zero. */
	readonly padded: number;
	readonly dtype: DType;
}

function encodeRight(role: "right" | "rightT", right: Float32Array, { rank, cols, padded, dtype }: RightForm): Contents {
	const values = role === "right" ? right : transposed(right, rank, cols, 0, cols);
	const whole = padded === rank || role === "rightT" ? values : withZeros(values, padded * cols);
	const data = contentsOf(dtype === "float32" ? whole : toHalves(whole, dtype));
	return { dtype, dims: role === "right" ? [padded, cols] : [cols, rank], data };
}

function withZeros(values: Float32Array, length: number): Float32Array {
	const whole = new Float32Array(length);
	whole.set(values);
	return whole;
}

export function contentsOf(array: Codes | Scales | Int32Array | BigInt64Array): TensorData {
	return dataOf(new Uint8Array(array.buffer, array.byteOffset, array.byteLength));
}

/** Stored bytes. */
export function bytesOf({ main, scales }: EncodedFactor): number {
	return [main, scales].reduce((sum, held) => sum + (held === undefined ? 0 : held.data.byteLength), 0);
}
