// Takes the payloads of tensors out of the wire format, and puts payloads in.
//
// `lift` turns a model file of any size into its skeleton: the same message, but each large tensor payload (raw_data, float_data, …)
// replaced by a small reference to its range of the file. protobufjs then decodes only the skeleton.
// `lower` is the inverse: it turns an encoded skeleton into a list of segments, references resolved, lengths corrected.
import type protobuf from "protobufjs";
import { DistembError } from "../errors.js";
import { MemoryEstimate } from "./estimate.js";
import { ModelMessage, PAYLOAD_FIELD } from "./schema.js";
import type { ByteSource } from "./source.js";
import { LEN, tag, varint } from "./wire.js";

/** The greatest field number of protobuf. */
const MAX_FIELD = 2 ** 29 - 1;

/** Payloads of at most this many bytes stay in the skeleton; the parts of a field count together. */
const SMALL = 1024;

/** Deeper nesting of messages than this is an attack, not a model (ONNX Runtime recurses too). */
const MAX_DEPTH = 200;

/** TensorProto fields that can be large: raw_data and the typed fields, with the wire type of a number that stands alone. */
const PAYLOAD_FIELDS: ReadonlyMap<number, number> = new Map([
	[4, 5],
	[5, 0],
	[7, 0],
	[9, LEN],
	[10, 1],
	[11, 0],
]);

/** A payload's place: the number of the TensorProto field and the byte range in the source. */
export interface PayloadRange {
	readonly field: number;
	readonly start: number;
	readonly end: number;
}

/** A piece of an encoded file: bytes, or a payload that the writer copies from where it is. */
export type Segment = Uint8Array | PayloadRange;

/** Message types on the way from ModelProto to a TensorProto: per type, field id → message type. */
function routes(): Map<protobuf.Type, Map<number, protobuf.Type>> {
	const tensor = ModelMessage.root.lookupType("TensorProto");
	const found = new Map<protobuf.Type, Map<number, protobuf.Type>>();
	const seen = new Set<protobuf.Type>();
	const pending: protobuf.Type[] = [ModelMessage];
	const parents = new Map<protobuf.Type, [protobuf.Type, number][]>();
	for (let type = pending.pop(); type !== undefined; type = pending.pop()) {
		if (seen.has(type)) continue;
		seen.add(type);
		for (const field of type.fieldsArray) {
			const child = field.resolvedType;
			if (child === null || !("fieldsArray" in child)) continue;
			parents.set(child, [...(parents.get(child) ?? []), [type, field.id]]);
			pending.push(child);
		}
	}
	const upward: protobuf.Type[] = [tensor];
	const reached = new Set<protobuf.Type>();
	for (let type = upward.pop(); type !== undefined; type = upward.pop()) {
		if (reached.has(type)) continue;
		reached.add(type);
		for (const [parent, id] of parents.get(type) ?? []) {
			found.set(parent, (found.get(parent) ?? new Map()).set(id, type));
			upward.push(parent);
		}
	}
	return found;
}

const ROUTES = routes();
const TENSOR = ModelMessage.root.lookupType("TensorProto");

function broken(reason: string): DistembError {
	return new DistembError("input", `is not an ONNX model: ${reason}`);
}

/** Bytes of the source that stay as they are; they are read when the message is put together. */
interface Copied {
	readonly from: number;
	readonly to: number;
}

interface Rewritten {
	readonly segments: (Segment | Copied)[];
	readonly length: number;
}

/** What becomes of a field of a tensor; undefined: it is copied. Made anew for each tensor. */
type TensorField = (field: number, wire: number, start: number, end: number) => Rewritten | undefined;

/** Told of every field, before what is in it; its length is that of its content, 0 for a number that stands alone. */
type EachField = (type: protobuf.Type, field: number, length: number) => void;

/** Walks a message and rewrites tensor fields with `onTensor`; everything else is copied, and with `onField` walked too. */
class Transcoder {
	readonly #source: ByteSource;
	readonly #onTensor: () => TensorField;
	readonly #onField: EachField | undefined;
	#position = 0;

	constructor(source: ByteSource, onTensor: () => TensorField, onField?: EachField) {
		this.#source = source;
		this.#onTensor = onTensor;
		this.#onField = onField;
	}

	message(type: protobuf.Type, start: number, end: number, depth: number): Rewritten {
		if (depth > MAX_DEPTH) throw broken(`messages are nested more than ${MAX_DEPTH} deep`);
		const children = ROUTES.get(type);
		const onTensor = type === TENSOR ? this.#onTensor() : undefined;
		const segments: (Segment | Copied)[] = [];
		let length = 0;
		const push = (part: Rewritten) => {
			for (const segment of part.segments) segments.push(segment);
			length += part.length;
		};
		this.#position = start;
		let copied = start;
		const copyUpTo = (position: number) => {
			if (position > copied) push({ segments: [{ from: copied, to: position }], length: position - copied });
		};
		while (this.#position < end) {
			const at = this.#position;
			const key = this.#varint(end);
			const field = Math.floor(key / 8);
			const wire = key % 8;
			if (field === 0) throw broken("a field has number 0");
			if (field > MAX_FIELD) throw broken(`a field has number ${field}`);
			const size = wire === LEN ? this.#varint(end) : 0;
			const from = this.#position;
			if (size > end - from) throw broken(`a field announces ${size} bytes where ${end - from} are left`);
			if (wire !== LEN) this.#skip(wire, end);
			const to = wire === LEN ? from + size : this.#position;
			const child = wire === LEN ? children?.get(field) : undefined;
			let part = child === undefined ? onTensor?.(field, wire, from, to) : undefined;
			if (part === undefined) this.#onField?.(type, field, size);
			if (child !== undefined) part = wrap(field, this.message(child, from, to, depth + 1));
			else if (part === undefined && wire === LEN && this.#onField !== undefined) this.#walk(type, field, from, to, depth);
			if (part !== undefined) {
				copyUpTo(at);
				push(part);
				copied = to;
			}
			this.#position = to;
		}
		copyUpTo(end);
		return { segments, length };
	}

	/** Looks at a message that no tensor is in. */
	#walk(type: protobuf.Type, field: number, from: number, to: number, depth: number): void {
		const inner = type.fieldsById[field]?.resolvedType;
		if (inner !== undefined && inner !== null && "fieldsArray" in inner) this.message(inner, from, to, depth + 1);
	}

