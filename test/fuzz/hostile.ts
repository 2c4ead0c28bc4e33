// Models that cost more than they weigh: deep, long, wide, doubling, circular, or full of nothing.
import { type Bytes, entry, external, join, message, model, modelOf, node, number, opening, raw, tensor, varint } from "../support/wire.js";
import type { Dice } from "./dice.js";

/** Bytes of the largest model that is made here. */
const LARGEST = 4 * 2 ** 20;

type Maker = (dice: Dice) => Uint8Array;

const io = (input = "x", output = "y") => join(message(11, message(1, input)), message(12, message(1, output)));

const repeated = (bytes: Uint8Array, count: number): Bytes => {
	const times = Math.min(count, Math.floor(LARGEST / Math.max(1, bytes.byteLength)));
	const all = new Uint8Array(times * bytes.byteLength);
	for (let index = 0; index < times; index++) all.set(bytes, index * bytes.byteLength);
	return all;
};

/** Messages inside each other, written without building each level anew: lengths first, from the inside out. */
function nested(depth: number, inside: Uint8Array, layers: readonly number[], between: Uint8Array = new Uint8Array(0)): Bytes {
	const heads: Uint8Array[] = [];
	let length = inside.byteLength;
	for (let level = 0; level < depth; level++) {
		for (const field of layers.toReversed()) {
			const last = field === layers.at(-1);
			const head = last ? join(opening(field, length + between.byteLength), between) : opening(field, length);
			heads.push(head);
			length += head.byteLength;
		}
	}
	return join(...heads.reverse(), inside);
}

/** A table and its lookup, so that the rest of the model is looked at. */
const TABLE = join(
	message(5, tensor("table", 1, [64, 8], raw(new Uint8Array(64 * 8 * 4)))),
	message(11, message(1, "input_ids"), message(2, message(1, number(1, 7)))),
	message(1, node("Gather", ["table", "input_ids"], ["rows"])),
	message(12, message(1, "rows")),
);

function chain(dice: Dice, operator: string, length: number, ...attributes: readonly Uint8Array[]): Bytes {
	const nodes = Array.from({ length }, (_, index) =>
		message(1, node(operator, [index === 0 ? "table" : `v${index - 1}`], [`v${index}`], ...attributes)),
	);
	const order = dice.chance(0.3) ? nodes.reverse() : nodes;
	const last = message(1, node("Gather", [`v${length - 1}`, "input_ids"], ["end"]));
	return model(join(TABLE, ...order, last, message(12, message(1, "end"))));
}

function functions(count: number, calls: number, callsOf: (index: number) => string): Uint8Array {
	const definition = (index: number) =>
		message(
			25,
			...[message(1, `F${index}`), message(10, "local"), message(9, number(2, 21)), message(9, message(1, "local"), number(2, 1))],
			...[message(4, "a"), message(5, "b")],
			...Array.from({ length: calls }, (_, call) =>
				message(7, node(callsOf(index), [call === 0 ? "a" : `b${call - 1}`], [call === calls - 1 ? "b" : `b${call}`], message(7, "local"))),
			),
		);
	const last = message(
		25,
		...[message(1, `F${count}`), message(10, "local"), message(9, number(2, 21)), message(4, "a"), message(5, "b")],
		message(7, node("Identity", ["a"], ["b"])),
	);
	return join(...Array.from({ length: count }, (_, index) => definition(index)), last, message(8, message(1, "local"), number(2, 1)));
}

