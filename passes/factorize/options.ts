// What can be asked of the factorization.
import type { AskedStorage, Operators } from "../../src/storage.js";

/** One of them; all three count the parameters or bytes of the whole vocabulary. */
export interface Size {
	/** Columns of U. */
	readonly rank?: number | undefined;
	/** Stored bytes of each vocabulary divided by this. */
	readonly ratio?: number | undefined;
	/** Bytes of all files together, data files included; about: what the format itself needs is estimated. */
	readonly targetBytes?: number | undefined;
}

export interface FactorizeOptions {
	readonly size: Size;
	/** Rank of the lookups' side, instead of the one that `size` gives. */
	readonly inputRank?: number | undefined;
	/** Rank of the projections' side, likewise. */
	readonly outputRank?: number | undefined;
	/** How the factors will be stored; as the table is, if undefined. */
	readonly dtype?: AskedStorage | undefined;
	/** Most blocks of rows with bits of their own, for `dtype: "mixed"`. */
	readonly blocks?: number | "auto" | undefined;
	/** Rows of `dtype: "mixed"` weigh by this power of what second order says: lower is more for rare tokens. */
	readonly frequencyPower?: number | undefined;
	readonly ops: Operators;
	/** Factorize even where the factors take more bytes than the table. */
	readonly allowLarger: boolean;
	/** Nodes that were not recognised keep the table. */
	readonly keepOtherReaders: boolean;
	/** Bytes of the original's files, data files with their gaps included, for `targetBytes`; by default what the tensors take. */
	readonly fileBytes?: number | undefined;
}

/**
 * `frequencyPower`: second order understates what large errors cost, and the rarer a token, the larger its errors: p·(e^δ − 1 − δ) of a
 * logit that is wrong by δ is p·δ²/2 near 0 alone. KL at 32×, powers 1, 0.67 and 0.6: 0.355, 0.293 and 0.264 of a translator, 0.176, 0.132 and
 * 0.138 of a language model; at 16× 0.067, 0.044 and 0.046 of the translator.
 */
export const FACTORIZE_DEFAULTS = { ops: "standard", allowLarger: false, keepOtherReaders: false, frequencyPower: 0.67 } as const;
