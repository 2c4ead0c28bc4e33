// Tensor payloads: byte ranges of files, typed fields, external data, presented as raw_data would be.
import { DistembError } from "../errors.js";
import { bitsOf, byteLengthOf, type DType, dtypeOfCode } from "../ir/dtype.js";
import { dataOf, elementCount, INLINE, type Placement, Tensor, type TensorData } from "../ir/tensor.js";
import { carry } from "./carry.js";
import type { ExternalFiles } from "./external.js";
import type { TensorProto } from "./schema.js";
import type { SourceFile } from "./source.js";

const RAW = 9;
const EXTERNAL = 1;

/** Bytes of a file, read on demand. */
export class FileRange implements TensorData {
	readonly file: SourceFile;
	readonly start: number;
	readonly byteLength: number;

	constructor(file: SourceFile, start: number, byteLength: number) {
		this.file = file;
		this.start = start;
		this.byteLength = byteLength;
	}

	read(start: number, end: number): Uint8Array {
		return this.file.read(this.start + start, this.start + end);
	}
}

/** Bytes that are made when they are first asked for. */
class LazyBytes implements TensorData {
	readonly byteLength: number;
	readonly #make: () => Uint8Array;
	#bytes: Uint8Array | undefined;

	constructor(byteLength: number, make: () => Uint8Array) {
		this.byteLength = byteLength;
		this.#make = make;
	}

	read(start: number, end: number): Uint8Array {
		this.#bytes ??= this.#make();
		return this.#bytes.subarray(start, end);
	}
}

/** What reading a tensor needs to know of its surroundings. */
export interface TensorContext {
	readonly file: SourceFile;
	readonly external: ExternalFiles;
}

/** TensorProto → Tensor; every claim of the file is checked before it is believed. */
export function readTensor(proto: TensorProto, context: TensorContext): Tensor {
	const fail = (reason: string) => new DistembError("input", `tensor "${proto.name ?? ""}" ${reason}`);
	const dtype = dtypeOfCode(proto.data_type ?? 0);
	if (dtype === undefined) throw fail(`has data type ${proto.data_type ?? 0}, which does not exist`);
	const dims = proto.dims.map((dim) => {
		const size = dim.toNumber();
		if (size < 0) throw fail(`has a negative dimension (${size})`);
		return size;
	});
	const count = elementCount(dims);
	if (!Number.isSafeInteger(count * 16)) throw fail(`has dimensions [${dims.join(", ")}], whose product overflows`);
	const { data, placement } = payloadOf(proto, dtype, count, context, fail);
	return new Tensor(dtype, dims, data, placement, carry(proto, []));
}

type Fail = (reason: string) => DistembError;

function payloadOf(
	proto: TensorProto,
	dtype: DType,
	count: number,
	context: TensorContext,
	fail: Fail,
): { data: TensorData | undefined; placement: Placement } {
	const bytes = byteLengthOf(dtype, count);
	if (proto.data_location === EXTERNAL) {
		const range = context.external.locate(proto, bytes);
		return { data: range.data, placement: { kind: "external", location: range.location } };
	}
	if (dtype === "string") {
		if (proto.string_data.length !== count) throw fail(`holds ${proto.string_data.length} strings where its dimensions say ${count}`);
		return { data: undefined, placement: INLINE };
	}
	const raw = proto.payload.findLast((reference) => reference.field === RAW);
	if (raw !== undefined || proto.raw_data !== undefined) {
		const data =
			raw === undefined
				? dataOf(proto.raw_data ?? new Uint8Array(0))
				: new FileRange(context.file, raw.start.toNumber(), raw.end.toNumber() - raw.start.toNumber());
		if (data.byteLength === 0 && hasTypedField(proto)) return typedPayload(proto, dtype, count, context, fail);
		if (data.byteLength !== bytes) throw fail(`holds ${data.byteLength} bytes where its dimensions say ${bytes}`);
		return { data, placement: INLINE };
	}
	return typedPayload(proto, dtype, count, context, fail);
}

