// Makes the report of a plan from what the passes found; measures how fast this machine multiplies by a table.
import { DistembError } from "./errors.js";
import { layoutOf, projectedNumbers } from "./linalg/coding.js";
import { PLAIN_GROUP } from "./linalg/plain.js";
import { OURS, type PlannedRival, type PlannedSize, type PlannedTable, type PlanReport } from "./report/plan.js";
import { blockReports, type InputFacts, REPORT_VERSION, sidesReports } from "./report/report.js";
import { engineProducts } from "./runtime/products.js";
import type { Calibrated, Coding, Side, SidesChoice, Vocabulary } from "./state.js";

interface Size {
	readonly rank?: number | undefined;
	readonly ratio?: number | undefined;
	readonly targetBytes?: number | undefined;
}

interface Tables {
	readonly groups: readonly {
		readonly vocabulary: Vocabulary;
		readonly side: Side;
		readonly rank: number;
		readonly coding: Coding | undefined;
		readonly bytes: number;
	}[];
	readonly sides: readonly SidesChoice[];
	readonly savedBytes: number;
}

/** What sizes are worked out from. */
export interface PlanSources {
	/** Of the projections. */
	readonly millisecondsPerNumber: number;
	/** Throws `refused` or `nothing-to-do` where a size cannot be had; the report then says why. */
	readonly tablesFor: (size: Size) => Tables;
	/** What plain quantizers make of each vocabulary; the same bits in all. */
	readonly plain: readonly (readonly { readonly bits: number; readonly bytes: number; readonly predictedLoss: number }[])[];
}

export function planReport(
	{ vocabularies, calibrations }: Calibrated,
	facts: InputFacts,
	{ millisecondsPerNumber, tablesFor, plain }: PlanSources,
	sizes: readonly Size[],
): PlanReport {
	if (vocabularies.length === 0) throw new DistembError("nothing-to-do", "no vocabulary was found", { hint: "see inspect" });
	const vocabularyBytes = vocabularies.reduce((sum, { bytes }) => sum + bytes, 0);
	const hasHead = vocabularies.some(({ projections }) => projections.length > 0);
	const timeOf = (numbers: number) => (hasHead ? { headMilliseconds: numbers * millisecondsPerNumber } : {});
	const [first] = calibrations;
	const rivals = rivalsOf(plain, vocabularyBytes, facts, first?.source !== undefined && first.source !== "id order");
	return {
		version: REPORT_VERSION,
		input: { path: facts.path, bytes: facts.bytes },
		vocabularyBytes,
		calibrated: { source: first?.source ?? "id order", tokens: first?.tokens ?? 0 },
		...timeOf(vocabularies.reduce((sum, vocabulary) => sum + headNumbers(vocabulary), 0)),
		rivals,
		sizes: sizes.map((size): PlannedSize => {
			const name = nameOf(size);
			try {
				const { groups, sides, savedBytes } = tablesFor(size);
				const projected = groups.filter(({ side }) => side !== "input");
				const losses = groups.map(({ coding }) => (coding?.calibrated === "id order" ? undefined : coding?.predictedLoss));
				const isPredicted = losses.every((loss) => loss !== undefined);
				const own = vocabularyBytes - savedBytes;
				const predictedLoss = losses.reduce<number>((sum, loss) => sum + (loss ?? 0), 0);
				const better = isPredicted ? betterThan(predictedLoss, rivals, limitOf(size, vocabularyBytes, own)) : undefined;
				return {
					size: name,
					vocabularyBytes: own,
					fileBytes: facts.bytes - savedBytes,
					...(isPredicted ? { predictedLoss, recommended: better?.name ?? OURS } : {}),
					...timeOf(projected.reduce((sum, { vocabulary, coding, rank }) => sum + headNumbers(vocabulary, coding, rank), 0)),
					tables: groups.flatMap(({ vocabulary, side, rank, coding, bytes }) =>
						coding === undefined ? [] : [{ ...tableReport(vocabulary, rank, coding, bytes), side }],
					),
					...(sides.length === 0 ? {} : { sides: sidesReports(sides) }),
				};
			} catch (error) {
				if (!(error instanceof DistembError && (error.code === "refused" || error.code === "nothing-to-do"))) throw error;
				const better = betterThan(Number.POSITIVE_INFINITY, rivals, limitOf(size, vocabularyBytes, 0));
				const recommended = better === undefined ? {} : { recommended: better.name };
				return { size: name, reason: error.message, ...recommended, vocabularyBytes, fileBytes: facts.bytes, tables: [] };
			}
		}),
	};
}

