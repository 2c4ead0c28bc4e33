// Inputs for a model nobody has told us about: one set of tensors per plan of sizes, seeded.

import { normal, seedFor, uniform } from "../random.js";
import { tensorOf } from "./numbers.js";
import type { EngineTensor, Feeds } from "./session.js";
import type { AxisSize, InputSpec, SizeRole } from "./signature.js";

/** The sizes and choices that one set of inputs is made with. */
export interface FeedPlan {
	readonly batch: number;
	readonly sequence: number;
	readonly past: number;
	readonly encoder: number;
	readonly other: number;
	/** Length of masks over past and sequence; their sum by default. */
	readonly total: number | undefined;
	/** The value of every flag. */
	readonly flag: boolean;
	/** Masks hide the last place of the last row. */
	readonly padded: boolean;
	/** Limits learnt from the engine, for inputs that no table bounds. */
	readonly limit: number | undefined;
}

export const FEED_DEFAULTS: FeedPlan = {
	batch: 2,
	sequence: 4,
	past: 3,
	encoder: 5,
	other: 4,
	total: undefined,
	flag: false,
	padded: false,
	limit: undefined,
};

/** A set of inputs and how it differs from the others, e.g. "empty past, use_cache_branch off". */
export interface FeedVariant {
	readonly label: string;
	readonly plan: FeedPlan;
}

/** Sizes that the inputs themselves fix: the batch, the length of the ids, that of the past. */
export function fixedSizes(inputs: readonly InputSpec[]): Partial<FeedPlan> {
	const sizes: { batch?: number; sequence?: number; past?: number } = {};
	for (const { kind, axes } of inputs) {
		const [batch, second, third] = axes;
		if (kind === "ids" && axes.length === 2 && typeof batch === "number") sizes.batch ??= batch;
		if (kind === "ids" && axes.length === 2 && typeof second === "number") sizes.sequence ??= second;
		if (kind === "past" && axes.length === 4 && typeof batch === "number") sizes.batch ??= batch;
		if (kind === "past" && axes.length === 4 && typeof third === "number") sizes.past ??= third;
	}
	return sizes;
}

/** The variants worth running for this signature: empty and filled pasts, flags both ways, a mask that hides something. */
export function feedVariants(inputs: readonly InputSpec[]): FeedVariant[] {
	const flags = inputs.filter(({ kind }) => kind === "flag").map(({ name }) => name);
	const hasPast = inputs.some(({ kind }) => kind === "past");
	const hasMask = inputs.some(({ kind, axes }) => kind === "mask" && axes.length === 2);
	const flagLabel = (on: boolean) => flags.map((name) => `${name} ${on ? "on" : "off"}`);
	const variants: FeedVariant[] = [];
	const add = (words: readonly string[], change: Partial<FeedPlan>) =>
		variants.push({ label: words.join(", "), plan: { ...FEED_DEFAULTS, ...change, ...fixedSizes(inputs) } });
	if (hasPast) {
		// The flag of a merged decoder chooses the branch that reads the past.
		add(["empty past", ...flagLabel(false)], { past: 0, flag: false });
		add(["filled past", ...flagLabel(true)], { flag: true });
	} else {
		add(flagLabel(false), { flag: false });
		if (flags.length > 0) add(flagLabel(true), { flag: true });
	}
	if (hasMask) add([...(hasPast ? ["filled past"] : []), ...flagLabel(true), "padded mask"], { flag: true, padded: true });
	return variants;
}

/** Tensors for `inputs` at the sizes of `plan`. Equal names get equal numbers, whatever other inputs there are. */
export function feedsFor(inputs: readonly InputSpec[], plan: FeedPlan, seed: number): Feeds {
	const feeds: Record<string, EngineTensor> = {};
	for (const spec of inputs) {
		const dims = spec.axes.map((size) => resolve(size, plan));
		feeds[spec.name] = tensorOf(spec.dtype, dims, elementsOf(spec, dims, plan, seedFor(seed, spec.name)));
	}
	return feeds;
}

function resolve(size: AxisSize, plan: FeedPlan): number {
	if (typeof size === "number") return size;
	if (typeof size !== "string") return size.reduce<number>((sum, term) => sum + resolve(term, plan), 0);
	return sizeOfRole(size, plan);
}

function sizeOfRole(role: SizeRole, plan: FeedPlan): number {
	return role === "total" ? (plan.total ?? plan.past + plan.sequence) : plan[role];
}

/** Element number `index` (row-major) of an input. */
type Elements = (index: number) => number;

function elementsOf(spec: InputSpec, dims: readonly number[], plan: FeedPlan, seed: number): Elements {
	const last = dims.at(-1) ?? 1;
	const bound = Math.min(spec.bound ?? Number.POSITIVE_INFINITY, plan.limit ?? Number.POSITIVE_INFINITY);
	switch (spec.kind) {
		case "ids": {
			const next = uniform(seed);
			return () => Math.floor(next() * bound);
		}
		case "positions": {
			// Counted from the past, unless the input covers the past as well.
			const start = last === plan.past + plan.sequence ? 0 : plan.past;
			return (index) => Math.min(start + (index % last), bound - 1);
		}
		case "mask": {
			const hidden = plan.padded && dims.length === 2 && last > 1 ? last * (dims[0] ?? 1) - 1 : -1;
			// Once the engine has named a range, numbers that are no mask by name are taken for indices: 0 is in any range.
			const shown = plan.limit === undefined || /mask/i.test(spec.name) ? 1 : 0;
			return (index) => (index === hidden ? 0 : shown);
		}
		case "flag":
			return () => Number(plan.flag);
		case "past": {
			const next = normal(seed);
			return () => 0.5 * next();
		}
		case "noise":
			return normal(seed);
		case "lengths":
			return () => Math.min(plan.sequence, bound);
		case "offsets":
			return (index) => Math.floor((index * plan.sequence) / last);
		case "setting":
			return () => settingOf(spec, plan);
	}
}

/** One number for the whole run: 1, except where the names of generating models ask for more. */
function settingOf({ name, dtype }: InputSpec, plan: FeedPlan): number {
	if (dtype.startsWith("float")) return 1;
	if (/max_?len/i.test(name)) return plan.sequence + 4;
	return /num_?beams/i.test(name) ? 2 : 1;
}
