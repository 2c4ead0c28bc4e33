// Element types of ONNX tensors: name, code (TensorProto.DataType) and width in bits.

const TABLE = [
	["float32", 1, 32],
	["uint8", 2, 8],
	["int8", 3, 8],
	["uint16", 4, 16],
	["int16", 5, 16],
	["int32", 6, 32],
	["int64", 7, 64],
	["string", 8, 0],
	["bool", 9, 8],
	["float16", 10, 16],
	["float64", 11, 64],
	["uint32", 12, 32],
	["uint64", 13, 64],
	["complex64", 14, 64],
	["complex128", 15, 128],
	["bfloat16", 16, 16],
	["float8e4m3fn", 17, 8],
	["float8e4m3fnuz", 18, 8],
	["float8e5m2", 19, 8],
	["float8e5m2fnuz", 20, 8],
	["uint4", 21, 4],
	["int4", 22, 4],
	["float4e2m1", 23, 4],
	["float8e8m0", 24, 8],
	["uint2", 25, 2],
	["int2", 26, 2],
	["float6e2m3", 27, 6],
	["float6e3m2", 28, 6],
] as const;

export type DType = (typeof TABLE)[number][0];

const BY_CODE = new Map<number, DType>(TABLE.map(([name, code]) => [code, name]));
const CODE = new Map<DType, number>(TABLE.map(([name, code]) => [name, code]));
const BITS = new Map<DType, number>(TABLE.map(([name, , bits]) => [name, bits]));

/** TensorProto.DataType → dtype; undefined for a code that does not exist (0 included). */
export function dtypeOfCode(code: number): DType | undefined {
	return BY_CODE.get(code);
}

/** dtype → TensorProto.DataType, as used by the attribute `to` of Cast. */
export function codeOfDType(dtype: DType): number {
	return CODE.get(dtype) ?? 0;
}

/** Bits per element; 0 for strings. */
export function bitsOf(dtype: DType): number {
	return BITS.get(dtype) ?? 0;
}

/** Bytes that `count` elements take in raw_data (4-bit types are packed two to a byte). */
export function byteLengthOf(dtype: DType, count: number): number {
	return Math.ceil((count * bitsOf(dtype)) / 8);
}

const FLOATS: ReadonlySet<DType> = new Set<DType>(["float32", "float16", "bfloat16", "float64"]);

/** float32, float16, bfloat16 or float64. */
export function isFloat(dtype: DType): boolean {
	return FLOATS.has(dtype);
}
