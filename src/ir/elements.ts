// Elements of a tensor as JavaScript numbers, and back: for printing, parsing and small constants.
import { getFloat16, setFloat16 } from "@petamoriken/float16";
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
	float16: { get: (view, at) => getFloat16(view, at, true), set: (view, at, value) => setFloat16(view, at, value, true) },
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

const SCRATCH = new DataView(new ArrayBuffer(4));

/** The float32 nearest to `value`, cut to bfloat16 with rounding to nearest even. */
export function toBfloat16(value: number): number {
	SCRATCH.setFloat32(0, value);
	const bits = SCRATCH.getUint32(0);
	if (Number.isNaN(value)) return 0x7fc0;
	return ((bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16) & 0xffff;
}

export function fromBfloat16(bits: number): number {
	SCRATCH.setUint32(0, (bits << 16) >>> 0);
	return SCRATCH.getFloat32(0);
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
