// Facts about a vocabulary's rows: which are zero, and how often the data has them.
import { countTokens } from "../../src/data/data.js";
import { rowBlocks } from "../../src/linalg/rows.js";
import type { Table } from "../../src/state.js";
import type { Corpus } from "../../src/training/corpus.js";

/** Rows that are exactly zero: padding. */
export function zeroRows(table: Table): number[] {
	const found: number[] = [];
	for (const { start, end, values } of rowBlocks(table)) {
		for (let row = start; row < end; row++) {
			const own = values.subarray((row - start) * table.cols, (row - start + 1) * table.cols);
			if (own.every((element) => element === 0)) found.push(row);
		}
	}
	return found;
}

/** Tokens that are counted at most. */
const COUNTED = 2 ** 20;

/** Occurrences of each token id in the beginning of the training part. */
export async function tokenFrequency({ train, kind }: Corpus, rows: number): Promise<Float64Array> {
	const sequences = kind === "pairs" ? pairSides(train) : pieces(train);
	return await countTokens(limited(sequences, COUNTED), rows);
}

/** What a model of `corpus` is taught to predict, in the beginning of the training part: texts, or the targets of pairs. */
export function predictedTokens({ train, kind }: Corpus): AsyncGenerator<Int32Array> {
	return limited(kind === "pairs" ? targets(train) : pieces(train), COUNTED);
}

async function* targets(data: Extract<Corpus, { kind: "pairs" }>["train"]): AsyncGenerator<Int32Array> {
	for await (const { target } of data.read()) yield target;
}

async function* pieces(data: Extract<Corpus, { kind: "tokens" }>["train"]): AsyncGenerator<Int32Array> {
	for await (const { ids } of data.read()) yield ids;
}

async function* pairSides(data: Extract<Corpus, { kind: "pairs" }>["train"]): AsyncGenerator<Int32Array> {
	for await (const { source, target } of data.read()) {
		yield source;
		yield target;
	}
}

async function* limited(sequences: AsyncGenerator<Int32Array>, most: number): AsyncGenerator<Int32Array> {
	let seen = 0;
	for await (const ids of sequences) {
		yield ids;
		seen += ids.length;
		if (seen >= most) return;
	}
}
