// E9: model-local functions that are given a matrix, or hold one, are inlined before anything is matched.
import { isFloat } from "../../src/ir/dtype.js";
import { removeFunction } from "../../src/ir/edit.js";
import type { FunctionDefinition, Graph, Model, Node } from "../../src/ir/graph.js";
import { calledFunctions, definitionOf, inlineCalls } from "../../src/ir/inline.js";
import { graphsBelow } from "../../src/ir/walk.js";
import { storedView, type View } from "./aliases.js";
import { isReadable } from "./decode.js";
import { Facts } from "./facts.js";

/** Inlines every call that hides a constant matrix, then drops the functions that nobody calls any more. Returns the new nodes. */
export function inlineTables(model: Model): Set<Node> {
	const added = new Set<Node>();
	if (model.functions.length === 0) return added;
	const before = calledFunctions(model);
	const holders = new Set(model.functions.filter((definition) => holdsMatrix(definition, new Set())));
	for (let round: Node[] | undefined; round === undefined || round.length > 0; ) {
		const facts = new Facts(model);
		round = inlineCalls(model, (call, definition) => holders.has(definition) || call.inputs.some((value) => isMatrix(facts.view(value))));
		for (const node of round) added.add(node);
	}
	const after = calledFunctions(model);
	for (const definition of before) if (!after.has(definition)) removeFunction(model, definition);
	return added;
}

function isMatrix(view: View | undefined): boolean {
	return view !== undefined && (isFloat(view.dtype) || isReadable(view.dtype)) && view.shape.filter((size) => size > 1).length >= 2;
}

/** A Constant node in the body, in the bodies below it, or in a function that it calls, holds a matrix. */
function holdsMatrix(definition: FunctionDefinition, seen: Set<FunctionDefinition>): boolean {
	if (seen.has(definition)) return false;
	seen.add(definition);
	return nodesOf(definition.body).some((node) => {
		const [output] = node.outputs;
		if (node.is("Constant") && output !== undefined) return isMatrix(storedView(output));
		const called = definitionOf(node);
		return called !== undefined && holdsMatrix(called, seen);
	});
}

function nodesOf(graph: Graph): Node[] {
	return [...graphsBelow(graph)].flatMap(({ nodes }) => nodes);
}
