// Puts encoded factors under their initializers, and the nodes that read them back in front of every use.
import { DistembError } from "../../src/errors.js";
import { floatOf, int } from "../../src/ir/attributes.js";
import { addConstant, Chain } from "../../src/ir/build.js";
import type { DType } from "../../src/ir/dtype.js";
import { importOpset, removeUnused, setInfo, setInput, setTensor } from "../../src/ir/edit.js";
import type { Attribute, Node, Value } from "../../src/ir/graph.js";
import { Tensor } from "../../src/ir/tensor.js";
import { nodeLabel, readers } from "../../src/ir/walk.js";
import type { FactorValue } from "../../src/state.js";
import { blocksOf, isBlockQuantized } from "../../src/storage.js";
import type { Contents, EncodedFactor, EncodedGroup } from "./encode.js";

/** Stores one factor of one file. Readers are the Gathers, MatMuls and Gemms that `factorize` made. */
export function storeFactor({ value, role, file }: FactorValue, encoded: EncodedGroup): void {
	const factor = encoded.factors.get(role);
	if (factor === undefined) throw new DistembError("internal", `factor "${value.name}" was not encoded`);
	const uses = readers(value);
	const isLeft = role === "left" || role === "leftT";
	if (isLeft && isBlockQuantized(encoded.storage, encoded.ops)) {
		importOpset(file.model, "com.microsoft", 1);
		storeBlocks(value, factor, uses, encoded);
	} else if (factor.scales !== undefined) storeScaled(value, { ...factor, scales: factor.scales }, role === "leftT", uses, encoded);
	else storeFloats(value, factor.main, uses, encoded);
}

/** New contents for `value`; a declaration of its type follows (initializers that are listed as inputs have one). */
export function put(value: Value, { dtype, dims, data }: Contents): void {
	setTensor(value, new Tensor(dtype, dims, data, value.tensor?.placement));
	if (value.info !== undefined) setInfo(value, { ...value.info, type: { dtype, shape: dims } });
}

/** A further tensor of `value`, stored beside it. */
function beside(value: Value, label: string, { dtype, dims, data }: Contents): Value {
	return addConstant(value.graph, `${value.name}.${label}`, new Tensor(dtype, dims, data, value.tensor?.placement));
}

function chainAt(value: Value): Chain {
	return new Chain(value.graph, value.graph.nodes[0], value.name);
}

// --- float16 and bfloat16 --------------------------------------------------

/** Lookups convert the rows they gathered, other readers the whole factor. */
export function storeFloats(value: Value, main: Contents, uses: readonly Node[], { compute }: Pick<EncodedGroup, "compute">): void {
	put(value, main);
	if (main.dtype === compute) return;
	let whole: Value | undefined;
	for (const node of uses) {
		if (node.is("Gather")) decodeRows(node, (chain, codes) => chain.cast(codes, main.dtype, compute, "cast"));
		else {
			whole ??= chainAt(value).cast(value, main.dtype, compute, "cast");
			redirect(node, value, whole);
		}
	}
}

/** What a Gather on stored numbers yields goes through `decode` before its readers. */
function decodeRows(gather: Node, decode: (chain: Chain, codes: Value) => Value): void {
	const [codes] = gather.outputs;
	const [reader] = codes === undefined ? [] : readers(codes);
	if (codes === undefined || reader === undefined) throw new DistembError("internal", `${nodeLabel(gather)} has no reader`);
	const decoded = decode(new Chain(gather.graph, reader, codes.name), codes);
	redirect(reader, codes, decoded);
}

function redirect(node: Node, from: Value, to: Value): void {
	for (const [index, input] of node.inputs.entries()) if (input === from) setInput(node, index, to);
}

// --- int8 in standard operators ----------------------------------------------

type ScaledFactor = EncodedFactor & { readonly scales: Contents };

/**
 * rows = codes · scale: on gathered rows for lookups, on the whole factor for other readers. The latter are nodes on constants alone, which an
 * engine computes once, when it loads the model. DequantizeLinear would say the same, but onnxruntime leaves it to every run.
 */
export function storeScaled(
	value: Value,
	factor: ScaledFactor,
	isTransposed: boolean,
	uses: readonly Node[],
	{ compute }: Pick<EncodedGroup, "compute">,
): void {
	put(value, factor.main);
	const [rows = 0] = factor.scales.dims;
	const scales = beside(value, "scale", { ...factor.scales, dims: isTransposed ? [rows] : [rows, 1] });
	let whole: Value | undefined;
	for (const node of uses) {
		if (node.is("Gather")) {
			decodeRows(node, (chain, codes) => {
				const scale = chain.add("Gather", [scales, node.inputs[1]], "scale", { attributes: { axis: int(0) } });
				return decoded(chain, codes, scale, compute);
			});
		} else {
			whole ??= decoded(chainAt(value), value, scales, compute);
			redirect(node, value, whole);
		}
	}
}

/** codes · scales, computed in float32. */
function decoded(chain: Chain, codes: Value, scales: Value, compute: DType): Value {
	const product = chain.add("Mul", [chain.cast(codes, "int8", "float32", "codes"), scales], "decoded");
	return chain.cast(product, "float32", compute, "cast");
}

// --- blocks of bytes, in onnxruntime's operators -----------------------------

