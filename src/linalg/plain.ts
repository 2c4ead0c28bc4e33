// A table as a plain quantizer stores it: whole numbers in groups, rounded to the nearest.

/** Bits of the plain tables that are compared. */
export const PLAIN_BITS = [8, 4, 3] as const;

/** Numbers of a row that share a scale. */
export const PLAIN_GROUP = 32;

/** Stored bytes: codes, and a 16-bit scale a group. */
export function plainBytes({ rows, cols }: { readonly rows: number; readonly cols: number }, bits: number): number {
	return Math.ceil((rows * cols * bits) / 8) + 2 * rows * Math.ceil(cols / PLAIN_GROUP);
}

/** Rows of `cols` numbers, rounded in place to whole multiples of their group's scale, symmetric around 0. */
export function roundPlain(rows: Float32Array, cols: number, bits: number): void {
	const most = 2 ** (bits - 1) - 1;
	for (let row = 0; row < rows.length; row += cols) {
		for (let start = row; start < row + cols; start += PLAIN_GROUP) {
			const group = rows.subarray(start, Math.min(start + PLAIN_GROUP, row + cols));
			let largest = 0;
			for (let at = 0; at < group.length; at++) largest = Math.max(largest, Math.abs(group[at] as number));
			const scale = largest / most || 1;
			for (let at = 0; at < group.length; at++) group[at] = Math.round((group[at] as number) / scale) * scale;
		}
	}
}
