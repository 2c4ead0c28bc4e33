// Bytes that factors take once stored, exactly, and the rank that fits a number of bytes.
import { bitsOf } from "../../src/ir/dtype.js";
import { blocksOf, isBlockQuantized, type Operators, type Role, type Storage } from "../../src/storage.js";

export interface FactorShape {
	/** Vocabulary size V. */
	readonly rows: number;
	/** Hidden size d. */
	readonly cols: number;
	readonly storage: Storage;
	readonly ops: Operators;
	/** The type in which the factors are multiplied. */
	readonly compute: "float32" | "float16";
	/** The factors that each file holds. */
	readonly files: readonly (readonly Role[])[];
}

/**
 * Stored bytes of U (V×rank) and W (rank×d) over all files, scales and padding included.
 * int8: V·rank codes and a float32 scale per row of U; W stays in the type in which it is multiplied.
 */
export function factorBytes(shape: FactorShape, rank: number): number {
	let bytes = 0;
	for (const roles of shape.files)
		for (const role of roles) bytes += role.startsWith("left") ? leftBytes(shape, rank) : rightBytes(shape, rank);
	return bytes;
}

function leftBytes({ rows, storage, ops, compute }: FactorShape, rank: number): number {
	if (isBlockQuantized(storage, ops)) {
		const { count, padded } = blocksOf(rank, width(compute));
		return rows * (padded + count * width(compute));
	}
	return storage === "int8" ? rows * (rank + width("float32")) : rows * rank * width(storage);
}

function rightBytes({ cols, storage, ops, compute }: FactorShape, rank: number): number {
	const kept = isBlockQuantized(storage, ops) ? blocksOf(rank, width(compute)).padded : rank;
	return kept * cols * width(storage === "int8" ? compute : storage);
}

function width(dtype: Storage): number {
	return bitsOf(dtype) / 8;
}

/** The largest rank from 1 to `limit` for which `bytes(rank)`, which does not fall, is at most `budget`; 0 if none is. */
export function largestRank(limit: number, budget: number, bytes: (rank: number) => number): number {
	let fits = 0;
	let exceeds = limit + 1;
	while (exceeds - fits > 1) {
		const middle = Math.floor((fits + exceeds) / 2);
		if (bytes(middle) <= budget) fits = middle;
		else exceeds = middle;
	}
	return fits;
}
