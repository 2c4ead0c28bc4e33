// Turns a model into a graph that can be differentiated: functions and branches inlined, loops unrolled, opset 18, composite operators
// taken apart.
import { DistembError } from "../errors.js";
import { addInput, removeInitializer, removeNode, replaceUses, setInfo, setInput } from "../ir/edit.js";
import type { Model, Value } from "../ir/graph.js";
import { inlineBranches } from "./branch.js";
import { flatCopy } from "./copy.js";
import { decompose } from "./decompose.js";
import type { Facts } from "./facts.js";
import { Ops } from "./ops.js";
import { raiseOpset } from "./raise.js";
import { simplify } from "./simplify.js";
import { passQuantizers } from "./straight-through.js";
import { MOST_UNROLLED, unrollLoops } from "./unroll.js";
import { widen } from "./widen.js";

/** Tells type and sizes of every value of a model's main graph: one run, at the batch and length that training will have. */
export type Probe = (model: Model) => Promise<ReadonlyMap<Value, Facts>>;

export interface TrainingGraph {
	/** A copy; the original is not changed. Main graph only: what remains in bodies cannot be trained through. */
	readonly model: Model;
	/** Adds losses and gradients to the copy. */
	readonly ops: Ops;
	/** Values of the original, in branches too → values of the copy, as far as they are there. Half precision became float32. */
	readonly values: ReadonlyMap<Value, Value>;
}

/**
 * A copy of `model` for training. `probe` is called a few times, once more for each level of nested Ifs and loops.
 * @throws what `probe` throws: a model that does not run cannot be trained.
 */
export async function prepareForTraining(model: Model, probe: Probe): Promise<TrainingGraph> {
	const copy = flatCopy(model);
	// Before anything runs: new factors are float32, whatever the precision around them.
	const wide = widen(copy.model);
	let facts = await probe(copy.model);
	const moved = new Map<Value, Value>();
	const kept = new Map<Value, string>();
	const most = copy.model.graph.nodes.length + MOST_UNROLLED;
	const straighten = () =>
		inlineBranches(copy.model, (condition) => truthOf(facts.get(condition)), moved) +
		unrollLoops(copy.model, { known: (value) => facts.get(value), most, moved, kept });
	while (straighten() > 0) facts = await probe(copy.model);
	const raised = raiseOpset(copy.model, (value) => facts.get(value));
	const ops = Ops.on(raised.model.graph, new Map(await probe(raised.model)));
	for (const [output, why] of kept) {
		const node = raised.values.get(output)?.producer;
		if (node !== undefined) ops.keep(node, why);
	}
	decompose(ops);
	passQuantizers(ops);
	simplify(ops);
	fixShapes(ops);
	fixInputs(ops);
	fixRanges(ops);
	const values = [...copy.values].flatMap(([original, value]) => {
		const last = raised.values.get(placeOf(wide.get(value) ?? value, moved));
		return last?.graph === ops.graph ? [[original, last] as const] : [];
	});
	return { model: raised.model, ops, values: new Map(values) };
}

/**
 * Makes a constant of a training graph a graph input with the constant's name: a parameter that every run is fed.
 * `constant` is a value of the copy: an initializer, or what stands for one of half precision. Returns the input, float32 or float64.
 */
export function asParameter({ ops }: TrainingGraph, constant: Value): Value {
	const { producer } = constant;
	const stored = producer?.is("Cast") === true ? producer.inputs[0] : constant;
	if (stored?.tensor === undefined) throw new DistembError("internal", `"${constant.name}" is no constant of the training graph`);
	const { dtype, dims } = ops.facts(constant);
	const parameter = addInput(ops.graph, stored.name, { type: { dtype, shape: dims }, carried: undefined });
	replaceUses(constant, parameter);
	if (producer !== undefined) removeNode(producer);
	removeInitializer(stored);
	return ops.learn(parameter, { dtype, dims });
}

/**
 * Reshapes get constant shapes: all sizes are fixed. onnxruntime 1.30 does not load a graph in which a Reshape whose shape is
 * computed by Shape, Slice and Concat is followed by a Reshape ("Attempting to get index by a name which does not exist").
 */
function fixShapes(ops: Ops): void {
	for (const node of ops.graph.nodes) {
		const [output] = node.outputs;
		if (!node.is("Reshape") || output === undefined || !ops.knows(output) || ops.dims(output).includes(0)) continue;
		setInput(node, 1, ops.integers(ops.dims(output)));
	}
}

/** Inputs are declared with the sizes that they have: the engine then computes shapes when it loads the graph, not in every run. */
function fixInputs(ops: Ops): void {
	for (const input of ops.graph.inputs) {
		if (!ops.knows(input)) continue;
		const { dtype, dims } = ops.facts(input);
		setInfo(input, { type: { dtype, shape: dims }, carried: undefined });
	}
}

/** Range takes scalars. The engine also runs it on vectors of one element, but does not load it once it knows that they are vectors. */
function fixRanges(ops: Ops): void {
	for (const node of [...ops.graph.nodes]) {
		if (!node.is("Range")) continue;
		for (const [index, input] of [...node.inputs].entries())
			if (input !== undefined && ops.knows(input)) setInput(node, index, ops.at(input.name, node).reshape(input, []));
	}
}

/** Where a value of the copy is after branches were inlined, one in another. */
function placeOf(value: Value, moved: ReadonlyMap<Value, Value>): Value {
	let place = value;
	for (let next = moved.get(place); next !== undefined; next = moved.get(place)) place = next;
	return place;
}

function truthOf(facts: Facts | undefined): boolean | undefined {
	const [value] = facts?.values ?? [];
	return value === undefined ? undefined : value !== 0;
}
