// The report: what a run found, did and measured. The same object is the library's result and the command line's --json.

import { scopePath } from "../ir/walk.js";
import type { ReportedOption } from "../options.js";
import type { PassRecord } from "../pass.js";
import type { Coding, Distillation, Located, Quantized, Reconstruction, SidesChoice, Verified, Vocabulary } from "../state.js";
import type { CompareReport } from "./compare.js";
import type { DetailsReport } from "./details.js";
import type { GraphReport } from "./flow.js";

/** Raised when a field changes its meaning; additions do not raise it. */
export const REPORT_VERSION = 1;

/** A table of V rows and d columns, with its copies and all nodes that read it. */
export interface VocabularyReport {
	/** Name of the stored table. */
	readonly name: string;
	/** V */
	readonly rows: number;
	/** d */
	readonly cols: number;
	/** How the original stores it. */
	readonly stored: string;
	/** One table for lookups and projections, proved by equal bytes. */
	readonly tied: boolean;
	/** Stored bytes of all copies in all files. */
	readonly bytes: number;
	/** The table is itself a factor of this width already. */
	readonly alreadyRank?: number;
	readonly copies: readonly {
		readonly file: string;
		readonly tensor: string;
		readonly orientation: string;
		readonly bytes: number;
		readonly unused: boolean;
	}[];
	readonly lookups: readonly UseReport[];
	readonly projections: readonly UseReport[];
}

/** A node that reads the table. */
export interface UseReport {
	readonly file: string;
	/** `main`, or the path of the If, Loop or Scan body. */
	readonly scope: string;
	readonly node: string;
	readonly op: string;
	/** E1–E11 or P1–P10; see the README. */
	readonly pattern: string;
}

/** A candidate that is left alone. */
export interface RejectedReport {
	readonly file: string;
	readonly tensor: string;
	readonly dims: readonly number[];
	readonly bytes: number;
	readonly node: string;
	/** Why, in words. */
	readonly reason: string;
}

/** What `inspect` found. */
export interface InspectReport {
	readonly version: typeof REPORT_VERSION;
	readonly input: {
		readonly path: string;
		readonly bytes: number;
		readonly files: readonly { readonly name: string; readonly bytes: number }[];
	};
	readonly vocabularies: readonly VocabularyReport[];
	readonly rejected: readonly RejectedReport[];
	/** Bytes of all stored tensors: vocabularies, and everything else. */
	readonly bytes: { readonly vocabulary: number; readonly other: number };
	/** The nodes around each vocabulary, before and after. */
	readonly graph?: readonly GraphReport[];
}

/** A pair of factors: U (V×rank) and W (rank×d). */
export interface FactorReport {
	/** Name of the table that they replace. */
	readonly vocabulary: string;
	/** Lookups, projections, or both by one U. */
	readonly side: "both" | "input" | "output";
	readonly rank: number;
	readonly dtype: string;
	readonly ops: string;
	/** Stored bytes over all files, scales and codes included. */
	readonly bytes: number;
	/** ‖E − UW‖/‖E‖ of the factors as computed, and as stored. */
	readonly relativeError: number;
	readonly storedRelativeError: number;
	/** Relative error of the best matrix of this rank; not where rows differ in it. */
	readonly bestRelativeError?: number;
	/** Blocks of rows of columns with different precision, the most important first. */
	readonly blocks?: readonly BlockReport[];
	/** Nats per predicted token that they were predicted to cost, to second order, before any training; where text was seen. */
	readonly predictedLoss?: number;
	/** Relative error by the frequency of rows, where that is known. */
	readonly bins: readonly { readonly name: string; readonly rows: number; readonly relativeError: number }[];
}

