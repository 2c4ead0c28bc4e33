// Protobuf by hand, independent of the code under test: builds messages of any form, and takes them apart again.

export type Bytes = Uint8Array<ArrayBuffer>;

export function join(...parts: readonly Uint8Array[]): Bytes {
	const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.byteLength, 0));
	let at = 0;
	for (const part of parts) {
		bytes.set(part, at);
		at += part.byteLength;
	}
	return bytes;
}

/** A number below 2^64; negative ones as ten bytes. */
export function varint(value: number | bigint): Bytes {
	const bytes: number[] = [];
	let rest = BigInt.asUintN(64, BigInt(value));
	for (; rest >= 128n; rest >>= 7n) bytes.push(Number(rest & 127n) | 128);
	bytes.push(Number(rest));
	return Uint8Array.from(bytes);
}

/** A field of wire type 0. */
export const number = (field: number, value: number | bigint): Bytes => join(varint(field * 8), varint(value));

/** The bytes in front of a field of wire type 2 with `length` bytes. */
export const opening = (field: number, length: number): Bytes => join(varint(field * 8 + 2), varint(length));

/** A field of wire type 2: a message from its parts, bytes or a string. */
export function message(field: number, ...parts: readonly (Uint8Array | string)[]): Bytes {
	const body = join(...parts.map((part) => (typeof part === "string" ? new TextEncoder().encode(part) : part)));
	return join(opening(field, body.byteLength), body);
}

/** A field of wire type 5 (4 bytes) or 1 (8 bytes). */
export const fixed = (field: number, bytes: Uint8Array): Bytes => join(varint(field * 8 + (bytes.byteLength === 4 ? 5 : 1)), bytes);

export const float32 = (...values: number[]): Bytes => new Uint8Array(Float32Array.from(values).buffer);
export const float64 = (...values: number[]): Bytes => new Uint8Array(Float64Array.from(values).buffer);
export const varints = (values: readonly (number | bigint)[]): Bytes => join(...values.map(varint));
export const filled = (length: number, seed = 1): Bytes => Uint8Array.from({ length }, (_, index) => (index * 31 + seed * 17) & 255);

/** A key and its value, as in external_data and metadata_props. */
export const entry = (field: number, key: string, value: string): Bytes => message(field, message(1, key), message(2, value));

/** Fields of a TensorProto. */
export const tensor = (name: string, dtype: number, dims: readonly (number | bigint)[], ...payload: readonly Uint8Array[]): Bytes =>
	join(...dims.map((dim) => number(1, dim)), number(2, dtype), message(8, name), ...payload);

export const raw = (bytes: Uint8Array): Bytes => message(9, bytes);

/** external_data and data_location of a TensorProto. */
export const external = (entries: Readonly<Record<string, string>>): Bytes =>
	join(...Object.entries(entries).map(([key, value]) => entry(13, key, value)), number(14, 1));

/** A NodeProto's fields. */
export const node = (op: string, inputs: readonly string[], outputs: readonly string[], ...rest: readonly Uint8Array[]): Bytes =>
	join(...inputs.map((name) => message(1, name)), ...outputs.map((name) => message(2, name)), message(4, op), ...rest);

/** A ModelProto around the fields of a graph. */
export const model = (graph: Uint8Array, ...rest: readonly Uint8Array[]): Bytes =>
	join(number(1, 10), message(7, message(2, "main"), graph), message(8, number(2, 21)), ...rest);

/** A model that holds only these initializers. */
export const modelOf = (...tensors: readonly Uint8Array[]): Bytes => model(join(...tensors.map((fields) => message(5, fields))));

export interface Field {
	readonly field: number;
	readonly wire: number;
	/** Content without tag and length. */
	readonly bytes: Uint8Array;
}

/** The fields of one message, in file order. */
export function fields(bytes: Uint8Array): Field[] {
	const found: Field[] = [];
	let at = 0;
	const next = () => {
		let value = 0n;
		for (let shift = 0n; ; shift += 7n) {
			const byte = bytes[at++];
			if (byte === undefined) throw new Error("a number is cut off");
			value |= BigInt(byte & 127) << shift;
			if (byte < 128) return Number(value);
		}
	};
	while (at < bytes.byteLength) {
		const key = next();
		const wire = key % 8;
		let start = at;
		if (wire === 0) next();
		else if (wire === 2) {
			const length = next();
			start = at;
			at += length;
		} else at += wire === 1 ? 8 : 4;
		if (at > bytes.byteLength) throw new Error("a field is cut off");
		found.push({ field: Math.floor(key / 8), wire, bytes: bytes.subarray(start, at) });
	}
	return found;
}

/** Contents of every field reached by following the numbers of `route`, in file order. */
export function at(bytes: Uint8Array, ...route: readonly number[]): Uint8Array[] {
	const [first, ...rest] = route;
	if (first === undefined) return [bytes];
	return fields(bytes).flatMap(({ field, bytes: inner }) => (field === first ? at(inner, ...rest) : []));
}
