// Brings a training graph to opset 18, so that every rule is written once.
// Why 18: ScatterND and ScatterElements add up repeated indices since 16, and all reductions take their axes as an input since 18.
// The training graph is never written to a file, so the opset of the converted model does not change.
import { int, intOf, intsOf } from "../ir/attributes.js";
import { addConstant, smallTensor } from "../ir/build.js";
import { addNode, freshName, outputOf, removeNode, setAttribute, setInput } from "../ir/edit.js";
import type { Model, Node, Value } from "../ir/graph.js";
import { int64Tensor } from "../ir/tensor.js";
import { allNodes } from "../ir/walk.js";
import { copyModel, type ModelCopy } from "./copy.js";
import type { Facts } from "./facts.js";

/** Opset of training graphs of older models; newer models keep theirs. */
export const TRAINING_OPSET = 18;

/** What is known of a value; undefined: nothing. */
export type Known = (value: Value) => Facts | undefined;

interface Change {
	/** The first opset with the new form. */
	readonly since: number;
	readonly convert: (node: Node, known: Known) => void;
}

/**
 * A copy of `model` at opset 18 (or `to`) or, if that is higher, its own. `known` answers for values of `model` and is only a help:
 * where nothing is known, a Softmax of before opset 13 becomes three nodes instead of one, and a bound gets a CastLike.
 */
export function raiseOpset(model: Model, known: Known = () => undefined, to = TRAINING_OPSET): ModelCopy {
	const from = model.opset;
	const copy = copyModel(model, new Map([["", Math.max(from, to)]]));
	const originals = new Map([...copy.values].map(([original, value]) => [value, original]));
	const knownOfCopy = (value: Value) => {
		const original = originals.get(value);
		return original === undefined ? undefined : known(original);
	};
	for (const node of [...allNodes(copy.model)]) {
		const change = node.domain === "" && Object.hasOwn(CHANGES, node.opType) ? CHANGES[node.opType] : undefined;
		if (change !== undefined && from < change.since) change.convert(node, knownOfCopy);
	}
	return copy;
}

/** An attribute with whole numbers becomes input `index`. */
function attributeToInput(name: string, index: number, otherwise?: (node: Node) => readonly number[] | undefined) {
	return (node: Node) => {
		const numbers = intsOf(node, name) ?? (node.inputs[index] === undefined ? otherwise?.(node) : undefined);
		setAttribute(node, name, undefined);
		if (numbers !== undefined) setInput(node, index, integers(node, name, numbers));
	};
}

function integers(node: Node, label: string, numbers: readonly number[]): Value {
	return addConstant(node.graph, `${labelOf(node)}/${label}`, int64Tensor(numbers));
}

/** An attribute with one float becomes input `index`, a scalar of input 0's type. */
function floatToInput(node: Node, known: Known, name: string, index: number): void {
	const held = node.attributes.get(name);
	setAttribute(node, name, undefined);
	if (held?.kind !== "float") return;
	const [input] = node.inputs;
	const dtype = input === undefined ? undefined : known(input)?.dtype;
	const scalar = addConstant(node.graph, `${labelOf(node)}/${name}`, smallTensor(dtype ?? "float32", [held.value], []));
	setInput(node, index, dtype === undefined ? before(node, "CastLike", [scalar, input], name) : scalar);
}

/** What new values are called after: the node, or its first result. */
function labelOf(node: Node): string {
	return node.name !== "" ? node.name : (node.outputs[0]?.name ?? node.opType);
}

function before(node: Node, opType: string, inputs: readonly (Value | undefined)[], label: string, attributes = {}): Value {
	const name = freshName(node.graph.model, `${labelOf(node)}/${label}`);
	return outputOf(addNode(node.graph, { opType, name, inputs, outputs: [name], attributes }, node));
}

/** Puts a node of another operator, with the same outputs, in the place of `node`. */
function replace(node: Node, opType: string, inputs: readonly (Value | undefined)[], attributes = {}): void {
	addNode(node.graph, { opType, name: node.name, inputs, outputs: [...node.outputs], attributes }, node);
	removeNode(node);
}

/** Before opset 13 the softmax runs over all axes from `axis` (1 by default) to the last. */
function softmax(node: Node, known: Known): void {
	const axis = intOf(node, "axis", 1);
	const input = node.inputs[0];
	const rank = input === undefined ? undefined : known(input)?.dims.length;
	if (axis === -1 || (rank !== undefined && axis === rank - 1)) {
		setAttribute(node, "axis", int(-1));
		return;
	}
	const flat = before(node, "Flatten", [input], "flat", { axis: int(axis) });
	const shape = before(node, "Shape", [input], "shape");
	const result = before(node, node.opType, [flat], "softmax", { axis: int(-1) });
	replace(node, "Reshape", [result, shape]);
}

/** Before opset 10: starts, ends and axes as attributes. */
function slice(node: Node): void {
	for (const [index, name] of ["starts", "ends", "axes"].entries()) attributeToInput(name, index + 1)(node);
}

function clip(node: Node, known: Known): void {
	floatToInput(node, known, "min", 1);
	floatToInput(node, known, "max", 2);
}

function pad(node: Node, known: Known): void {
	attributeToInput("pads", 1)(node);
	floatToInput(node, known, "value", 2);
}

/** In inference a Dropout is the identity; the mask stays where somebody reads it. */
function dropout(node: Node): void {
	const [output, mask] = node.outputs;
	setAttribute(node, "ratio", undefined);
	if (output !== undefined && (mask === undefined || mask.uses.size === 0)) {
		addNode(node.graph, { opType: "Identity", name: node.name, inputs: [node.inputs[0]], outputs: [output] }, node);
		removeNode(node);
	}
}

/** Since opset 18 a Split without sizes says how many parts it makes. */
function split(node: Node): void {
	attributeToInput("split", 1)(node);
	if (node.inputs[1] === undefined) setAttribute(node, "num_outputs", int(node.outputs.length));
}

function topK(node: Node): void {
	const k = intOf(node, "k", 1);
	setAttribute(node, "k", undefined);
	if (node.inputs[1] === undefined) setInput(node, 1, integers(node, "k", [k]));
}

function scatter(node: Node): void {
	replace(node, "ScatterElements", node.inputs, { axis: int(intOf(node, "axis", 0)) });
}

const axesToInput: Change = { since: 18, convert: attributeToInput("axes", 1) };

/** Operators whose meaning or form changes between opsets 7 and 18. */
const CHANGES: Readonly<Record<string, Change>> = {
	Softmax: { since: 13, convert: softmax },
	LogSoftmax: { since: 13, convert: softmax },
	Hardmax: { since: 13, convert: softmax },
	ReduceSum: { since: 13, convert: attributeToInput("axes", 1) },
	ReduceMean: axesToInput,
	ReduceMax: axesToInput,
	ReduceMin: axesToInput,
	ReduceProd: axesToInput,
	ReduceL1: axesToInput,
	ReduceL2: axesToInput,
	ReduceSumSquare: axesToInput,
	ReduceLogSum: axesToInput,
	ReduceLogSumExp: axesToInput,
	Squeeze: { since: 13, convert: attributeToInput("axes", 1) },
	Unsqueeze: { since: 13, convert: attributeToInput("axes", 1) },
	Split: { since: 18, convert: split },
	Slice: { since: 10, convert: slice },
	Clip: { since: 11, convert: clip },
	Pad: { since: 11, convert: pad },
	Dropout: { since: 12, convert: dropout },
	TopK: { since: 10, convert: topK },
	Scatter: { since: 11, convert: scatter },
};
