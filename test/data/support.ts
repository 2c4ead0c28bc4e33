// Files for the tests of data, and streams of what is already there.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll } from "vitest";
import type { Data, Pair, Piece } from "../../src/data/data.js";
import { DistembError } from "../../src/errors.js";

export const SOTU = path.resolve(import.meta.dirname, "../../fixtures/sotu-lm");

/** A folder that is removed after the tests of this file, and a function that writes into it and returns the file's path. */
export function folder(): { readonly root: string; readonly write: (name: string, content: string | Uint8Array) => string } {
	const root = mkdtempSync(path.join(tmpdir(), "distemb-data-"));
	afterAll(() => rmSync(root, { recursive: true, force: true }));
	return {
		root,
		write: (name, content) => {
			const file = path.join(root, name);
			writeFileSync(file, content);
			return file;
		},
	};
}

export async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
	const list: T[] = [];
	for await (const item of items) list.push(item);
	return list;
}

/** Data that is already in memory. */
export function dataOf<T>(items: readonly T[]): Data<T> {
	return {
		async *read() {
			yield* items;
		},
	};
}

export function piece(ids: readonly number[], starts = true): Piece {
	return { ids: Int32Array.from(ids), starts };
}

export function pair(source: readonly number[], target: readonly number[]): Pair {
	return { source: Int32Array.from(source), target: Int32Array.from(target) };
}

/** The one line that a failing call says; fails if it does not fail with an error of the project, or without a hint. */
export async function refusal(call: () => unknown): Promise<string> {
	try {
		await call();
	} catch (error) {
		if (!(error instanceof DistembError) || error.hint === undefined) throw error;
		return `${error.code}: ${error.toLine()}`;
	}
	throw new Error("it did not fail");
}

/** A .npy file of version 1, as numpy.save writes it. */
export function npy(descr: string, shape: readonly number[], body: Uint8Array): Buffer {
	const sizes = shape.length === 1 ? `${shape[0]},` : shape.join(", ");
	const header = `{'descr': '${descr}', 'fortran_order': False, 'shape': (${sizes}), }`.padEnd(117, " ").concat("\n");
	const start = Buffer.from(`\x93NUMPY\x01\x00${String.fromCharCode(header.length, 0)}`, "latin1");
	return Buffer.concat([start, Buffer.from(header, "latin1"), body]);
}

/** A .safetensors file of one-dimensional arrays. */
export function safetensors(arrays: Readonly<Record<string, Uint16Array | Uint32Array>>): Buffer {
	let end = 0;
	const header = Object.fromEntries(
		Object.entries(arrays).map(([name, array]) => {
			const start = end;
			end += array.byteLength;
			return [name, { dtype: array instanceof Uint16Array ? "U16" : "U32", shape: [array.length], data_offsets: [start, end] }];
		}),
	);
	const text = Buffer.from(JSON.stringify(header));
	const length = Buffer.alloc(8);
	length.writeBigUInt64LE(BigInt(text.length));
	return Buffer.concat([
		length,
		text,
		...Object.values(arrays).map(({ buffer, byteOffset, byteLength }) => Buffer.from(buffer, byteOffset, byteLength)),
	]);
}
