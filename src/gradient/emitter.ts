// Adds nodes to a training graph and keeps the sizes of what it adds: standard operators of opset 18, nothing else.
import { DistembError } from "../errors.js";
import { addConstant, smallTensor } from "../ir/build.js";
import type { DType } from "../ir/dtype.js";
import { addNode, freshName, renameValue } from "../ir/edit.js";
import type { Attribute, Graph, Node, Value } from "../ir/graph.js";
import { int64Tensor } from "../ir/tensor.js";
import { nodeLabel } from "../ir/walk.js";
import type { Dims, Facts } from "./facts.js";

/** Gradient of a value that is defined by hand instead of by the rules of the nodes that compute it. */
export interface HandGradient {
	readonly inputs: readonly Value[];
	/** Gradients of `inputs` from the gradient of the value; undefined: none. */
	readonly backward: (gradient: Value) => readonly (Value | undefined)[];
}

interface Shared {
	readonly graph: Graph;
	readonly facts: Map<Value, Facts>;
	readonly constants: Map<string, Value>;
	readonly byHand: Map<Value, HandGradient>;
	/** Nodes that could not be taken apart → why. */
	readonly kept: Map<Node, string>;
}

export interface OutputSpec {
	readonly dtype: DType;
	readonly dims: Dims;
}

/** The part that knows names, places and facts; `ops.ts` has the operators. */
export class Emitter {
	protected constructor(
		protected readonly shared: Shared,
		/** New values are called `base/operator`. */
		protected readonly base: string,
		protected readonly before: Node | undefined,
	) {}

	get graph(): Graph {
		return this.shared.graph;
	}

	/** What is known of `value`. Throws `internal` for a value that neither the probe nor this emitter knows. */
	facts(value: Value): Facts {
		const { facts } = this.shared;
		const known = facts.get(value);
		if (known !== undefined) return known;
		const { tensor } = value;
		if (tensor === undefined) throw new DistembError("internal", `nothing is known of "${value.name}" in the training graph`);
		const own = { dtype: tensor.dtype, dims: tensor.dims };
		facts.set(value, own);
		return own;
	}

	/** True if type and sizes of `value` are known: values in bodies, sequences and optionals are not. */
	knows(value: Value): boolean {
		return this.shared.facts.has(value) || value.tensor !== undefined;
	}

	dims(value: Value): Dims {
		return this.facts(value).dims;
	}

	dtype(value: Value): DType {
		return this.facts(value).dtype;
	}

	rank(value: Value): number {
		return this.dims(value).length;
	}

	/** Notes what is known of a value that stands for `like` from now on, or of a new graph input. */
	learn(value: Value, facts: Facts): Value {
		this.shared.facts.set(value, facts);
		return value;
	}

	/** Adds a node with these outputs; an output may be an existing value that the node defines from now on. */
	node(
		opType: string,
		inputs: readonly (Value | undefined)[],
		outputs: readonly OutputSpec[],
		attributes: Readonly<Record<string, Attribute>> = {},
		domain = "",
	): Value[] {
		const { model } = this.graph;
		const names = outputs.map(() => freshName(model, `${this.base}/${opType}`));
		const node = addNode(this.graph, { opType, domain, name: names[0] ?? "", inputs, outputs: names, attributes }, this.before);
		return outputs.map((facts, index) => {
			const value = node.outputs[index];
			if (value === undefined) throw new DistembError("internal", `${nodeLabel(node)} lost output ${index}`);
			return this.learn(value, facts);
		});
	}

	/** A node with one output. */
	one(
		opType: string,
		inputs: readonly (Value | undefined)[],
		output: OutputSpec,
		attributes: Readonly<Record<string, Attribute>> = {},
		domain = "",
	): Value {
		const [value] = this.node(opType, inputs, [output], attributes, domain);
		if (value === undefined) throw new DistembError("internal", `${opType} was added without an output`);
		return value;
	}

	/** A scalar; each is stored once. */
	scalar(number: number, dtype: DType): Value {
		return this.constant(`${dtype} ${number}`, { dtype, dims: [] }, () => smallTensor(dtype, [number], []));
	}

	/** A vector of whole numbers, for axes, shapes and indices; each is stored once. */
	integers(numbers: readonly number[]): Value {
		return this.constant(`[${numbers.join(",")}]`, { dtype: "int64", dims: [numbers.length], values: numbers }, () => int64Tensor(numbers));
	}

	private constant(key: string, facts: Facts, tensor: () => ReturnType<typeof smallTensor>): Value {
		const { constants } = this.shared;
		let value = constants.get(key);
		if (value === undefined) {
			value = this.learn(addConstant(this.graph, `constant/${key.replaceAll(" ", "_")}`, tensor()), facts);
			constants.set(key, value);
		}
		return value;
	}

	/** Calls `value` `name`, or `name_1`, … where that name is taken. */
	rename(value: Value, name: string): void {
		if (value.name !== name) renameValue(value, freshName(this.graph.model, name));
	}

	/** From now on the sweep asks `gradient`, not the nodes, how `value` depends on its inputs. */
	gradientByHand(value: Value, gradient: HandGradient): Value {
		this.shared.byHand.set(value, gradient);
		return value;
	}

	handGradientOf(value: Value): HandGradient | undefined {
		return this.shared.byHand.get(value);
	}

	/** Notes why `node`, which has no rule itself, was not taken apart into operators that have: the sweep says so. */
	keep(node: Node, why: string): void {
		this.shared.kept.set(node, why);
	}

	whyKept(node: Node): string | undefined {
		return this.shared.kept.get(node);
	}
}
