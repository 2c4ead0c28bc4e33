// The dense products that linear algebra asks of an engine. Implemented in runtime/products.ts and handed in, so that linalg imports no engine.

export type FloatArray = Float32Array | Float64Array;

/** C = op(A)·op(B), row-major; op transposes where asked. op(A) is rows×inner, op(B) is inner×columns. */
export interface ProductShape {
	readonly rows: number;
	readonly inner: number;
	readonly columns: number;
	/** A is stored inner×rows. */
	readonly transposeA?: boolean;
	/** B is stored columns×inner. */
	readonly transposeB?: boolean;
}

/** A block of the table, for {@link DenseProducts.addGram}. */
export interface GramBlock {
	/** rows×cols, row-major. */
	readonly values: Float32Array;
	readonly rows: number;
	readonly cols: number;
	/** One factor per row, applied before the product (the square root of the row's weight); absent: 1. */
	readonly rowFactors?: Float32Array | undefined;
	/** Type in which the engine multiplies. */
	readonly precision: "float32" | "float64";
}

/** Traces of a block's Gram matrix for which float32 products neither overflow nor lose their small entries. */
export const GRAM_RANGE = { least: 1e-20, most: 1e30 } as const;

/** One mini-batch of the paper's reconstruction: rows of the table and of the left factor, and the whole right factor. */
export interface ReluBatch {
	/** rows×cols, rows of E. */
	readonly target: Float32Array;
	/** rows×rank, rows of U before the ReLU. */
	readonly left: Float32Array;
	/** rank×cols. */
	readonly right: Float32Array;
	readonly rows: number;
	readonly cols: number;
	readonly rank: number;
}

/** Sum over the batch of ‖e − ReLU(u)·W‖², with its gradients in the shapes of `left` and `right`. */
export interface ReluGradients {
	readonly loss: number;
	readonly left: Float32Array;
	readonly right: Float32Array;
}

/** One number per row of a block each. */
export interface RowSums {
	readonly errors: Float32Array;
	readonly norms: Float32Array;
}

/** Products of the symmetric eigensolver, all in float64. Each is one call of the engine, for the call costs more than small products do. */
export interface EigenProducts {
	/** X·Xᵀ into `overlaps` (count×count), and (3X − XXᵀX)/2 into `next`, for X (count×size). */
	polarStep(rows: Float64Array, count: number, size: number, overlaps: Float64Array, next: Float64Array): Promise<void>;
	/** V·Vᵀ (group×group each) for groups of `group` successive rows of `rows`, one after the other. */
	groupOverlaps(rows: Float64Array, group: number, size: number): Promise<Float64Array>;
	/**
	 * Z·(I − V₁ᵀS₁V₁)·(I − V₂ᵀS₂V₂)⋯ into `out`, for Z (count×size), with V_i the groups of `group` successive rows of `reflectors` and S_i
	 * (group×group each) those of `couplings`.
	 */
	reflect(
		rows: Float64Array,
		reflectors: Float64Array,
		couplings: Float64Array,
		shape: { readonly count: number; readonly size: number; readonly group: number },
		out: Float64Array,
	): Promise<void>;
}

/** Arrays that are returned without having been passed in are valid until the next call. */
export interface DenseProducts extends EigenProducts {
	/** Computes a product into `out` (rows×columns), and returns it. Both factors and the result have one type. */
	multiply<A extends FloatArray>(a: A, b: A, shape: ProductShape, out: A): Promise<A>;
	/**
	 * gram += factor · (ΛX)ᵀ(ΛX) for the block X and Λ = diag(rowFactors), added up in float64.
	 * `gram` is cols×cols; only its lower triangle, diagonal included, need be filled.
	 * Adds nothing and returns false if the block's trace is outside {@link GRAM_RANGE}: the caller scales the block and calls again.
	 */
	addGram(block: GramBlock, gram: Float64Array, factor: number): Promise<boolean>;
	/**
	 * Squared norms of the rows of E − U·W into `errors`, and of E into `norms`, for a block E of the table (rows×columns),
	 * U (rows×inner) and W (inner×columns). Sums over a row are float32; where they leave its range, so they say.
	 */
	residuals(table: Float32Array, left: Float32Array, right: Float32Array, shape: ProductShape, into: RowSums): Promise<void>;
	/** Loss and gradients of the paper's reconstruction on one batch. */
	reluGradients(batch: ReluBatch): Promise<ReluGradients>;
	/** Frees the engine's sessions; nothing may be called afterwards. */
	close(): Promise<void>;
}
