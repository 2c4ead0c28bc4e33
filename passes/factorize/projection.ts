// Projections: logits = alpha · (h · Wᵀ) · Uᵀ + beta · C, in place of h · Eᵀ.
import { float, int, ints } from "../../src/ir/attributes.js";
import { Chain } from "../../src/ir/build.js";
import type { DType } from "../../src/ir/dtype.js";
import type { Attribute, Node, Value } from "../../src/ir/graph.js";
import type { Projection } from "../../src/state.js";

export interface GemmFactors {
	/** U [V, r] and W [r, d] */
	readonly left: Value;
	readonly right: Value;
	readonly rows: number;
	readonly cols: number;
	readonly compute: DType;
}

export interface MatMulFactors {
	/** Uᵀ [r, V] and Wᵀ [d, r] */
	readonly leftT: Value;
	readonly rightT: Value;
	readonly compute: DType;
}

/** Two Gemms that read U and W as lookups do; Reshapes around them unless the hidden states are known to be a matrix. */
export function rewriteAsGemm(projection: Projection, factors: GemmFactors): Node | undefined {
	const { output, gemm, alpha, dtype } = projection;
	const idle = output.producer;
	const chain = new Chain(projection.graph, idle, output.name);
	const { left, right, rows, cols, compute } = factors;
	const hidden = chain.cast(projection.hidden, dtype, compute, "hidden_cast");
	const isMatrix = projection.hiddenRank === 2;
	const flat = isMatrix ? hidden : chain.add("Reshape", [hidden, chain.constant("int64", [-1, cols], "flat_shape")], "flat");
	const zero = chain.opset < 11 ? chain.constant(compute, [0], "zero") : undefined;
	const narrowed = chain.add("Gemm", zero === undefined ? [flat, right] : [flat, right, zero], "rank", {
		attributes: { ...(gemm?.transA === true ? { transA: int(1) } : {}), transB: int(1), ...(alpha === 1 ? {} : { alpha: float(alpha) }) },
	});
	const given = gemm?.c ?? projection.bias;
	const bias = given === undefined ? zero : chain.cast(given, dtype, compute, "bias_cast");
	const isLast = isMatrix && compute === dtype;
	const attributes: Record<string, Attribute> = { transB: int(1) };
	if (given !== undefined && gemm !== undefined && gemm.beta !== 1) attributes.beta = float(gemm.beta);
	for (const [name, held] of gemm?.activation ?? []) attributes[name] = held;
	const logits = chain.add(
		gemm?.activation === undefined ? "Gemm" : "FusedGemm",
		bias === undefined ? [narrowed, left] : [narrowed, left, bias],
		"logits",
		{
			attributes,
			domain: gemm?.activation === undefined ? "" : "com.microsoft",
			defines: isLast ? output : undefined,
		},
	);
	if (isLast) return idle;
	const shaped = isMatrix ? logits : restoreShape(chain, projection.hidden, logits, rows, compute === dtype ? output : undefined);
	if (compute !== dtype) chain.cast(shaped, compute, dtype, "cast", output);
	return idle;
}

/** Two MatMuls on transposed factors, for any rank of the hidden states; the factor alpha and the bias are nodes of their own. */
export function rewriteAsMatMul(projection: Projection, factors: MatMulFactors): Node | undefined {
	const { output, alpha, dtype, bias } = projection;
	const idle = output.producer;
	const chain = new Chain(projection.graph, idle, output.name);
	const { leftT, rightT, compute } = factors;
	const hidden = chain.cast(projection.hidden, dtype, compute, "hidden_cast");
	const narrowed = chain.add("MatMul", [hidden, rightT], "rank");
	const scaled = alpha === 1 ? narrowed : chain.add("Mul", [narrowed, chain.constant(compute, [alpha], "alpha", [])], "scaled");
	const isLast = bias === undefined && compute === dtype;
	const logits = chain.add("MatMul", [scaled, leftT], "logits", { defines: isLast ? output : undefined });
	const converted = isLast
		? logits
		: chain.cast(logits, compute, dtype, "cast", compute !== dtype && bias === undefined ? output : undefined);
	if (bias !== undefined) chain.add("Add", [converted, bias], "biased", { defines: output });
	return idle;
}

/** `matrix` [-1, rows] in the shape of `like` with its last axis replaced by `rows`. */
function restoreShape(chain: Chain, like: Value, matrix: Value, rows: number, defines: Value | undefined): Value {
	const shape = chain.add("Shape", [like], "shape");
	const target = chain.add("Concat", [leadingSizes(chain, shape), chain.constant("int64", [rows], "vocabulary")], "target", {
		attributes: { axis: int(0) },
	});
	return chain.add("Reshape", [matrix, target], "shaped", { defines });
}

/** All sizes but the last. Slice takes its bounds as attributes before opset 10. */
function leadingSizes(chain: Chain, shape: Value): Value {
	if (chain.opset < 10)
		return chain.add("Slice", [shape], "leading", { attributes: { axes: ints([0]), starts: ints([0]), ends: ints([-1]) } });
	return chain.add("Slice", [shape, chain.constant("int64", [0], "start"), chain.constant("int64", [-1], "end")], "leading");
}
