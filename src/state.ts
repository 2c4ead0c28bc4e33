// What is known after each pass: Loaded → Located → Calibrated → Factorized → Reconstructed → Distilled → Quantized → Verified. Types only.
import type { DType } from "./ir/dtype.js";
import type { Attribute, Graph, Model, Node, Value } from "./ir/graph.js";
import type { Tensor } from "./ir/tensor.js";
import type { CodedBlock } from "./linalg/allocate.js";
import type { Basis } from "./linalg/basis.js";
import type { Spacing } from "./linalg/levels.js";
import type { RightForm } from "./linalg/right-factor.js";

// --- Loaded ----------------------------------------------------------------

/** One .onnx file of the model. */
export interface ModelFile {
	/** Path relative to the model's folder (the file's own name for a single file). */
	readonly name: string;
	/** Absolute path of the original. */
	readonly path: string;
	readonly model: Model;
	/** Bytes of the .onnx file itself. */
	readonly bytes: number;
}

export interface Loaded {
	/** A single file, or a folder of files that belong to one model. */
	readonly kind: "file" | "directory";
	/** Absolute path of the input. */
	readonly path: string;
	readonly files: readonly ModelFile[];
}

// --- Located ---------------------------------------------------------------

/** Patterns of lookups (E) and projections (P); the README's table of patterns describes each. */
export type LookupPattern = "E1" | "E2" | "E3" | "E4" | "E5" | "E6" | "E7" | "E8" | "E9" | "E10" | "E11";
export type ProjectionPattern = "P1" | "P2" | "P3" | "P4" | "P5" | "P6" | "P7" | "P8" | "P9" | "P10";

/**
 * The contents of a vocabulary table as float32 rows, whatever the file stores
 * (transposed, float16, bfloat16, 8-bit or packed 4-bit integers with scales): V rows of d numbers.
 */
export interface Table {
	/** Vocabulary size V. */
	readonly rows: number;
	/** Hidden size d. */
	readonly cols: number;
	/** How the numbers are stored; decides the default precision of the factors. */
	readonly stored: DType;
	/** Hash of the float32 contents, V×d row-major; equal tables have equal hashes, also across files and orientations. */
	readonly hash: string;
	/** Rows [start, end) as row-major float32; the array may be reused by the next call. */
	read(start: number, end: number): Float32Array;
}

/** A stored copy of a table: the constant that holds the bytes. */
export interface StoredCopy {
	readonly file: ModelFile;
	/** The initializer, or the output of the Constant node, that holds the table's bytes. */
	readonly value: Value;
	/** Its tensors: the table itself, and scales and zero points where it is quantized. */
	readonly tensors: readonly Tensor[];
	/** VxD, or DxV for a transposed copy. */
	readonly orientation: "VxD" | "DxV";
	/** Stored bytes, scales and zero points included. */
	readonly bytes: number;
	/** Nobody reads it; it goes with the others. */
	readonly unused: boolean;
}

/** A place where token ids become rows of the table. */
export interface Lookup {
	readonly pattern: LookupPattern;
	readonly file: ModelFile;
	/** Scope of the lookup. */
	readonly graph: Graph;
	/** The Gather (or MatMul of a one-hot, GatherND, GatherBlockQuantized, EmbedLayerNormalization …) itself. */
	readonly node: Node;
	/** Integer ids of any shape, as the lookup reads them. For `E6` the input_ids. */
	readonly ids: Value;
	/** The rows: ids' shape + [d]. For `E4` the output of the DequantizeLinear. For `E6` undefined: unfuse first. */
	readonly output: Value | undefined;
	/** Float type of the rows. */
	readonly dtype: DType;
	/** The scope that owns the table; factors go there. */
	readonly owner: Graph;
}

/** A place where hidden states become logits: output = alpha · op(hidden) · Eᵀ (+ beta · bias). */
export interface Projection {
	readonly pattern: ProjectionPattern;
	readonly file: ModelFile;
	readonly graph: Graph;
	/** The MatMul, Gemm, Einsum, MatMulNBits, MatMulInteger … itself. */
	readonly node: Node;
	/** Float hidden states [.., d] (for `P6` the input of DynamicQuantizeLinear). */
	readonly hidden: Value;
	/** The value with the logits [.., V] that the new nodes define in its place. */
	readonly output: Value;
	/** Float type of hidden and output. */
	readonly dtype: DType;
	/** Rank of `hidden` where it is known for certain (2 for Gemm). */
	readonly hiddenRank: number | undefined;
	/** Factor on the product (FusedMatMul's and Gemm's alpha), 1 by default. */
	readonly alpha: number;
	/** Present for Gemm and FusedGemm. */
	readonly gemm: GemmForm | undefined;
	/** A bias inside the node (MatMulNBits' sixth input): added to the last axis. */
	readonly bias: Value | undefined;
	/** The scope that owns the table; factors go there. */
	readonly owner: Graph;
}

