// Adds chains of nodes and small constants: names, places and the rules of old IR versions in one spot.
import { int } from "./attributes.js";
import { codeOfDType, type DType } from "./dtype.js";
import { addInitializer, addInput, addNode, freshName, giveDefault, outputOf } from "./edit.js";
import { writeElements } from "./elements.js";
import type { Attribute, Graph, Node, Value } from "./graph.js";
import { dataOf, Tensor } from "./tensor.js";

/** The outermost scope of `graph`. */
function rootOf(graph: Graph): Graph {
	let root = graph;
	while (root.parent !== undefined) root = root.parent;
	return root;
}

/**
 * A new initializer, visible in `graph`. Up to IR version 3 an initializer must be listed as a graph input too,
 * which bodies cannot do: there it goes to the main graph.
 */
export function addConstant(graph: Graph, base: string, tensor: Tensor): Value {
	const name = freshName(graph.model, base);
	if (graph.model.irVersion >= 4) return addInitializer(graph, name, tensor);
	const type = { dtype: tensor.dtype, shape: tensor.dims };
	const value = addInput(rootOf(graph), name, { type, carried: undefined });
	giveDefault(value, tensor);
	return value;
}

/** A small tensor with these elements. */
export function smallTensor(dtype: DType, values: readonly number[], dims: readonly number[] = [values.length]): Tensor {
	return new Tensor(dtype, dims, dataOf(writeElements(dtype, values)));
}

export interface ChainSpec {
	readonly domain?: string;
	readonly attributes?: Readonly<Record<string, Attribute>>;
	/** The existing value that this node defines from now on, instead of a new one. */
	readonly defines?: Value | undefined;
}

/** New nodes that stand before `before`, with names that start with `base`; what defines an old value bears the old node's name. */
export class Chain {
	constructor(
		readonly graph: Graph,
		private readonly before: Node | undefined,
		private readonly base: string,
	) {}

	/** Opset of the default domain. */
	get opset(): number {
		return this.graph.model.opset;
	}

	/** Adds a node with one output, called `base/label` unless it defines an existing value; returns the output. */
	add(opType: string, inputs: readonly (Value | undefined)[], label: string, spec: ChainSpec = {}): Value {
		const output = spec.defines ?? freshName(this.graph.model, `${this.base}/${label}`);
		const name = typeof output === "string" ? output : this.nameFor(output);
		const { domain = "", attributes = {} } = spec;
		return outputOf(addNode(this.graph, { opType, domain, name, inputs, outputs: [output], attributes }, this.before));
	}

	/** Node names are unique in a graph: only what defines the first output of the old node inherits its name. */
	private nameFor(output: Value): string {
		const old = this.before;
		return old !== undefined && old.name !== "" && old.outputs[0] === output ? old.name : output.name;
	}

	/** `value` converted to `to`; `value` itself if it is of that type already and need not define anything. */
	cast(value: Value, from: DType, to: DType, label: string, defines?: Value): Value {
		if (from === to && defines === undefined) return value;
		if (from === to) return this.add("Identity", [value], label, { defines });
		return this.add("Cast", [value], label, { defines, attributes: { to: int(codeOfDType(to)) } });
	}

	constant(dtype: DType, values: readonly number[], label: string, dims?: readonly number[]): Value {
		return addConstant(this.graph, `${this.base}/${label}`, smallTensor(dtype, values, dims));
	}
}
