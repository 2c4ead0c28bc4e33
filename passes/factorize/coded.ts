// Groups of columns of different precision: for both sides of a tied vocabulary one, or one for each where that loses less.
import { DistembError } from "../../src/errors.js";
import type { SidesChoice } from "../../src/state.js";
import type { CodingSearch, PlannedCoding } from "./coding.js";
import { layout, type PlannedGroup, sidesOf } from "./layout.js";
import type { FactorizeOptions } from "./options.js";
import { divide, reasonOf } from "./sides.js";
import { factorBytes } from "./size.js";

export interface PlannedCodings {
	readonly groups: readonly PlannedGroup[];
	/** Where both ways were compared. */
	readonly sides: SidesChoice | undefined;
}

/** What a search can become a group of. */
interface Part extends Pick<PlannedGroup, "vocabulary" | "side" | "compute" | "files"> {
	readonly search: CodingSearch;
	/** Bytes that factors of the rank that was asked for would take, as the table is stored. */
	readonly fixed: number | undefined;
	readonly places: number;
}

/**
 * A group for each search, coded in the bytes of the budget; a rank stands for the bytes that factors of it would take as the table is
 * stored. A side without a rank of its own gets what the other leaves. With searches for both sides together and for each: what loses less.
 * @throws DistembError `refused` if nothing fits
 */
export function planCoded(searches: readonly CodingSearch[], budget: number | undefined, options: FactorizeOptions): PlannedCodings {
	const parts = searches.map((search): Part => {
		const { vocabulary, side } = search;
		const { rank } = sidesOf(vocabulary, options).find((own) => own.side === side) ?? {};
		const { shape, compute, files } = layout(vocabulary, side, { ...options, dtype: undefined });
		const limit = Math.min(vocabulary.table.rows, vocabulary.table.cols);
		const fixed = rank === undefined ? undefined : factorBytes(shape, Math.min(rank, limit));
		return { vocabulary, side, search, compute, files, fixed, places: shape.files.length };
	});
	const [shared, input, output] = (["both", "input", "output"] as const).map((side) => parts.find((part) => part.side === side));
	if (shared === undefined || input === undefined || output === undefined) return { groups: apportioned(parts, budget), sides: undefined };
	return compared(shared, input, output, Math.max(0, shared.fixed ?? budget ?? 0));
}

/** One coding for both sides, unless one for each loses less in the same bytes. */
function compared(shared: Part, input: Part, output: Part, bytes: number): PlannedCodings {
	const tied = shared.search.within(bytes / shared.places);
	const { split, least } = divide(bytes, input, output, tied?.coding.predictedLoss ?? Number.POSITIVE_INFINITY);
	if (split === undefined && tied === undefined) return { groups: apportioned([shared], bytes), sides: undefined };
	const groups = split === undefined ? apportioned([shared], bytes) : [groupOf(input, split.input), groupOf(output, split.output)];
	const otherLoss = split === undefined ? least : tied?.coding.predictedLoss;
	const choice = {
		vocabulary: shared.vocabulary,
		bytes: groups.map((group) => group.bytes),
		predictedLoss: groups.reduce((sum, { coding }) => sum + (coding?.predictedLoss ?? 0), 0),
		otherLoss: otherLoss === Number.POSITIVE_INFINITY ? undefined : otherLoss,
	};
	return { groups, sides: { ...choice, reason: reasonOf(choice) } };
}

function apportioned(parts: readonly Part[], budget: number | undefined): PlannedGroup[] {
	const free = (budget ?? 0) - parts.reduce((sum, { fixed = 0 }) => sum + fixed, 0);
	return parts.map((part) => {
		const { vocabulary, side, search, fixed, places } = part;
		const bytes = Math.max(0, fixed ?? free);
		const planned = search.within(bytes / places);
		if (planned !== undefined) return groupOf(part, planned);
		const what = parts.length === 1 ? "" : `, ${side}`;
		const hint = "give a smaller --ratio, a larger --rank or a larger --target-size";
		throw new DistembError("refused", `"${vocabulary.name}"${what} cannot be coded in ${Math.floor(bytes)} bytes`, { hint });
	});
}

function groupOf({ vocabulary, side, compute, files, places }: Part, { rank, coding, bytes }: PlannedCoding): PlannedGroup {
	return { vocabulary, side, rank, coding, compute, files, bytes: bytes * places };
}
