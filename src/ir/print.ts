// The IR as text, one line per node; `parse.ts` reads the same notation.
import type { Attribute, Graph, Model, Node, TensorType, Value } from "./graph.js";

/** The whole model; bodies are indented below their node. */
export function printModel(model: Model): string {
	const opsets = [...model.opsets].map(([domain, version]) => `${domain === "" ? "ai.onnx" : domain} ${version}`).join(", ");
	const functions = model.functions.map(
		(definition) => `function ${definition.domain}.${definition.name}\n${printGraph(definition.body, "\t")}`,
	);
	return [`model ir ${model.irVersion}, opset ${opsets}`, printGraph(model.graph), ...functions].join("\n");
}

/** One graph: header, initializers, nodes, outputs. */
export function printGraph(graph: Graph, indent = ""): string {
	const lines = [`${indent}graph ${graph.name}(${graph.inputs.map(declared).join(", ")})`];
	for (const value of graph.initializers) {
		const tensor = value.tensor;
		if (tensor !== undefined) lines.push(`${indent}\t${value.name} = ${tensor.dtype}[${tensor.dims.join(", ")}]`);
	}
	for (const node of graph.nodes) lines.push(...printNode(node, `${indent}\t`));
	lines.push(`${indent}\treturn ${graph.outputs.map(({ value }) => value.name).join(", ")}`);
	return lines.join("\n");
}

function printNode(node: Node, indent: string): string[] {
	const outputs = node.outputs.map((value) => value?.name ?? "_").join(", ");
	const inputs = node.inputs.map((value) => value?.name ?? "_").join(", ");
	const plain: string[] = [];
	const bodies: string[] = [];
	for (const [name, held] of node.attributes) {
		if (held.kind === "graph") bodies.push(`${indent}\t${name}:`, printGraph(held.value, `${indent}\t`));
		else plain.push(`${name}=${printAttribute(held)}`);
	}
	const op = node.domain === "" ? node.opType : `${node.domain}.${node.opType}`;
	return [`${indent}${outputs} = ${op}${plain.length === 0 ? "" : `<${plain.join(", ")}>`}(${inputs})`, ...bodies];
}

function printAttribute(held: Attribute): string {
	switch (held.kind) {
		case "int":
		case "float":
			return `${held.value}`;
		case "string":
			return JSON.stringify(held.value);
		case "ints":
		case "floats":
			return `[${held.value.join(", ")}]`;
		case "strings":
			return `[${held.value.map((text) => JSON.stringify(text)).join(", ")}]`;
		case "tensor":
			return `${held.value.dtype}[${held.value.dims.join(", ")}]`;
		case "graph":
		case "graphs":
			return "{…}";
		case "reference":
			return `@${held.name}`;
		case "opaque":
			return "?";
	}
}

function declared(value: Value): string {
	return value.type === undefined ? value.name : `${value.name}: ${printType(value.type)}`;
}

export function printType(type: TensorType): string {
	const shape = type.shape === undefined ? "[…]" : `[${type.shape.map((dim) => dim ?? "?").join(", ")}]`;
	return `${type.dtype ?? "?"}${shape}`;
}
