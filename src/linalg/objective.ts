// What an error of a table costs, and the weighted, whitened least squares that stand for it (math.md §3).
import type { Calibration, Side } from "../state.js";
import { ridgedCholesky } from "./cholesky.js";
import type { Factors } from "./error.js";
import type { DenseProducts } from "./products.js";
import { type RowSource, rowBlocks } from "./rows.js";

/** One side of ½ Σᵢ Δᵢ (qᵢ M + Dᵢ C) Δᵢᵀ. */
export interface Term {
	/** Weight per row, [V]. */
	readonly weights: Float64Array;
	/** d×d; undefined: the identity. */
	readonly moment: Float64Array | undefined;
	/** What the weights count for as a whole beside another term's; default: their sum. */
	readonly share?: number | undefined;
}

/**
 * Σ D, as a share. A sure model has a small one (0.14 on the shared translator, 0.87 on the shared language model), but loses its
 * sureness by the very errors that are weighed here: 1, where nothing is sure, gives the translator 2.65 nats instead of 2.78 at rank 64
 * (60 test pairs), and changes nothing on the shared language model.
 */
const SPREAD_SHARE = 1;

/** The terms of one pair of factors that serves `side`; none if the calibration knows nothing of it. */
export function termsOf({ frequency, gradientMoment, spread, hiddenMoment }: Calibration, side: Side): Term[] {
	const input = frequency === undefined || side === "output" ? [] : [{ weights: frequency, moment: gradientMoment }];
	const output = spread === undefined || side === "input" ? [] : [{ weights: spread, moment: hiddenMoment, share: SPREAD_SHARE }];
	return [...input, ...output];
}

/** Σᵢ wᵢ Δᵢ G Δᵢᵀ with one weight per row and one metric. */
export interface Objective {
	/** Sums to 1. */
	readonly rowWeights: Float32Array;
	/** d×d; undefined: the identity. */
	readonly metric: Float64Array | undefined;
}

/**
 * One weight and one metric for several terms: the mean of the weights, each divided by its sum, and Σ over terms of share · moment.
 * With one term, or weights that are multiples of each other, it is the exact objective (unless a share is not the sum).
 */
export function objectiveOf(terms: readonly Term[], cols: number): Objective | undefined {
	const [first] = terms;
	if (first === undefined) return undefined;
	const totals = terms.map(({ weights }) => weights.reduce((sum, weight) => sum + weight, 0));
	const rowWeights = Float32Array.from(first.weights, (_, row) => {
		const shares = terms.map(({ weights }, index) => (weights[row] ?? 0) / (totals[index] || 1));
		return shares.reduce((sum, share) => sum + share, 0) / terms.length;
	});
	if (terms.every(({ moment }) => moment === undefined)) return { rowWeights, metric: undefined };
	const metric = new Float64Array(cols * cols);
	for (const [index, { moment }] of terms.entries()) {
		const total = terms[index]?.share ?? totals[index] ?? 0;
		if (moment === undefined) for (let at = 0; at < metric.length; at += cols + 1) metric[at] = (metric[at] ?? 0) + total;
		else for (const [at, value] of moment.entries()) metric[at] = (metric[at] ?? 0) + total * value;
	}
	return { rowWeights, metric };
}

/** Part of a moment's mean diagonal that makes it positive definite; what it adds to the loss is below every digit shown. */
const RIDGE = 1e-9;

/** Adds ½ Σᵢ Δᵢ (Σ over terms of weightᵢ · moment) Δᵢᵀ of a product of factors up, block by block: the predicted loss in nats per predicted token. */
export class ExpectedLoss {
	/** Per row, [V]. */
	readonly rows: Float64Array;
	private readonly parts: readonly {
		readonly weights: Float64Array;
		readonly root: Float32Array | undefined;
		readonly right: Float32Array;
	}[];

	private constructor(
		private readonly source: RowSource,
		private readonly products: DenseProducts,
		private readonly rank: number,
		parts: ExpectedLoss["parts"],
	) {
		this.rows = new Float64Array(source.rows);
		this.parts = parts;
	}

	/** @param right W, r×d */
	static async of(
		source: RowSource,
		terms: readonly Term[],
		{ rank, right }: Pick<Factors, "rank" | "right">,
		products: DenseProducts,
	): Promise<ExpectedLoss> {
		const { cols } = source;
		const parts = [];
		for (const { weights, moment } of terms) {
			const isZero = moment?.every((value) => value === 0) === true;
			if (isZero) continue;
			const root = moment === undefined ? undefined : Float32Array.from(ridgedCholesky(moment, cols, RIDGE));
			const shape = { rows: rank, inner: cols, columns: cols };
			parts.push({
				weights,
				root,
				right: root === undefined ? right : await products.multiply(right, root, shape, new Float32Array(rank * cols)),
			});
		}
		return new ExpectedLoss(source, products, rank, parts);
	}

	/** Adds rows [start, end): `table` of E and `left` of U. */
	async add(start: number, end: number, table: Float32Array, left: Float32Array): Promise<void> {
		const { cols } = this.source;
		const rows = end - start;
		const shape = { rows, inner: this.rank, columns: cols };
		const [errors, norms] = [new Float32Array(rows), new Float32Array(rows)];
		for (const { weights, root, right } of this.parts) {
			const whitened =
				root === undefined
					? table
					: await this.products.multiply(table, root, { rows, inner: cols, columns: cols }, new Float32Array(rows * cols));
			await this.products.residuals(whitened, left, right, shape, { errors, norms });
			for (let row = 0; row < rows; row++)
				this.rows[start + row] = (this.rows[start + row] ?? 0) + 0.5 * (weights[start + row] ?? 0) * (errors[row] ?? 0);
		}
	}

	get total(): number {
		return this.rows.reduce((sum, value) => sum + value, 0);
	}
}

/** ½ Σᵢ Δᵢ (Σ over terms of weightᵢ · moment) Δᵢᵀ for Δ = E − U·W. */
export async function expectedLoss(source: RowSource, terms: readonly Term[], factors: Factors, products: DenseProducts): Promise<number> {
	const loss = await ExpectedLoss.of(source, terms, factors, products);
	for (const { start, end, values } of rowBlocks(source)) await loss.add(start, end, values, await factors.left(start, end, values));
	return loss.total;
}
