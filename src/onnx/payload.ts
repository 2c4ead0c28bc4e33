// Tensor payloads: byte ranges of files, typed fields, external data, presented as raw_data would be.
import { DistembError } from "../errors.js";
import { bitsOf, byteLengthOf, type DType, dtypeOfCode } from "../ir/dtype.js";
import { dataOf, elementCount, INLINE, type Placement, Tensor, type TensorData } from "../ir/tensor.js";
import { carry } from "./carry.js";
import type { ExternalFiles } from "./external.js";
import type { TensorProto } from "./schema.js";
import type { SourceFile } from "./source.js";
import { hasTypedField, TypedNumbers } from "./typed.js";

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

	get identity(): string {
		return `${this.file.path}\0${this.start}\0${this.byteLength}`;
	}

	read(start: number, end: number): Uint8Array {
		return this.file.read(this.start + start, this.start + end);
	}

	readInto(target: Uint8Array, start: number): void {
		this.file.readInto(target, this.start + start);
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
		if (dtype === "string") throw fail("holds strings as external data, which ONNX does not allow");
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

function typedPayload(proto: TensorProto, dtype: DType, count: number, context: TensorContext, fail: Fail) {
	const bytes = byteLengthOf(dtype, count);
	const numbers = new TypedNumbers(proto, dtype, context.file);
	const expected = bitsOf(dtype) < 8 ? bytes : dtype.startsWith("complex") ? count * 2 : count;
	if (numbers.count !== expected) throw fail(`holds ${numbers.count} numbers where its dimensions say ${expected}`);
	const { contiguous } = numbers;
	const data =
		contiguous === undefined
			? new LazyBytes(bytes, () => numbers.toBytes(dtype, bytes))
			: new FileRange(context.file, contiguous.start, contiguous.end - contiguous.start);
	return { data, placement: INLINE };
}
