// Whether lookups and projections of a table share one coding, or the bytes are divided between one for each.
import { formatBytes } from "../../src/report/format.js";
import type { Calibration, Side, SidesChoice, Vocabulary } from "../../src/state.js";
import type { CodingSearch, PlannedCoding } from "./coding.js";
import type { FactorizeOptions } from "./options.js";

/** Codings of one side, and how many places store the one that is chosen. */
export interface StoredSearch {
	readonly search: Pick<CodingSearch, "within">;
	readonly places: number;
}

/**
 * Sides whose codings of their own are compared with the shared one: both or none. Their losses add up to what a shared coding is predicted to
 * lose (nats per predicted token by each side's weights and moment) only where text told the moments of both; and who asks for ranks has decided.
 */
export function comparedSides(vocabulary: Vocabulary, options: FactorizeOptions, calibration: Calibration | undefined): readonly Side[] {
	const { lookups, projections } = vocabulary;
	const isTied = lookups.length > 0 && projections.length > 0;
	const isMeasured = calibration?.gradientMoment !== undefined && calibration.hiddenMoment !== undefined;
	const isAsked = options.inputRank !== undefined || options.outputRank !== undefined;
	return isTied && isMeasured && calibration.source !== "id order" && !isAsked ? ["input", "output"] : [];
}

export interface Split {
	readonly input: PlannedCoding;
	readonly output: PlannedCoding;
	readonly loss: number;
}

/** Splits are tried down to this part of the bytes: near the best one the sum of the losses hardly changes. */
const FINEST = 1 / 32;

/**
 * Divides `budget` bytes between lookups and projections so that the sum of their losses is least, where a byte more buys the same on both sides.
 * `split` is undefined if no division loses less than `most`; then every one loses at least `least`.
 *
 * Branch and bound: losses fall as bytes rise, so a split that gives the lookups between `low` and `high` loses no less than `high` for them
 * and budget − low for the projections would. Where a shared coding wins clearly, four codings show it.
 */
export function divide(
	budget: number,
	input: StoredSearch,
	output: StoredSearch,
	most: number,
): { split: Split | undefined; least: number } {
	const [inputLoss, outputLoss] = [lossesOf(input), lossesOf(output)];
	let best: { loss: number; bytes: number | undefined } = { loss: most, bytes: undefined };
	let least = Number.POSITIVE_INFINITY;
	const open = [{ low: 0, high: budget }];
	for (let part = open.pop(); part !== undefined; part = open.pop()) {
		const { low, high } = part;
		const bound = inputLoss(high) + outputLoss(budget - low);
		if (bound >= best.loss || high - low <= budget * FINEST) {
			least = Math.min(least, Math.max(bound, best.loss));
			continue;
		}
		const bytes = (low + high) / 2;
		const loss = inputLoss(bytes) + outputLoss(budget - bytes);
		if (loss < best.loss) best = { loss, bytes };
		open.push({ low, high: bytes }, { low: bytes, high });
	}
	return { split: best.bytes === undefined ? undefined : splitAt(best.bytes, budget, input, output), least };
}

function lossesOf({ search, places }: StoredSearch): (bytes: number) => number {
	const known = new Map<number, number>();
	return (bytes) => {
		const loss = known.get(bytes) ?? search.within(bytes / places)?.coding.predictedLoss ?? Number.POSITIVE_INFINITY;
		known.set(bytes, loss);
		return loss;
	};
}

/** What the lookups leave of their part goes to the projections. */
function splitAt(bytes: number, budget: number, input: StoredSearch, output: StoredSearch): Split | undefined {
	const first = input.search.within(bytes / input.places);
	const second = first && output.search.within((budget - first.bytes * input.places) / output.places);
	if (first === undefined || second === undefined) return undefined;
	return { input: first, output: second, loss: first.coding.predictedLoss + second.coding.predictedLoss };
}

/** Why a vocabulary is coded as it is, in one line. */
export function reasonOf({ vocabulary, bytes, predictedLoss, otherLoss }: Omit<SidesChoice, "reason">): string {
	const nats = (loss: number) => loss.toPrecision(2);
	const isShared = bytes.length === 1;
	const [first = 0, second = 0] = bytes;
	const own = isShared
		? `one coding for both sides: ${nats(predictedLoss)} nats predicted in ${formatBytes(first)}`
		: `a coding for each side: ${nats(predictedLoss)} nats predicted, lookups in ${formatBytes(first)}, projections in ${formatBytes(second)}`;
	const [other, lost] = isShared ? ["one for each", "lose at least"] : ["one for both", "lose"];
	const why = otherLoss === undefined ? `${other} would not fit` : `${other} would ${lost} ${nats(otherLoss)}`;
	return `"${vocabulary.name}": ${own}; ${why}`;
}
