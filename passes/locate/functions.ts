// E9: model-local functions that are given a matrix, or hold one, are inlined before anything is matched.
import { DistembError } from "../../src/errors.js";
import { isFloat } from "../../src/ir/dtype.js";
import { removeFunction } from "../../src/ir/edit.js";
import type { FunctionDefinition, Graph, Model, Node } from "../../src/ir/graph.js";
import { calledFunctions, definitionOf, inlineCalls } from "../../src/ir/inline.js";
import { graphsBelow } from "../../src/ir/walk.js";
import type { ModelFile } from "../../src/state.js";
import { candidatesOf } from "./decide/choose.js";
import { storedView, type View } from "./matrix/aliases.js";
import { isReadable } from "./matrix/decode.js";
import { Facts } from "./matrix/facts.js";
import { headOf, type Survey, survey } from "./survey.js";

/** Every round inlines one level of calls, and looks at the whole graph anew. */
const MOST_ROUNDS = 100;

/**
 * Surveys `file` after every call that hides a constant matrix has been inlined, and then, where no lookup or no head
 * shows, the calls that stand between ids and lookups or between products and outputs. Puts the new nodes into `inlined`.
 * Functions that nobody calls any more are dropped; all others stay as they are.
 * @throws DistembError `refused` if calls stand too deep in each other, or expand to too much
 */
export function surveyInlined(file: ModelFile, inlined: Set<Node>): Survey {
	const { model } = file;
	if (model.functions.length === 0) return survey(file);
	const before = calledFunctions(model);
	let rounds = 0;
	const note = (nodes: readonly Node[]): boolean => {
		if (++rounds > MOST_ROUNDS) {
			const why = `hands matrices on through calls of functions more than ${MOST_ROUNDS} deep`;
			throw new DistembError("refused", why, { at: file.name, hint: "export the model without local functions" });
		}
		for (const node of nodes) inlined.add(node);
		return nodes.length > 0;
	};
	let found: Survey | undefined;
	while (found === undefined) {
		while (note(inlineMatrices(model)));
		const next = survey(file);
		const calls = callsInTheWay(next);
		if (!note(inlineCalls(model, (call) => calls.has(call)))) found = next;
	}
	const after = calledFunctions(model);
	for (const definition of before) if (!after.has(definition)) removeFunction(model, definition);
	return found;
}

/** One round: calls that are given a matrix, or whose function holds one. */
function inlineMatrices(model: Model): Node[] {
	const facts = new Facts(model);
	const holders = matrixHolders(model);
	return inlineCalls(model, (call, definition) => holders.has(definition) || call.inputs.some((value) => isMatrix(facts.view(value))));
}

function callsInTheWay(found: Survey): Set<Node> {
	const calls = new Set<Node>();
	const note = (node: Node | undefined) => {
		if (node !== undefined && definitionOf(node) !== undefined) calls.add(node);
	};
	if (candidatesOf(found).length === 0) {
		for (const { lookups } of found.entries) for (const { source } of lookups) if (source.kind === "computed") note(source.node);
	}
	if (!found.entries.some((entry) => headOf(entry, found) !== undefined)) for (const value of found.reached.keys()) note(value.producer);
	return calls;
}

function isMatrix(view: View | undefined): boolean {
	return view !== undefined && (isFloat(view.dtype) || isReadable(view.dtype)) && view.shape.filter((size) => size > 1).length >= 2;
}

/** Functions in which a Constant node holds a matrix, bodies below included, and those that call one of them. */
function matrixHolders(model: Model): Set<FunctionDefinition> {
	const callers = new Map<FunctionDefinition, Set<FunctionDefinition>>(model.functions.map((definition) => [definition, new Set()]));
	const holders = new Set<FunctionDefinition>();
	for (const definition of model.functions) {
		for (const node of nodesOf(definition.body)) {
			const [output] = node.outputs;
			if (node.is("Constant") && output !== undefined && isMatrix(storedView(output))) holders.add(definition);
			const called = definitionOf(node);
			if (called !== undefined) callers.get(called)?.add(definition);
		}
	}
	for (const holder of holders) for (const caller of callers.get(holder) ?? []) holders.add(caller);
	return holders;
}

function nodesOf(graph: Graph): Node[] {
	return [...graphsBelow(graph)].flatMap(({ nodes }) => nodes);
}
