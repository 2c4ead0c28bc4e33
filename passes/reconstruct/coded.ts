// The closed form of a coded table: its leading basis columns, without those that its blocks drop.
import type { DenseProducts } from "../../src/linalg/products.js";
import type { Coding, Table } from "../../src/state.js";

/** U = E·R and W in the basis of the coding, both `rank` wide. The columns of U have a weighted mean square of 1. */
export function codedFactors({ cols, rows }: Table, rank: number, { basis, blocks, positions }: Coding, products: DenseProducts) {
	const leading = new Float32Array(cols * rank);
	for (let row = 0; row < cols; row++) leading.set(basis.right.subarray(row * cols, row * cols + rank), row * rank);
	const blockOf = new Uint16Array(rows);
	let first = 0;
	for (const [index, block] of blocks.entries()) {
		blockOf.fill(index, first, first + block.rows);
		first += block.rows;
	}
	const dropped = blocks.map(({ perByte }) => [...perByte.keys()].filter((column) => perByte[column] === 0));
	let out = new Float32Array(0);
	const left = async (start: number, end: number, table: Float32Array): Promise<Float32Array> => {
		const count = end - start;
		if (out.length < count * rank) out = new Float32Array(count * rank);
		await products.multiply(table, leading, { rows: count, inner: cols, columns: rank }, out);
		for (let row = start; row < end; row++) {
			for (const column of dropped[blockOf[positions?.[row] ?? row] as number] ?? []) out[(row - start) * rank + column] = 0;
		}
		return out.subarray(0, count * rank);
	};
	return { right: Float32Array.from(basis.factor.subarray(0, rank * cols)), left };
}
