// Where a graph input goes: which tables it indexes. Used to make inputs whose every element is in range.
import { intOf, intsOf } from "../ir/attributes.js";
import { hasNumbers, readElements } from "../ir/elements.js";
import type { Dim, Graph, Node, Value } from "../ir/graph.js";
import type { Tensor } from "../ir/tensor.js";

/** Operators whose output holds elements of input 0 (and of those inputs only that are named). */
const KEEPS_ELEMENTS: ReadonlyMap<string, readonly number[] | "all"> = new Map<string, readonly number[] | "all">([
	["Identity", [0]],
	["Cast", [0]],
	["Clip", [0]],
	["Reshape", [0]],
	["Squeeze", [0]],
	["Unsqueeze", [0]],
	["Flatten", [0]],
	["Transpose", [0]],
	["Slice", [0]],
	["Split", [0]],
	["Expand", [0]],
	["Tile", [0]],
	["Pad", [0]],
	["Gather", [0]],
	["Abs", [0]],
	["Mod", [0]],
	["Floor", [0]],
	["Where", [1, 2]],
	["Concat", "all"],
	["Max", "all"],
	["Min", "all"],
]);

/** Operators that read rows of a table: input of the table, input of the indices. */
const READS_ROWS: readonly { readonly op: string; readonly domain: string; readonly table: number; readonly indices: number }[] = [
	{ op: "Gather", domain: "", table: 0, indices: 1 },
	{ op: "GatherElements", domain: "", table: 0, indices: 1 },
	{ op: "GatherBlockQuantized", domain: "com.microsoft", table: 0, indices: 1 },
	{ op: "EmbedLayerNormalization", domain: "com.microsoft", table: 2, indices: 0 },
	{ op: "EmbedLayerNormalization", domain: "com.microsoft", table: 4, indices: 1 },
	{ op: "EmbedLayerNormalization", domain: "com.microsoft", table: 3, indices: 8 },
];

/** Rows that `start`'s elements may name, as [0, rows) of the smallest table they reach; undefined if they reach none. */
export function smallestTable(start: Value): number | undefined {
	let smallest: number | undefined;
	const seen = new Set<Value>();
	const pending: { value: Value; shift: number; caller: Caller | undefined }[] = [{ value: start, shift: 0, caller: undefined }];
	for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
		const { value, shift, caller } = next;
		if (seen.has(value)) continue;
		seen.add(value);
		for (const use of value.uses) {
			if (use.kind === "output") continue;
			const { node, index } = use;
			const rows = rowsRead(node, index, caller);
			if (rows !== undefined) smallest = Math.min(smallest ?? Number.POSITIVE_INFINITY, Math.max(rows - shift, 1));
			for (const onward of passedOn(node, index, caller)) pending.push({ caller, ...onward, shift: shift + onward.shift });
		}
	}
	return smallest;
}

/** A call of a local function: its formal parameters stand for the arguments. */
interface Caller {
	readonly node: Node;
	readonly body: Graph;
	readonly outer: Caller | undefined;
}

function rowsRead(node: Node, index: number, caller: Caller | undefined): number | undefined {
	for (const { op, domain, table, indices } of READS_ROWS) {
		if (!node.is(op, domain) || indices !== index) continue;
		const shape = shapeOf(node.inputs[table], caller);
		const axis =
			op === "GatherBlockQuantized" ? intOf(node, "gather_axis", 0) : op === "EmbedLayerNormalization" ? 0 : intOf(node, "axis", 0);
		const rows = shape?.at(axis);
		if (typeof rows === "number" && rows > 0) return rows;
	}
	if (node.is("OneHot") && index === 0) return scalarOf(node.inputs[1]);
	if (node.is("GatherND") && index === 1) {
		const rows = shapeOf(node.inputs[0], caller)?.[intOf(node, "batch_dims", 0)];
		return typeof rows === "number" && rows > 0 ? rows : undefined;
	}
	return undefined;
}

/** Values that hold the elements of input `index` of `node`, plus a constant `shift`. */
function passedOn(node: Node, index: number, caller: Caller | undefined): { value: Value; shift: number; caller?: Caller }[] {
	const kept = node.domain === "" ? KEEPS_ELEMENTS.get(node.opType) : undefined;
	if (kept === "all" || kept?.includes(index) === true) return outputsOf(node, 0);
	if (node.is("Add")) return outputsOf(node, scalarOf(node.inputs[1 - index]));
	if (node.is("Sub") && index === 0) return outputsOf(node, negated(scalarOf(node.inputs[1])));
	const parameter = bodyInput(node, index);
	if (parameter !== undefined) return [{ value: parameter, shift: 0 }];
	const called = node.graph.model.functions.find(({ domain, name }) => domain === node.domain && name === node.opType)?.body;
	const formal = called?.inputs[index];
	return called === undefined || formal === undefined ? [] : [{ value: formal, shift: 0, caller: { node, body: called, outer: caller } }];
}

