// What became of each vocabulary's rows: its spectrum, the rows that cost most, neighbours of frequent tokens.
import { gramMatrix } from "../linalg/gram.js";
import type { DenseProducts } from "../linalg/products.js";
import { leadingEigen } from "../linalg/symmetric.js";
import type { PassContext } from "../pass.js";
import type { TableDetails } from "../report/details.js";
import { engineProducts } from "../runtime/products.js";
import type { Calibration, FactorGroup, Quantized, Vocabulary } from "../state.js";
import { damageOf } from "./damage.js";
import { type Counted, neighboursOf } from "./neighbours.js";
import type { NameOf } from "./token-names.js";

/** The factors of a group as a runtime reads them. */
export interface StoredGroup {
	readonly group: FactorGroup;
	/** Rows [start, end) of U. */
	left(start: number, end: number): Float32Array;
	/** W, r×d. */
	readonly right: Float32Array;
}

export interface TableFacts {
	readonly calibrations: readonly Calibration[];
	/** How often tokens occur, where no calibration says it. */
	readonly counted: Counted | undefined;
	readonly nameOf: NameOf;
}

/** Of every vocabulary that was rewritten; reads its table some times. */
export async function tableDetails({ quantizations }: Quantized, facts: TableFacts, context: PassContext): Promise<TableDetails[]> {
	const stored = quantizations.flatMap(({ group, factors }): StoredGroup[] => (factors === undefined ? [] : [{ group, ...factors }]));
	const vocabularies = [...new Set(stored.map(({ group }) => group.vocabulary))];
	const products = engineProducts({ threads: context.threads });
	try {
		const details: TableDetails[] = [];
		for (const [index, vocabulary] of vocabularies.entries()) {
			context.progress(index / vocabularies.length, vocabulary.name);
			const groups = stored.filter(({ group }) => group.vocabulary === vocabulary);
			details.push(await detailsOf(vocabulary, groups, facts, products, context.signal));
		}
		return details;
	} finally {
		await products.close();
	}
}

async function detailsOf(
	vocabulary: Vocabulary,
	groups: readonly StoredGroup[],
	{ calibrations, counted, nameOf }: TableFacts,
	products: DenseProducts,
	signal: AbortSignal | undefined,
): Promise<TableDetails> {
	const calibration = calibrations.find((each) => each.vocabulary === vocabulary);
	const codings = groups.flatMap(({ group: { side, coding } }) =>
		coding === undefined
			? []
			: [
					{
						side,
						blocks: coding.blocks.map(({ rows, perByte }) => ({
							rows,
							bits: Array.from(perByte, (shared) => (shared === 0 ? 0 : 8 / shared)),
						})),
					},
				],
	);
	return {
		vocabulary: vocabulary.name,
		...(codings.length > 0 ? { codings } : { singularValues: await singularValues(vocabulary, products, signal) }),
		damage: await damageOf(vocabulary, groups, calibration, nameOf, products, signal),
		neighbours: await neighboursOf(vocabulary, groups, countedFor(calibration) ?? counted, nameOf, products, signal),
	};
}

function countedFor(calibration: Calibration | undefined): Counted | undefined {
	const { frequency, source } = calibration ?? {};
	if (frequency === undefined || source === "id order") return undefined;
	return { counts: frequency, from: source === "data" ? "the training part of the data" : "what the original wrote" };
}

async function singularValues({ table }: Vocabulary, products: DenseProducts, signal: AbortSignal | undefined): Promise<number[]> {
	const gram = await gramMatrix(table, products, { signal });
	const { values } = await leadingEigen(gram, table.cols, 0, products);
	return Array.from(values.subarray(0, Math.min(table.rows, table.cols)), (value) => Math.sqrt(Math.max(0, value)));
}
