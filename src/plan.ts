// Makes the report of a plan from what the passes found; measures how fast this machine multiplies by a table.
import { DistembError } from "./errors.js";
import { layoutOf } from "./linalg/coding.js";
import type { PlannedSize, PlannedTable, PlanReport } from "./report/plan.js";
import { blockReports, type InputFacts, REPORT_VERSION } from "./report/report.js";
import { engineProducts } from "./runtime/products.js";
import type { Calibrated, Coding, Vocabulary } from "./state.js";

interface Size {
	readonly rank?: number | undefined;
	readonly ratio?: number | undefined;
	readonly targetBytes?: number | undefined;
}

interface Tables {
	readonly groups: readonly {
		readonly vocabulary: Vocabulary;
		readonly rank: number;
		readonly coding: Coding | undefined;
		readonly bytes: number;
	}[];
	readonly savedBytes: number;
}

/** `tablesFor` throws `refused` or `nothing-to-do` where a size cannot be had; the report then says why. */
export function planReport(
	{ vocabularies, calibrations }: Calibrated,
	facts: InputFacts,
	millisecondsPerNumber: number,
	tablesFor: (size: Size) => Tables,
	sizes: readonly Size[],
): PlanReport {
	if (vocabularies.length === 0) throw new DistembError("nothing-to-do", "no vocabulary was found", { hint: "see inspect" });
	const vocabularyBytes = vocabularies.reduce((sum, { bytes }) => sum + bytes, 0);
	const hasHead = vocabularies.some(({ projections }) => projections.length > 0);
	const timeOf = (numbers: number) => (hasHead ? { headMilliseconds: numbers * millisecondsPerNumber } : {});
	const [first] = calibrations;
	return {
		version: REPORT_VERSION,
		input: { path: facts.path, bytes: facts.bytes },
		vocabularyBytes,
		calibrated: { source: first?.source ?? "id order", tokens: first?.tokens ?? 0 },
		...timeOf(vocabularies.reduce((sum, vocabulary) => sum + headNumbers(vocabulary), 0)),
		sizes: sizes.map((size): PlannedSize => {
			const name = nameOf(size);
			try {
				const { groups, savedBytes } = tablesFor(size);
				const losses = groups.map(({ coding }) => (coding?.calibrated === "id order" ? undefined : coding?.predictedLoss));
				const isPredicted = losses.every((loss) => loss !== undefined);
				return {
					size: name,
					vocabularyBytes: vocabularyBytes - savedBytes,
					fileBytes: facts.bytes - savedBytes,
					...(isPredicted ? { predictedLoss: losses.reduce<number>((sum, loss) => sum + (loss ?? 0), 0) } : {}),
					...timeOf(groups.reduce((sum, { vocabulary, coding, rank }) => sum + headNumbers(vocabulary, coding, rank), 0)),
					tables: groups.flatMap(({ vocabulary, rank, coding, bytes }) =>
						coding === undefined ? [] : [tableReport(vocabulary, rank, coding, bytes)],
					),
				};
			} catch (error) {
				if (!(error instanceof DistembError && (error.code === "refused" || error.code === "nothing-to-do"))) throw error;
				return { size: name, reason: error.message, vocabularyBytes, fileBytes: facts.bytes, tables: [] };
			}
		}),
	};
}

function nameOf({ rank, ratio, targetBytes }: Size): string {
	if (ratio !== undefined) return `ratio ${ratio}`;
	return rank === undefined ? `${targetBytes} bytes` : `rank ${rank}`;
}

function tableReport({ name, table }: Vocabulary, rank: number, coding: Coding, bytes: number): PlannedTable {
	const codes = layoutOf(coding.blocks, rank).bytes;
	return { vocabulary: name, rank, bytes, bitsPerNumber: (8 * codes) / (table.rows * table.cols), blocks: blockReports(coding) };
}

/** Numbers that the projections multiply by for one token. */
function headNumbers({ table, projections }: Vocabulary, coding?: Coding, rank = 0): number {
	if (projections.length === 0) return 0;
	if (coding === undefined) return table.rows * table.cols;
	const { blocks } = layoutOf(coding.blocks, rank);
	return blocks.reduce((sum, block) => sum + block.rows * block.rank, table.cols * rank);
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
