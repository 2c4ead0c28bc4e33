// Random disguises of a vocabulary, and what is true of each: how often it is looked up and projected, and whether it may be rewritten.
import fc from "fast-check";

export const STORES = ["plain", "turned", "constant", "half", "quantized"] as const;
export const ALIASES = ["identity", "there and back", "reshape", "cast"] as const;
export const LOOKUPS = ["gather", "gatherND", "one-hot", "if", "loop", "function", "function with a copy"] as const;
export const HEADS = ["none", "same", "turned copy", "copy", "half copy", "another"] as const;
export const PRODUCTS = ["matmul", "gemm", "einsum", "if", "function"] as const;
export const ENDINGS = ["bias", "scale", "cap", "log-softmax", "half"] as const;
export const READERS = ["none", "dead", "reduce", "reduce an alias", "slice", "branch", "output", "overridable", "not a number"] as const;

export interface Disguise {
	readonly rows: number;
	readonly cols: number;
	/** How the table is stored, and what stands between that and its readers. */
	readonly store: (typeof STORES)[number];
	readonly aliases: readonly (typeof ALIASES)[number][];
	readonly lookup: (typeof LOOKUPS)[number];
	/** Ids of a second input are looked up too. */
	readonly twice: boolean;
	/** Lookups read the table with a row of zeros. */
	readonly masked: boolean;
	/** Rows are multiplied by a number. */
	readonly scaled: boolean;
	/** A second, smaller table is added. */
	readonly positions: boolean;
	/** Whose table the head is: the lookups', a copy of it, another. */
	readonly head: (typeof HEADS)[number];
	readonly product: (typeof PRODUCTS)[number];
	readonly endings: readonly (typeof ENDINGS)[number][];
	/** Scores for the rows as they were looked up, besides those for the hidden states. */
	readonly twoHeads: boolean;
	/** Who else reads the table, or what is wrong with it. */
	readonly reader: (typeof READERS)[number];
	readonly keepOtherReaders: boolean;
	/** Of all numbers. */
	readonly seed: number;
}

/** Shrinks towards a Gather on an initializer, with nothing else. */
export const disguises: fc.Arbitrary<Disguise> = fc
	.record({
		rows: fc.integer({ min: 16, max: 48 }),
		cols: fc.integer({ min: 3, max: 6 }),
		store: fc.constantFrom(...STORES),
		aliases: fc.array(fc.constantFrom(...ALIASES), { maxLength: 2 }),
		lookup: fc.constantFrom(...LOOKUPS),
		twice: fc.boolean(),
		masked: rarely(),
		scaled: fc.boolean(),
		positions: fc.boolean(),
		head: fc.constantFrom(...HEADS),
		product: fc.constantFrom(...PRODUCTS),
		endings: fc.array(fc.constantFrom(...ENDINGS), { maxLength: 2 }),
		twoHeads: rarely(),
		reader: fc.oneof({ weight: 3, arbitrary: fc.constant("none" as const) }, { weight: 2, arbitrary: fc.constantFrom(...READERS) }),
		keepOtherReaders: rarely(),
		seed: fc.integer({ min: 0, max: 1000 }),
	})
	.map(sound);

/** What is wrong with the stored table, or masked, is not so in a function's copy of it: leaves that out there. */
function sound(disguise: Disguise): Disguise {
	if (disguise.lookup !== "function with a copy") return disguise;
	return { ...disguise, masked: false, reader: disguise.reader === "not a number" ? "none" : disguise.reader };
}

function rarely(): fc.Arbitrary<boolean> {
	return fc.nat(3).map((number) => number === 3);
}

export type Expected = "rewrite" | "refused" | "input";

export interface Truth {
	readonly expected: Expected;
	readonly lookups: number;
	readonly projections: number;
	/** Lookups and projections share one table. */
	readonly tied: boolean;
}

/** Readers whose own result changes if the table goes; with --keep-other-readers it stays. */
const OTHER_READERS: ReadonlySet<string> = new Set(["reduce", "reduce an alias", "slice", "branch", "output"]);

export function truthOf(disguise: Disguise): Truth {
	const { lookup, twice, head, twoHeads, reader, keepOtherReaders } = disguise;
	// A table that nobody looks up or multiplies by is none of our business.
	const isUsed = lookup !== "function with a copy" || twice || head === "same";
	const isReread = isUsed && OTHER_READERS.has(reader) && !keepOtherReaders;
	// One stored table cannot become two: with a row of zeros for the lookups, and as it is for the head or the second lookup's copy.
	const isSplit = disguise.masked && head === "same" && !keepOtherReaders;
	const isRefused = isReread || isSplit || (isUsed && isOverridable(disguise));
	const expected = isRefused ? "refused" : reader === "not a number" ? "input" : "rewrite";
	const lookups = (lookup === "if" ? 2 : 1) + Number(twice);
	const products = disguise.product === "if" ? 2 : 1;
	const projections = head === "none" ? 0 : products + Number(twoHeads);
	const tied = head !== "none" && head !== "another" && !disguise.masked;
	return { expected, lookups, projections, tied };
}

/** Only initializers have defaults that a caller can override. */
function isOverridable({ reader, store }: Disguise): boolean {
	return reader === "overridable" && store !== "constant";
}
