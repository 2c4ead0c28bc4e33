// Short ways to write and read attributes.
import type { Attribute, Graph, Node } from "./graph.js";
import type { Tensor } from "./tensor.js";

export const int = (value: number | bigint): Attribute => ({ kind: "int", value: BigInt(value) });
export const ints = (value: readonly (number | bigint)[]): Attribute => ({ kind: "ints", value: value.map(BigInt) });
export const float = (value: number): Attribute => ({ kind: "float", value });
export const string = (value: string): Attribute => ({ kind: "string", value });
export const tensor = (value: Tensor): Attribute => ({ kind: "tensor", value });
export const graph = (value: Graph): Attribute => ({ kind: "graph", value });

/** The integer attribute `name`, or `otherwise` if it is absent. */
export function intOf(node: Node, name: string, otherwise: number): number {
	const held = node.attributes.get(name);
	return held?.kind === "int" ? Number(held.value) : otherwise;
}

export function floatOf(node: Node, name: string, otherwise: number): number {
	const held = node.attributes.get(name);
	return held?.kind === "float" ? held.value : otherwise;
}

export function stringOf(node: Node, name: string, otherwise: string): string {
	const held = node.attributes.get(name);
	return held?.kind === "string" ? held.value : otherwise;
}

/** The integer list `name`, or undefined if it is absent. */
export function intsOf(node: Node, name: string): number[] | undefined {
	const held = node.attributes.get(name);
	return held?.kind === "ints" ? held.value.map(Number) : undefined;
}

/** The list of floats `name`, empty if it is absent. */
export function floatsOf(node: Node, name: string): readonly number[] {
	const held = node.attributes.get(name);
	return held?.kind === "floats" ? held.value : [];
}

/** The list of strings `name`, empty if it is absent. */
export function stringsOf(node: Node, name: string): readonly string[] {
	const held = node.attributes.get(name);
	return held?.kind === "strings" ? held.value : [];
}