export const HOSTILE: Readonly<Record<string, Maker>> = {
	"nested bodies": (dice) => {
		const between = join(message(1, "then_branch"), number(20, 5));
		return model(join(io(), nested(dice.size(50, 10_000), new Uint8Array(0), [1, 5, 6], between)));
	},
	"nested types": (dice) => model(message(11, message(1, "x"), message(2, nested(dice.size(50, 10_000), number(1, 1), [4, 1])))),
	"nested unknown groups": (dice) => join(model(io()), repeated(Uint8Array.of(0x0b), dice.size(10, 10_000))),
	"nested training graphs": (dice) => model(io(), message(20, nested(dice.size(50, 10_000), new Uint8Array(0), [1, 1, 5, 6]))),
	"long varints": (dice) => {
		const long = join(new Uint8Array(dice.size(9, 12)).fill(255), Uint8Array.of(1));
		return dice.pick([
			join(model(io()), long),
			model(join(io(), varint(8), long)),
			modelOf(join(varint(8), long)),
			modelOf(tensor("t", 7, [1], message(7, long))),
		]);
	},
	"huge dims": (dice) => {
		const dim = () => dice.pick([0, 1, 2 ** 31, 2n ** 40n, 2n ** 62n, 2n ** 63n - 1n, -1, -(2n ** 63n), 65536, 2 ** 20]);
		const payload = dice.pick([
			new Uint8Array(0),
			raw(new Uint8Array(0)),
			external({ location: "model.onnx_data" }),
			message(4, new Uint8Array(8)),
		]);
		const dtype = dice.pick([1, 7, 8, 10, 21, 25, 27, 0, 77]);
		return model(join(TABLE, message(5, tensor("t", dtype, Array.from({ length: dice.size(1, 6) }, dim), payload))));
	},
	"many dims": (dice) =>
		modelOf(join(repeated(number(1, 1), dice.size(1000, 2 ** 20)), number(2, 1), message(8, "t"), raw(new Uint8Array(4)))),
	"many empty messages": (dice) => {
		const field = dice.pick([1, 5, 11, 12, 13, 14, 15, 16]);
		return model(join(io(), repeated(message(field), dice.size(1000, 2 ** 21))));
	},
	"many small nodes": (dice) => {
		const small = dice.pick([
			message(1, message(4, "A")),
			message(1, message(1), message(4, "A")),
			message(1, message(4, "A"), message(5)),
		]);
		return model(join(io(), repeated(small, dice.size(1000, 2 ** 20))));
	},
	"many functions": (dice) =>
		model(
			io(),
			functions(dice.size(10, 3000), 1, (index) => `F${index + 1}`),
		),
	"many opsets, texts and functions of nothing": (dice) =>
		model(io(), repeated(dice.pick([message(8), message(14), message(25), message(20), message(26)]), dice.size(1000, 2 ** 21))),
	"many attributes": (dice) => {
		const one = dice.pick([message(5), message(5, message(1, "a")), message(5, number(20, 7))]);
		return model(join(io(), message(1, node("Neg", ["x"], ["y"], repeated(one, dice.size(1000, 2 ** 20))))));
	},
	"many numbers in an attribute": (dice) => {
		const field = dice.pick([7, 8]);
		const packed = message(field, new Uint8Array(Math.floor(dice.size(1000, LARGEST) / 4) * 4).fill(1));
		return model(join(io(), message(1, node("Neg", ["x"], ["y"], message(5, message(1, "a"), number(20, field - 1), packed)))));
	},
	"many strings": (dice) => {
		const list = dice.pick([message(9), message(9, "a"), message(11), message(10), message(15), message(23)]);
		return model(
			join(
				io(),
				message(1, node("Neg", ["x"], ["y"], message(5, message(1, "a"), number(20, 8), repeated(list, dice.size(1000, 2 ** 20))))),
			),
		);
	},
	"many strings in a tensor": (dice) => {
		const count = Math.min(dice.size(1000, 2 ** 20), LARGEST / 2);
		return modelOf(join(number(1, count), number(2, 8), message(8, "t"), repeated(message(6), count)));
	},
	"many entries": (dice) =>
		modelOf(join(tensor("t", 1, [1]), repeated(dice.pick([message(13), message(16), entry(13, "a", "b")]), dice.size(1000, 2 ** 20)))),
	"many inputs of a node": (dice) =>
		model(join(io(), message(1, repeated(message(1, "x"), dice.size(1000, 2 ** 20)), message(2, "y"), message(4, "Concat")))),
	"many outputs of a node": (dice) => {
		const outputs = dice.chance(0.5)
			? repeated(message(2), dice.size(1000, 2 ** 20))
			: join(...Array.from({ length: dice.size(100, 50_000) }, (_, index) => message(2, `o${index}`)));
		return model(join(io(), message(1, message(1, "x"), message(2, "y"), outputs, message(4, "Split"))));
	},
	"many dimensions of a value": (dice) =>
		model(
			join(
				io(),
				message(13, message(1, "x"), message(2, message(1, number(1, 1), message(2, repeated(message(1), dice.size(1000, 2 ** 20)))))),
			),
		),
	"a long chain of aliases": (dice) => chain(dice, dice.pick(["Identity", "Neg", "Flatten"]), dice.size(100, 20_000)),
	"a long chain of transposes": (dice) => chain(dice, "Transpose", dice.size(100, 20_000)),
	"a long chain behind the lookup": (dice) => {
		const length = dice.size(100, 20_000);
		const operator = dice.pick(["Identity", "Cast", "Add", "Relu", "Reshape"]);
		const nodes = Array.from({ length }, (_, index) =>
			message(1, node(operator, [index === 0 ? "rows" : `v${index - 1}`, "rows"], [`v${index}`])),
		);
		return model(join(TABLE, ...nodes, message(12, message(1, `v${length - 1}`))));
	},
	"a long chain in front of the lookup": (dice) => {
		const length = dice.size(100, 20_000);
		const nodes = Array.from({ length }, (_, index) =>
			message(1, node(dice.pick(["Identity", "Cast"]), [index === 0 ? "input_ids" : `v${index - 1}`], [`v${index}`])),
		);
		return model(join(TABLE, ...nodes, message(1, node("Gather", ["table", `v${length - 1}`], ["r2"])), message(12, message(1, "r2"))));
	},
	"a ladder of sums": (dice) => {
		// Two ways from each step to the next: as many paths as 2 to the number of steps.
		const steps = dice.size(10, 3000);
		const operator = dice.pick(["Add", "Where", "Concat", "Mul", "Reshape"]);
		const nodes = Array.from({ length: steps }, (_, index) =>
			message(
				1,
				node(
					operator,
					[index === 0 ? "rows" : `v${index - 1}`, index === 0 ? "rows" : `v${index - 1}`, index === 0 ? "rows" : `v${index - 1}`],
					[`v${index}`],
				),
			),
		);
		return model(join(TABLE, ...nodes, message(12, message(1, `v${steps - 1}`))));
	},
	"a ladder of ids": (dice) => {
		const steps = dice.size(10, 3000);
		const nodes = Array.from({ length: steps }, (_, index) => {
			const from = index === 0 ? "input_ids" : `v${index - 1}`;
			return message(1, node(dice.pick(["Concat", "Where", "Reshape", "Slice", "Expand"]), [from, from, from], [`v${index}`]));
		});
		return model(join(TABLE, ...nodes, message(1, node("Gather", ["table", `v${steps - 1}`], ["r2"])), message(12, message(1, "r2"))));
	},
	"functions that double": (dice) => {
		const depth = dice.size(3, 60);
		const call = message(1, node("F0", ["table"], ["t2"], message(7, "local")));
		const lookup = message(1, node("Gather", ["t2", "input_ids"], ["r2"]));
		return model(
			join(TABLE, call, lookup, message(12, message(1, "r2"))),
			functions(depth, 2, (index) => `F${index + 1}`),
		);
	},
	"functions that are called a thousand times": (dice) => {
		const calls = dice.size(10, 1000);
		const call = message(1, node("F0", ["table"], ["t2"], message(7, "local")));
		return model(
			join(TABLE, call, message(12, message(1, "t2"))),
			functions(dice.size(1, 4), calls, (index) => `F${index + 1}`),
		);
	},
	"circles of functions": (dice) => {
		const count = dice.size(1, 2000);
		return model(
			io(),
			functions(count, 1, (index) => `F${(index + 1) % count}`),
		);
	},
	"a large circle of nodes": (dice) => {
		const count = dice.size(2, 20_000);
		const nodes = Array.from({ length: count }, (_, index) => message(1, node("Neg", [`v${index}`], [`v${(index + 1) % count}`])));
		return model(join(io("x", "v0"), ...nodes));
	},
	"tables of one name": (dice) =>
		model(join(TABLE, repeated(message(5, tensor(dice.pick(["table", "t"]), 1, [1], raw(new Uint8Array(4)))), dice.size(2, 50_000)))),
	"many lookups": (dice) => {
		const nodes = Array.from({ length: dice.size(10, 3000) }, (_, index) =>
			message(1, node("Gather", ["table", "input_ids"], [`r${index}`])),
		);
		return model(join(TABLE, ...nodes));
	},
	"many tables": (dice) => {
		const count = dice.size(10, 2000);
		const nodes = Array.from({ length: count }, (_, index) =>
			join(
				message(5, tensor(`t${index}`, 1, [64, 8], raw(new Uint8Array(2048)))),
				message(1, node("Gather", [`t${index}`, "input_ids"], [`r${index}`])),
				message(12, message(1, `r${index}`)),
			),
		);
		return model(join(TABLE, ...nodes.slice(0, LARGEST / 2300)));
	},
	"bodies beside each other that read each other's names": (dice) => {
		const count = dice.size(10, 3000);
		const nodes = Array.from({ length: count }, (_, index) =>
			message(
				1,
				node(
					"If",
					["x"],
					[`v${index}`],
					message(
						5,
						message(1, "then_branch"),
						number(20, 5),
						message(6, message(1, node("Neg", [`v${index + 1}`], ["y"])), message(12, message(1, "y"))),
					),
				),
			),
		);
		return model(join(io("x", "v0"), message(1, node("Neg", ["x"], [`v${count}`])), ...nodes));
	},
	"long texts": (dice) => {
		const text = new Uint8Array(dice.size(1000, LARGEST)).fill(dice.pick([97, 10, 0, 255]));
		return model(
			join(
				io(),
				message(1, node("Neg", ["x"], ["y"], dice.pick([message(3, text), message(6, text), message(7, text), message(1, text)]))),
			),
		);
	},
};
