// Writes a small graph as an ONNX model at once, field by field: to read and compile the schema takes longer than most products that the
// engine is asked for.
import { DistembError } from "../errors.js";
import { codeOfDType, type DType } from "../ir/dtype.js";
import { LEN, tag, varint } from "./wire.js";

/** A graph of standard operators, nodes in order. Constants are nodes. */
export interface DirectGraph {
	readonly inputs: readonly DirectValue[];
	readonly nodes: readonly DirectNode[];
	readonly outputs: readonly DirectValue[];
}

/** An input or output; a dimension is a size or a symbol. */
export interface DirectValue {
	readonly name: string;
	readonly dtype: DType;
	readonly shape: readonly (number | string)[];
}

export interface DirectNode {
	readonly opType: string;
	readonly inputs: readonly string[];
	readonly outputs: readonly string[];
	readonly attributes?: Readonly<Record<string, DirectAttribute>>;
}

/** Whole numbers must not be negative. */
export type DirectAttribute = { readonly int: number } | { readonly ints: readonly number[] } | { readonly float: number };

const IR_VERSION = 8;
const OPSET = 17;

/** AttributeProto.AttributeType */
const TYPES = { float: 1, int: 2, ints: 7 } as const;

/** The model's bytes: IR 8, opset 17. Throws `internal` for a whole number that is negative or none. */
export function encodeDirect({ inputs, nodes, outputs }: DirectGraph): Uint8Array {
	const graph = message(
		...nodes.map((node) => field(1, nodeProto(node))),
		field(2, text("product")),
		...inputs.map((value) => field(11, valueInfo(value))),
		...outputs.map((value) => field(12, valueInfo(value))),
	);
	return message(whole(1, IR_VERSION), field(7, graph), field(8, message(field(1, text("")), whole(2, OPSET))));
}

function nodeProto({ opType, inputs, outputs, attributes = {} }: DirectNode): Uint8Array {
	return message(
		...inputs.map((name) => field(1, text(name))),
		...outputs.map((name) => field(2, text(name))),
		field(4, text(opType)),
		...Object.entries(attributes).map(([name, attribute]) => field(5, attributeProto(name, attribute))),
	);
}

function attributeProto(name: string, attribute: DirectAttribute): Uint8Array {
	const named = field(1, text(name));
	if ("float" in attribute) return message(named, single(2, attribute.float), whole(20, TYPES.float));
	if ("int" in attribute) return message(named, whole(3, attribute.int), whole(20, TYPES.int));
	return message(named, ...attribute.ints.map((value) => whole(8, value)), whole(20, TYPES.ints));
}

function valueInfo({ name, dtype, shape }: DirectValue): Uint8Array {
	const dimensions = shape.map((size) => field(1, typeof size === "number" ? whole(1, size) : field(2, text(size))));
	const tensor = message(whole(1, codeOfDType(dtype)), field(2, message(...dimensions)));
	return message(field(1, text(name)), field(2, field(1, tensor)));
}

function message(...fields: readonly Uint8Array[]): Uint8Array {
	return Buffer.concat(fields);
}

function field(id: number, body: Uint8Array): Uint8Array {
	return Buffer.concat([tag(id, LEN), varint(body.length), body]);
}

function whole(id: number, value: number): Uint8Array {
	if (!Number.isInteger(value) || value < 0) throw new DistembError("internal", `${value} is no whole number that can be written directly`);
	return Buffer.concat([tag(id, 0), varint(value)]);
}

function single(id: number, value: number): Uint8Array {
	const bytes = Buffer.alloc(4);
	bytes.writeFloatLE(value);
	return Buffer.concat([tag(id, 5), bytes]);
}

function text(value: string): Uint8Array {
	return Buffer.from(value, "utf8");
}
