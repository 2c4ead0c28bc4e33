// Lookups E1 to E11: places where ids select rows of a constant matrix. Read-only.
import { intOf } from "../../../src/ir/attributes.js";
import { isFloat } from "../../../src/ir/dtype.js";
import type { Node, Value } from "../../../src/ir/graph.js";
import { readers, scopes } from "../../../src/ir/walk.js";
import type { LookupPattern } from "../../../src/state.js";
import { matrixOf } from "../matrix/aliases.js";
import type { Facts } from "../matrix/facts.js";
import type { Matrix } from "../matrix/matrix.js";
import { linearScaling } from "../matrix/scaling.js";
import { matchGatherBlockQuantized } from "./blocks.js";
import type { LookupSite, Unreadable } from "./sites.js";

type Matcher = (node: Node, facts: Facts) => LookupSite | Unreadable | undefined;

/** Matchers by operator of the default domain. */
const MATCHERS: Readonly<Record<string, Matcher>> = {
	Gather: matchGather,
	GatherND: matchGatherND,
	MatMul: matchOneHot,
};

/** Matchers by operator of com.microsoft. */
const CONTRIB_MATCHERS: Readonly<Record<string, Matcher>> = {
	EmbedLayerNormalization: matchEmbedLayerNormalization,
	GatherBlockQuantized: matchGatherBlockQuantized,
};

/** The lookup that `node` is, if it is one. */
export function matchLookup(node: Node, facts: Facts): LookupSite | Unreadable | undefined {
	if (node.domain === "") return MATCHERS[node.opType]?.(node, facts);
	return node.domain === "com.microsoft" ? CONTRIB_MATCHERS[node.opType]?.(node, facts) : undefined;
}

function matchGather(node: Node, facts: Facts): LookupSite | undefined {
	const matrix = matrixOf(facts.view(node.inputs[0]));
	const [, ids] = node.inputs;
	const [rows] = node.outputs;
	if (matrix === undefined || ids === undefined || rows === undefined) return undefined;
	if (![0, -2].includes(intOf(node, "axis", 0))) return undefined;
	const site = { kind: "lookup", graph: node.graph, node, input: 0, ids } as const;
	if (isFloat(matrix.dtype)) return { ...site, pattern: patternOf(node, matrix), output: rows, dtype: matrix.dtype, matrix };
	const dequantized = dequantizedRows(rows, matrix, facts);
	return dequantized === undefined ? undefined : { ...site, pattern: "E4", ...dequantized };
}

/** Rows of integers, all turned into floats by one DequantizeLinear. */
function dequantizedRows(rows: Value, matrix: Matrix, facts: Facts): Pick<LookupSite, "output" | "dtype" | "matrix"> | undefined {
	const [node, ...others] = readers(rows);
	const output = node?.outputs[0];
	if (node === undefined || others.length > 0 || output === undefined || matrix.scaling !== undefined) return undefined;
	if (node.opType !== "DequantizeLinear" || node.inputs[0] !== rows || [...rows.uses].some(({ kind }) => kind === "output"))
		return undefined;
	const axis = intOf(node, "axis", 1);
	const last = axis === -1 || axis + 1 === facts.rank(rows);
	const scale = facts.view(node.inputs[1]);
	if (scale === undefined || intOf(node, "block_size", 0) > 0 || (scale.tensor.size > 1 && !last)) return undefined;
	const layout = { shape: [matrix.rows, matrix.cols], transposed: matrix.transposed };
	const scaling = linearScaling(node.inputs[1], node.inputs[2], layout, { axis: 1, blockSize: 0 }, facts);
	return scaling === undefined ? undefined : { output, dtype: scale.dtype, matrix: { ...matrix, dtype: scale.dtype, scaling } };
}

function patternOf(node: Node, matrix: Matrix): LookupPattern {
	if (matrix.patch !== undefined) return "E8";
	if (matrix.scaling !== undefined) return "E4";
	if ([...scopes(node.graph)].length > 1) return "E3";
	return matrix.transposed ? "E2" : "E1";
}