/** Less than this, in nats, a measurement on test text does not tell from nothing. */
const NOTICEABLE = 5e-4;

/** The plain table that fits and loses the least, if that is noticeably less than `loss`. */
function betterThan(loss: number, rivals: readonly PlannedRival[], limit: number): PlannedRival | undefined {
	const [best] = rivals
		.filter(({ vocabularyBytes, predictedLoss }) => vocabularyBytes <= limit && predictedLoss !== undefined)
		.sort((a, b) => (a.predictedLoss ?? 0) - (b.predictedLoss ?? 0));
	return best !== undefined && (best.predictedLoss ?? 0) < loss - NOTICEABLE ? best : undefined;
}

/** Bytes that the vocabulary may take at a size; `own`: those that ours takes, where it was asked for otherwise. */
function limitOf({ ratio }: Size, vocabularyBytes: number, own: number): number {
	return ratio === undefined ? own : Math.max(own, vocabularyBytes / ratio);
}

function rivalsOf(plain: PlanSources["plain"], vocabularyBytes: number, facts: InputFacts, isPredicted: boolean): PlannedRival[] {
	const [first = []] = plain;
	return first.map(({ bits }, index) => {
		const tables = plain.flatMap((tables) => tables[index] ?? []);
		const bytes = tables.reduce((sum, table) => sum + table.bytes, 0);
		const predictedLoss = tables.reduce((sum, table) => sum + table.predictedLoss, 0);
		return {
			name: `int${bits}, groups of ${PLAIN_GROUP}`,
			vocabularyBytes: bytes,
			fileBytes: facts.bytes - vocabularyBytes + bytes,
			...(isPredicted ? { predictedLoss } : {}),
		};
	});
}

function nameOf({ rank, ratio, targetBytes }: Size): string {
	if (ratio !== undefined) return `ratio ${ratio}`;
	return rank === undefined ? `${targetBytes} bytes` : `rank ${rank}`;
}

function tableReport({ name, table }: Vocabulary, rank: number, coding: Coding, bytes: number): Omit<PlannedTable, "side"> {
	const codes = layoutOf(coding.blocks, rank, coding.spacing).bytes;
	return { vocabulary: name, rank, bytes, bitsPerNumber: (8 * codes) / (table.rows * table.cols), blocks: blockReports(coding) };
}

/** Numbers that the projections multiply by for one token. */
function headNumbers({ table, projections }: Vocabulary, coding?: Coding, rank = 0): number {
	if (projections.length === 0) return 0;
	if (coding === undefined) return table.rows * table.cols;
	return projectedNumbers(layoutOf(coding.blocks, rank, coding.spacing), table.cols, coding.positions !== undefined);
}

/** Rows of the product that is timed at most, and how often. */
const TIMED = { rows: 16_384, rounds: 7 } as const;

/** Milliseconds that the engine takes for each number of a table that one row is multiplied by: the least of some rounds. */
export async function headSpeed(vocabularies: readonly Vocabulary[], threads: number): Promise<number> {
	const largest = vocabularies.map(({ table }) => table).sort((a, b) => b.rows * b.cols - a.rows * a.cols)[0];
	if (largest === undefined) return 0;
	const columns = Math.min(TIMED.rows, largest.rows);
	const products = engineProducts({ threads });
	try {
		const shape = { rows: 1, inner: largest.cols, columns, transposeB: true };
		const [hidden, table, out] = [new Float32Array(largest.cols), new Float32Array(largest.cols * columns), new Float32Array(columns)];
		let least = Number.POSITIVE_INFINITY;
		for (let round = 0; round < TIMED.rounds; round++) {
			const start = performance.now();
			await products.multiply(hidden, table, shape, out);
			least = Math.min(least, performance.now() - start);
		}
		return least / table.length;
	} finally {
		await products.close();
	}
}
