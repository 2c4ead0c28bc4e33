// How much memory the graph of a file will take once it is decoded: a message of two bytes becomes an object of a thousand.
import protobuf from "protobufjs";
import { DistembError } from "../errors.js";
import { ModelMessage } from "./schema.js";

/** Bytes that a decoded graph may take beyond the size of its file. */
const ROOM = 290e6;

/** Bytes of a message with all that the IR adds to it, by type; measured (2026-11-26, Node.js 20) and rounded up. */
const MESSAGES: Readonly<Record<string, number>> = {
	FunctionProto: 2200,
	NodeProto: 1300,
	GraphProto: 1500,
	TensorProto: 1800,
	AttributeProto: 750,
};
const OTHER_MESSAGE = 200;

/** Bytes of the name of a node's output, with the value that it names. */
const OUTPUT = 1400;

/** Bytes of an item of another repeated field: a name with its edges, an integer of 64 bits, a float; and of a field that the schema does not know. */
const ITEM = { text: 250, integer: 110, float: 24, unknown: 200 } as const;

interface FieldCost {
	readonly each: number;
	/** Of packed numbers, whose count is not known before they are decoded: for each byte. */
	readonly perByte: number;
}

/** What fields of each message type cost. */
const COSTS: ReadonlyMap<protobuf.Type, ReadonlyMap<number, FieldCost>> = costsBelow(ModelMessage.root.nestedArray);

function costsBelow(objects: readonly protobuf.ReflectionObject[]): Map<protobuf.Type, Map<number, FieldCost>> {
	const types = objects.filter((object) => object instanceof protobuf.Type);
	const nested = types.flatMap((type) => [...costsBelow(type.nestedArray)]);
	return new Map([...types.map((type) => [type, new Map(type.fieldsArray.map((field) => [field.id, costOf(field)]))] as const), ...nested]);
}

function costOf({ fullName, resolvedType, repeated, type }: protobuf.Field): FieldCost {
	if (resolvedType instanceof protobuf.Type) return { each: MESSAGES[resolvedType.name] ?? OTHER_MESSAGE, perByte: 0 };
	if (!repeated) return { each: 0, perByte: 0 };
	if (fullName === ".NodeProto.output") return { each: OUTPUT, perByte: 0 };
	if (type === "string" || type === "bytes") return { each: ITEM.text, perByte: 0 };
	if (type === "fixed32") return { each: ITEM.float, perByte: ITEM.float / 4 };
	if (type === "double") return { each: ITEM.float, perByte: ITEM.float / 8 };
	return { each: ITEM.integer, perByte: ITEM.integer };
}

const UNKNOWN: FieldCost = { each: ITEM.unknown, perByte: 0 };

/** Adds up what the fields of a file will cost. */
export class MemoryEstimate {
	readonly #most: number;
	#bytes = 0;

	/** @param fileSize in bytes */
	constructor(fileSize: number) {
		this.#most = fileSize + ROOM;
	}

	/**
	 * Counts a field of a message of type `type`.
	 * @param length bytes of its content, 0 for a number that stands alone
	 * @throws DistembError `input` once all fields together cost more than a file of this size may
	 */
	add(type: protobuf.Type, field: number, length: number): void {
		const { each, perByte } = COSTS.get(type)?.get(field) ?? UNKNOWN;
		this.#bytes += each + perByte * length;
		if (this.#bytes <= this.#most) return;
		const most = `${Math.round(this.#most / 1e6)} MB`;
		throw new DistembError("input", `describes a graph that would take more than ${most} of memory, far more than the file's size`, {
			hint: "such files are made to exhaust memory; if this one is not, split its graph",
		});
	}
}