/** One uint8 tensor [V, blocks, size] for MatMulNBits, seen as [V, columns] by GatherBlockQuantized. */
function storeBlocks(value: Value, { main, scales }: EncodedFactor, uses: readonly Node[], { group, compute, coder }: EncodedGroup): void {
	if (scales === undefined) throw new DistembError("internal", `factor "${value.name}" has no scales`);
	const [rows = 0] = main.dims;
	const { size, count } = blocksOf(group.rank, compute === "float16" ? 2 : 4);
	const gathers = uses.filter((node) => node.is("Gather"));
	const heads = uses.filter((node) => !gathers.includes(node));
	put(value, heads.length === 0 ? main : { ...main, dims: [rows, count, size] });
	const scale = beside(value, "scale", scales);
	const shape = () => chainAt(value).constant("int64", [rows, coder.width], "flat_shape");
	const flat = heads.length === 0 || gathers.length === 0 ? value : chainAt(value).add("Reshape", [value, shape()], "flat");
	for (const node of gathers) gatherBlocks(node, flat, scale, size);
	for (const node of heads) multiplyBlocks(node, value, scale, { rows, columns: coder.width, size });
}

function gatherBlocks(node: Node, flat: Value, scale: Value, size: number): void {
	const [output] = node.outputs;
	if (output === undefined) return;
	new Chain(node.graph, node, output.name).add("GatherBlockQuantized", [flat, node.inputs[1], scale], "rank", {
		domain: "com.microsoft",
		attributes: { gather_axis: int(0), quantize_axis: int(1), block_size: int(size), bits: int(8) },
		defines: output,
	});
	removeUnused([node]);
}

/** Accuracy level 4: activations are rounded to int8 too; the default computes in float32 and is far slower. */
const ACCURACY_LEVEL = 4;

/** Gemm(x, U, C, transB=1) → MatMulNBits (+ C); a C of shape [V] goes inside. */
function multiplyBlocks(
	node: Node,
	codes: Value,
	scale: Value,
	{ rows, columns, size }: { rows: number; columns: number; size: number },
): void {
	const [x, , c] = node.inputs;
	const [output] = node.outputs;
	if (output === undefined || x === undefined) return;
	const beta = floatOf(node, "beta", 1);
	const shape = c?.type?.shape;
	const isZero = c === undefined || isZeroConstant(c);
	const inside = !isZero && beta === 1 && shape?.length === 1 && shape[0] === rows ? c : undefined;
	const chain = new Chain(node.graph, node, output.name);
	const steps = stepsAfter(node, isZero || inside !== undefined ? undefined : c, chain);
	const inputs = inside === undefined ? [x, codes, scale] : [x, codes, scale, undefined, undefined, inside];
	let result = multiplyByCodes(chain, inputs, { rows, columns, bits: 8, size }, steps.length === 0 ? output : undefined);
	for (const [index, step] of steps.entries()) result = step(result, index === steps.length - 1 ? output : undefined);
	removeUnused([node]);
}

/** A matrix of codes, `columns` to a row, a scale for each `size` of them. */
export interface CodesForm {
	readonly rows: number;
	readonly columns: number;
	readonly bits: number;
	readonly size: number;
}

/** x · codesᵀ in onnxruntime's operator; `inputs`: x, codes, scales, and what else it takes. */
export function multiplyByCodes(
	chain: Chain,
	inputs: readonly (Value | undefined)[],
	{ rows, columns, bits, size }: CodesForm,
	defines: Value | undefined,
): Value {
	const attributes = { K: int(columns), N: int(rows), bits: int(bits), block_size: int(size), accuracy_level: int(ACCURACY_LEVEL) };
	return chain.add("MatMulNBits", inputs, "product", { domain: "com.microsoft", attributes, defines });
}

/** One node of those that follow a product in the place of a Gemm: defines an old value, or a new one. */
export type Step = (input: Value, defines: Value | undefined) => Value;

/** What a Gemm or FusedGemm does besides the product: beta · c is added, an activation applied. */
export function stepsAfter(node: Node, c: Value | undefined, chain: Chain): Step[] {
	const steps: Step[] = [];
	const beta = floatOf(node, "beta", 1);
	if (c !== undefined) {
		steps.push((input, defines) => {
			const dtype = c.type?.dtype ?? "float32";
			const term = beta === 1 ? c : chain.add("Mul", [c, chain.constant(dtype, [beta], "beta", [])], "bias");
			return chain.add("Add", [input, term], "biased", { defines });
		});
	}
	const activation = node.attributes.get("activation");
	if (activation?.kind === "string")
		steps.push((input, defines) => chain.add(activation.value, [input], "activated", { attributes: activationOf(node), defines }));
	return steps;
}

export function isZeroConstant(value: Value): boolean {
	const { tensor } = value;
	return tensor !== undefined && tensor.size === 1 && tensor.bytes().every((byte) => byte === 0);
}

/** FusedGemm's `activation_alpha` … as the operator's own attributes. */
function activationOf(node: Node): Record<string, Attribute> {
	const own: Record<string, Attribute> = {};
	for (const [name, held] of node.attributes) if (name.startsWith("activation_")) own[name.slice("activation_".length)] = held;
	return own;
}