	#skip(wire: number, end: number): void {
		if (wire === 0) this.#varint(end);
		else if (wire === 1) this.#position += 8;
		else if (wire === 5) this.#position += 4;
		else throw broken(`wire type ${wire} is not used by ONNX`);
		if (this.#position > end) throw broken("a field reaches beyond the end of its message");
	}

	#varint(end: number): number {
		const bytes = this.#source.read(this.#position, Math.min(end, this.#position + 10));
		let value = 0;
		let scale = 1;
		for (const byte of bytes) {
			this.#position++;
			value += (byte & 127) * scale;
			if (byte < 128) return value;
			scale *= 128;
		}
		throw broken(bytes.byteLength < 10 ? "it ends in the middle of a number" : "a number is longer than 10 bytes");
	}
}

function plain(bytes: Uint8Array): Rewritten {
	return { segments: [bytes], length: bytes.byteLength };
}

function wrap(field: number, body: Rewritten): Rewritten {
	const header = Buffer.concat([tag(field, LEN), varint(body.length)]);
	return { segments: [header, ...body.segments], length: header.byteLength + body.length };
}

/** Bytes copied at a time. */
const CHUNK = 1 << 18;

/** The message in one array; nothing else holds its bytes. */
function assemble({ segments, length }: Rewritten, source: ByteSource): Uint8Array {
	const bytes = new Uint8Array(length);
	let at = 0;
	for (const segment of segments) {
		if (segment instanceof Uint8Array) {
			bytes.set(segment, at);
			at += segment.byteLength;
		} else if ("from" in segment) {
			for (let from = segment.from; from < segment.to; from += CHUNK) {
				const piece = source.read(from, Math.min(segment.to, from + CHUNK));
				bytes.set(piece, at);
				at += piece.byteLength;
			}
		}
	}
	return bytes;
}

/**
 * The skeleton of a model file, ready for protobufjs; payload references carry ranges of `source`.
 * Once a part of a field is referred to, so are the parts that follow it, single numbers included: what stays comes first.
 * @throws DistembError `input` if it is no protobuf, or describes far more than its size lets expect
 */
export function lift(source: ByteSource): Uint8Array {
	const estimate = new MemoryEstimate(source.size);
	const onField: EachField = (type, field, length) => estimate.add(type, field, length);
	const onTensor = (): TensorField => {
		const kept = new Map<number, number>();
		return (field, wire, start, end) => {
			if (field === PAYLOAD_FIELD) throw broken(`a tensor uses field ${PAYLOAD_FIELD}`);
			const alone = PAYLOAD_FIELDS.get(field);
			if (alone === undefined || (wire !== LEN && wire !== alone)) return undefined;
			const bytes = (kept.get(field) ?? 0) + (wire === LEN ? end - start : 0);
			kept.set(field, bytes);
			if (bytes <= SMALL) return undefined;
			return wrap(PAYLOAD_FIELD, plain(encodeReference({ field, start, end })));
		};
	};
	const transcoder = new Transcoder(source, onTensor, onField);
	return assemble(transcoder.message(ModelMessage, 0, source.size, 0), source);
}

/** The file that an encoded skeleton stands for, and its length in bytes. */
export function lower(skeleton: Uint8Array): { readonly segments: readonly Segment[]; readonly length: number } {
	const source: ByteSource = { size: skeleton.byteLength, read: (start, end) => skeleton.subarray(start, end) };
	const transcoder = new Transcoder(source, () => (field, _wire, start, end) => {
		if (field !== PAYLOAD_FIELD) return undefined;
		const range = decodeReference(skeleton.subarray(start, end));
		const size = range.end - range.start;
		const header = Buffer.concat([tag(range.field, LEN), varint(size)]);
		return { segments: [header, range], length: header.byteLength + size };
	});
	const { segments, length } = transcoder.message(ModelMessage, 0, skeleton.byteLength, 0);
	return { segments: segments.map((segment) => ("from" in segment ? skeleton.subarray(segment.from, segment.to) : segment)), length };
}

const REFERENCE = ModelMessage.root.lookupType("PayloadReference");

function encodeReference(range: PayloadRange): Uint8Array {
	return REFERENCE.encode(range).finish();
}

function decodeReference(bytes: Uint8Array): PayloadRange {
	const { field, start, end } = REFERENCE.toObject(REFERENCE.decode(bytes), { longs: Number });
	return { field, start, end };
}
