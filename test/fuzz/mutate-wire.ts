// Damage that knows the format: fields of a model removed, repeated, moved, renamed, nested, given impossible values.
import { entry, fields, join, message, number, varint } from "../support/wire.js";
import type { Dice } from "./dice.js";

/** Message types: field number → type of the message in it. */
const NESTED: Readonly<Record<string, Readonly<Record<number, string>>>> = {
	Model: { 7: "Graph", 8: "Opset", 14: "Entry", 20: "Training", 25: "Function" },
	Training: { 1: "Graph", 2: "Graph" },
	Graph: { 1: "Node", 5: "Tensor", 11: "ValueInfo", 12: "ValueInfo", 13: "ValueInfo", 15: "Sparse", 16: "Entry" },
	Function: { 7: "Node", 9: "Opset", 11: "Attribute", 12: "ValueInfo" },
	Node: { 5: "Attribute", 9: "Entry" },
	Attribute: { 5: "Tensor", 6: "Graph", 10: "Tensor", 11: "Graph", 14: "Type", 22: "Sparse" },
	Sparse: { 1: "Tensor", 2: "Tensor" },
	Tensor: { 13: "Entry", 16: "Entry" },
	ValueInfo: { 2: "Type" },
	Type: { 1: "TensorType" },
	TensorType: { 2: "Shape" },
	Shape: { 1: "Dim" },
};

interface Part {
	field: number;
	wire: number;
	/** Content of a leaf. */
	bytes: Uint8Array;
	readonly type: string | undefined;
	parts: Part[];
}

/** Where a part stands: the list that holds it. */
interface Place {
	readonly list: Part[];
	readonly owner: string;
	readonly part: Part;
}

/** Messages further inside stay bytes: some seeds are nested ten thousand deep. */
const DEEPEST = 60;

function parse(bytes: Uint8Array, type: string, depth = 0): Part[] {
	return fields(bytes).map(({ field, wire, bytes: content }) => {
		const nested = wire === 2 && depth < DEEPEST ? NESTED[type]?.[field] : undefined;
		return { field, wire, bytes: content, type: nested, parts: nested === undefined ? [] : parse(content, nested, depth + 1) };
	});
}

function encode(parts: readonly Part[]): Uint8Array {
	return join(...parts.map((part) => (part.type === undefined ? leaf(part) : message(part.field, encode(part.parts)))));
}

function leaf({ field, wire, bytes }: Part): Uint8Array {
	return wire === 2 ? message(field, bytes) : join(varint(field * 8 + wire), bytes);
}

/** A part that contains `part`'s place may be copied there: what is shared could become a circle. */
function copyOf(part: Part): Part {
	return { ...part, parts: part.parts.map(copyOf) };
}

function placesOf(parts: Part[]): Place[] {
	const places: Place[] = [];
	const note = (list: Part[], owner: string) => {
		for (const part of list) {
			places.push({ list, owner, part });
			if (part.type !== undefined) note(part.parts, part.type);
		}
	};
	note(parts, "Model");
	return places;
}

const INTERESTING_NUMBERS = [
	...[0n, 1n, 2n, 3n, 4n, 5n, 6n, 7n, 8n, 9n, 10n, 11n, 13n, 16n, 21n, 31n, 64n, 255n, 1000n, 65536n, 2n ** 20n, 2n ** 31n - 1n],
	...[-1n, -2n, -(2n ** 31n), 2n ** 31n, 2n ** 32n, 2n ** 40n, 2n ** 53n, 2n ** 62n, 2n ** 63n - 1n, -(2n ** 63n)],
];

const INTERESTING_TEXTS = [
	"",
	"a",
	"\0",
	"..",
	"../secret.bin",
	"/etc/hostname",
	"model.onnx",
	"./model.onnx",
	"x/../y",
	"\n",
	"ai.onnx",
	"é",
];

const OPERATORS = [
	...["Identity", "Gather", "MatMul", "Gemm", "Transpose", "Reshape", "Cast", "If", "Loop", "Scan", "Constant", "DequantizeLinear"],
	...["Einsum", "MatMulNBits", "GatherBlockQuantized", "EmbedLayerNormalization", "Mul", "ScatterND", "OneHot", "Concat", "GatherND"],
	...["Squeeze", "Unsqueeze", "Flatten", "Slice", "Split", "FusedMatMul", "MatMulInteger", "MatMulBnb4", "Equal"],
];

