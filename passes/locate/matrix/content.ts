// Ties are decided by contents: equal numbers, or, where asked for, numbers within one quantization step.
import { blockRows, type MatrixTable } from "./table.js";

/** Same number of rows and columns. */
export function sameShape(one: MatrixTable, other: MatrixTable): boolean {
	return one.rows === other.rows && one.cols === other.cols;
}

/** Equal numbers everywhere. A few rows are compared before anything is hashed. */
export function sameContent(one: MatrixTable, other: MatrixTable): boolean {
	if (one === other) return true;
	if (!sameShape(one, other)) return false;
	const middle = one.rows >> 1;
	for (const [start, end] of [
		[0, Math.min(4, one.rows)],
		[middle, Math.min(middle + 4, one.rows)],
	] as const) {
		const rows = one.read(start, end);
		const others = other.read(start, end);
		if (!rows.every((value, index) => value === others[index])) return false;
	}
	return one.hash === other.hash;
}

/** Numbers that differ by at most one step of the coarser quantization: the trace of one table quantized twice. */
export function closeContent(one: MatrixTable, other: MatrixTable): boolean {
	if (!sameShape(one, other) || (one.matrix.scaling === undefined && other.matrix.scaling === undefined)) return false;
	const size = blockRows(one);
	for (let start = 0; start < one.rows; start += size) {
		const end = Math.min(one.rows, start + size);
		const rows = one.read(start, end);
		const others = other.read(start, end);
		const steps = one.steps(start, end);
		const otherSteps = other.steps(start, end);
		for (let index = 0; index < rows.length; index++) {
			const allowed = ((steps[index] ?? 0) + (otherSteps[index] ?? 0)) * 1.001 + 1e-6;
			if (!(Math.abs((rows[index] ?? 0) - (others[index] ?? 0)) <= allowed)) return false;
		}
	}
	return true;
}
