// The graph: models, graphs, nodes and values with identity and use-def edges. Read-only here; `edit.ts` is the only mutator.
import type { DType } from "./dtype.js";
import type { Carried, Tensor } from "./tensor.js";

/** Size of one axis: a number, a symbol (dim_param) or unknown. */
export type Dim = number | string | undefined;

/** Element type and shape of a value, as far as the file declares it. */
export interface TensorType {
	readonly dtype: DType | undefined;
	/** Undefined: the rank is unknown. */
	readonly shape: readonly Dim[] | undefined;
}

/** What the file says of a value: type, doc string, metadata. */
export interface ValueInfo {
	/** Undefined for sequences, maps, optionals and undeclared values. */
	readonly type: TensorType | undefined;
	readonly carried: Carried | undefined;
}

/** Where a value comes from. */
export type ValueSource =
	| { readonly kind: "input" }
	| { readonly kind: "initializer"; readonly tensor: Tensor }
	/** A sparse initializer, carried as it is. */
	| { readonly kind: "sparse"; readonly carried: Carried | undefined }
	| { readonly kind: "node"; readonly node: Node; readonly index: number };

/** Who reads a value: a node in this scope or in a body below it, or a graph's output list. */
export type Use =
	| { readonly kind: "node"; readonly node: Node; readonly index: number }
	| { readonly kind: "output"; readonly graph: Graph; readonly index: number };

/** Identity is the object; the name is only a label. */
export class Value {
	readonly name: string;
	/** The scope that defines it. */
	readonly graph: Graph;
	readonly source: ValueSource;
	readonly info: ValueInfo | undefined;
	readonly uses: ReadonlySet<Use> = new Set();
	/** No file brought it. What a file brought stays so when another node computes it. */
	readonly isNew: boolean;

	constructor(name: string, graph: Graph, source: ValueSource, info?: ValueInfo) {
		this.name = name;
		this.graph = graph;
		this.source = source;
		this.info = info;
		this.isNew =
			(source.kind === "node" && source.node.carried === undefined) ||
			(source.kind === "initializer" && source.tensor.carried === undefined);
	}

	/** The tensor, if this is an initializer. */
	get tensor(): Tensor | undefined {
		return this.source.kind === "initializer" ? this.source.tensor : undefined;
	}

	/** The node that computes it, if any. */
	get producer(): Node | undefined {
		return this.source.kind === "node" ? this.source.node : undefined;
	}

	/** Declared type, if the file gives one. */
	get type(): TensorType | undefined {
		const tensor = this.tensor;
		return this.info?.type ?? (tensor === undefined ? undefined : { dtype: tensor.dtype, shape: tensor.dims });
	}
}

export type AttributeValue =
	| { readonly kind: "int"; readonly value: bigint }
	| { readonly kind: "ints"; readonly value: readonly bigint[] }
	| { readonly kind: "float"; readonly value: number }
	| { readonly kind: "floats"; readonly value: readonly number[] }
	| { readonly kind: "string"; readonly value: string }
	| { readonly kind: "strings"; readonly value: readonly string[] }
	| { readonly kind: "tensor"; readonly value: Tensor }
	| { readonly kind: "graph"; readonly value: Graph }
	| { readonly kind: "graphs"; readonly value: readonly Graph[] }
	/** Inside a function: the value of the caller's attribute `name`. */
	| { readonly kind: "reference"; readonly name: string }
	/** Not understood (sparse tensors, type protos, the future): kept as it is. */
	| { readonly kind: "opaque" };

export type Attribute = AttributeValue & { readonly carried?: Carried | undefined };

export class Node {
	readonly opType: string;
	/** Empty string: the default domain ("ai.onnx" is read as ""). */
	readonly domain: string;
	readonly overload: string;
	readonly name: string;
	readonly graph: Graph;
	/** Undefined: an optional input that is left out. */
	readonly inputs: readonly (Value | undefined)[] = [];
	readonly outputs: readonly (Value | undefined)[] = [];
	readonly attributes: ReadonlyMap<string, Attribute>;
	readonly carried: Carried | undefined;

	constructor(
		graph: Graph,
		op: { opType: string; domain?: string; overload?: string; name?: string },
		attributes: ReadonlyMap<string, Attribute> = new Map(),
		carried?: Carried,
	) {
		this.graph = graph;
		this.opType = op.opType;
		this.domain = op.domain ?? "";
		this.overload = op.overload ?? "";
		this.name = op.name ?? "";
		this.attributes = attributes;
		this.carried = carried;
	}

	/** True for operator `opType` of the default domain, or of `domain` if given. */
	is(opType: string, domain = ""): boolean {
		return this.opType === opType && this.domain === domain;
	}
}

/** A graph output: the value, and what the file declares about it. */
export interface GraphOutput {
	readonly value: Value;
	readonly info: ValueInfo;
}

export class Graph {
	readonly model: Model;
	readonly name: string;
	/** The node whose attribute holds this graph; undefined for the main graph and for function bodies. */
	readonly owner: Node | undefined;
	readonly inputs: readonly Value[] = [];
	readonly outputs: readonly GraphOutput[] = [];
	/** In file order. An initializer that is also listed as an input stands in `inputs` too (obligatory at IR 3). */
	readonly initializers: readonly Value[] = [];
	/** Sparse initializers by order, each a value with source `sparse`. */
	readonly sparse: readonly Value[] = [];
	/** Topologically sorted. */
	readonly nodes: readonly Node[] = [];
	/** Values with a value_info entry, in file order. */
	readonly described: readonly Value[] = [];
	readonly carried: Carried | undefined;

	constructor(model: Model, name: string, owner?: Node, carried?: Carried) {
		this.model = model;
		this.name = name;
		this.owner = owner;
		this.carried = carried;
	}

	/** The enclosing scope. */
	get parent(): Graph | undefined {
		return this.owner?.graph;
	}
}

/** A model-local function (FunctionProto). Its body's inputs are the formal parameters. */
export interface FunctionDefinition {
	readonly domain: string;
	readonly name: string;
	readonly overload: string;
	/** Attribute parameters without a default. */
	readonly attributeNames: readonly string[];
	/** Attribute parameters with a default. */
	readonly attributeDefaults: ReadonlyMap<string, Attribute>;
	readonly opsets: ReadonlyMap<string, number>;
	readonly body: Graph;
	readonly carried: Carried | undefined;
}

/** What a call names: the same for a definition and the nodes that call it. */
export function functionKey(domain: string, name: string, overload: string): string {
	return `${domain}\0${name}\0${overload}`;
}

export class Model {
	readonly irVersion: number;
	/** Domain → version, in file order; "" is the default domain. */
	readonly opsets: ReadonlyMap<string, number>;
	readonly graph: Graph;
	readonly functions: readonly FunctionDefinition[] = [];
	/** By {@link functionKey}; of several with one key the first. */
	readonly functionsByKey: ReadonlyMap<string, FunctionDefinition> = new Map();
	readonly carried: Carried | undefined;

	constructor(irVersion: number, opsets: ReadonlyMap<string, number>, graphName = "main", carried?: Carried, graphCarried?: Carried) {
		this.irVersion = irVersion;
		this.opsets = opsets;
		this.graph = new Graph(this, graphName, undefined, graphCarried);
		this.carried = carried;
	}

	/** Version of the default operator set (1 when the file names none). */
	get opset(): number {
		return this.opsets.get("") ?? 1;
	}
}
