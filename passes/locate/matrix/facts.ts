// What is known of every value of a model before matching: constants seen through aliases, and ranks.
import type { Graph, Model, Node, Value } from "../../../src/ir/graph.js";
import { subgraphs } from "../../../src/ir/walk.js";
import { aliasOf, storedView, type View } from "./aliases.js";
import { numbersOf } from "./decode.js";
import { rankOf } from "./ranks.js";

/** Constants and ranks of one model, collected in one walk in file order. */
export class Facts {
	readonly #views = new Map<Value, View>();
	readonly #ranks = new Map<Value, number>();
	readonly #stored = new Set<Value>();

	constructor(readonly model: Model) {
		this.#visit(model.graph);
	}

	/** The constant that `value` is, if it is one. */
	view(value: Value | undefined): View | undefined {
		return value === undefined ? undefined : this.#views.get(value);
	}

	/** Number of axes of `value`, where it is known for certain. */
	rank(value: Value | undefined): number | undefined {
		return value === undefined ? undefined : this.#ranks.get(value);
	}

	/** Initializers and outputs of Constant nodes, in file order. */
	get stored(): ReadonlySet<Value> {
		return this.#stored;
	}

	/** Elements of a small constant, as numbers. */
	numbers(value: Value | undefined): number[] | undefined {
		const view = this.view(value);
		if (view === undefined || !isPlain(view) || view.tensor.size > 1 << 20) return undefined;
		return Array.from(numbersOf(view.tensor));
	}

	#visit(graph: Graph): void {
		for (const input of graph.inputs) this.#noteRank(input, input.type?.shape?.length);
		for (const value of graph.initializers) this.#store(value);
		for (const node of graph.nodes) {
			for (const { graph: body } of subgraphs(node)) this.#visit(body);
			this.#visitNode(node);
		}
		for (const { value, info } of graph.outputs) if (!this.#ranks.has(value)) this.#noteRank(value, info.type?.shape?.length);
	}

	#visitNode(node: Node): void {
		const output = node.outputs[0];
		if (output === undefined) return;
		if (node.is("Constant")) this.#store(output);
		else {
			const alias = aliasOf(node, this);
			if (alias !== undefined) this.#views.set(output, alias);
		}
		for (const [index, value] of node.outputs.entries()) {
			if (value !== undefined) this.#noteRank(value, value.info?.type?.shape?.length ?? rankOf(node, index, this));
		}
	}

	#store(value: Value): void {
		const view = storedView(value);
		if (view === undefined) return;
		this.#views.set(value, view);
		this.#stored.add(value);
		this.#noteRank(value, view.shape.length);
	}

	#noteRank(value: Value, rank: number | undefined): void {
		if (rank !== undefined) this.#ranks.set(value, rank);
	}
}

/** The tensor itself, or its elements in the same order under another shape. */
export function isPlain(view: View): boolean {
	return !view.transposed && view.scaling === undefined && view.patch === undefined;
}
