// The rows nearest to those of a few frequent tokens, in the original's table and in the stored one.
import type { DenseProducts } from "../linalg/products.js";
import { rowBlocks } from "../linalg/rows.js";
import type { Known, Neighbour, NeighboursReport } from "../report/details.js";
import type { Vocabulary } from "../state.js";
import type { StoredGroup } from "./tables.js";
import type { NameOf } from "./token-names.js";

/** Tokens that are shown, and neighbours of each. */
const SHOWN = { tokens: 8, neighbours: 6 } as const;

/** Frequent tokens among which words are looked for: what people can judge. */
const TRIED = 400;

/** Letters of a word, at least. */
const WORD = /^\P{L}*\p{L}{3,}$/u;

/** How often each token occurs. */
export interface Counted {
	readonly counts: ArrayLike<number>;
	/** In what. */
	readonly from: string;
}

export async function neighboursOf(
	{ table }: Vocabulary,
	groups: readonly StoredGroup[],
	counted: Counted | undefined,
	nameOf: NameOf,
	products: DenseProducts,
	signal: AbortSignal | undefined,
): Promise<Known<NeighboursReport>> {
	const stored = groups.find(({ group }) => group.side !== "output") ?? groups[0];
	if (counted === undefined || counted.counts.length !== table.rows || stored === undefined)
		return { missing: "there was no text that says which tokens are frequent" };
	const chosen = frequentWords(counted.counts, nameOf);
	const { cols } = table;
	const nearest = [chosen.map(() => [] as Near[]), chosen.map(() => [] as Near[])] as const;
	const { rank } = stored.group;
	const product = async (start: number, end: number) => {
		const shape = { rows: end - start, inner: rank, columns: cols };
		return await products.multiply(stored.left(start, end), stored.right, shape, new Float32Array((end - start) * cols));
	};
	const wanted = [
		await rowsAt(chosen, cols, async (id) => table.read(id, id + 1)),
		await rowsAt(chosen, cols, (id) => product(id, id + 1)),
	];
	for (const { start, end, values } of rowBlocks(table, { signal })) {
		const blocks = [values, await product(start, end)];
		for (const [index, block] of blocks.entries()) {
			const queries = wanted[index] ?? new Float32Array(0);
			const shape = { rows: end - start, inner: cols, columns: chosen.length, transposeB: true };
			const dots = await products.multiply(block, queries, shape, new Float32Array((end - start) * chosen.length));
			keepNearest(nearest[index === 0 ? 0 : 1], { start, rows: end - start, block, dots, chosen });
		}
	}
	const named = (found: readonly Near[]): Neighbour[] => found.map(({ id, cosine }) => ({ ...nameOf(id), cosine }));
	const tokens = chosen.map((id, index) => ({
		...nameOf(id),
		before: named(nearest[0][index] ?? []),
		after: named(nearest[1][index] ?? []),
	}));
	return { known: { counts: counted.from, tokens } };
}

interface Near {
	readonly id: number;
	readonly cosine: number;
}

/** The most frequent tokens that are words; without names, or without words, the most frequent. */
function frequentWords(counts: ArrayLike<number>, nameOf: NameOf): number[] {
	const seen = Array.from({ length: counts.length }, (_, id) => id).filter((id) => (counts[id] ?? 0) > 0);
	const order = seen.sort((a, b) => (counts[b] ?? 0) - (counts[a] ?? 0) || a - b).slice(0, TRIED);
	const words = order.filter((id) => WORD.test(nameOf(id).text ?? ""));
	return (words.length > 0 ? words : order).slice(0, SHOWN.tokens);
}

/** Rows over their lengths. */
async function rowsAt(ids: readonly number[], cols: number, read: (id: number) => Promise<Float32Array>): Promise<Float32Array> {
	const rows = new Float32Array(ids.length * cols);
	for (const [index, id] of ids.entries()) {
		const row = await read(id);
		const length = Math.sqrt(row.reduce((sum, value) => sum + value * value, 0)) || 1;
		rows.set(
			row.map((value) => value / length),
			index * cols,
		);
	}
	return rows;
}

interface Block {
	readonly start: number;
	readonly rows: number;
	readonly block: Float32Array;
	/** Products with the chosen rows, rows × chosen. */
	readonly dots: Float32Array;
	readonly chosen: readonly number[];
}

function keepNearest(nearest: readonly Near[][], { start, rows, block, dots, chosen }: Block): void {
	const cols = block.length / rows;
	for (let row = 0; row < rows; row++) {
		let square = 0;
		for (let at = row * cols; at < (row + 1) * cols; at++) square += (block[at] as number) ** 2;
		if (square === 0) continue;
		for (const [index, own] of chosen.entries()) {
			const list = nearest[index] ?? [];
			const near = { id: start + row, cosine: (dots[row * chosen.length + index] ?? 0) / Math.sqrt(square) };
			if (near.id === own || (list.length === SHOWN.neighbours && near.cosine <= (list.at(-1)?.cosine ?? 0))) continue;
			const place = list.findIndex(({ cosine }) => cosine < near.cosine);
			list.splice(place < 0 ? list.length : place, 0, near);
			list.length = Math.min(list.length, SHOWN.neighbours);
		}
	}
}
