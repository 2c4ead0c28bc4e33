// The right factor that fits the table best once the left one is rounded: weighted least squares, streaming.
import { throwIfAborted } from "../errors.js";
import type { Table } from "../state.js";
import { ridgedCholesky, solveRows, solveRowsTransposed } from "./cholesky.js";
import { gramMatrix } from "./gram.js";
import type { DenseProducts } from "./products.js";

export interface RoundedLeft {
	readonly rank: number;
	readonly left: (start: number, end: number) => Float32Array;
	readonly rowWeights: Float32Array;
}

/** Part of the mean diagonal of UᵀΩU that is added to it. */
const RIDGE = 1e-7;

/** argmin over W of Σ wᵢ‖eᵢ − uᵢW‖², which is the optimum for every metric of the rows' errors: (UᵀΩU)⁻¹UᵀΩE; r×d. */
export async function leastSquares(
	table: Table,
	{ rank, left, rowWeights }: RoundedLeft,
	products: DenseProducts,
	signal: AbortSignal | undefined,
): Promise<Float32Array> {
	const { rows, cols } = table;
	const width = rank + cols;
	const joined = {
		rows,
		cols: width,
		read: (start: number, end: number) => {
			const block = new Float32Array((end - start) * width);
			const u = left(start, end);
			const e = table.read(start, end);
			for (let row = 0; row < end - start; row++) {
				block.set(u.subarray(row * rank, (row + 1) * rank), row * width);
				block.set(e.subarray(row * cols, (row + 1) * cols), row * width + rank);
			}
			return block;
		},
	};
	const gram = await gramMatrix(joined, products, { rowWeights, signal });
	throwIfAborted(signal);
	const square = new Float64Array(rank * rank);
	const targets = new Float64Array(cols * rank);
	for (let row = 0; row < rank; row++) square.set(gram.subarray(row * width, row * width + rank), row * rank);
	for (let row = 0; row < cols; row++) targets.set(gram.subarray((rank + row) * width, (rank + row) * width + rank), row * rank);
	// Where U is zero every W fits as well as another.
	if (square.every((value) => value === 0)) return new Float32Array(rank * cols);
	const root = ridgedCholesky(square, rank, RIDGE);
	solveRowsTransposed(root, rank, targets, cols);
	solveRows(root, rank, targets, cols);
	const right = new Float32Array(rank * cols);
	for (let row = 0; row < cols; row++) for (let k = 0; k < rank; k++) right[k * cols + row] = targets[row * rank + k] as number;
	return right;
}
