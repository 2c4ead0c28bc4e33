// What must hold before a table may be replaced: it is constant, no output, and every reader is known.
import { DistembError } from "../../../src/errors.js";
import type { Node, Value } from "../../../src/ir/graph.js";
import { nodeLabel } from "../../../src/ir/walk.js";
import type { Facts } from "../matrix/facts.js";
import type { Entry } from "../survey.js";

const KEEP = "--keep-other-readers keeps the table for it; the file then does not shrink";

/** The first thing that forbids replacing the tables of `entries`, which have equal contents and stand in one file. */
export function obstacle(entries: readonly Entry[], facts: Facts, keepOtherReaders: boolean): DistembError | undefined {
	const known = new Map<Node, number>();
	for (const { lookups, projections } of entries) {
		for (const { node, input } of [...lookups.map(({ site }) => site), ...projections]) known.set(node, input);
	}
	for (const { file, table } of entries) {
		const { stored } = table.matrix;
		const overridable = file.model.irVersion >= 4 && stored.source.kind === "initializer" && stored.graph.inputs.includes(stored);
		if (overridable) {
			return new DistembError("refused", `table "${stored.name}" is a graph input too: a caller may override it`, {
				at: file.name,
				hint: "export the model without initializers among its inputs",
			});
		}
		if (keepOtherReaders) continue;
		const found = otherReader(stored, known, facts);
		if (found !== undefined) return new DistembError("refused", found, { at: file.name, hint: KEEP });
	}
	return undefined;
}

/** A sentence about the first reader of `table` that is not `known` (node and input), aliases of the table included. */
function otherReader(table: Value, known: ReadonlyMap<Node, number>, facts: Facts): string | undefined {
	// A set that grows while it is gone through: every use is looked at once, step by step.
	const pending = new Set(table.uses);
	for (const use of pending) {
		if (use.kind === "output") {
			const { value } = use.graph.outputs[use.index] ?? { value: table };
			return `table "${table.name}" is a graph output ("${value.name}")`;
		}
		const { node } = use;
		const output = node.outputs[0];
		if (known.get(node) === use.index) continue;
		if (output !== undefined && facts.view(output)?.stored === table) for (const further of output.uses) pending.add(further);
		else if (!isDead(node)) return `table "${table.name}" is also read by ${nodeLabel(node)}, which is no lookup or projection of it`;
	}
	return undefined;
}

/** Nothing that `start` computes reaches an output. */
function isDead(start: Node): boolean {
	const seen = new Set<Node>([start]);
	for (const node of seen) {
		for (const value of node.outputs) {
			for (const use of value?.uses ?? []) {
				if (use.kind === "output") return false;
				seen.add(use.node);
			}
		}
	}
	return true;
}
