// Patterns that show only in the whole: inlined (E9), already factorized (E10), heads wider than the table (P9), several heads (P10).
import type { Node } from "../../../src/ir/graph.js";
import type { LookupPattern, ProjectionPattern } from "../../../src/state.js";
import type { LookupSite, ProjectionSite } from "../match/sites.js";
import type { Facts } from "../matrix/facts.js";
import { isFactoredLookup } from "./factored.js";

export function lookupPattern(site: LookupSite, facts: Facts, inlined: ReadonlySet<Node>): LookupPattern {
	if (inlined.has(site.node)) return "E9";
	return isFactoredLookup(site, facts) ? "E10" : site.pattern;
}

/** `all` are the projections of the vocabulary; `sizes` the numbers of rows of all looked-up vocabularies. */
export function projectionPattern(site: ProjectionSite, all: readonly ProjectionSite[], sizes: ReadonlySet<number>): ProjectionPattern {
	if (all.filter(({ graph }) => graph === site.graph).length > 1) return "P10";
	return sizes.size > 0 && !sizes.has(site.matrix.rows) ? "P9" : site.pattern;
}
