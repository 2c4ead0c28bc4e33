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
	readonly ops: Operators;
	/** Factorize even where the factors take more bytes than the table. */
	readonly allowLarger: boolean;
	/** Nodes that were not recognised keep the table. */
	readonly keepOtherReaders: boolean;
	/** Bytes of the original's files, data files with their gaps included, for `targetBytes`; by default what the tensors take. */
	readonly fileBytes?: number | undefined;
}

export const FACTORIZE_DEFAULTS = { ops: "standard", allowLarger: false, keepOtherReaders: false } as const;
