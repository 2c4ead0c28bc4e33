// Stored elements → float32: one rectangle of a matrix at a time, read by byte ranges.
import { DistembError } from "../../../src/errors.js";
import { bitsOf, type DType } from "../../../src/ir/dtype.js";
import { fromFloat16, readElements } from "../../../src/ir/elements.js";
import type { Tensor, TensorData } from "../../../src/ir/tensor.js";
import type { Encoding, Matrix } from "./matrix.js";

/** float32 of each of the 65536 float16 numbers, made at first use. */
let float16Table: Float32Array | undefined;

function halves(): Float32Array {
	float16Table ??= Float32Array.from({ length: 65536 }, (_, bits) => fromFloat16(bits));
	return float16Table;
}

/** Bits of one stored element. */
export function widthOf(encoding: Encoding): number {
	if (encoding.kind === "plain") return bitsOf(encoding.dtype);
	return encoding.kind === "packed" ? encoding.bits : 4;
}

/**
 * Decodes stored elements [first, first + count), counted row by row, into `target` at `at`.
 * Integers stay codes; {@link Matrix.scaling} is not applied here.
 */
export function decodeRun(data: TensorData, encoding: Encoding, first: number, count: number, target: Float32Array, at: number): void {
	const width = widthOf(encoding);
	const start = Math.floor((first * width) / 8);
	if (encoding.kind === "plain" && encoding.dtype === "float32" && data.readInto !== undefined) {
		data.readInto(new Uint8Array(target.buffer, target.byteOffset + at * 4, count * 4), start);
		return;
	}
	const bytes = data.read(start, Math.ceil(((first + count) * width) / 8));
	if (encoding.kind === "codebook") {
		decodeNibbles(bytes, first & 1, count, (code) => encoding.values[code] ?? 0, target, at, true);
	} else if (width < 8) {
		const signed = encoding.kind === "plain" && encoding.dtype.startsWith("int");
		decodeNarrow(bytes, width, first - (start * 8) / width, count, signed, target, at);
	} else decodeWhole(bytes, encoding.kind === "plain" ? encoding.dtype : "uint8", count, target, at);
}

function decodeNibbles(
	bytes: Uint8Array,
	skip: number,
	count: number,
	value: (code: number) => number,
	target: Float32Array,
	at: number,
	highFirst: boolean,
): void {
	for (let index = 0; index < count; index++) {
		const nibble = index + skip;
		const high = (nibble & 1) === (highFirst ? 0 : 1);
		const byte = bytes[nibble >> 1] ?? 0;
		target[at + index] = value(high ? byte >> 4 : byte & 15);
	}
}

function decodeNarrow(
	bytes: Uint8Array,
	width: number,
	skip: number,
	count: number,
	signed: boolean,
	target: Float32Array,
	at: number,
): void {
	const mask = (1 << width) - 1;
	const half = 1 << (width - 1);
	for (let index = 0; index < count; index++) {
		const bit = (index + skip) * width;
		const code = ((bytes[bit >> 3] ?? 0) >> (bit & 7)) & mask;
		target[at + index] = signed && code >= half ? code - 2 * half : code;
	}
}

function decodeWhole(bytes: Uint8Array, dtype: DType, count: number, target: Float32Array, at: number): void {
	switch (dtype) {
		case "float32":
			target.set(
				aligned(bytes, 4, (buffer, offset) => new Float32Array(buffer, offset, count)),
				at,
			);
			return;
		case "float64":
			target.set(
				aligned(bytes, 8, (buffer, offset) => new Float64Array(buffer, offset, count)),
				at,
			);
			return;
		case "float16": {
			const table = halves();
			const codes = aligned(bytes, 2, (buffer, offset) => new Uint16Array(buffer, offset, count));
			for (let index = 0; index < count; index++) target[at + index] = table[codes[index] ?? 0] ?? 0;
			return;
		}
		case "bfloat16": {
			const codes = aligned(bytes, 2, (buffer, offset) => new Uint16Array(buffer, offset, count));
			const bits = new Uint32Array(target.buffer, target.byteOffset, target.length);
			for (let index = 0; index < count; index++) bits[at + index] = (codes[index] ?? 0) << 16;
			return;
		}
		case "int8":
			target.set(new Int8Array(bytes.buffer, bytes.byteOffset, count), at);
			return;
		case "uint8":
			target.set(bytes.subarray(0, count), at);
			return;
		default:
			throw new DistembError("internal", `elements of type ${dtype} are no matrix elements`);
	}
}

/** A typed view of `bytes`, copied first if it does not start on a multiple of `size`. */
function aligned<T>(bytes: Uint8Array, size: number, view: (buffer: ArrayBufferLike, offset: number) => T): T {
	const held = bytes.byteOffset % size === 0 ? bytes : new Uint8Array(bytes);
	return view(held.buffer, held.byteOffset);
}

const READABLE: ReadonlySet<DType> = new Set<DType>([
	"float32",
	"float64",
	"float16",
	"bfloat16",
	"int8",
	"uint8",
	"int4",
	"uint4",
	"int2",
	"uint2",
]);

/** True if a matrix of such elements can be read here. */
export function isReadable(dtype: DType): boolean {
	return READABLE.has(dtype);
}

/** All numbers of a small tensor: scales, zero points, masks. */
export function numbersOf(tensor: Tensor): Float32Array {
	if (!isReadable(tensor.dtype) || tensor.data === undefined)
		return Float32Array.from(readElements(tensor.dtype, tensor.bytes(), tensor.size), Number);
	const numbers = new Float32Array(tensor.size);
	decodeRun(tensor.data, { kind: "plain", dtype: tensor.dtype }, 0, tensor.size, numbers, 0);
	return numbers;
}

/** Stored rows [top, bottom) and columns [left, right) of `matrix`, with scales applied, into `target`, row by row. */
export function readStored(matrix: Matrix, top: number, bottom: number, left: number, right: number, target: Float32Array): void {
	const { tensor, encoding, stride, scaling } = matrix;
	const { data } = tensor;
	if (data === undefined) throw new DistembError("internal", `tensor "${matrix.stored.name}" has no data`);
	const width = right - left;
	if (width === stride) decodeRun(data, encoding, top * stride, (bottom - top) * stride, target, 0);
	else for (let row = top; row < bottom; row++) decodeRun(data, encoding, row * stride + left, width, target, (row - top) * width);
	if (scaling !== undefined) applyScaling(matrix, top, bottom, left, right, target);
}

function applyScaling({ scaling }: Matrix, top: number, bottom: number, left: number, right: number, target: Float32Array): void {
	if (scaling === undefined) return;
	const { scale, zero, rowBlock, rowStride, colBlock, colStride } = scaling;
	let at = 0;
	for (let row = top; row < bottom; row++) {
		const base = Math.floor(row / rowBlock) * rowStride;
		for (let col = left; col < right; col++) {
			const entry = base + Math.floor(col / colBlock) * colStride;
			const offset = typeof zero === "number" ? zero : (zero[entry] ?? 0);
			target[at] = ((target[at] ?? 0) - offset) * (scale[entry] ?? 0);
			at++;
		}
	}
}
