// The rows whose errors are predicted to cost most.

import { ExpectedLoss, termsOf } from "../linalg/objective.js";
import type { DenseProducts } from "../linalg/products.js";
import { rowBlocks } from "../linalg/rows.js";
import type { DamageReport, Known } from "../report/details.js";
import type { Calibration, Vocabulary } from "../state.js";
import type { StoredGroup } from "./tables.js";
import type { NameOf } from "./token-names.js";

/** Rows that are shown. */
const SHOWN = 16;

export async function damageOf(
	{ table }: Vocabulary,
	groups: readonly StoredGroup[],
	calibration: Calibration | undefined,
	nameOf: NameOf,
	products: DenseProducts,
	signal: AbortSignal | undefined,
): Promise<Known<DamageReport>> {
	if (calibration === undefined) return { missing: "only --method distemb learns from text what an error of each row costs" };
	if (calibration.source === "id order") return { missing: "there was no text from which to learn what an error of each row costs" };
	const losses = new Float64Array(table.rows);
	const squares = { error: new Float64Array(table.rows), norm: new Float64Array(table.rows) };
	for (const { group, left, right } of groups) {
		const { rank, side } = group;
		const loss = await ExpectedLoss.of(table, termsOf(calibration, side), { rank, right }, products);
		for (const { start, end, values } of rowBlocks(table, { signal })) {
			const rows = left(start, end);
			await loss.add(start, end, values, rows);
			const shape = { rows: end - start, inner: rank, columns: table.cols };
			const sums = { errors: new Float32Array(end - start), norms: new Float32Array(end - start) };
			await products.residuals(values, rows, right, shape, sums);
			for (let row = start; row < end; row++) {
				squares.error[row] = (squares.error[row] ?? 0) + (sums.errors[row - start] ?? 0);
				squares.norm[row] = (squares.norm[row] ?? 0) + (sums.norms[row - start] ?? 0);
			}
		}
		for (const [row, value] of loss.rows.entries()) losses[row] = (losses[row] ?? 0) + value;
	}
	const { frequency } = calibration;
	const order = Array.from(losses.keys()).sort((a, b) => (losses[b] ?? 0) - (losses[a] ?? 0) || a - b);
	const worst = order.slice(0, SHOWN).map((id) => ({
		...nameOf(id),
		loss: losses[id] ?? 0,
		...(frequency === undefined ? {} : { frequency: frequency[id] ?? 0 }),
		relativeError: Math.sqrt((squares.error[id] ?? 0) / (squares.norm[id] || 1)),
	}));
	return { known: { total: losses.reduce((sum, loss) => sum + loss, 0), worst } };
}
