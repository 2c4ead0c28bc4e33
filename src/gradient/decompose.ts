// Takes composite operators apart into operators that have rules, in the training graph only.
import { addNode, removeNode } from "../ir/edit.js";
import type { Node, Value } from "../ir/graph.js";
import { attention, attentionOfOrt, multiHeadAttention, rotaryEmbedding, rotaryEmbeddingOfOrt } from "./decompose/attention.js";
import { embedLayerNormalization, sequenceAt } from "./decompose/embedding.js";
import { fusedGemm } from "./decompose/fused.js";
import { groupQueryAttention } from "./decompose/group-query.js";
import { gru, lstm, rnn } from "./decompose/recurrent.js";
import type { Ops } from "./ops.js";
import { RuleContext, Unsupported } from "./rule.js";
import { operatorOf } from "./rules.js";

/** The results of `context.node`, from standard operators; undefined: an output that is not made (nobody may read it). */
export type Decomposition = (context: RuleContext) => readonly (Value | undefined)[];

/**
 * Replaces every node of the table whose use it covers; the others stay, and the sweep reports them as missing and why.
 * The results keep their names.
 */
export function decompose(ops: Ops): void {
	for (const node of [...ops.graph.nodes]) {
		const operator = operatorOf(node);
		const table: Readonly<Record<string, Decomposition>> = DECOMPOSITIONS;
		const decomposition = Object.hasOwn(table, operator) ? table[operator] : undefined;
		if (decomposition !== undefined) replace(ops, node, decomposition);
	}
}

function replace(ops: Ops, node: Node, decomposition: Decomposition): void {
	const label = node.outputs.find((value) => value !== undefined)?.name ?? node.opType;
	let results: readonly (Value | undefined)[];
	try {
		results = decomposition(new RuleContext(node, ops.at(label, node), []));
	} catch (error) {
		if (!(error instanceof Unsupported)) throw error;
		ops.keep(node, error.message);
		return;
	}
	const unmade = node.outputs.findIndex((output, index) => output !== undefined && output.uses.size > 0 && results[index] === undefined);
	if (unmade >= 0) {
		ops.keep(node, `output ${unmade} ("${node.outputs[unmade]?.name}") of ${operatorOf(node)} is read`);
		return;
	}
	for (const [index, output] of node.outputs.entries()) {
		const result = results[index];
		if (output !== undefined && result !== undefined) addNode(ops.graph, { opType: "Identity", inputs: [result], outputs: [output] }, node);
	}
	removeNode(node);
}

/** Operator → decomposition; operators of other domains are called `domain.Operator`. */
export const DECOMPOSITIONS = {
	Attention: attention,
	RotaryEmbedding: rotaryEmbedding,
	LSTM: lstm,
	GRU: gru,
	RNN: rnn,
	SequenceAt: sequenceAt,
	"com.microsoft.FusedGemm": fusedGemm,
	"com.microsoft.Attention": attentionOfOrt,
	"com.microsoft.MultiHeadAttention": multiHeadAttention,
	"com.microsoft.GroupQueryAttention": groupQueryAttention,
	"com.microsoft.RotaryEmbedding": rotaryEmbeddingOfOrt,
	"com.microsoft.EmbedLayerNormalization": embedLayerNormalization,
} satisfies Readonly<Record<string, Decomposition>>;