/** GatherND on single indices: W[ids] of the dynamo exporter. */
function matchGatherND(node: Node, facts: Facts): LookupSite | undefined {
	const matrix = matrixOf(facts.view(node.inputs[0]));
	const [output] = node.outputs;
	const ids = withoutLastAxis(node.inputs[1], facts);
	if (matrix === undefined || output === undefined || ids === undefined) return undefined;
	if (!isFloat(matrix.dtype) || intOf(node, "batch_dims", 0) !== 0) return undefined;
	return { kind: "lookup", pattern: "E11", graph: node.graph, node, input: 0, ids, output, dtype: matrix.dtype, matrix };
}

/** The value whose Unsqueeze on a new last axis `value` is. */
function withoutLastAxis(value: Value | undefined, facts: Facts): Value | undefined {
	const node = value?.producer;
	const ids = node?.inputs[0];
	if (node?.is("Unsqueeze") !== true || ids === undefined) return undefined;
	const held = node.attributes.get("axes");
	const [axis, ...others] = held?.kind === "ints" ? held.value.map(Number) : (facts.numbers(node.inputs[1]) ?? []);
	if (axis === undefined || others.length > 0) return undefined;
	return axis === -1 || axis === facts.rank(ids) ? ids : undefined;
}

/** OneHot(ids) · W, and Equal(ids, 0…V−1) · W. */
function matchOneHot(node: Node, facts: Facts): LookupSite | undefined {
	const matrix = matrixOf(facts.view(node.inputs[1]));
	const [output] = node.outputs;
	if (matrix === undefined || output === undefined || !isFloat(matrix.dtype)) return undefined;
	const hot = uncast(node.inputs[0])?.producer;
	const found = hot === undefined ? undefined : (oneHotIds(hot, matrix.rows, facts) ?? equalIds(hot, matrix.rows, facts));
	if (found === undefined) return undefined;
	return { kind: "lookup", graph: node.graph, node, input: 1, output, dtype: matrix.dtype, matrix, ...found };
}

function uncast(value: Value | undefined): Value | undefined {
	let source = value;
	while (source?.producer?.is("Cast") === true || source?.producer?.is("Identity") === true) source = source.producer.inputs[0];
	return source;
}

function oneHotIds(node: Node, depth: number, facts: Facts): Pick<LookupSite, "pattern" | "ids"> | undefined {
	const [ids, size, values] = node.inputs;
	if (!node.is("OneHot") || ids === undefined) return undefined;
	const [given] = facts.numbers(size) ?? [];
	const [off, on] = facts.numbers(values) ?? [];
	const axis = intOf(node, "axis", -1);
	if (given !== depth || off !== 0 || on !== 1 || (axis !== -1 && axis !== facts.rank(ids))) return undefined;
	return { pattern: "E7", ids };
}

function equalIds(node: Node, depth: number, facts: Facts): Pick<LookupSite, "pattern" | "ids"> | undefined {
	if (!node.is("Equal")) return undefined;
	for (const [index, value] of node.inputs.entries()) {
		const ids = withoutLastAxis(uncast(node.inputs[1 - index]), facts);
		if (ids !== undefined && countsUpTo(uncast(value), depth, facts)) return { pattern: "E11", ids };
	}
	return undefined;
}

/** 0, 1, … depth − 1 along the last axis: a constant, or a Range of constants. */
function countsUpTo(value: Value | undefined, depth: number, facts: Facts): boolean {
	const node = value?.producer;
	if (node?.is("Range") === true) {
		const [start, limit, delta] = node.inputs.map((input) => facts.numbers(input)?.[0]);
		return start === 0 && limit === depth && delta === 1;
	}
	const numbers = facts.numbers(value);
	if (numbers?.length !== depth || facts.view(value)?.shape.at(-1) !== depth) return false;
	return numbers.every((entry, position) => entry === position);
}

/** The word table of a fused embedding layer; the pass that rewrites it takes the layer apart. */
function matchEmbedLayerNormalization(node: Node, facts: Facts): LookupSite | undefined {
	const [ids] = node.inputs;
	const matrix = matrixOf(facts.view(node.inputs[2]));
	if (ids === undefined || matrix === undefined || !isFloat(matrix.dtype)) return undefined;
	return { kind: "lookup", pattern: "E6", graph: node.graph, node, input: 2, ids, output: undefined, dtype: matrix.dtype, matrix };
}