type Mutation = (places: readonly Place[], dice: Dice) => void;

const anywhere = (places: readonly Place[], dice: Dice) => dice.pick(places);

const where = (places: readonly Place[], test: (place: Place) => boolean) => places.filter(test);

/** Replaces the content of a leaf by bytes that stand for another value. */
function rewriteLeaf(places: readonly Place[], dice: Dice): void {
	const leaves = where(places, ({ part }) => part.type === undefined);
	if (leaves.length === 0) return;
	const { part } = dice.pick(leaves);
	if (part.wire === 0) part.bytes = varint(dice.pick(INTERESTING_NUMBERS));
	else if (part.wire !== 2) part.bytes = part.bytes.map(() => dice.below(256));
	else if (dice.chance(0.2)) part.bytes = Uint8Array.of(0xff, 0xfe, dice.below(256));
	else if (dice.chance(0.3)) part.bytes = new TextEncoder().encode(dice.pick(INTERESTING_TEXTS));
	else part.bytes = dice.pick(leaves).part.bytes;
}

/** Names of values are mixed up: cycles, duplicates, aliases, readers of nothing. */
function mixNames(places: readonly Place[], dice: Dice): void {
	const isName = ({ owner, part }: Place) =>
		(owner === "Node" && (part.field === 1 || part.field === 2)) ||
		(owner === "Tensor" && part.field === 8) ||
		(owner === "ValueInfo" && part.field === 1);
	const names = where(places, isName);
	if (names.length < 2) return;
	for (let count = dice.size(1, 4); count > 0; count--) dice.pick(names).part.bytes = dice.pick(names).part.bytes;
}

function renameOperator(places: readonly Place[], dice: Dice): void {
	const operators = where(places, ({ owner, part }) => owner === "Node" && part.field === 4);
	if (operators.length > 0) dice.pick(operators).part.bytes = new TextEncoder().encode(dice.pick(OPERATORS));
}

function changeDims(places: readonly Place[], dice: Dice): void {
	const tensors = where(places, ({ part }) => part.type === "Tensor");
	if (tensors.length === 0) return;
	const { part } = dice.pick(tensors);
	const dims = part.parts.filter(({ field }) => field === 1);
	if (dims.length > 1 && dice.chance(0.4)) part.parts = [...dims.toReversed(), ...part.parts.filter(({ field }) => field !== 1)];
	else if (dims.length > 0 && dice.chance(0.7)) dice.pick(dims).bytes = varint(dice.pick(INTERESTING_NUMBERS));
	else part.parts.push({ field: 1, wire: 0, bytes: varint(dice.pick(INTERESTING_NUMBERS)), type: undefined, parts: [] });
}

/** Dimensions stay, the payload goes, is cut, grows, or becomes numbers that are none. */
function changePayload(places: readonly Place[], dice: Dice): void {
	const payloads = where(places, ({ owner, part }) => owner === "Tensor" && [4, 5, 7, 9, 10, 11].includes(part.field) && part.wire === 2);
	if (payloads.length === 0) return;
	const { list, part } = dice.pick(payloads);
	const { bytes } = part;
	const choice = dice.below(5);
	if (choice === 0) list.splice(list.indexOf(part), 1);
	else if (choice === 1) part.bytes = bytes.subarray(0, dice.below(bytes.byteLength + 1));
	else if (choice === 2) part.bytes = join(bytes, new Uint8Array(dice.size(1, 64)));
	else if (choice === 3) part.bytes = Uint8Array.from(bytes).fill(dice.pick([0, 127, 128, 255]), dice.below(bytes.byteLength + 1));
	else part.field = dice.pick([4, 5, 7, 9, 10, 11]);
}

const LOCATIONS = [
	...["model.onnx", "model.onnx_data", "missing.bin", "../secret.bin", "/etc/hostname", "link.bin", "loop.bin", "folder", "pipe", "./"],
	...["folder/../model.onnx_data", "a\\b", "C:\\x", "\0", "", ".", "..", "far.bin"],
];

