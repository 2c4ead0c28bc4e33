// Compares two encoded models field by field, unknown fields included; only the order among different fields is free.
import { fields } from "./wire.js";

/** Message types that hold messages of interest: field number → type; other fields are compared as bytes. */
const NESTED: Readonly<Record<string, Readonly<Record<number, string>>>> = {
	Model: { 7: "Graph", 20: "Training", 25: "Function", 26: "Leaf", 8: "Leaf", 14: "Leaf" },
	Training: { 1: "Graph", 2: "Graph" },
	Graph: { 1: "Node", 5: "Tensor", 11: "ValueInfo", 12: "ValueInfo", 13: "ValueInfo", 14: "Leaf", 15: "Sparse", 16: "Leaf" },
	Function: { 7: "Node", 9: "Leaf", 11: "Attribute", 12: "ValueInfo", 14: "Leaf" },
	Node: { 5: "Attribute", 9: "Leaf", 10: "Leaf" },
	Attribute: { 5: "Tensor", 6: "Graph", 10: "Tensor", 11: "Graph", 22: "Sparse", 23: "Sparse" },
	Sparse: { 1: "Tensor", 2: "Tensor" },
	Tensor: { 13: "Leaf", 16: "Leaf" },
	ValueInfo: { 2: "Leaf", 4: "Leaf" },
	Leaf: {},
};

/** The first place where the messages differ, as `Model.7.1[3].5: …`; undefined if they are equal. */
export function wireDifference(a: Uint8Array, b: Uint8Array, type = "Model", where = type): string | undefined {
	const left = grouped(a);
	const right = grouped(b);
	for (const number of new Set([...left.keys(), ...right.keys()])) {
		const before = left.get(number) ?? [];
		const after = right.get(number) ?? [];
		if (before.length !== after.length) return `${where}.${number}: ${before.length} times became ${after.length} times`;
		const nested = NESTED[type]?.[number];
		for (const [index, bytes] of before.entries()) {
			const other = after[index] ?? new Uint8Array(0);
			const place = `${where}.${number}[${index}]`;
			if (nested === undefined || nested === "Leaf") {
				if (Buffer.compare(bytes, other) !== 0) return `${place}: ${shown(bytes)} became ${shown(other)}`;
			} else {
				const difference = wireDifference(bytes, other, nested, place);
				if (difference !== undefined) return difference;
			}
		}
	}
	return undefined;
}

function grouped(bytes: Uint8Array): Map<number, Uint8Array[]> {
	const groups = new Map<number, Uint8Array[]>();
	for (const { field, bytes: content } of fields(bytes)) groups.set(field, [...(groups.get(field) ?? []), content]);
	return groups;
}

const shown = (bytes: Uint8Array): string => Buffer.from(bytes.subarray(0, 40)).toString("latin1");
