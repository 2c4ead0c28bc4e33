// The independent reader: onnx-proto (protobufjs 6, IR version 8, drops what it does not know), and a comparison that names the place.
import peer from "onnx-proto";

/** The decoded model as plain objects; 64-bit numbers as text. */
export function decodeByPeer(bytes: Uint8Array): unknown {
	const { ModelProto } = peer.onnx;
	return ModelProto.toObject(ModelProto.decode(bytes), { longs: String });
}

/** The same with the entries of external data in one form: the offset stated, the length left to the dimensions. */
export function withPlainExternalData(decoded: unknown): unknown {
	if (typeof decoded !== "object" || decoded === null || decoded instanceof Uint8Array) return decoded;
	if (Array.isArray(decoded)) return decoded.map(withPlainExternalData);
	const plain = Object.fromEntries(Object.entries(decoded).map(([key, value]) => [key, withPlainExternalData(value)]));
	if (!Array.isArray(plain.externalData)) return plain;
	const entries = Object.fromEntries((plain.externalData as { key: string; value: string }[]).map(({ key, value }) => [key, value]));
	return { ...plain, externalData: { offset: "0", ...entries, length: "" } };
}

/** Where two plain values differ first; undefined if nowhere. Floats are compared by their bits, NaN included. */
export function firstDifference(a: unknown, b: unknown, where = "model"): string | undefined {
	if (Object.is(a, b)) return undefined;
	if (a instanceof Uint8Array && b instanceof Uint8Array) return Buffer.compare(a, b) === 0 ? undefined : `${where}: other bytes`;
	if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return `${where}: ${String(a)} became ${String(b)}`;
	const keys = new Set([...Object.keys(a), ...Object.keys(b)]);
	for (const key of keys) {
		const difference = firstDifference(Reflect.get(a, key), Reflect.get(b, key), `${where}.${key}`);
		if (difference !== undefined) return difference;
	}
	return undefined;
}