function makeExternal(places: readonly Place[], dice: Dice): void {
	const tensors = where(places, ({ part }) => part.type === "Tensor");
	if (tensors.length === 0) return;
	const { part } = dice.pick(tensors);
	const offset = dice.pick(["0", "1", "-1", "64", "99999999999999999999", "9007199254740991", "1e3", "0x10", " 8 ", ""]);
	const length = dice.pick(["0", "4", "-4", "64", "18446744073709551615", "NaN"]);
	const entries = [
		entry(13, "location", dice.pick(LOCATIONS)),
		...(dice.chance(0.6) ? [entry(13, "offset", offset)] : []),
		...(dice.chance(0.3) ? [entry(13, "length", length)] : []),
	];
	const kept = dice.chance(0.7) ? part.parts.filter(({ field }) => ![4, 5, 7, 9, 10, 11].includes(field)) : part.parts;
	part.parts = [...kept, ...parse(join(...entries, number(14, 1)), "Tensor")];
}

/** A graph becomes the body of one of its own nodes, so that names meet again in another scope. */
function nest(places: readonly Place[], dice: Dice): void {
	const graphs = where(places, ({ part }) => part.type === "Graph");
	const nodes = where(places, ({ part }) => part.type === "Node");
	if (graphs.length === 0 || nodes.length === 0) return;
	const body = encode(dice.pick(graphs).part.parts);
	const name = dice.pick(["then_branch", "else_branch", "body"]);
	let attribute = join(message(1, name), number(20, 5), message(6, body));
	if (body.byteLength < 4000 && dice.chance(0.3)) {
		for (let depth = dice.size(1, 30); depth > 0; depth--) {
			const node = join(message(4, "If"), message(5, attribute));
			attribute = join(message(1, name), number(20, 5), message(6, message(1, node)));
		}
	}
	dice.pick(nodes).part.parts.push({ field: 5, wire: 2, bytes: attribute, type: undefined, parts: [] });
}

const MUTATIONS: readonly Mutation[] = [
	(places, dice) => {
		const { list, part } = anywhere(places, dice);
		list.splice(list.indexOf(part), 1);
	},
	(places, dice) => {
		const { list, part } = anywhere(places, dice);
		for (let count = dice.size(1, 20); count > 0; count--) list.push(copyOf(part));
	},
	(places, dice) => {
		const { owner, part, list } = anywhere(places, dice);
		const other = dice.pick(where(places, (place) => place.owner === owner));
		list[list.indexOf(part)] = copyOf(other.part);
	},
	(places, dice) => {
		const { list } = anywhere(places, dice);
		const [first, second] = [dice.below(list.length), dice.below(list.length)];
		const held = list[first] as Part; // the lists of places hold at least that part
		list[first] = list[second] as Part;
		list[second] = held;
	},
	(places, dice) => {
		const { list } = anywhere(places, dice);
		const bytes = dice.pick([new Uint8Array(11).fill(255), join(new Uint8Array(10).fill(128), Uint8Array.of(1)), varint(-1)]);
		list.push({ field: dice.size(1, 30), wire: dice.below(8), bytes, type: undefined, parts: [] });
	},
	(places, dice) => {
		anywhere(places, dice).part.field = dice.size(1, 30);
	},
	rewriteLeaf,
	rewriteLeaf,
	rewriteLeaf,
	mixNames,
	mixNames,
	renameOperator,
	renameOperator,
	changeDims,
	changeDims,
	changePayload,
	makeExternal,
	nest,
];

/** The model in `bytes` with one to six such changes; a model that is no protobuf stays as it is. */
export function restructured(bytes: Uint8Array, dice: Dice): Uint8Array {
	let parts: Part[];
	try {
		parts = parse(bytes, "Model");
	} catch {
		return bytes;
	}
	for (let count = dice.size(1, 6); count > 0; count--) {
		const places = placesOf(parts);
		if (places.length === 0) break;
		dice.pick(MUTATIONS)(places, dice);
	}
	return encode(parts);
}
