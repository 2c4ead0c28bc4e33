// The report of `compare`: what was measured on the same data for both models. The library's result and the command line's --json.

/** Raised when a field changes its meaning; additions do not raise it. */
export const COMPARE_REPORT_VERSION = 1;

/** Causal and masked language models, encoders without a head, translators. */
export type ComparedKind = "causal" | "masked" | "encoder" | "translator";

/** One of the two models. */
export interface ComparedModel {
	readonly path: string;
	/** Model files used, and those of the folder that were not. */
	readonly files: readonly string[];
	readonly unused: readonly string[];
	/** Of all model files and their data files. */
	readonly bytes: number;
	/** It can write on, token by token. */
	readonly decodes: boolean;
	/** Decoding reads what earlier steps left; otherwise every step runs the whole prefix again. */
	readonly hasPast: boolean;
	/** Time the engine takes to open the graphs, files in the system's cache. */
	readonly loadMilliseconds?: number;
	/** Median at batch 1, the best of up to three processes: per decoded token; of models that do not decode, of one text divided by its tokens. */
	readonly millisecondsPerToken?: number;
	/** Peak resident memory of a process of its own that loads the model and runs it at batch 1, above that of the bare engine. */
	readonly peakBytes?: number;
}

/** Means over `positions` predicted tokens. */
export interface TokenScores {
	/** Predicted tokens. */
	readonly positions: number;
	/** exp of the mean nats. */
	readonly teacherPerplexity: number;
	readonly studentPerplexity: number;
	/** −ln p of the token that stands there, in nats. */
	readonly teacherNats: number;
	readonly studentNats: number;
	/** KL(teacher ‖ student) over the whole vocabulary, in nats. */
	readonly divergence: number;
	/** Share of positions at which both prefer the same token, 0 to 1. */
	readonly agreement: number;
}

/**
 * Tokens by their frequency: those that make up the first half of a text, the next 40 %, the last 10 %, and those that were not counted.
 */
export type BinName = "head" | "torso" | "tail" | "unseen";

export const BIN_NAMES = ["head", "torso", "tail", "unseen"] as const satisfies readonly BinName[];

/** Predictions of tokens, in all and by frequency. */
export interface TokensReport {
	readonly all: TokenScores;
	/** By the frequency of the token that stands there. Bins without positions are absent. */
	readonly bins: Readonly<Partial<Record<BinName, TokenScores>>>;
	/** What the bins were counted in. */
	readonly counts: string;
}

/** States of an encoder without a head, which predicts nothing. */
export interface StatesReport {
	/** Tokens whose states were compared. */
	readonly positions: number;
	/** ‖student − teacher‖ / ‖teacher‖ over all states. */
	readonly relativeError: number;
	/** Mean cosine of the angle between both states of a token. */
	readonly cosine: number;
}

/** Scores of one model's translations. */
export interface TranslationScoresReport {
	/** 0 to 100. */
	readonly bleu: number;
	/** chrF2, 0 to 100. */
	readonly chrf: number;
	/** Mean length of the translations, in tokens. */
	readonly length: number;
}

/** Translations of the same sources by both models, scored against references. */
export interface TranslationReport {
	/** Greedy, or how many beams, in words. */
	readonly decoding: string;
	readonly teacher: TranslationScoresReport;
	readonly student: TranslationScoresReport;
	/** Share of sentences that both translate to the same tokens, 0 to 1. */
	readonly identical: number;
	/** In sacreBLEU's notation. */
	readonly signatures: { readonly bleu: string; readonly chrf: string };
	/** Whether the references were text, or token ids that were decoded. */
	readonly references: "text" | "decoded";
}

/** What `compare` measured. */
export interface CompareReport {
	readonly version: typeof COMPARE_REPORT_VERSION;
	readonly tool: { readonly name: string; readonly version: string };
	readonly kind: ComparedKind;
	readonly teacher: ComparedModel;
	readonly student: ComparedModel;
	readonly data: {
		readonly files: readonly string[];
		/** What was predicted from what, in words. */
		readonly measured: string;
		/** The data holds more, or ends exactly where as much as was asked for had been read. */
		readonly limited: boolean;
	};
	/** Of models that predict tokens. */
	readonly tokens?: TokensReport;
	/** Of encoders without a head. */
	readonly states?: StatesReport;
	/** Of translators. */
	readonly translation?: TranslationReport;
	/** What could not be measured, and why. */
	readonly notes: readonly string[];
}
