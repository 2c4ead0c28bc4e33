// EmbedLayerNormalization (com.microsoft) taken apart: lookups, Adds, LayerNormalization, in standard operators.
import { DistembError } from "../../src/errors.js";
import { float, floatOf, int, ints } from "../../src/ir/attributes.js";
import { Chain } from "../../src/ir/build.js";
import type { DType } from "../../src/ir/dtype.js";
import type { Node, Value } from "../../src/ir/graph.js";
import { nodeLabel } from "../../src/ir/walk.js";
import type { Lookup } from "../../src/state.js";
import { type Factors, gatherRows } from "./lookup.js";

/** @throws DistembError `refused` if the model's operators cannot express the node. */
export function requireUnfusable({ node, file }: Lookup): void {
	const { opset } = node.graph.model;
	if (opset < 10 && node.inputs[8] === undefined) {
		throw new DistembError("refused", `${nodeLabel(node)} numbers the positions itself, which operator set ${opset} cannot express`, {
			at: file.name,
			hint: "convert the model to opset 10 or later first",
		});
	}
}

/**
 * Outputs: normalised sum, number of ones in each row of the mask, sum of the embeddings.
 * Inputs: ids, segment ids, tables of words, positions and segments, gamma, beta, mask, position ids
 * (onnxruntime's ContribOperators.md). Returns the idle node.
 */
export function unfuse(lookup: Lookup, factors: Factors): Node {
	const { node, dtype } = lookup;
	const [, segmentIds, , positionTable, segmentTable, gamma, beta, mask, positionIds] = node.inputs;
	const [output, maskIndex, sumOutput] = node.outputs;
	const chain = new Chain(lookup.graph, node, output?.name ?? node.name);
	const rows = gatherRows(chain, lookup, factors);
	const parts = [positionRows(chain, lookup.ids, positionTable, positionIds), segmentRows(chain, segmentTable, segmentIds)];
	const added = parts.filter((part) => part !== undefined);
	let sum = rows;
	for (const [index, part] of added.entries()) {
		sum = chain.add("Add", [sum, part], "sum", { defines: index === added.length - 1 ? sumOutput : undefined });
	}
	if (output !== undefined) normalize(chain, sum, [gamma, beta], { dtype, epsilon: floatOf(node, "epsilon", 1e-12) }, output);
	if (maskIndex !== undefined && maskIndex.uses.size > 0) countMask(chain, lookup.ids, mask, maskIndex);
	return node;
}

/** [length, d], or [batch, length, d] where ids of positions are given. */
function positionRows(chain: Chain, ids: Value, table: Value | undefined, positionIds: Value | undefined): Value | undefined {
	if (table === undefined) return undefined;
	if (positionIds !== undefined) return chain.add("Gather", [table, positionIds], "positions", { attributes: { axis: int(0) } });
	const length = chain.add("Gather", [chain.add("Shape", [ids], "shape"), chain.constant("int64", [1], "length_axis")], "length", {
		attributes: { axis: int(0) },
	});
	return chain.add(
		"Slice",
		[table, chain.constant("int64", [0], "first_position"), length, chain.constant("int64", [0], "position_axis")],
		"positions",
	);
}

/** Without ids of segments every token is in segment 0. */
function segmentRows(chain: Chain, table: Value | undefined, segmentIds: Value | undefined): Value | undefined {
	if (table === undefined) return undefined;
	return chain.add("Gather", [table, segmentIds ?? chain.constant("int64", [0], "segment")], "segments", { attributes: { axis: int(0) } });
}

interface Norm {
	readonly dtype: DType;
	readonly epsilon: number;
}

/** (x − mean) / √(variance + epsilon) · gamma + beta over the last axis; in float32, as LayerNormalization does. */
function normalize(
	chain: Chain,
	sum: Value,
	[gamma, beta]: readonly (Value | undefined)[],
	{ dtype, epsilon }: Norm,
	defines: Value,
): void {
	if (chain.opset >= 17) {
		chain.add("LayerNormalization", [sum, gamma, beta], "normalized", { attributes: { axis: int(-1), epsilon: float(epsilon) }, defines });
		return;
	}
	const wide = (value: Value, label: string) => chain.cast(value, dtype, "float32", label);
	const mean = (value: Value, label: string) =>
		chain.add("ReduceMean", [value], label, { attributes: { axes: ints([2]), keepdims: int(1) } });
	const x = wide(sum, "sum_cast");
	const centred = chain.add("Sub", [x, mean(x, "mean")], "centred");
	const variance = mean(chain.add("Mul", [centred, centred], "squared"), "variance");
	const deviation = chain.add(
		"Sqrt",
		[chain.add("Add", [variance, chain.constant("float32", [epsilon], "epsilon", [])], "raised")],
		"deviation",
	);
	const unit = chain.add("Div", [centred, deviation], "unit");
	const narrow = chain.cast(unit, "float32", dtype, "unit_cast");
	const scaled = chain.add("Mul", [narrow, gamma], "scaled", { defines: beta === undefined ? defines : undefined });
	if (beta !== undefined) chain.add("Add", [scaled, beta], "shifted", { defines });
}

/** int32 [batch]: how many entries of each row of the mask are 1; zeros without a mask. */
function countMask(chain: Chain, ids: Value, mask: Value | undefined, defines: Value): void {
	const ones =
		mask === undefined
			? chain.add("Mul", [ids, chain.constant("int32", [0], "no_mask", [])], "zeros")
			: chain.cast(chain.add("Equal", [mask, chain.constant("int32", [1], "mask_one", [])], "is_one"), "bool", "int32", "ones");
	if (chain.opset >= 13) {
		const axes = chain.constant("int64", [1], "mask_axis");
		chain.add("ReduceSum", [ones, axes], "mask_index", { attributes: { keepdims: int(0) }, defines });
	} else chain.add("ReduceSum", [ones], "mask_index", { attributes: { axes: ints([1]), keepdims: int(0) }, defines });
}
