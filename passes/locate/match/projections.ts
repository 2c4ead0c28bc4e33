// Projections P1 to P10: places where hidden states are multiplied by a constant matrix. Read-only.
import { floatOf, intOf, stringOf } from "../../../src/ir/attributes.js";
import { isFloat } from "../../../src/ir/dtype.js";
import type { Node } from "../../../src/ir/graph.js";
import type { ProjectionPattern } from "../../../src/state.js";
import { matrixOf } from "../matrix/aliases.js";
import type { Facts } from "../matrix/facts.js";
import { type Matrix, transpose } from "../matrix/matrix.js";
import { matchMatMulBnb4, matchMatMulNBits } from "./blocks.js";
import { contraction } from "./einsum.js";
import { matchDynamicQuantizeMatMul, matchMatMulInteger, matchMatMulIntegerToFloat } from "./integers.js";
import { activationOf, NO_GEMM, type ProjectionSite, type Unreadable } from "./sites.js";

type Matcher = (node: Node, facts: Facts) => ProjectionSite | Unreadable | undefined;

/** Matchers by operator of the default domain. */
const MATCHERS: Readonly<Record<string, Matcher>> = {
	MatMul: matchMatMul,
	Gemm: matchGemm,
	Einsum: matchEinsum,
	MatMulInteger: matchMatMulInteger,
};

/** Matchers by operator of com.microsoft. */
const CONTRIB_MATCHERS: Readonly<Record<string, Matcher>> = {
	FusedMatMul: matchFusedMatMul,
	FusedGemm: matchGemm,
	MatMulNBits: matchMatMulNBits,
	MatMulBnb4: matchMatMulBnb4,
	MatMulIntegerToFloat: matchMatMulIntegerToFloat,
	DynamicQuantizeMatMul: matchDynamicQuantizeMatMul,
};

/** The product with a constant matrix that `node` is, if it is one. */
export function matchProjection(node: Node, facts: Facts): ProjectionSite | Unreadable | undefined {
	if (node.domain === "") return MATCHERS[node.opType]?.(node, facts);
	return node.domain === "com.microsoft" ? CONTRIB_MATCHERS[node.opType]?.(node, facts) : undefined;
}

type Common = Pick<ProjectionSite, "kind" | "graph" | "node" | "hidden" | "output" | "hiddenRank">;

/** What all of them have in common; `input` is the place of the hidden states. */
function common(node: Node, input: number, facts: Facts): Common | undefined {
	const hidden = node.inputs[input];
	const [output] = node.outputs;
	if (hidden === undefined || output === undefined || facts.view(hidden) !== undefined) return undefined;
	return { kind: "projection", graph: node.graph, node, hidden, output, hiddenRank: facts.rank(hidden) ?? facts.rank(output) };
}

/** The float matrix at input `index`. */
function floatMatrix(node: Node, index: number, facts: Facts): Matrix | undefined {
	const matrix = matrixOf(facts.view(node.inputs[index]));
	return matrix !== undefined && isFloat(matrix.dtype) ? matrix : undefined;
}

function patternOf({ scaling, transposed }: Matrix, folded: ProjectionPattern): ProjectionPattern {
	if (scaling !== undefined) return scaling.colStride !== 0 && scaling.rowStride !== 0 ? "P7" : "P8";
	return transposed ? "P2" : folded;
}

function matchMatMul(node: Node, facts: Facts): ProjectionSite | undefined {
	const parts = common(node, 0, facts);
	const matrix = floatMatrix(node, 1, facts);
	if (parts === undefined || matrix === undefined) return undefined;
	return { ...parts, ...NO_GEMM, pattern: patternOf(matrix, "P1"), input: 1, dtype: matrix.dtype, matrix: transpose(matrix) };
}

function matchFusedMatMul(node: Node, facts: Facts): ProjectionSite | undefined {
	const parts = common(node, 0, facts);
	const matrix = floatMatrix(node, 1, facts);
	const turned = ["transA", "transBatchA", "transBatchB"].some((name) => intOf(node, name, 0) !== 0);
	if (parts === undefined || matrix === undefined || turned) return undefined;
	const table = intOf(node, "transB", 0) === 1 ? matrix : transpose(matrix);
	return { ...parts, ...NO_GEMM, pattern: "P4", input: 1, dtype: matrix.dtype, alpha: floatOf(node, "alpha", 1), matrix: table };
}

function matchGemm(node: Node, facts: Facts): ProjectionSite | undefined {
	const parts = common(node, 0, facts);
	const matrix = floatMatrix(node, 1, facts);
	if (parts === undefined || matrix === undefined) return undefined;
	const transB = intOf(node, "transB", 0) === 1;
	const pattern = node.is("Gemm") && transB ? "P3" : "P4";
	const gemm = {
		transA: intOf(node, "transA", 0) === 1,
		c: node.inputs[2],
		beta: floatOf(node, "beta", 1),
		activation: node.is("Gemm") ? undefined : activationOf(node),
	};
	const table = transB ? matrix : transpose(matrix);
	const alpha = floatOf(node, "alpha", 1);
	return { ...parts, pattern, input: 1, dtype: matrix.dtype, alpha, gemm, bias: undefined, matrix: table, hiddenRank: 2 };
}

function matchEinsum(node: Node, facts: Facts): ProjectionSite | undefined {
	if (node.inputs.length !== 2) return undefined;
	for (const input of [1, 0]) {
		const parts = common(node, 1 - input, facts);
		const matrix = floatMatrix(node, input, facts);
		const form = contraction(stringOf(node, "equation", ""), input);
		if (parts === undefined || matrix === undefined || form === undefined) continue;
		const table = form === "rows" ? matrix : transpose(matrix);
		const hiddenRank = parts.hiddenRank;
		return { ...parts, ...NO_GEMM, pattern: "P5", input, dtype: matrix.dtype, hiddenRank, matrix: table };
	}
	return undefined;
}