export interface GemmForm {
	readonly transA: boolean;
	/** The third input. */
	readonly c: Value | undefined;
	readonly beta: number;
	/** FusedGemm's activation attributes, kept on the last Gemm. */
	readonly activation: ReadonlyMap<string, Attribute> | undefined;
}

/** One table with all its uses, over all files of the model. */
export interface Vocabulary {
	/** For messages: the name of the first stored copy. */
	readonly name: string;
	readonly table: Table;
	readonly copies: readonly StoredCopy[];
	readonly lookups: readonly Lookup[];
	readonly projections: readonly Projection[];
	/** Both lookups and projections read it. */
	readonly tied: boolean;
	/** Stored bytes of all copies. */
	readonly bytes: number;
	/** Rows already multiplied out of a smaller table: Gather[V,e] → MatMul[e,d] (E10). */
	readonly alreadyRank: number | undefined;
}

/** A constant matrix that looked like a vocabulary and is none, or not one that may be rewritten. */
export interface Rejected {
	readonly file: string;
	/** Name of the stored tensor. */
	readonly tensor: string;
	readonly dims: readonly number[];
	readonly bytes: number;
	/** The node that reads it, by its label. */
	readonly node: string;
	/** One sentence. */
	readonly reason: string;
}

export interface Located extends Loaded {
	readonly vocabularies: readonly Vocabulary[];
	readonly rejected: readonly Rejected[];
}

// --- Calibrated ------------------------------------------------------------

/**
 * What data tells about a table, math.md §3: the expected loss in nats per predicted token of an error Δ of its rows is about
 * ½ Σᵢ Δᵢ (qᵢ M + Dᵢ C) Δᵢᵀ. A vocabulary without lookups has no q and M, one without projections no D and C.
 */
export interface Calibration {
	readonly vocabulary: Vocabulary;
	/** q: reads of each row by all lookups together, per predicted token, [V]. */
	readonly frequency: Float64Array | undefined;
	/** Tokens that q was counted over: the training part's, more than the moments are means over. */
	readonly counted: number;
	/** M: second moment of the loss's gradient at the lookups' outputs, labels sampled from the model; d×d row-major. Undefined beside q: I. */
	readonly gradientMoment: Float64Array | undefined;
	/** D: E[p(1 − p)] of each row's probability at the projections, [V]. */
	readonly spread: Float64Array | undefined;
	/** C: second moment of the hidden states that meet the projections, d×d row-major. Undefined beside D: I. */
	readonly hiddenMoment: Float64Array | undefined;
	/** Predicted tokens that these are means over; 0 for `id order`. */
	readonly tokens: number;
	/** `id order`: neither data nor generated text; weights fall with the id, M = C = I. */
	readonly source: "data" | "generated" | "id order";
}

export interface Calibrated extends Located {
	/** One per vocabulary; empty where the method does not ask for it. */
	readonly calibrations: readonly Calibration[];
}

// --- Factorized ------------------------------------------------------------

/** How the numbers of U will be stored where neither all rows nor all columns have the same precision. */
export interface Coding {
	/** Place of each row: the blocks of important rows first, in a block by ids; undefined: their own order. */
	readonly positions: Uint32Array | undefined;
	/** Blocks of consecutive places, with the precision of each column. */
	readonly blocks: readonly CodedBlock[];
	/** How the values lie; `equal`: the projections multiply by codes, in onnxruntime's operators. */
	readonly spacing: Spacing;
	/** U = E·right, E ≈ U·factor, for all d columns. */
	readonly basis: Basis;
	/** How W is stored. */
	readonly right: RightForm;
	/** Weight of each row, by id. */
	readonly rowWeights: Float32Array;
	/** Loss in nats per predicted token that was predicted from the calibration, and what it is predicted from. */
	readonly predictedLoss: number;
	readonly calibrated: Calibration["source"] | undefined;
}

/** An initializer that holds (or will hold) one factor, in one file. */
export interface FactorValue {
	readonly file: ModelFile;
	readonly value: Value;
	/**
	 * left: U [V, r]; right: W [r, d]; leftT: Uᵀ [r, V]; rightT: Wᵀ [d, r]. E ≈ U·W.
	 * All are float placeholders without data until `reconstruct` has run.
	 */
	readonly role: "left" | "right" | "leftT" | "rightT";
}

/** Which sides one pair of factors serves. */
export type Side = "both" | "input" | "output";

/** One pair of factors: a tied vocabulary has one, an untied side its own. */
export interface FactorGroup {
	readonly vocabulary: Vocabulary;
	readonly side: Side;
	/** The rank asked for (columns of U), before any padding. */
	readonly rank: number;
	readonly values: readonly FactorValue[];
	/** Rows and columns of different precision; `rank` is the largest number of columns that a row has. Undefined: all alike. */
	readonly coding: Coding | undefined;
	/** Float type at the boundary: that of the lookup's rows and of the hidden states. */
	readonly dtype: DType;
}

