// Tables whose rows only shift or turn values of another origin: positions added to given embeddings, rotary caches.
import { isFloat } from "../../../src/ir/dtype.js";
import type { Node, Value } from "../../../src/ir/graph.js";
import { subgraphs } from "../../../src/ir/walk.js";
import type { Facts } from "../matrix/facts.js";
import type { Entry } from "../survey.js";

/** Operators through which a row stays a row of the same token, constants aside. */
const ROWWISE: ReadonlySet<string> = new Set(
	"Identity Cast Reshape Squeeze Unsqueeze Transpose Expand Slice Split Concat Dropout LayerNormalization Neg DequantizeLinear".split(" "),
);
const COMBINING: ReadonlySet<string> = new Set(["Add", "Sub", "Mul"]);
/** Operators that mix the values of a row: behind them, values belong to a layer of the model. */
const MIXING: ReadonlySet<string> = new Set("MatMul Gemm FusedMatMul MatMulNBits MatMulInteger Conv LSTM GRU RNN Attention".split(" "));

/** The node that adds rows of `entry` to, or multiplies them with, values that do not come from lookups alone; undefined if there is none. */
export function combinedWithOthers(entry: Entry, lookupNodes: ReadonlySet<Node>, facts: Facts): Node | undefined {
	const own = new Set(entry.lookups.map(({ site }) => site.node));
	const flow = new Set<Value>();
	const pending: Value[] = [...own].flatMap(({ outputs }) => outputs.filter((value) => value !== undefined));
	for (let value = pending.pop(); value !== undefined; value = pending.pop()) {
		if (flow.has(value)) continue;
		flow.add(value);
		for (const use of value.uses) {
			if (use.kind === "output") continue;
			const { node } = use;
			if (COMBINING.has(node.opType)) {
				const other = node.inputs[1 - use.index];
				if (other !== undefined && !flow.has(other) && facts.view(other) === undefined) {
					const origin = originOf(other, own, lookupNodes, facts);
					if (origin === "elsewhere") return node;
					if (origin === "own rows") continue;
				}
			} else if (!ROWWISE.has(node.opType)) continue;
			for (const output of node.outputs) if (output !== undefined) pending.push(output);
		}
	}
	return undefined;
}

/** "own rows": a residual connection; "elsewhere": a float input or a layer of the model; else "lookups" or computed from shapes. */
function originOf(
	start: Value,
	own: ReadonlySet<Node>,
	lookupNodes: ReadonlySet<Node>,
	facts: Facts,
): "own rows" | "elsewhere" | "lookups" {
	const seen = new Set<Value>();
	const pending: (Value | undefined)[] = [start];
	let given = false;
	let mixed = false;
	let looked = false;
	for (let value = pending.pop(); pending.length > 0 || value !== undefined; value = pending.pop()) {
		if (value === undefined || seen.has(value) || facts.view(value) !== undefined) continue;
		seen.add(value);
		const node = value.producer;
		if (node === undefined) {
			const dtype = value.type?.dtype;
			given ||= value.source.kind === "input" && value.graph.owner === undefined && dtype !== undefined && isFloat(dtype);
			continue;
		}
		if (own.has(node)) return "own rows";
		if (node.is("Shape") || node.is("Size")) continue;
		if ([...subgraphs(node)].length > 0) return "own rows"; // what a body reads is not followed: assume the best
		mixed ||= MIXING.has(node.opType);
		looked ||= lookupNodes.has(node);
		pending.push(...node.inputs);
	}
	return given || (mixed && looked) ? "elsewhere" : "lookups";
}
