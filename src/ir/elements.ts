// Elements of a tensor as JavaScript numbers, and back: for printing, parsing and small constants.
import { DistembError } from "../errors.js";
import { bitsOf, byteLengthOf, type DType } from "./dtype.js";

interface ElementCodec {
	readonly get: (view: DataView, offset: number) => number | bigint;
	readonly set: (view: DataView, offset: number, value: number) => void;
	/** Integers beyond 2^53 are written through this one. */
	readonly setBig?: (view: DataView, offset: number, value: bigint) => void;
}

/** dtypes of whole bytes that can be shown as numbers; little-endian. */
const CODECS: Partial<Record<DType, ElementCodec>> = {
	float32: { get: (view, at) => view.getFloat32(at, true), set: (view, at, value) => view.setFloat32(at, value, true) },
	float64: { get: (view, at) => view.getFloat64(at, true), set: (view, at, value) => view.setFloat64(at, value, true) },
	float16: {
		get: (view, at) => fromFloat16(view.getUint16(at, true)),
		set: (view, at, value) => view.setUint16(at, toFloat16(value), true),
	},
	bfloat16: {
		get: (view, at) => fromBfloat16(view.getUint16(at, true)),
		set: (view, at, value) => view.setUint16(at, toBfloat16(value), true),
	},
	int8: { get: (view, at) => view.getInt8(at), set: (view, at, value) => view.setInt8(at, value) },
	uint8: { get: (view, at) => view.getUint8(at), set: (view, at, value) => view.setUint8(at, value) },
	bool: { get: (view, at) => view.getUint8(at), set: (view, at, value) => view.setUint8(at, value) },
	int16: { get: (view, at) => view.getInt16(at, true), set: (view, at, value) => view.setInt16(at, value, true) },
	uint16: { get: (view, at) => view.getUint16(at, true), set: (view, at, value) => view.setUint16(at, value, true) },
	int32: { get: (view, at) => view.getInt32(at, true), set: (view, at, value) => view.setInt32(at, value, true) },
	uint32: { get: (view, at) => view.getUint32(at, true), set: (view, at, value) => view.setUint32(at, value, true) },
	int64: {
		get: (view, at) => view.getBigInt64(at, true),
		set: (view, at, value) => view.setBigInt64(at, BigInt(value), true),
		setBig: (view, at, value) => view.setBigInt64(at, value, true),
	},
	uint64: {
		get: (view, at) => view.getBigUint64(at, true),
		set: (view, at, value) => view.setBigUint64(at, BigInt(value), true),
		setBig: (view, at, value) => view.setBigUint64(at, value, true),
	},
};

const FLOAT = new Float32Array(1);
const BITS = new Uint32Array(FLOAT.buffer);

/** Bits of the float16 nearest to a float32, to even in the middle; infinity from 65520 on. */
export function toFloat16(value: number): number {
	FLOAT[0] = value;
	const bits = BITS[0] ?? 0;
	const sign = (bits >>> 16) & 0x8000;
	const magnitude = bits & 0x7fffffff;
	if (magnitude >= 0x47800000) return sign | (magnitude > 0x7f800000 ? 0x7e00 : 0x7c00);
	if (magnitude >= 0x38800000) return sign | ((magnitude - 0x38000000 + 0xfff + ((magnitude >>> 13) & 1)) >>> 13);
	// Subnormal below 2^-14: the last bit of 0.5 + |value| in float32 is worth 2^-24, and so is that of the result.
	FLOAT[0] = Math.abs(value) + 0.5;
	return sign | ((BITS[0] ?? 0) - 0x3f000000);
}

export function fromFloat16(bits: number): number {
	const exponent = (bits >>> 10) & 31;
	const fraction = bits & 0x3ff;
	if (exponent === 0) return (bits & 0x8000 ? -1 : 1) * fraction * 2 ** -24;
	BITS[0] = (((bits & 0x8000) << 16) | ((exponent === 31 ? 255 : exponent + 112) << 23) | (fraction << 13)) >>> 0;
	return FLOAT[0] ?? 0;
}

/** Bits of the bfloat16 nearest to a float32, to even in the middle. */
export function toBfloat16(value: number): number {
	FLOAT[0] = value;
	const bits = BITS[0] ?? 0;
	if (Number.isNaN(value)) return 0x7fc0;
	return ((bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16) & 0xffff;
}

export function fromBfloat16(bits: number): number {
	BITS[0] = (bits << 16) >>> 0;
	return FLOAT[0] ?? 0;
}

/** True if elements of `dtype` can be read and written as numbers here. */
export function hasNumbers(dtype: DType): boolean {
	return CODECS[dtype] !== undefined || dtype === "int4" || dtype === "uint4" || dtype === "int2" || dtype === "uint2";
}

/** The first `count` elements in `bytes`; int64 and uint64 as bigint. */
export function readElements(dtype: DType, bytes: Uint8Array, count: number): (number | bigint)[] {
	const codec = CODECS[dtype];
	const bits = bitsOf(dtype);
	const values: (number | bigint)[] = [];
	if (codec !== undefined) {
		const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
		for (let index = 0; index < count; index++) values.push(codec.get(view, (index * bits) / 8));
		return values;
	}
	requireNumbers(dtype);
	const levels = 1 << bits;
	for (let index = 0; index < count; index++) {
		const code = ((bytes[(index * bits) >> 3] ?? 0) >> ((index * bits) & 7)) & (levels - 1);
		values.push(dtype.startsWith("int") && code >= levels / 2 ? code - levels : code);
	}
	return values;
}

/** Elements as raw_data holds them. */
export function writeElements(dtype: DType, values: ArrayLike<number | bigint>): Uint8Array<ArrayBuffer> {
	const codec = CODECS[dtype];
	const bits = bitsOf(dtype);
	const bytes = new Uint8Array(byteLengthOf(dtype, values.length));
	if (codec === undefined) requireNumbers(dtype);
	const view = new DataView(bytes.buffer);
	for (let index = 0; index < values.length; index++) {
		const value = values[index] ?? 0;
		if (codec === undefined) {
			const at = (index * bits) >> 3;
			bytes[at] = (bytes[at] ?? 0) | ((Number(value) & ((1 << bits) - 1)) << ((index * bits) & 7));
		} else if (typeof value === "bigint" && codec.setBig !== undefined) codec.setBig(view, (index * bits) / 8, value);
		else codec.set(view, (index * bits) / 8, Number(value));
	}
	return bytes;
}

function requireNumbers(dtype: DType): void {
	if (!hasNumbers(dtype)) throw new DistembError("internal", `elements of type ${dtype} cannot be read as numbers`);
}
