// What `plan` finds: sizes, what they lose by the calibration, and how they would be coded; as an object and as text.
import type { Calibration, Side } from "../state.js";
import { formatBytes } from "./format.js";
import type { BlockReport, SidesReport } from "./report.js";
import { tableLines } from "./table.js";

/** One vocabulary at one size. */
export interface PlannedTable {
	readonly vocabulary: string;
	/** What it serves: lookups, projections, or both. */
	readonly side: Side;
	/** Columns that keep any bits in some block. */
	readonly rank: number;
	/** Stored bytes, everything included. */
	readonly bytes: number;
	/** Codes alone, in bits per number of the table. */
	readonly bitsPerNumber: number;
	/** Blocks of rows, the most important first. */
	readonly blocks: readonly BlockReport[];
}

/** How the sizes of a plan are made. */
export const OURS = "columns of different precision";

/** The whole table rounded by a plain quantizer, to compare with. */
export interface PlannedRival {
	readonly name: string;
	readonly vocabularyBytes: number;
	readonly fileBytes: number;
	/** As {@link PlannedSize.predictedLoss}. */
	readonly predictedLoss?: number;
}

/** What a model would be at one size. */
export interface PlannedSize {
	/** What was asked for, e.g. `ratio 8`. */
	readonly size: string;
	/** Why nothing can be made in it. */
	readonly reason?: string;
	/** Of all vocabularies, codes, scales and factors included. */
	readonly vocabularyBytes: number;
	/** Of all files, about: nodes and names are not counted. */
	readonly fileBytes: number;
	/** Nats per predicted token, to second order; undefined without text. */
	readonly predictedLoss?: number;
	/** What loses least in these bytes: `columns of different precision`, or the name of a rival; undefined without a prediction. */
	readonly recommended?: string;
	/** Time of the projections for one token, once the engine has decoded the table; undefined without projections. */
	readonly headMilliseconds?: number;
	readonly tables: readonly PlannedTable[];
	/** Tied vocabularies, where text told what each side weighs. Absent: there are none. */
	readonly sides?: readonly SidesReport[];
}

/** What `plan` found. */
export interface PlanReport {
	readonly version: number;
	readonly input: { readonly path: string; readonly bytes: number };
	/** As the original stores it. */
	readonly vocabularyBytes: number;
	/** Where the weights of rows and columns come from, and from how many predicted tokens. */
	readonly calibrated: { readonly source: Calibration["source"]; readonly tokens: number };
	/** Time of the original's projections for one token. */
	readonly headMilliseconds?: number;
	readonly sizes: readonly PlannedSize[];
	/** Plain quantizers, whatever size was asked for. */
	readonly rivals: readonly PlannedRival[];
}

const COLUMNS = ["size", "vocabulary", "files", "loss, nats", "head, ms", "rank", "bits", "blocks"] as const;

/** What `plan` prints. */
export function planText(report: PlanReport): string {
	const { input, vocabularyBytes, calibrated, headMilliseconds, sizes, rivals } = report;
	const cell = (value: number | undefined, digits: number) => (value === undefined ? "-" : value.toPrecision(digits));
	const original = ["original", formatBytes(vocabularyBytes), formatBytes(input.bytes), "", cell(headMilliseconds, 2), "", "", ""];
	const rows = sizes.map((size) =>
		size.reason !== undefined
			? [size.size, { content: size.reason, colSpan: COLUMNS.length - 1, hAlign: "left" as const }]
			: [
					size.size,
					formatBytes(size.vocabularyBytes),
					formatBytes(size.fileBytes),
					cell(size.predictedLoss, 2),
					cell(size.headMilliseconds, 2),
					size.tables.map(({ rank }) => rank).join(", "),
					size.tables.map(({ bitsPerNumber }) => bitsPerNumber.toFixed(2)).join(", "),
					size.tables.map(({ blocks }) => blocks.length).join(", "),
				],
	);
	const plain = rivals.map((rival) => [
		...[rival.name, formatBytes(rival.vocabularyBytes), formatBytes(rival.fileBytes), cell(rival.predictedLoss, 2)],
		...["", "", "", ""],
	]);
	const lines = tableLines([COLUMNS, original, ...rows, ...plain]);
	const source =
		calibrated.source === "id order"
			? "no text: tokens weigh by the order of their ids, and no loss can be predicted; give --data"
			: `calibrated on ${calibrated.tokens} predicted tokens (${calibrated.source}); the loss is a prediction to second order, without training`;
	const head = `${input.path}: ${formatBytes(input.bytes)}, vocabulary ${formatBytes(vocabularyBytes)}`;
	return [head, source, "", ...lines, ...sidesLines(sizes), ...recommendation(sizes)].join("\n");
}

function sidesLines(sizes: readonly PlannedSize[]): string[] {
	const lines = sizes.flatMap(({ size, sides = [] }) => sides.map(({ reason }) => `${size}: ${reason}`));
	return lines.length === 0 ? [] : ["", ...lines];
}

/** A line for each of what is recommended, with the sizes for which it is. */
function recommendation(sizes: readonly PlannedSize[]): string[] {
	const names = [...new Set(sizes.flatMap(({ recommended }) => recommended ?? []))];
	const lines = names.map((name) => {
		const where = sizes.filter(({ recommended }) => recommended === name).map(({ size }) => size);
		const how = name === OURS ? "--dtype mixed" : "a plain quantizer, which this tool is not";
		return `recommended for ${where.join(", ")}: ${name} (${how})`;
	});
	return lines.length === 0 ? [] : ["", ...lines];
}
