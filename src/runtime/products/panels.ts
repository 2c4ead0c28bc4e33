// The lower triangle of a Gram matrix in blocks: each is the product of two panels of the table's columns.
import type { FloatArray } from "../../linalg/products.js";

/** Width of a panel: narrow ones waste less on the diagonal, wide ones are multiplied faster. */
const PANEL_WIDTH = 128;

/** A block of the lower triangle: its place among the panels, and in the matrix. */
export interface Panel {
	readonly name: string;
	readonly row: number;
	readonly column: number;
	readonly top: number;
	readonly left: number;
	readonly height: number;
	readonly width: number;
}

export interface FilledPanel extends Panel {
	readonly values: FloatArray;
}

/** Starts of the panels of `cols` columns, and `cols` itself at the end. */
export function panelBounds(cols: number): number[] {
	const count = Math.max(1, Math.ceil(cols / PANEL_WIDTH));
	return Array.from({ length: count + 1 }, (_, index) => Math.min(cols, index * PANEL_WIDTH));
}

/** The blocks of the lower triangle, diagonal included. */
export function panelsOf(bounds: readonly number[]): Panel[] {
	const starts = bounds.slice(0, -1);
	const span = (index: number) => (bounds[index + 1] ?? 0) - (bounds[index] ?? 0);
	return starts.flatMap((top, row) =>
		starts
			.slice(0, row + 1)
			.map((left, column) => ({ name: `g${row}_${column}`, row, column, top, left, height: span(row), width: span(column) })),
	);
}

/** The sum of a block's diagonal. */
export function diagonalSum({ values, width }: FilledPanel): number {
	let sum = 0;
	for (let index = 0; index < values.length; index += width + 1) sum += values[index] as number;
	return sum;
}

/** Adds a block, times `factor`, to its place in the cols×cols matrix. */
export function addPanel({ values, top, left, height, width }: FilledPanel, gram: Float64Array, cols: number, factor: number): void {
	for (let row = 0; row < height; row++) {
		const to = (top + row) * cols + left;
		const from = row * width;
		for (let column = 0; column < width; column++) {
			gram[to + column] = (gram[to + column] as number) + factor * (values[from + column] as number);
		}
	}
}