/** How the sides of a tied vocabulary are coded, and what the other way would lose in the same bytes. */
export interface SidesChoice {
	readonly vocabulary: Vocabulary;
	/** Stored bytes of each coding: one for both sides, or the lookups' and the projections'. */
	readonly bytes: readonly number[];
	/** Nats per predicted token. */
	readonly predictedLoss: number;
	/** Likewise of the other way; of codings for each side at least. Undefined: it does not fit. */
	readonly otherLoss: number | undefined;
	/** The same in words. */
	readonly reason: string;
}

export interface Factorized extends Located {
	readonly groups: readonly FactorGroup[];
	/** Of each vocabulary whose sides could be coded both ways and were compared. */
	readonly sides: readonly SidesChoice[];
	/** Stored bytes of the tables that go away less those of their factors, from V, d, ranks and precision alone. */
	readonly predictedSavedBytes: number;
}

// --- Reconstructed ---------------------------------------------------------

export interface Reconstruction {
	readonly group: FactorGroup;
	readonly method: "distemb" | "svd" | "paper";
	/** ‖E − UW‖ / ‖E‖ (Frobenius) of the float32 factors. */
	readonly relativeError: number;
	/** Relative error of the best matrix of this rank, for comparison; undefined where rows differ in rank. */
	readonly bestRelativeError: number | undefined;
	/** ½ Σᵢ Δᵢ (qᵢ M + Dᵢ C) Δᵢᵀ, nats per predicted token; where text was seen. */
	readonly predictedLoss: number | undefined;
	/** Relative error per token-frequency bin, where weights are known. */
	readonly bins: readonly { readonly name: string; readonly rows: number; readonly relativeError: number }[];
	/** Leading singular values of the table. */
	readonly singularValues: readonly number[];
}

export interface Reconstructed extends Factorized {
	readonly reconstructions: readonly Reconstruction[];
}

// --- Distilled -------------------------------------------------------------

/** The trained model at one moment. */
export interface CurvePoint {
	readonly phase: "head" | "factors" | "all";
	/** Steps done in all phases. */
	readonly step: number;
	/** Since training began. */
	readonly seconds: number;
	/** Mean training loss since the point before, as minimised. */
	readonly loss: number;
	/**
	 * Mean on the validation part, where it was measured: KL(original ‖ student) in nats per predicted token; where the loss has
	 * cross-entropy (as the paper's method), that, or the mean of both by their weights; of encoders the squared difference of states as a
	 * share of their square.
	 */
	readonly validation: number | undefined;
	/** Learning rate. */
	readonly rate: number;
}

/** A training: its curve, and why it ended. */
export interface Distillation {
	/** What {@link CurvePoint.validation} is. */
	readonly measures: "divergence" | "crossEntropy" | "both" | "states";
	/** The first is the untrained student. */
	readonly curve: readonly CurvePoint[];
	/** Steps after which the factors are as they were kept. */
	readonly best: { readonly step: number; readonly validation: number };
	readonly stopped: "steps" | "minutes" | "plateau" | "diverged";
	/** Times that training went back to the best checkpoint at half the rate. */
	readonly rollbacks: number;
	/** Training tokens seen. */
	readonly tokens: number;
	/** Names of the trained tensors. */
	readonly trained: readonly string[];
	/** What could not be trained and why: operators without a gradient. */
	readonly untrained: readonly string[];
}

export interface Distilled extends Reconstructed {
	/** Undefined: nothing was trained; the pass log says why. */
	readonly distillation: Distillation | undefined;
}

// --- Quantized -------------------------------------------------------------

export interface Quantization {
	readonly group: FactorGroup;
	readonly dtype: "float32" | "float16" | "bfloat16" | "int8" | "mixed";
	readonly ops: "standard" | "onnxruntime";
	/** Stored bytes of this group's factors over all files, scales included, each shared tensor of a file once. */
	readonly bytes: number;
	/** Relative error of the stored factors' product, after rounding. */
	readonly relativeError: number;
	/** The factors as a runtime reads them: rows [start, end) of U, and W, r×d. Only if asked for: they hold memory. */
	readonly factors: { left(start: number, end: number): Float32Array; readonly right: Float32Array } | undefined;
}

export interface Quantized extends Reconstructed {
	readonly quantizations: readonly Quantization[];
}

// --- Verified --------------------------------------------------------------

/** Comparison of one output of one file on one set of inputs. */
export interface OutputComparison {
	readonly file: string;
	readonly output: string;
	/** How the inputs were made, e.g. "ids, empty past". */
	readonly inputs: string;
	readonly shape: readonly number[];
	/** max |a − b| */
	readonly maxDifference: number;
	/** max |a − b| / max |a| */
	readonly relativeDifference: number;
	/** Mean KL(original ‖ result) in nats over positions; only for outputs whose last axis is the vocabulary. */
	readonly kl: number | undefined;
	/** Share of positions with the same most likely token; likewise. */
	readonly top1Agreement: number | undefined;
}

export interface Verdict {
	/** False: the engine could not run the original, for `reason`. */
	readonly ran: boolean;
	readonly reason: string | undefined;
	readonly comparisons: readonly OutputComparison[];
}

export interface Verified extends Quantized {
	readonly verdicts: readonly { readonly file: string; readonly verdict: Verdict }[];
}
