// The IR as text, one line per node; `parse.ts` reads the same notation.
import type { DType } from "./dtype.js";
import { hasNumbers, readElements } from "./elements.js";
import type { Attribute, Dim, FunctionDefinition, Graph, Model, Node, TensorType, Value } from "./graph.js";
import { quoted } from "./scan.js";
import type { Tensor } from "./tensor.js";

export interface PrintOptions {
	/** Tensors of at most so many elements show their values; 8 by default. */
	readonly values?: number;
}

export const PRINT_DEFAULTS = { values: 8 } as const satisfies PrintOptions;

/**
 * The whole model; bodies are indented below their node.
 *
 * ```
 * model ir 8, opset ai.onnx 17
 * graph main(ids: int64[batch, length])
 * 	table = float32[3, 2] {1, 2, 3, 4, 5, 6}
 * 	rows: float32[batch, length, 2] = Gather<axis=0>(table, ids) "embed"
 * 	return rows: float32[batch, length, 2]
 * ```
 * `_` is an input or output left out, `?` an unknown size, `[…]` an unknown rank; the string after a node is its name.
 */
export function printModel(model: Model, options: PrintOptions = PRINT_DEFAULTS): string {
	const functions = model.functions.map((definition) => printFunction(definition, options));
	return [`model ir ${model.irVersion}, opset ${printOpsets(model.opsets)}`, printGraph(model.graph, "", options), ...functions].join("\n");
}

function printOpsets(opsets: ReadonlyMap<string, number>): string {
	return [...opsets].map(([domain, version]) => `${quoted(domain === "" ? "ai.onnx" : domain)} ${version}`).join(", ");
}

function printFunction(definition: FunctionDefinition, options: PrintOptions): string {
	const defaults = [...definition.attributeDefaults].map(([name, held]) => `${quoted(name)}=${printAttribute(held, options)}`);
	const attributes = [...definition.attributeNames.map(quoted), ...defaults];
	const head = `function ${printOperator({ ...definition, opType: definition.name })}${inBrackets(attributes)}`;
	return `${head}, opset ${printOpsets(definition.opsets)}\n${printGraph(definition.body, "\t", options)}`;
}

/** One graph: header, initializers, nodes, outputs. */
export function printGraph(graph: Graph, indent = "", options: PrintOptions = PRINT_DEFAULTS): string {
	const lines = [`${indent}graph ${quoted(graph.name)}(${graph.inputs.map((value) => declared(value, value.type)).join(", ")})`];
	for (const value of graph.initializers) {
		if (value.tensor !== undefined) lines.push(`${indent}\t${quoted(value.name)} = ${printTensor(value.tensor, options)}`);
	}
	for (const value of graph.sparse) lines.push(`${indent}\t${quoted(value.name)} = sparse`);
	for (const node of graph.nodes) lines.push(...printNode(node, `${indent}\t`, options));
	lines.push(`${indent}\treturn ${graph.outputs.map(({ value, info }) => declared(value, info.type)).join(", ")}`.trimEnd());
	return lines.join("\n");
}

function printNode(node: Node, indent: string, options: PrintOptions): string[] {
	const outputs = node.outputs.map((value) => (value === undefined ? "_" : declared(value, value.info?.type))).join(", ");
	const inputs = node.inputs.map((value) => (value === undefined ? "_" : quoted(value.name))).join(", ");
	const plain: string[] = [];
	const bodies: string[] = [];
	for (const [name, held] of node.attributes) {
		if (held.kind === "graph") bodies.push(`${indent}\t${quoted(name)}:`, printGraph(held.value, `${indent}\t`, options));
		else if (held.kind === "graphs") {
			for (const body of held.value) bodies.push(`${indent}\t${quoted(name)}[]:`, printGraph(body, `${indent}\t`, options));
		} else plain.push(`${quoted(name)}=${printAttribute(held, options)}`);
	}
	const label = node.name === "" ? "" : ` ${JSON.stringify(node.name)}`;
	return [`${indent}${outputs} = ${printOperator(node)}${inBrackets(plain)}(${inputs})${label}`, ...bodies];
}

function printOperator({ domain, opType, overload }: { domain: string; opType: string; overload: string }): string {
	return quoted(`${domain === "" ? "" : `${domain}.`}${opType}${overload === "" ? "" : `:${overload}`}`);
}

function inBrackets(items: readonly string[]): string {
	return items.length === 0 ? "" : `<${items.join(", ")}>`;
}

function printAttribute(held: Attribute, options: PrintOptions): string {
	switch (held.kind) {
		case "int":
			return `${held.value}`;
		case "float":
			return printFloat(held.value);
		case "string":
			return JSON.stringify(held.value);
		case "ints":
			return `[${held.value.join(", ")}]`;
		case "floats":
			return `${held.value.length === 0 ? "floats" : ""}[${held.value.map(printFloat).join(", ")}]`;
		case "strings":
			return `${held.value.length === 0 ? "strings" : ""}[${held.value.map((text) => JSON.stringify(text)).join(", ")}]`;
		case "tensor":
			return printTensor(held.value, options);
		case "graph":
		case "graphs":
			return "{…}";
		case "reference":
			return `@${quoted(held.name)}`;
		case "opaque":
			return "?";
	}
}

/** The shortest decimal number that is rounded to the same float32; doubles that are no float32 as they are. */
function shortest(value: number): number {
	if (Math.fround(value) !== value) return value;
	for (let digits = 1; digits < 9; digits++) {
		const short = Number(value.toPrecision(digits));
		if (Math.fround(short) === value) return short;
	}
	return Number(value.toPrecision(9));
}

/** A float always has a point, an exponent or a word, so that it is not read as an integer. */
function printFloat(value: number): string {
	if (Number.isNaN(value)) return "nan";
	if (!Number.isFinite(value)) return value > 0 ? "inf" : "-inf";
	if (Object.is(value, -0)) return "-0.0";
	const short = shortest(value);
	return Number.isInteger(short) && Math.abs(short) < 1e21 ? `${short}.0` : `${short}`;
}

function printTensor(tensor: Tensor, options: PrintOptions): string {
	const place = tensor.placement.kind === "external" ? ` external ${JSON.stringify(tensor.placement.location)}` : "";
	const type = `${tensor.dtype}[${tensor.dims.join(", ")}]${place}`;
	const limit = options.values ?? PRINT_DEFAULTS.values;
	if (tensor.data === undefined || tensor.size > limit || !hasNumbers(tensor.dtype)) return type;
	const values = readElements(tensor.dtype, tensor.bytes(), tensor.size);
	return `${type} {${values.map((value) => printElement(value, tensor.dtype)).join(", ")}}`;
}

/** Elements need no point: their type is known. */
function printElement(value: number | bigint, dtype: DType): string {
	if (typeof value === "bigint") return `${value}`;
	if (!Number.isFinite(value) || Object.is(value, -0)) return printFloat(value);
	return `${dtype === "float64" ? value : shortest(value)}`;
}

function declared(value: Value, type: TensorType | undefined): string {
	return type === undefined ? quoted(value.name) : `${quoted(value.name)}: ${printType(type)}`;
}

export function printType(type: TensorType): string {
	const shape = type.shape === undefined ? "[…]" : `[${type.shape.map(printDim).join(", ")}]`;
	return `${type.dtype ?? "?"}${shape}`;
}

function printDim(dim: Dim): string {
	if (dim === undefined) return "?";
	return typeof dim === "number" ? `${dim}` : /^[\d.+-]/.test(dim) ? JSON.stringify(dim) : quoted(dim);
}
