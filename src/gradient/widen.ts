// Half precision is for storage: a training graph computes in float32, so that small gradients do not vanish.
import { int } from "../ir/attributes.js";
import { codeOfDType, type DType } from "../ir/dtype.js";
import { addNode, freshName, outputOf, replaceUses, setAttribute, setInput } from "../ir/edit.js";
import type { Model, Node, Value } from "../ir/graph.js";
import { subgraphs } from "../ir/walk.js";

const FLOAT32 = codeOfDType("float32");

/** Codes of float16 and bfloat16. */
const HALF_CODES: ReadonlySet<bigint> = new Set([10n, 16n]);

function isHalf(dtype: DType | undefined): boolean {
	return dtype === "float16" || dtype === "bfloat16";
}

/**
 * Makes a straight graph compute in float32: a Cast behind every constant and input of half precision, and no Cast back.
 * Payloads are not touched. A graph that still has bodies is left as it is. Returns constants and inputs → their wide values.
 */
export function widen(model: Model): ReadonlyMap<Value, Value> {
	const { graph } = model;
	const wide = new Map<Value, Value>();
	if (graph.nodes.some((node) => [...subgraphs(node)].length > 0)) return wide;
	const [first] = graph.nodes;
	for (const value of new Set([...graph.initializers, ...graph.inputs])) {
		if (isHalf(value.type?.dtype) && value.uses.size > 0) wide.set(value, castBehind(value, first));
	}
	for (const node of [...graph.nodes]) {
		if (node.is("Cast")) widenCast(node, wide);
		else if (makesHalf(node)) castBehind(outputOf(node), following(node));
	}
	return wide;
}

function castBehind(value: Value, before: Node | undefined): Value {
	const name = freshName(value.graph.model, `${value.name}/wide`);
	const attributes = { to: int(FLOAT32) };
	const cast = addNode(value.graph, { opType: "Cast", name, inputs: [], outputs: [name], attributes }, before);
	const result = outputOf(cast);
	replaceUses(value, result);
	setInput(cast, 0, value);
	return result;
}

function widenCast(node: Node, wide: ReadonlyMap<Value, Value>): void {
	const to = node.attributes.get("to");
	const isOurs = [...wide.values()].some((value) => value.producer === node);
	if (!isOurs && to?.kind === "int" && HALF_CODES.has(to.value)) setAttribute(node, "to", int(FLOAT32));
}

/** Operators that make their element type themselves, not from their inputs. */
function makesHalf(node: Node): boolean {
	if (!node.is("Constant") && !node.is("ConstantOfShape")) return false;
	const value = node.attributes.get("value");
	return value?.kind === "tensor" && isHalf(value.value.dtype) && node.outputs[0] !== undefined;
}

function following(node: Node): Node | undefined {
	const { nodes } = node.graph;
	return nodes[nodes.indexOf(node) + 1];
}