type NumberField = "float_data" | "int32_data" | "int64_data" | "double_data" | "uint64_data";

const FIELDS: Readonly<Record<NumberField, number>> = { float_data: 4, int32_data: 5, int64_data: 7, double_data: 10, uint64_data: 11 };

/** The typed field in which ONNX stores each type when raw_data is not used. */
function fieldOf(dtype: DType): NumberField {
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

function hasTypedField(proto: TensorProto): boolean {
	return Object.keys(FIELDS).some((field) => proto[field as NumberField].length > 0) || proto.payload.some(({ field }) => field !== RAW);
}

function typedPayload(proto: TensorProto, dtype: DType, count: number, context: TensorContext, fail: Fail) {
	const field = fieldOf(dtype);
	const bytes = byteLengthOf(dtype, count);
	const ranges = proto.payload.filter((reference) => reference.field === FIELDS[field]);
	const fixed = field === "float_data" ? 4 : field === "double_data" ? 8 : undefined;
	const first = ranges[0];
	if (fixed !== undefined && ranges.length === 1 && first !== undefined && proto[field].length === 0) {
		const start = first.start.toNumber();
		const length = first.end.toNumber() - start;
		if (length !== bytes) throw fail(`holds ${length} bytes where its dimensions say ${bytes}`);
		return { data: new FileRange(context.file, start, length), placement: INLINE };
	}
	const numbers = () => {
		const values: (number | bigint)[] = [];
		for (const value of proto[field]) values.push(typeof value === "number" ? value : BigInt(value.toString()));
		for (const { start, end } of ranges) readPacked(context.file.read(start.toNumber(), end.toNumber()), field, values);
		return values;
	};
	const entries = ranges.length > 0 ? numbers().length : proto[field].length;
	const expected = bitsOf(dtype) < 8 ? bytes : dtype.startsWith("complex") ? count * 2 : count;
	if (entries !== expected) throw fail(`holds ${entries} numbers where its dimensions say ${expected}`);
	return { data: new LazyBytes(bytes, () => packNumbers(numbers(), dtype, bytes)), placement: INLINE };
}

function readPacked(bytes: Uint8Array, field: NumberField, into: (number | bigint)[]): void {
	const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
	if (field === "float_data") for (let at = 0; at + 4 <= bytes.byteLength; at += 4) into.push(view.getFloat32(at, true));
	else if (field === "double_data") for (let at = 0; at + 8 <= bytes.byteLength; at += 8) into.push(view.getFloat64(at, true));
	else {
		const small = field === "int32_data";
		let low = 0;
		let value = 0n;
		let shift = 0;
		for (const byte of bytes) {
			if (small && shift < 28) low += (byte & 127) * 2 ** shift;
			else if (small) low += (byte & 15) * 2 ** 28 * (shift === 28 ? 1 : 0);
			else value |= BigInt(byte & 127) << BigInt(shift);
			shift += 7;
			if (byte < 128) {
				into.push(small ? low | 0 : field === "int64_data" ? BigInt.asIntN(64, value) : BigInt.asUintN(64, value));
				low = 0;
				value = 0n;
				shift = 0;
			}
		}
	}
}

function packNumbers(values: readonly (number | bigint)[], dtype: DType, bytes: number): Uint8Array {
	const packed = new Uint8Array(bytes);
	const view = new DataView(packed.buffer);
	const width = Math.max(8, bitsOf(dtype)) / (dtype.startsWith("complex") ? 16 : 8);
	const real = dtype === "float32" || dtype === "float64" || dtype.startsWith("complex");
	values.forEach((value, index) => {
		const at = index * width;
		if (real && width === 4) view.setFloat32(at, Number(value), true);
		else if (real) view.setFloat64(at, Number(value), true);
		else if (width === 8) view.setBigUint64(at, BigInt.asUintN(64, BigInt(value)), true);
		else if (width === 4) view.setUint32(at, Number(value) >>> 0, true);
		else if (width === 2) view.setUint16(at, Number(value) & 0xffff, true);
		else view.setUint8(at, Number(value) & 0xff);
	});
	return packed;
}
