// A coded group as it is stored: rows of U as codes, W in halves or bytes, fitted again to what a runtime will read.
import type { CodedLayout } from "../../src/linalg/coding.js";
import type { DenseProducts } from "../../src/linalg/products.js";
import { leastSquares } from "../../src/linalg/refit.js";
import { readRight, type StoredRight, storeRight } from "../../src/linalg/right-factor.js";
import { type RoundedRows, Rounding } from "../../src/linalg/rounding.js";
import type { Coding, FactorGroup } from "../../src/state.js";
import { FactorSource } from "./encode.js";

export interface CodedGroup extends RoundedRows {
	readonly group: FactorGroup;
	readonly coding: Coding;
	readonly layout: CodedLayout;
	/** float16: for each kind of column, what each byte stands for. */
	readonly values: Uint16Array;
	/** W as stored, r×d. */
	readonly factor: StoredRight;
	/** W, as a runtime reads it. */
	readonly right: Float32Array;
}

export interface CodeOptions {
	/** Fit W to the table once U is rounded. Not after training, which fitted it to more than the table. */
	readonly refit: boolean;
	readonly products: DenseProducts;
	readonly signal: AbortSignal | undefined;
}

/** Encodes the float32 factors of a group. */
export async function encodeCoded(group: FactorGroup, coding: Coding, { refit, products, signal }: CodeOptions): Promise<CodedGroup> {
	const { rank } = group;
	const { table } = group.vocabulary;
	const source = new FactorSource(group);
	const start = source.right();
	const rounding = new Rounding(coding, rank, table.rows);
	const rounded = rounding.encode({ left: (from, to) => source.left(from, to), right: start }, signal);
	const { left } = rounded;
	const fitted = refit ? await leastSquares(table, { rank, left, rowWeights: coding.rowWeights }, products, signal) : undefined;
	// What is fitted to the decoded rows is over the gauge already.
	const factor = storeRight(fitted ?? start.map((value) => value / rounded.gauge), rank, coding.right);
	const { layout, values } = rounding;
	return { ...rounded, group, coding, layout, values, factor, right: readRight(factor) };
}
