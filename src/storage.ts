// How factors are stored: precision, blocks of the quantized form, and the type in which they are multiplied.
import path from "node:path";
import type { DType } from "./ir/dtype.js";
import type { Placement } from "./ir/tensor.js";
import type { FactorValue, Quantization, Side, Vocabulary } from "./state.js";

/** How the numbers of U (and, unless it is int8, of W) are stored, where all are stored alike. */
export type Storage = Exclude<Quantization["dtype"], "mixed">;

/** Standard operators only, or onnxruntime's quantized ones too. */
export type Operators = Quantization["ops"];

/** What `--dtype` can ask for. */
export type AskedStorage = "float32" | "float16" | "int8" | "mixed";

export type Role = FactorValue["role"];

/** The storage asked for; else (and beside columns of mixed precision) that of the table: integers of any width become int8, float64 becomes float32. */
export function storageOf(stored: DType, asked: AskedStorage | undefined): Storage {
	if (asked !== undefined && asked !== "mixed") return asked;
	if (stored === "float16" || stored === "bfloat16") return stored;
	return /int/.test(stored) ? "int8" : "float32";
}

/**
 * The type in which the factors are multiplied where rows or hidden states have type `boundary`.
 * bfloat16 and float64 are computed in float32 and converted: few runtimes have a bfloat16 MatMul, and the factors hold no more than 24 bits.
 */
export function computeType(boundary: DType): "float32" | "float16" {
	return boundary === "float16" ? "float16" : "float32";
}

/** Uses onnxruntime's operators on blocks of 8-bit numbers: `MatMulNBits` and `GatherBlockQuantized`. */
export function isBlockQuantized(storage: Storage, ops: Operators): boolean {
	return storage === "int8" && ops === "onnxruntime";
}

export interface Blocks {
	/** Numbers that share a scale; 16 is the least that the operators take. */
	readonly size: 16 | 32;
	/** Blocks in a row of U. */
	readonly count: number;
	/** Columns of U and rows of W as stored, zeros at the end. */
	readonly padded: number;
}

/** The block size that stores a row of `rank` 8-bit numbers with `scaleBytes` per block in fewer bytes; 32 if both do the same. */
export function blocksOf(rank: number, scaleBytes: number): Blocks {
	const blocks = (size: 16 | 32): Blocks => ({ size, count: Math.ceil(rank / size), padded: Math.ceil(rank / size) * size });
	const bytes = ({ padded, count }: Blocks) => padded + count * scaleBytes;
	return bytes(blocks(16)) < bytes(blocks(32)) ? blocks(16) : blocks(32);
}

/** Names the file that holds a tensor of model file `name`: the model itself, or a data file that several models may share. */
export function storeOf(name: string, placement: Placement | undefined): string {
	if (placement?.kind !== "external") return `model ${name}`;
	return path.posix.join(path.posix.dirname(name), placement.location);
}

/** Some file looks rows up by what this side stores, and projects nothing by it. */
export function looksUpAlone({ lookups, projections }: Vocabulary, side: Side): boolean {
	if (side !== "both") return side === "input";
	const projecting = new Set(projections.map(({ file }) => file));
	return lookups.some(({ file }) => !projecting.has(file));
}
