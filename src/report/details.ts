// What only the HTML report shows, beside the figures of every run. Computed if that report is asked for.

/** Something that was found out, or why it was not. */
export type Known<T> = { readonly known: T } | { readonly missing: string };

/** What the HTML report shows beside the figures of every run. */
export interface DetailsReport {
	/** The command line that gives the same result. */
	readonly command: string;
	/** Version of Node.js. */
	readonly node: string;
	readonly threads: number;
	/** Stored bytes of all files, by what they hold. */
	readonly parts: readonly PartReport[];
	readonly tables: readonly TableDetails[];
	/** Greedy continuations or translations of the test part. */
	readonly samples: Known<SamplesReport>;
}

/** Stored bytes of a part of the model. */
export interface PartReport {
	readonly name: string;
	readonly before: number;
	readonly after: number;
}

/** Of one vocabulary. */
export interface TableDetails {
	readonly vocabulary: string;
	/** All singular values of the original's table, descending; absent beside `codings`. */
	readonly singularValues?: readonly number[];
	/** Where columns are stored with different precision, for each pair of factors; absent where all are stored alike. */
	readonly codings?: readonly CodingDetails[];
	readonly damage: Known<DamageReport>;
	readonly neighbours: Known<NeighboursReport>;
}

/** Bits of the columns of one pair of factors. */
export interface CodingDetails {
	readonly side: "both" | "input" | "output";
	/** Rows with the bits of each column, 0 where it is dropped; the most important rows first. */
	readonly blocks: readonly { readonly rows: number; readonly bits: readonly number[] }[];
}

/** A row of the vocabulary, for people. */
export interface TokenName {
	readonly id: number;
	/** As the tokenizer has it, a leading space as `␣`; absent without a tokenizer. */
	readonly text?: string;
}

/** The loss that the errors of the stored rows are predicted to cost, to second order, by the original's gradients and states. */
export interface DamageReport {
	/** Nats per predicted token, over all rows. */
	readonly total: number;
	/** The rows that cost most. */
	readonly worst: readonly (TokenName & {
		/** Nats per predicted token. */
		readonly loss: number;
		/** Reads per predicted token; absent where the table is only predicted from. */
		readonly frequency?: number;
		/** ‖e − ê‖/‖e‖ of the stored row. */
		readonly relativeError: number;
	})[];
}

/** Nearest rows of frequent tokens, by cosine. */
export interface NeighboursReport {
	/** What tokens were counted in to find frequent ones. */
	readonly counts: string;
	readonly tokens: readonly (TokenName & { readonly before: readonly Neighbour[]; readonly after: readonly Neighbour[] })[];
}

/** `cosine` is that of the angle between both rows. */
export type Neighbour = TokenName & { readonly cosine: number };

/** Texts by both models. */
export interface SamplesReport {
	/** How the texts were chosen and continued, in words. */
	readonly how: string;
	readonly samples: readonly SampleReport[];
}

/** One text by both models. */
export interface SampleReport {
	/** The text that is continued, or the source of a translation. */
	readonly input: string;
	/** What stands in the data. */
	readonly reference: string;
	readonly original: string;
	readonly result: string;
}
