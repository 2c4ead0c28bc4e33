// The data that a model is calibrated and trained on, in three parts that share no text.
import type { Data, Pair, Piece } from "../data/data.js";

interface Parts<T> {
	/** What factors are fitted to. */
	readonly train: Data<T>;
	/** Chooses the best checkpoint and stops a plateau. */
	readonly validation: Data<T>;
	/** What the gates and the report measure; nothing is chosen by it. */
	readonly test: Data<T>;
}

/** What the files beside a model say about its special tokens. */
export interface SpecialTokens {
	readonly pad: number;
	/** Id before the first token of a translation. */
	readonly start: number;
	/** Stands for a hidden token of a masked language model. */
	readonly mask: number | undefined;
	/** Tokens that the model can read at once. */
	readonly context: number | undefined;
}

interface Origin {
	readonly special: SpecialTokens;
	/** The original model wrote it: no data was given. */
	readonly generated: boolean;
	/** For the report and the log: the files, or how it was generated. */
	readonly from: string;
}

/** Text of language models and encoders. */
export interface TokenCorpus extends Parts<Piece>, Origin {
	readonly kind: "tokens";
}

/** Sentences and their translations. */
export interface PairCorpus extends Parts<Pair>, Origin {
	readonly kind: "pairs";
}

export type Corpus = TokenCorpus | PairCorpus;
