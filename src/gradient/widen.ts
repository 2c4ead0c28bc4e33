// Half precision is for storage: a training graph computes in float32, so that small gradients do not vanish.
import { int } from "../ir/attributes.js";
import { codeOfDType, type DType } from "../ir/dtype.js";
import { addNode, declareOutput, freshName, outputOf, replaceUses, setAttribute, setInfo, setInput } from "../ir/edit.js";
import type { Graph, Model, Node, Value } from "../ir/graph.js";
import { allGraphs } from "../ir/walk.js";

const FLOAT32 = codeOfDType("float32");

/** Codes of float16 and bfloat16. */
const HALF_CODES: ReadonlySet<bigint> = new Set([10n, 16n]);

function isHalf(dtype: DType | undefined): boolean {
	return dtype === "float16" || dtype === "bfloat16";
}

/**
 * Makes a model compute in float32, bodies included: a Cast behind every constant and input of half precision, and no Cast back.
 * Payloads are not touched; function bodies stay. Returns constants and inputs → their wide values.
 */
export function widen(model: Model): ReadonlyMap<Value, Value> {
	const wide = new Map<Value, Value>();
	for (const graph of [...allGraphs(model)]) {
		widenDeclared(graph);
		const [first] = graph.nodes;
		const fed = graph.owner === undefined ? graph.inputs : [];
		for (const value of new Set([...graph.initializers, ...fed])) {
			if (isHalf(value.type?.dtype) && value.uses.size > 0) wide.set(value, castBehind(value, first));
		}
		const ours = new Set([...wide.values()].map(({ producer }) => producer));
		for (const node of [...graph.nodes]) {
			if (node.is("Cast")) widenCast(node, ours);
			else if (makesHalf(node)) castBehind(outputOf(node), following(node));
		}
	}
	return wide;
}

/** What a body declares of its values: those that are fed or computed are float32 now. */
function widenDeclared(graph: Graph): void {
	if (graph.owner === undefined) return;
	for (const value of [...graph.described, ...graph.inputs]) {
		const { type } = value;
		if (value.tensor !== undefined || type === undefined || !isHalf(type.dtype)) continue;
		setInfo(value, undefined);
		setInfo(value, { type: { ...type, dtype: "float32" }, carried: undefined });
	}
	for (const [index, { info }] of graph.outputs.entries())
		if (isHalf(info.type?.dtype)) declareOutput(graph, index, { type: undefined, carried: undefined });
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

function widenCast(node: Node, ours: ReadonlySet<Node | undefined>): void {
	const to = node.attributes.get("to");
	if (!ours.has(node) && to?.kind === "int" && HALF_CODES.has(to.value)) setAttribute(node, "to", int(FLOAT32));
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
