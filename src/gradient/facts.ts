// What is known of the values of a training graph, and the arithmetic of shapes.
import { DistembError } from "../errors.js";
import type { DType } from "../ir/dtype.js";

/** Type and sizes of a value in a graph that is fixed to one batch and one length. */
export interface Facts {
	readonly dtype: DType;
	readonly dims: readonly number[];
	/** Elements of small values that depend on constants and shapes only. */
	readonly values?: readonly number[] | undefined;
}

export type Dims = readonly number[];

/** Sizes of the result of an element-wise operator (numpy's broadcasting). */
export function broadcast(...all: readonly Dims[]): Dims {
	const rank = Math.max(...all.map(({ length }) => length));
	return Array.from({ length: rank }, (_, axis) => {
		const sizes = all.map((dims) => dims[axis - rank + dims.length] ?? 1);
		const size = sizes.find((candidate) => candidate !== 1) ?? 1;
		if (sizes.some((other) => other !== 1 && other !== size)) {
			throw new DistembError("internal", `shapes ${all.map((dims) => `[${dims.join(", ")}]`).join(" and ")} do not broadcast`);
		}
		return size;
	});
}

export function sameDims(a: Dims, b: Dims): boolean {
	return a.length === b.length && a.every((size, axis) => size === b[axis]);
}

/** Product of the sizes from axis `start` up to axis `end`. */
export function sizeOf(dims: Dims, start = 0, end = dims.length): number {
	return dims.slice(start, end).reduce((product, size) => product * size, 1);
}

/** `axis` counted from the front. */
export function frontAxis(axis: number, rank: number): number {
	return axis < 0 ? axis + rank : axis;
}

/** Axes 0 … count − 1, shifted by `start`. */
export function axesFrom(start: number, count: number): number[] {
	return Array.from({ length: Math.max(count, 0) }, (_, index) => start + index);
}

/** `dims` with the sizes at `axes` replaced by one, or left out. */
export function reduced(dims: Dims, axes: readonly number[], keep: boolean): number[] {
	return dims.flatMap((size, axis) => (!axes.includes(axis) ? [size] : keep ? [1] : []));
}

/** `dims` with one size replaced. */
export function withSize(dims: Dims, axis: number, size: number): number[] {
	return dims.with(axis, size);
}

/** The permutation that undoes `perm`. */
export function inverse(perm: readonly number[]): number[] {
	return perm.map((_, axis) => perm.indexOf(axis));
}