function outputsOf(node: Node, shift: number | undefined): { value: Value; shift: number }[] {
	if (shift === undefined) return [];
	return node.outputs.flatMap((value) => (value === undefined ? [] : [{ value, shift }]));
}

const negated = (value: number | undefined): number | undefined => (value === undefined ? undefined : -value);

/** The input of a Loop's or Scan's body that input `index` of the node becomes. */
function bodyInput(node: Node, index: number): Value | undefined {
	const body = node.attributes.get("body");
	if (body?.kind !== "graph" || !(node.is("Loop") || node.is("Scan"))) return undefined;
	if (node.is("Loop") && index < 2) return undefined;
	return body.value.inputs[index];
}

/** Sizes of a value as far as they are fixed: of its tensor, its declaration, or the value it is a copy of. */
export function shapeOf(value: Value | undefined, caller?: Caller): readonly Dim[] | undefined {
	const constant = constantOf(value);
	if (constant !== undefined) return constant.dims;
	if (value === undefined) return undefined;
	if (caller !== undefined && value.graph === caller.body) {
		const formal = caller.body.inputs.indexOf(value);
		if (formal >= 0) return shapeOf(caller.node.inputs[formal], caller.outer);
	}
	const declared = value.type?.shape;
	if (declared?.every((dim) => typeof dim === "number") === true) return declared;
	const node = value.producer;
	if (node === undefined) return declared;
	if (node.is("Transpose")) {
		const shape = shapeOf(node.inputs[0], caller);
		const permutation = intsOf(node, "perm");
		return permutation === undefined ? shape?.toReversed() : permutation.map((axis) => shape?.[axis]);
	}
	if (SAME_SHAPE.has(node.opType)) return shapeOf(node.inputs[0], caller);
	if (node.is("Reshape")) return elementsOf(node.inputs[1])?.map((size) => (size > 0 ? size : undefined));
	return declared;
}

const SAME_SHAPE: ReadonlySet<string> = new Set([
	"Identity",
	"Cast",
	"DequantizeLinear",
	"Mul",
	"Div",
	"ScatterND",
	"ScatterElements",
	"Relu",
]);

/** The tensor of an initializer or of a Constant node. */
function constantOf(value: Value | undefined): Tensor | undefined {
	const node = value?.producer;
	const held = node?.is("Constant") === true ? node.attributes.get("value") : undefined;
	return value?.tensor ?? (held?.kind === "tensor" ? held.value : undefined);
}

/** Elements of a small constant of numbers. */
function elementsOf(value: Value | undefined): number[] | undefined {
	const tensor = constantOf(value);
	if (tensor?.data === undefined || tensor.size > 16 || !hasNumbers(tensor.dtype)) return undefined;
	return readElements(tensor.dtype, tensor.bytes(), tensor.size).map(Number);
}

/** The single element of a constant. */
function scalarOf(value: Value | undefined): number | undefined {
	const elements = elementsOf(value);
	return elements?.length === 1 ? elements[0] : undefined;
}

/**
 * The graph input that `value`'s elements come from, through operators that keep elements, captured values and the
 * inputs of Loop and Scan bodies; undefined if they are computed.
 */
export function sourceInput(value: Value): Value | undefined {
	let current: Value | undefined = value;
	for (let steps = 0; current !== undefined && steps < 64; steps++) {
		if (current.source.kind === "input") {
			const owner: Node | undefined = current.graph.owner;
			if (owner === undefined) return current;
			const index = current.graph.inputs.indexOf(current);
			current = bodyInput(owner, index) === current ? owner.inputs[index] : undefined;
			continue;
		}
		const node: Node | undefined = current.producer;
		const kept: readonly number[] | "all" | undefined = node?.domain === "" ? KEEPS_ELEMENTS.get(node.opType) : undefined;
		current = kept === undefined ? undefined : node?.inputs[kept === "all" ? 0 : (kept[0] ?? 0)];
	}
	return undefined;
}
