// Parts of a training that follow each other, math.md §6: which there are, what each trains, and what of the budget it gets.
import type { CurvePoint } from "../../src/state.js";
import type { StudentProgram } from "./graph.js";
import type { Recipe } from "./options.js";

export type PhaseName = CurvePoint["phase"];

export interface Phase {
	readonly name: PhaseName;
	/** Of the budget; those of all phases are 1 together. */
	readonly share: number;
}

/** What each phase gets of the budget beside the others; with fewer phases, in proportion. */
const SHARES: Readonly<Record<PhaseName, number>> = { head: 0.1, factors: 0.3, all: 0.6 };

/**
 * Phases where none are asked for: everything at once. On the fixture's language model (rank 32, 200 steps of 8 x 64 tokens, three seeds)
 * it ends at 0.285 nats from the original on validation text; factors first, then all: 0.287; head, factors, all: 0.289.
 */
const DEFAULT_PHASES: readonly PhaseName[] = ["all"];

/** The paper trains the whole model at once. */
const PAPER_PHASES = ["all"] as const;

/** The phases of a recipe: its own order only where everything is trained. */
export function phasesOf(
	{ train, relu }: Pick<Recipe, "train" | "relu">,
	asked: readonly PhaseName[] | undefined,
	hasHead: boolean,
): Phase[] {
	const wanted = train === "all" ? (asked ?? (relu ? PAPER_PHASES : DEFAULT_PHASES)) : ([train === "head" ? "head" : "factors"] as const);
	const possible = wanted.filter((name) => name !== "head" || hasHead);
	const names = possible.length === 0 ? (["all"] as const) : possible;
	const total = names.reduce((sum, name) => sum + SHARES[name], 0);
	return names.map((name) => ({ name, share: SHARES[name] / total }));
}

/** Place of the phase that a share of the budget has reached, and how far it is in it. */
export function phaseAt(phases: readonly Phase[], fraction: number): { readonly phase: number; readonly within: number } {
	let start = 0;
	for (const [phase, { share }] of phases.entries()) {
		// Shares are rounded: a phase that has as good as ended has ended.
		if (fraction < start + share - 1e-9 || phase === phases.length - 1) return { phase, within: Math.min(1, (fraction - start) / share) };
		start += share;
	}
	return { phase: 0, within: 0 };
}

/** Names of what a phase trains. A head's states do not depend on the body; the body's matrices wait for the phase `all`. */
export function trainedIn(name: PhaseName, whole: readonly StudentProgram[], head: StudentProgram | undefined): ReadonlySet<string> {
	const parameters = (name === "head" ? head : (whole[0] ?? head))?.parameters ?? [];
	const isEarly = ({ stored, decays }: StudentProgram["parameters"][number]) => "group" in stored || !decays;
	return new Set(parameters.filter((parameter) => name !== "factors" || isEarly(parameter)).map(({ value }) => value.name));
}
