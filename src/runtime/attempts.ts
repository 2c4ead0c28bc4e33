// Runs a model on inputs made from its signature; when the engine refuses them, tries others, a bounded number of times.
import { DistembError } from "../errors.js";
import type { Model } from "../ir/graph.js";
import { type FeedPlan, feedsFor, feedVariants } from "./feeds.js";
import type { Feeds, Session } from "./session.js";
import { type InputSpec, readSignature } from "./signature.js";

export interface MadeInputOptions {
	/** Vocabulary size per graph input that holds token ids. */
	readonly tokenInputs: ReadonlyMap<string, number>;
	readonly seed: number;
}

/** One run that worked. */
export interface MadeRun {
	/** How the inputs were made, e.g. "batch 2, length 4, empty past". */
	readonly label: string;
	readonly feeds: Feeds;
	readonly outputs: Feeds;
}

/** A variant that the engine refused however it was made, with the engine's words for the first attempt. */
export interface FailedVariant {
	readonly label: string;
	readonly reason: string;
}

export interface MadeRuns {
	readonly runs: readonly MadeRun[];
	readonly failures: readonly FailedVariant[];
}

type Adjustment = (plan: FeedPlan) => Partial<FeedPlan>;

/**
 * What is tried when the engine refuses the first sizes, in this order: exporters fix a batch of one or a single step,
 * masks may cover the new tokens only, lengths may have to agree, convolutions need long inputs.
 */
const ADJUSTMENTS: readonly Adjustment[] = [
	() => ({}),
	() => ({ batch: 1 }),
	() => ({ sequence: 1 }),
	() => ({ batch: 1, sequence: 1 }),
	({ sequence }) => ({ total: sequence }),
	({ sequence }) => ({ batch: 1, total: sequence }),
	({ sequence }) => ({ encoder: sequence, other: sequence }),
	() => ({ sequence: 2, encoder: 2 }),
	() => ({ batch: 1, sequence: 1, encoder: 1, other: 1 }),
	() => ({ batch: 1, sequence: 16, encoder: 16, other: 64 }),
	() => ({ batch: 1, sequence: 64, encoder: 64, other: 224 }),
];

/** Numbers of the engine's messages that are tried as sizes: tracing exporters bake lengths into Reshape's target. */
const HINTED_SIZES = 4;

/** Attempts per adjustment: the first, and those after the engine named the range of an index. */
const RANGE_ATTEMPTS = 3;

/**
 * Runs every variant of inputs that `model`'s signature suggests; `session` is open on that model.
 * @throws DistembError `engine` if the signature has an input that cannot be made.
 */
export async function runOnMadeInputs(session: Session, model: Model, options: MadeInputOptions): Promise<MadeRuns> {
	const inputs = readSignature(model, options.tokenInputs);
	const runs: MadeRun[] = [];
	const failures: FailedVariant[] = [];
	// What worked once is tried first from then on.
	let settled: Adjustment | undefined;
	for (const { label, plan } of feedVariants(inputs)) {
		const messages: string[] = [];
		let run: Attempt | undefined;
		for (const adjust of adjustments(settled, messages)) {
			const result = await attempt(session, inputs, { ...plan, ...adjust(plan) }, options.seed);
			if (typeof result === "string") messages.push(result);
			else {
				run = result;
				settled = adjust;
				break;
			}
		}
		if (run === undefined) failures.push({ label, reason: messages[0] ?? "not tried" });
		else runs.push({ feeds: run.feeds, outputs: run.outputs, label: labelOf(inputs, run.plan, label) });
	}
	return { runs, failures };
}

/** What to try, in order; `messages` grows with the failures and is read when everything known has failed. */
function* adjustments(settled: Adjustment | undefined, messages: readonly string[]): Generator<Adjustment> {
	if (settled !== undefined) yield settled;
	for (const adjust of ADJUSTMENTS) if (adjust !== settled) yield adjust;
	const sizes = new Set(messages.flatMap(numbersIn));
	for (const size of [...sizes].slice(0, HINTED_SIZES)) {
		yield () => ({ sequence: size });
		yield () => ({ batch: 1, sequence: size });
		yield () => ({ batch: size });
		yield () => ({ sequence: size, encoder: size });
	}
}

/** Sizes that a message names, places in the engine's source code left out. */
function numbersIn(message: string): number[] {
	const status = message.slice(message.indexOf("Status Message:") + 1);
	const numbers = status.replace(/\w+\.(cc|h):\d+/g, "").match(/(?<![\w.-])\d+(?![\w.])/g) ?? [];
	return numbers.map(Number).filter((size) => size > 0 && size <= 1024);
}

interface Attempt {
	readonly plan: FeedPlan;
	readonly feeds: Feeds;
	readonly outputs: Feeds;
}

/** One run, repeated with smaller indices as long as the engine says which range it expects; or why it failed. */
async function attempt(session: Session, inputs: readonly InputSpec[], first: FeedPlan, seed: number): Promise<Attempt | string> {
	let plan = first;
	for (let count = 1; ; count++) {
		const feeds = feedsFor(inputs, plan, seed);
		try {
			return { plan, feeds, outputs: await session.run(feeds) };
		} catch (cause) {
			if (!(cause instanceof DistembError) || cause.code !== "engine") throw cause;
			const limit = indexRange(cause.message);
			if (limit === undefined || count === RANGE_ATTEMPTS || limit >= (plan.limit ?? Number.POSITIVE_INFINITY)) return cause.message;
			plan = { ...plan, limit };
		}
	}
}

/** The number of rows in "idx=9999 must be within the inclusive range [-64,63]". */
function indexRange(message: string): number | undefined {
	const found = /inclusive range \[-?\d+, ?(\d+)\]/.exec(message)?.[1];
	return found === undefined ? undefined : Number(found) + 1;
}

function labelOf(inputs: readonly InputSpec[], plan: FeedPlan, variant: string): string {
	const roles = new Set(inputs.flatMap(({ axes }) => axes.flat()));
	const words: string[] = [];
	if (roles.has("batch")) words.push(`batch ${plan.batch}`);
	if (roles.has("sequence")) words.push(`length ${plan.sequence}`);
	if (roles.has("encoder")) words.push(`encoder length ${plan.encoder}`);
	if (words.length === 0) words.push("fixed sizes");
	return [...words, ...(variant === "" ? [] : [variant])].join(", ");
}
