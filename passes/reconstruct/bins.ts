// Rows of a table in groups to report on: by how often tokens occur, or by id where nothing is known of that.
import { binOfRanges } from "../../src/linalg/error.js";
import { BINS, frequencyBins } from "../../src/metrics/bins.js";
import type { Calibration } from "../../src/state.js";

export interface RowBins {
	readonly names: readonly string[];
	/** Bin of each row, an index into `names`. */
	readonly ofRow: Int32Array;
}

/** Ends of the ranges of token ids, as parts of the vocabulary: byte-pair ids are close to frequency order. */
const ID_ENDS = [0.01, 0.1, 1] as const;

/** Head, torso, tail and unseen by reads at the lookups; of a table that is only predicted from, and without a calibration, ranges of ids. */
export function binsOf(rows: number, calibration: Calibration | undefined): RowBins {
	const { frequency, source } = calibration ?? {};
	if (frequency !== undefined && source !== "id order") return { names: BINS, ofRow: Int32Array.from(frequencyBins(frequency).ofToken) };
	const ends = ID_ENDS.map((part) => Math.ceil(part * rows));
	const names = ends.map((end, index) => `ids ${ends[index - 1] ?? 0} to ${end - 1}`);
	return { names, ofRow: binOfRanges(rows, ends) };
}
