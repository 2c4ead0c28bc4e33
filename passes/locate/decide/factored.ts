// Tables that are factorized already (E10): their rows only enter the model through a wider matrix.
import { isFloat } from "../../../src/ir/dtype.js";
import type { Node, Value } from "../../../src/ir/graph.js";
import type { LookupSite, ProjectionSite } from "../match/sites.js";
import { matrixOf } from "../matrix/aliases.js";
import type { Facts } from "../matrix/facts.js";

/** Sums, scales and normalizations: what stands between a factorized table and the matrix that widens it. */
const NARROW: ReadonlySet<string> = new Set(
	"Identity Cast Reshape Squeeze Unsqueeze Transpose Dropout Pow Sqrt Reciprocal ReduceMean LayerNormalization RMSNormalization SimplifiedLayerNormalization Add Sub Mul Div Slice Expand".split(
		" ",
	),
);

/** The rows enter the model through a single product with a matrix of more columns. */
export function isFactoredLookup({ output, node, matrix }: LookupSite, facts: Facts): boolean {
	const width = widthAfter(output ?? node.outputs[0], facts) ?? 0;
	return width > matrix.cols && width !== matrix.rows; // not the head itself
}

/** The hidden states come out of a single product with a matrix of more rows. */
export function isFactoredProjection({ hidden, matrix }: ProjectionSite, facts: Facts): boolean {
	return (widthBefore(hidden, facts) ?? 0) > matrix.cols;
}

/** Columns of the one matrix by which everything made of `rows` is multiplied first. */
function widthAfter(rows: Value | undefined, facts: Facts): number | undefined {
	const seen = new Set<Node>();
	const pending = rows === undefined ? [] : [rows];
	let width: number | undefined;
	for (let value = pending.pop(); value !== undefined; value = pending.pop()) {
		for (const use of value.uses) {
			if (use.kind === "output") return undefined;
			const { node } = use;
			if (node.is("Shape") || seen.has(node)) continue;
			seen.add(node);
			if (NARROW.has(node.opType)) {
				for (const output of node.outputs) if (output !== undefined) pending.push(output);
				continue;
			}
			const matrix = use.index === 0 ? matrixAt(node, facts) : undefined;
			if (matrix === undefined || width !== undefined) return undefined;
			width = matrix.cols;
		}
	}
	return width;
}

/** Rows of the one matrix by which everything that `hidden` is made of was multiplied last. */
function widthBefore(hidden: Value, facts: Facts): number | undefined {
	const seen = new Set<Node>();
	const pending: (Value | undefined)[] = [hidden];
	let width: number | undefined;
	for (let value = pending.pop(); value !== undefined; value = pending.pop()) {
		const node = value.producer;
		if (facts.view(value) !== undefined || (node !== undefined && seen.has(node))) continue;
		if (node === undefined) return undefined;
		seen.add(node);
		if (NARROW.has(node.opType)) {
			pending.push(...node.inputs);
			continue;
		}
		const matrix = matrixAt(node, facts);
		if (matrix === undefined || width !== undefined) return undefined;
		width = matrix.rows;
	}
	return width;
}

/** The constant [K, N] by which a MatMul or Gemm multiplies. */
function matrixAt(node: Node, facts: Facts): { readonly rows: number; readonly cols: number } | undefined {
	if (!node.is("MatMul") && !node.is("Gemm")) return undefined;
	const matrix = matrixOf(facts.view(node.inputs[1]));
	if (matrix === undefined || !isFloat(matrix.dtype)) return undefined;
	const held = node.attributes.get("transB");
	const turned = held?.kind === "int" && held.value === 1n;
	return turned ? { rows: matrix.cols, cols: matrix.rows } : matrix;
}
