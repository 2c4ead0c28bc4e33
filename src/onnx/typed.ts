// The typed fields of a tensor (float_data, int32_data, …): how they are stored, and the same elements as raw_data would hold them.
import type Long from "long";
import { DistembError } from "../errors.js";
import { bitsOf, type DType } from "../ir/dtype.js";
import type { TensorProto } from "./schema.js";
import type { SourceFile } from "./source.js";

type FieldName = "float_data" | "int32_data" | "int64_data" | "double_data" | "uint64_data";

interface TypedField {
	readonly name: FieldName;
	/** Field number in TensorProto. */
	readonly id: number;
	/** Bytes of a number; undefined: varints. */
	readonly width?: number;
}

const FIELDS: readonly TypedField[] = [
	{ name: "float_data", id: 4, width: 4 },
	{ name: "int32_data", id: 5 },
	{ name: "int64_data", id: 7 },
	{ name: "double_data", id: 10, width: 8 },
	{ name: "uint64_data", id: 11 },
];

/** The typed field in which ONNX stores each type when raw_data is not used. */
function fieldOf(dtype: DType): FieldName {
	switch (dtype) {
		case "float32":
		case "complex64":
			return "float_data";
		case "float64":
		case "complex128":
			return "double_data";
		case "int64":
			return "int64_data";
		case "uint32":
		case "uint64":
			return "uint64_data";
		default:
			return "int32_data";
	}
}

/** Bytes read at a time. */
const CHUNK = 1 << 20;

interface Range {
	readonly start: number;
	readonly end: number;
}

/** The numbers of one typed field, in file order: those inside the skeleton, then those in ranges of the file. */
export class TypedNumbers {
	/** How many numbers there are. */
	readonly count: number;
	readonly #field: TypedField;
	readonly #inside: readonly (number | Long)[];
	readonly #ranges: readonly Range[];
	readonly #file: SourceFile;

	/** @throws DistembError `input` if a range ends within a number */
	constructor(proto: TensorProto, dtype: DType, file: SourceFile) {
		const name = fieldOf(dtype);
		this.#field = FIELDS.find((field) => field.name === name) ?? { name, id: 0 };
		this.#inside = proto[name];
		this.#file = file;
		this.#ranges = proto.payload
			.filter(({ field }) => field === this.#field.id)
			.map(({ start, end }) => ({ start: start.toNumber(), end: end.toNumber() }));
		this.count = this.#ranges.reduce((sum, range) => sum + this.#countIn(range), this.#inside.length);
	}

	/** The range that holds all numbers exactly as raw_data would, if there is one. */
	get contiguous(): Range | undefined {
		return this.#field.width !== undefined && this.#inside.length === 0 && this.#ranges.length === 1 ? this.#ranges[0] : undefined;
	}

	/** All elements as raw_data would hold them, `byteLength` bytes. */
	toBytes(dtype: DType, byteLength: number): Uint8Array {
		const bytes = new Uint8Array(byteLength);
		const view = new DataView(bytes.buffer);
		const { width } = this.#field;
		const size = width ?? Math.max(8, bitsOf(dtype)) / 8;
		let at = 0;
		const put = (low: number, high: number) => {
			if (size === 8) view.setInt32(at + 4, high, true);
			if (size >= 4) view.setInt32(at, low, true);
			else if (size === 2) view.setInt16(at, low, true);
			else view.setInt8(at, low);
			at += size;
		};
		for (const value of this.#inside) {
			if (typeof value !== "number") put(value.low, value.high);
			else if (width === 8) {
				view.setFloat64(at, value, true);
				at += 8;
			} else put(value, 0);
		}
		for (const range of this.#ranges) {
			if (width === undefined) this.#eachVarint(range, put);
			else
				for (const piece of this.#pieces(range)) {
					bytes.set(piece, at);
					at += piece.byteLength;
				}
		}
		return bytes;
	}

	#countIn(range: Range): number {
		const { width } = this.#field;
		if (width === undefined) return this.#eachVarint(range, () => {});
		if ((range.end - range.start) % width !== 0) throw broken("a list of numbers ends within a number");
		return (range.end - range.start) / width;
	}

	/** The bytes of a range, piece by piece through one buffer. */
	*#pieces({ start, end }: Range): Generator<Uint8Array> {
		const buffer = new Uint8Array(Math.min(CHUNK, end - start));
		for (let at = start; at < end; at += CHUNK) {
			const piece = buffer.subarray(0, Math.min(CHUNK, end - at));
			this.#file.readInto(piece, at);
			yield piece;
		}
	}

	/** Calls `each` with the lower and upper 32 bits of every varint; returns their count. */
	#eachVarint(range: Range, each: (low: number, high: number) => void): number {
		let count = 0;
		let low = 0;
		let high = 0;
		let shift = 0;
		for (const piece of this.#pieces(range)) {
			for (const byte of piece) {
				const bits = byte & 127;
				if (shift < 28) low |= bits << shift;
				else if (shift === 28) {
					low |= bits << 28;
					high = bits >> 4;
				} else if (shift < 64) high |= bits << (shift - 32);
				else throw broken("a number is longer than 10 bytes");
				shift += 7;
				if (byte >= 128) continue;
				each(low, high);
				count++;
				low = high = shift = 0;
			}
		}
		if (shift > 0) throw broken("a list of numbers ends within a number");
		return count;
	}
}

/** True if any typed field holds something. */
export function hasTypedField(proto: TensorProto): boolean {
	return FIELDS.some(({ name, id }) => proto[name].length > 0 || proto.payload.some(({ field }) => field === id));
}

function broken(reason: string): DistembError {
	return new DistembError("input", `is not an ONNX model: ${reason}`);
}
