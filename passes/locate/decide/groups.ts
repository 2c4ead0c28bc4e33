// Lookups that belong to one embedding layer: their rows are added or concatenated, or their ids come from one input.
import type { Node, Value } from "../../../src/ir/graph.js";
import { type Entry, inputsOf } from "../survey.js";

/** Operators through which a row stays a row of the same token. */
const ROWWISE: ReadonlySet<string> = new Set(
	(
		"Identity Cast Reshape Squeeze Unsqueeze Transpose Expand Slice Dropout Relu Tanh LayerNormalization RMSNormalization " +
		"SimplifiedLayerNormalization SkipLayerNormalization SkipSimplifiedLayerNormalization Add Sub Mul Div Where Concat Sum DequantizeLinear"
	).split(" "),
);

/** Splits `candidates` into embedding layers. */
export function embeddingLayers(candidates: readonly Entry[]): Entry[][] {
	const groups = new Map<Entry, Entry[]>(candidates.map((entry) => [entry, [entry]]));
	const join = (one: Entry, other: Entry) => {
		const from = groups.get(one) ?? [];
		const into = groups.get(other) ?? [];
		if (from === into) return;
		into.push(...from);
		for (const entry of from) groups.set(entry, into);
	};
	const byInput = new Map<Value, Entry>();
	const byNode = new Map<Node, Entry>();
	for (const entry of candidates) {
		for (const input of inputsOf(entry)) {
			const other = byInput.get(input);
			if (other === undefined) byInput.set(input, entry);
			else join(entry, other);
		}
		for (const node of rowwiseReaders(entry)) {
			const other = byNode.get(node);
			if (other === undefined) byNode.set(node, entry);
			else join(entry, other);
		}
	}
	return [...new Set(groups.values())];
}

/** Nodes downstream of the entry's lookups, as long as rows stay rows. */
function rowwiseReaders(entry: Entry): Set<Node> {
	const found = new Set<Node>();
	const pending: Value[] = [];
	for (const { site } of entry.lookups) for (const value of site.node.outputs) if (value !== undefined) pending.push(value);
	for (let value = pending.pop(); value !== undefined; value = pending.pop()) {
		for (const use of value.uses) {
			if (use.kind !== "node" || found.has(use.node) || !ROWWISE.has(use.node.opType)) continue;
			found.add(use.node);
			for (const output of use.node.outputs) if (output !== undefined) pending.push(output);
		}
	}
	return found;
}
