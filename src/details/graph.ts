// The graph around each vocabulary, taken before and after a rewrite.
import type { Value } from "../ir/graph.js";
import { type FlowEnds, type FlowReport, flowEnds, flowReport, type GraphReport } from "../report/flow.js";
import type { FactorGroup, Vocabulary } from "../state.js";

export interface TakenGraph {
	readonly vocabulary: Vocabulary;
	readonly ends: readonly FlowEnds[];
	readonly before: readonly FlowReport[];
}

/** To be called before the graph is rewritten. */
export function takeGraphs(vocabularies: readonly Vocabulary[]): TakenGraph[] {
	return vocabularies.map((vocabulary) => {
		const tables = new Set(vocabulary.copies.map(({ value }) => value));
		const ends = flowEnds(vocabulary);
		return { vocabulary, ends, before: ends.map((flow) => flowReport(flow, tables)) };
	});
}

/** @param groups what vocabularies were rewritten to; those without one were left alone */
export function graphReports(taken: readonly TakenGraph[], groups: readonly FactorGroup[], note: string): GraphReport[] {
	return taken.map(({ vocabulary, ends, before }) => {
		const own = groups.filter((group) => group.vocabulary === vocabulary);
		const report = { vocabulary: vocabulary.name, before };
		if (own.length === 0) return { ...report, note: groups.length === 0 ? note : "left alone" };
		const factors = new Set<Value>(own.flatMap(({ values }) => values.map(({ value }) => value)));
		return { ...report, after: ends.map((flow) => flowReport(flow, factors)), note };
	});
}
