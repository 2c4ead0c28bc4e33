// How contributions to a gradient are brought to the sizes of their value and added up.
import { DistembError } from "../errors.js";
import type { Node, Value } from "../ir/graph.js";
import { graphsBelow, subgraphs } from "../ir/walk.js";
import { axesFrom, broadcast, type Dims, sameDims, sizeOf } from "./facts.js";
import type { Ops } from "./ops.js";
import { sumOfRows } from "./row-scaled.js";
import type { Gradient, RowGradient } from "./rule.js";

export function isRows(gradient: Gradient): gradient is RowGradient {
	return "kind" in gradient;
}

/** Inputs of a node and the outer values that its bodies read. */
export function readBy(node: Node): Value[] {
	const read = node.inputs.filter((value) => value !== undefined);
	for (const { graph } of subgraphs(node)) {
		for (const body of graphsBelow(graph)) {
			for (const inner of body.nodes) for (const value of inner.inputs) if (value !== undefined) read.push(value);
			for (const { value } of body.outputs) read.push(value);
		}
	}
	return read;
}

/** `total` (or zeros) with the rows added; repeated ids add up. */
export function addRows(ops: Ops, { ids, rows }: RowGradient, total: Value | undefined, table: Value): Value {
	const onto = total ?? ops.filled(ops.dims(table), ops.dtype(table));
	return ops.scatterND(onto, ops.reshape(ids, [sizeOf(ops.dims(ids)), 1]), rows);
}

/** `gradient` summed over the axes that broadcasting repeated, or repeated where a rule left an axis at size one. */
export function unbroadcast(ops: Ops, gradient: Value, dims: Dims, what: string): Value {
	const own = ops.dims(gradient);
	if (sameDims(own, dims)) return gradient;
	const both = broadcast(own, dims);
	if (sameDims(both, dims)) return ops.expand(gradient, dims);
	if (!sameDims(both, own)) throw new DistembError("internal", `${what} has sizes [${own.join(", ")}] for [${dims.join(", ")}]`);
	if (dims.length === 1 && dims[0] === own.at(-1)) return sumOfRows(ops, gradient);
	const extra = own.length - dims.length;
	const axes = axesFrom(0, own.length).filter((axis) => axis < extra || (dims[axis - extra] === 1 && own[axis] !== 1));
	return ops.reshape(ops.sum(gradient, axes), dims);
}
