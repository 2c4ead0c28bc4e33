// Named float32 arrays with some JSON in one .safetensors file, which is there whole or not at all.
import { readFile, rm, rmdir } from "node:fs/promises";
import path from "node:path";
import { DistembError } from "../errors.js";
import { isRecord } from "./files.js";
import { removePartial, writeWhole } from "./whole.js";

export interface NamedArrays {
	/** JSON. */
	readonly facts: unknown;
	readonly arrays: ReadonlyMap<string, Float32Array>;
}

/** Key of `__metadata__` that holds the facts, as a string: the format has no other values there. */
const FACTS = "facts";

/** @throws DistembError `output` if it cannot be written; what `file` held before is still there then */
export async function saveArrays(file: string, { facts, arrays }: NamedArrays): Promise<void> {
	await writeWhole(file, async (handle) => {
		await handle.writeFile(headerOf(facts, arrays));
		for (const array of arrays.values()) await handle.writeFile(new Uint8Array(array.buffer, array.byteOffset, array.byteLength));
	});
}

/** Length of the header as u64, then the header, padded with spaces so that arrays begin at multiples of 8. */
function headerOf(facts: unknown, arrays: ReadonlyMap<string, Float32Array>): Buffer {
	let end = 0;
	const entries = [...arrays].map(([name, { length, byteLength }]) => {
		const start = end;
		end += byteLength;
		return [name, { dtype: "F32", shape: [length], data_offsets: [start, end] }] as const;
	});
	const text = Buffer.from(JSON.stringify({ __metadata__: { [FACTS]: JSON.stringify(facts) }, ...Object.fromEntries(entries) }));
	const padded = Math.ceil(text.length / 8) * 8;
	const bytes = Buffer.alloc(8 + padded, " ");
	bytes.writeBigUInt64LE(BigInt(padded));
	text.copy(bytes, 8);
	return bytes;
}

/**
 * What {@link saveArrays} wrote; undefined if there is no such file.
 * @throws DistembError `input` if it is broken
 */
export async function loadArrays(file: string): Promise<NamedArrays | undefined> {
	let bytes: Buffer;
	try {
		bytes = await readFile(file);
	} catch (cause) {
		if (cause instanceof Error && "code" in cause && cause.code === "ENOENT") return undefined;
		throw new DistembError("input", "cannot be read", { at: file, hint: "check the path", cause });
	}
	try {
		const length = Number(bytes.readBigUInt64LE(0));
		const { __metadata__: metadata, ...entries }: Record<string, unknown> = JSON.parse(bytes.toString("utf8", 8, 8 + length));
		if (!isRecord(metadata)) throw new TypeError("no metadata");
		const arrays = Object.entries(entries).map(([name, entry]) => [name, arrayAt(bytes, 8 + length, entry)] as const);
		return { facts: JSON.parse(String(metadata[FACTS])), arrays: new Map(arrays) };
	} catch (cause) {
		throw new DistembError("input", "is broken", { at: file, hint: "remove it, and begin anew", cause });
	}
}

function arrayAt(bytes: Buffer, body: number, entry: unknown): Float32Array {
	const offsets: unknown = isRecord(entry) && entry.dtype === "F32" ? entry.data_offsets : undefined;
	const [start, end]: unknown[] = Array.isArray(offsets) ? offsets : [];
	if (typeof start !== "number" || typeof end !== "number" || start > end || body + end > bytes.length)
		throw new RangeError("beyond the end");
	// A copy of its own begins at a multiple of 4, whatever the buffer does.
	return new Float32Array(Uint8Array.from(bytes.subarray(body + start, body + end)).buffer);
}

/** Removes `file`, and its folder if nothing else is in there. */
export async function removeArrays(file: string): Promise<void> {
	await removePartial(file);
	await rm(file, { force: true });
	await rmdir(path.dirname(file)).catch(() => undefined);
}
