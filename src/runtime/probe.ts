// One run that tells type and sizes of every value of a graph: shapes by execution, no shape inference.
import type { DType } from "../ir/dtype.js";
import { hasNumbers, readElements } from "../ir/elements.js";
import { type Graph, type GraphOutput, Model, Node, Value } from "../ir/graph.js";
import type { Tensor } from "../ir/tensor.js";
import { encodeToBytes } from "../onnx/index.js";
import { reader } from "./numbers.js";
import { type EngineTensor, type EngineType, type Feeds, openSession } from "./session.js";

/** Type and sizes of a value in one run. */
export interface ProbedValue {
	readonly dtype: DType;
	readonly dims: readonly number[];
	/** Elements of small values that depend on constants, on shapes and on the inputs said to be fixed only. */
	readonly values?: readonly number[] | undefined;
}

export interface ProbeOptions {
	readonly threads: number;
	/** Names of graph inputs whose contents, not only their sizes, are the same in all later runs. */
	readonly fixed?: ReadonlySet<string>;
	/** How messages call the model. */
	readonly at?: string;
}

/** Elements of at most so many are kept. */
const SMALL = 4096;
const SMALL_FLOATS = 16;

/**
 * Type and sizes of every value of the main graph, in a run on `feeds`; the model is not changed. It must need no file to be encoded.
 * Values in bodies, sequences, maps and optionals are left out.
 * Only sizes and small whole numbers leave the engine: every value gets a Shape node, and its type is read from the session.
 * @throws DistembError `engine` if the model does not load or run.
 */
export async function probe(model: Model, feeds: Feeds, options: ProbeOptions): Promise<Map<Value, ProbedValue>> {
	const { threads, fixed = new Set(), at } = options;
	const facts = new Map<Value, ProbedValue>();
	for (const value of model.graph.initializers) if (value.tensor !== undefined) facts.set(value, factsOfTensor(value.tensor));
	for (const value of model.graph.inputs) {
		const feed = feeds[value.name];
		if (feed !== undefined) facts.set(value, factsOfFeed(feed, fixed.has(value.name)));
	}
	const computed = model.graph.nodes.flatMap(({ outputs }) => outputs.filter((value) => value !== undefined));
	if (computed.length === 0) return facts;
	const constant = staticValues(model.graph, fixed);
	const view = new ProbeView(model, computed);
	const session = await openSession(encodeToBytes(view.model), {
		threads,
		optimization: "disabled",
		...(at === undefined ? {} : { at }),
	});
	try {
		const types = new Map(session.outputs.map(({ name, dtype }) => [name, dtype]));
		const tensors = computed.filter(({ name }) => types.get(name) !== undefined);
		const read = tensors.filter((value) => constant.has(value) && isWhole(types.get(value.name)));
		const results = await session.run(feeds, [...tensors.map((value) => view.shapeName(value)), ...read.map(({ name }) => name)]);
		for (const value of tensors) {
			const shape = results[view.shapeName(value)];
			const dtype = types.get(value.name);
			if (shape === undefined || dtype === undefined) continue;
			const stored = value.producer?.is("Constant") === true ? value.producer.attributes.get("value") : undefined;
			if (stored?.kind === "tensor") facts.set(value, factsOfTensor(stored.value));
			else facts.set(value, { dtype, dims: numbersOf(shape), ...elementsOf(results[value.name]) });
		}
	} finally {
		await session.close();
	}
	return facts;
}

function factsOfTensor(tensor: Tensor): ProbedValue {
	const { dtype, dims, size, data } = tensor;
	const limit = dtype.startsWith("int") || dtype.startsWith("uint") || dtype === "bool" ? SMALL : SMALL_FLOATS;
	const isRead = data !== undefined && size <= limit && hasNumbers(dtype);
	return { dtype, dims, values: isRead ? readElements(dtype, tensor.bytes(), size).map(Number) : undefined };
}

function factsOfFeed(feed: EngineTensor, isFixed: boolean): ProbedValue {
	return { dtype: feed.dtype, dims: feed.dims, ...(isFixed ? elementsOf(feed) : {}) };
}

function elementsOf(tensor: EngineTensor | undefined): { values?: readonly number[] } {
	if (tensor === undefined || tensor.data.length > SMALL || tensor.dtype === "string") return {};
	return { values: numbersOf(tensor) };
}

function numbersOf(tensor: EngineTensor): number[] {
	const read = reader(tensor);
	return Array.from({ length: tensor.data.length }, (_, index) => read(index));
}

function isWhole(dtype: EngineType | undefined): boolean {
	return dtype !== undefined && /^(u?int|bool)/.test(dtype);
}

/** Values that are the same whatever the graph inputs hold, as long as their sizes stay. */
function staticValues(graph: Graph, fixed: ReadonlySet<string>): ReadonlySet<Value> {
	const found = new Set<Value>([...graph.initializers, ...graph.inputs.filter(({ name }) => fixed.has(name))]);
	for (const node of graph.nodes) {
		const ofSizes = node.is("Shape") || node.is("Size");
		const hasBodies = [...node.attributes.values()].some(({ kind }) => kind === "graph" || kind === "graphs");
		if (hasBodies || node.opType.startsWith("Random")) continue;
		if (!ofSizes && !node.inputs.every((value) => value === undefined || found.has(value))) continue;
		for (const output of node.outputs) if (output !== undefined) found.add(output);
	}
	return found;
}

/** The model with other outputs: all its values and their Shapes. It shares the nodes of the original, which stays as it is. */
class ProbeView {
	readonly model: Model;
	private readonly names = new Map<Value, string>();

	constructor(original: Model, computed: readonly Value[]) {
		const { graph } = original;
		const taken = new Set([...graph.inputs, ...graph.initializers, ...computed].map(({ name }) => name));
		const outputs: GraphOutput[] = [];
		const shapes: Node[] = [];
		const untyped = { type: undefined, carried: undefined };
		for (const [index, value] of computed.entries()) {
			outputs.push({ value, info: untyped });
			if (!mayBeTensor(value)) continue;
			let name = `${value.name}/shape`;
			while (taken.has(name)) name += `_${index}`;
			taken.add(name);
			this.names.set(value, name);
			const node = new Node(graph, { opType: "Shape", name });
			const shape = new Value(name, graph, { kind: "node", node, index: 0 });
			shapes.push(Object.assign(node, { inputs: [value], outputs: [shape] }));
			outputs.push({ value: shape, info: untyped });
		}
		this.model = new Model(original.irVersion, original.opsets, graph.name, original.carried, graph.carried);
		Object.assign(this.model, { functions: original.functions });
		Object.assign(this.model.graph, {
			inputs: graph.inputs,
			initializers: graph.initializers,
			sparse: graph.sparse,
			nodes: [...graph.nodes, ...shapes],
			outputs,
			described: [],
		});
	}

	shapeName(value: Value): string {
		return this.names.get(value) ?? value.name;
	}
}

/** False for results of operators on sequences, maps and optionals, which have no Shape. */
function mayBeTensor({ producer }: Value): boolean {
	return (
		producer === undefined || !/^(Sequence(?!At|Length)|SplitToSequence|Optional|ConcatToSequence|ZipMap|StringSplit)/.test(producer.opType)
	);
}