/** How the sides of a tied vocabulary were coded, and why. */
export interface SidesReport {
	/** Name of the table. */
	readonly vocabulary: string;
	/** One coding for lookups and projections, or one for each. */
	readonly codings: "shared" | "separate";
	/** Nats per predicted token that it is predicted to cost, to second order. */
	readonly predictedLoss: number;
	/** Likewise of the other way in the same bytes; of separate codings at least. Absent: it does not fit. */
	readonly otherLoss?: number;
	/** The same in words. */
	readonly reason: string;
}

export function sidesReports(choices: readonly SidesChoice[]): SidesReport[] {
	return choices.map(({ vocabulary, bytes, predictedLoss, otherLoss, reason }) => ({
		vocabulary: vocabulary.name,
		codings: bytes.length === 1 ? "shared" : "separate",
		predictedLoss,
		...(otherLoss === undefined ? {} : { otherLoss }),
		reason,
	}));
}

/** Rows that are coded alike: how many columns are stored in how many bits. */
export interface BlockReport {
	readonly rows: number;
	/** `count` columns take `bits` bits a number; the rest is dropped. */
	readonly columns: readonly { readonly bits: number; readonly count: number }[];
}

export function blockReports({ blocks }: Coding): BlockReport[] {
	return blocks.map(({ rows, perByte }) => {
		const precisions = [...new Set(perByte)].filter((shared) => shared > 0).sort((a, b) => a - b);
		return { rows, columns: precisions.map((held) => ({ bits: 8 / held, count: perByte.filter((shared) => shared === held).length })) };
	});
}

/** Original and result of one file, run on inputs made from the graph's signature. */
export interface VerificationReport {
	readonly file: string;
	readonly ran: boolean;
	/** Why it was not run. */
	readonly reason?: string;
	/** A comparison for each output and kind of inputs: max |Δ|, that relative to the largest value, and for token scores KL in nats and the share of equal first choices, 0 to 1. */
	readonly outputs: readonly {
		readonly output: string;
		readonly inputs: string;
		readonly shape: readonly number[];
		readonly maxDifference: number;
		readonly relativeDifference: number;
		readonly kl?: number;
		readonly top1Agreement?: number;
	}[];
}

/** Original (teacher) and result (student) on the test part of the data, which nothing was fitted to or chosen by. */
export interface QualityReport extends Pick<CompareReport, "kind" | "data" | "tokens" | "states" | "translation" | "notes"> {
	/** The data is what the original wrote by itself. */
	readonly generated: boolean;
}

/** What `compile` found, did and measured. */
export interface CompileReport extends InspectReport {
	readonly tool: { readonly name: string; readonly version: string };
	/** What the caller asked for. */
	readonly options: Readonly<Record<string, ReportedOption>>;
	/** Undefined after a dry run. */
	readonly output?: { readonly path: string; readonly bytes: number; readonly files: readonly string[] };
	/** Stored bytes of weights that went away, counted in the files. After a dry run: those that would. */
	readonly savedBytes: number;
	/** The same, predicted from V, d, the rank and the precision alone. */
	readonly predictedSavedBytes: number;
	readonly factors: readonly FactorReport[];
	/** Tied vocabularies in columns of different precision, where text told what each side weighs. Absent: there are none. */
	readonly sides?: readonly SidesReport[];
	/** Absent: nothing was trained; the log of the pass says why. */
	readonly training?: Distillation;
	/** For each model file. */
	readonly verification: readonly VerificationReport[];
	/** Absent: there was no data to measure on. */
	readonly quality?: QualityReport;
	/** Only if an HTML report was asked for. */
	readonly details?: DetailsReport;
	/** What could not be done as well as usual, and why. */
	readonly warnings: readonly string[];
	/** In order, with the time of each and what it had to say. */
	readonly passes: readonly { readonly name: string; readonly milliseconds: number; readonly log: readonly string[] }[];
}

export interface InputFacts {
	readonly path: string;
	readonly bytes: number;
	/** Stored bytes of the original's weights. */
	readonly weightBytes: number;
}

