// Where the tables of a model are read, as values of its training graph.
import type { Value } from "../../src/ir/graph.js";
import type { Lookup, Vocabulary } from "../../src/state.js";
import type { Trainable } from "../../src/training/trainable.js";

export interface Sites {
	readonly vocabulary: Vocabulary;
	/** V and d. */
	readonly rows: number;
	readonly cols: number;
	readonly lookups: readonly LookupSite[];
	readonly projections: readonly ProjectionSite[];
}

export interface LookupSite {
	readonly ids: Value;
	/** The rows that were read, ids' shape + [d]; undefined if no value holds them. */
	readonly rows: Value | undefined;
}

export interface ProjectionSite {
	readonly hidden: Value;
	/** Factor on the product. */
	readonly alpha: number;
}

/** The uses of `vocabulary` that the training graph has; those of a bundle's other files stand for the same. */
export function sitesOf(trainable: Trainable, vocabulary: Vocabulary): Sites {
	const { rows, cols } = vocabulary.table;
	const lookups = vocabulary.lookups.flatMap((lookup): LookupSite[] => {
		const ids = trainable.copyOf(lookup.file, lookup.ids);
		return ids === undefined ? [] : [{ ids, rows: rowsOf(trainable, lookup, vocabulary) }];
	});
	const projections = vocabulary.projections.flatMap(({ file, hidden, alpha }): ProjectionSite[] => {
		const copy = trainable.copyOf(file, hidden);
		return copy === undefined ? [] : [{ hidden: copy, alpha }];
	});
	return { vocabulary, rows, cols, lookups, projections };
}

function rowsOf(trainable: Trainable, { file, output }: Lookup, { copies }: Vocabulary): Value | undefined {
	if (output !== undefined) return trainable.copyOf(file, output);
	// An EmbedLayerNormalization (E6) has been taken apart: its Gather is the one that reads the table.
	const tables = copies.flatMap(({ value }) => trainable.copyOf(file, value) ?? []);
	return trainable.ops.graph.nodes.find((node) => node.is("Gather") && tables.some((table) => node.inputs[0] === table))?.outputs[0];
}