/** Report of what `locate` found; to be made before the graph is rewritten. */
export function inspectReport(state: Located, input: InputFacts): InspectReport {
	const vocabulary = state.vocabularies.reduce((sum, { bytes }) => sum + bytes, 0);
	return {
		version: REPORT_VERSION,
		input: { path: input.path, bytes: input.bytes, files: state.files.map(({ name, bytes }) => ({ name, bytes })) },
		vocabularies: state.vocabularies.map(vocabularyReport),
		rejected: state.rejected,
		bytes: { vocabulary, other: input.weightBytes - vocabulary },
	};
}

function vocabularyReport(vocabulary: Vocabulary): VocabularyReport {
	const { table, copies } = vocabulary;
	return {
		name: vocabulary.name,
		rows: table.rows,
		cols: table.cols,
		stored: table.stored,
		tied: vocabulary.tied,
		bytes: vocabulary.bytes,
		...(vocabulary.alreadyRank === undefined ? {} : { alreadyRank: vocabulary.alreadyRank }),
		copies: copies.map(({ file, value, orientation, bytes, unused }) => ({
			file: file.name,
			tensor: value.name,
			orientation,
			bytes,
			unused,
		})),
		lookups: vocabulary.lookups.map(useReport),
		projections: vocabulary.projections.map(useReport),
	};
}

function useReport(use: Vocabulary["lookups"][number] | Vocabulary["projections"][number]): UseReport {
	return { file: use.file.name, scope: scopePath(use.graph), node: use.node.name, op: use.node.opType, pattern: use.pattern };
}

/** Factors of a finished conversion. */
export function factorReports(state: Quantized): FactorReport[] {
	return state.groups.flatMap((group) => {
		const reconstruction = state.reconstructions.find((other) => other.group === group);
		const quantization = state.quantizations.find((other) => other.group === group);
		if (reconstruction === undefined || quantization === undefined) return [];
		return [
			{
				vocabulary: group.vocabulary.name,
				side: group.side,
				rank: group.rank,
				dtype: quantization.dtype,
				ops: quantization.ops,
				bytes: quantization.bytes,
				relativeError: reconstruction.relativeError,
				storedRelativeError: quantization.relativeError,
				...(reconstruction.bestRelativeError === undefined ? {} : { bestRelativeError: reconstruction.bestRelativeError }),
				...(group.coding === undefined ? {} : { blocks: blockReports(group.coding) }),
				...predictionOf(group.coding, reconstruction),
				bins: reconstruction.bins,
			},
		];
	});
}

/** Of coded factors with their rounding; of others the calibration's. */
function predictionOf(coding: Coding | undefined, { predictedLoss }: Reconstruction): { predictedLoss?: number } {
	const predicted = coding === undefined || predictedLoss === undefined ? predictedLoss : coding.predictedLoss;
	return predicted === undefined ? {} : { predictedLoss: predicted };
}

export function verificationReports(state: Verified): VerificationReport[] {
	return state.verdicts.map(({ file, verdict }) => ({
		file,
		ran: verdict.ran,
		...(verdict.reason === undefined ? {} : { reason: verdict.reason }),
		outputs: verdict.comparisons.map((comparison) => ({
			output: comparison.output,
			inputs: comparison.inputs,
			shape: comparison.shape,
			maxDifference: comparison.maxDifference,
			relativeDifference: comparison.relativeDifference,
			...(comparison.kl === undefined ? {} : { kl: comparison.kl }),
			...(comparison.top1Agreement === undefined ? {} : { top1Agreement: comparison.top1Agreement }),
		})),
	}));
}

/** Times rounded to a tenth of a millisecond. */
export function passReports(records: readonly PassRecord[]): CompileReport["passes"] {
	return records.map(({ name, milliseconds, log }) => ({ name, milliseconds: Math.round(milliseconds * 10) / 10, log }));
}

export function warningsOf(records: readonly PassRecord[]): CompileReport["warnings"] {
	return [...new Set(records.flatMap(({ warnings }) => warnings))];
}
