// Random small models around a vocabulary: aliases, ties, bodies of If and Loop, several readers; and with mistakes of every kind.
import fc from "fast-check";
import { type Bytes, external, float32, join, message, node, number, raw, tensor } from "../support/wire.js";

const ROWS = 48;
const COLS = 8;

const floats = (count: number, seed: number) =>
	float32(...Array.from({ length: count }, (_, index) => Math.sin(index * 1.7 + seed) * (1 + (index % 5))));

const int = (field: number, name: string, value: number | bigint) => message(field, message(1, name), number(20, 2), number(3, value));
const ints = (field: number, name: string, values: readonly number[]) =>
	message(field, message(1, name), number(20, 7), ...values.map((value) => number(8, value)));
const graphAttribute = (name: string, ...body: readonly Uint8Array[]) => message(5, message(1, name), number(20, 5), message(6, ...body));
const value = (field: number, name: string, dtype: number, ...dims: readonly (number | string)[]) => {
	const shape = dims.map((dim) => message(1, typeof dim === "number" ? number(1, dim) : message(2, dim)));
	return message(field, message(1, name), message(2, message(1, number(1, dtype), message(2, ...shape))));
};

/** How the table reaches its readers; each step is nodes from a name to a name. */
const ALIASES: Readonly<Record<string, (from: string, to: string) => Bytes>> = {
	identity: (from, to) => message(1, node("Identity", [from], [to])),
	cast: (from, to) => message(1, node("Cast", [from], [to], int(5, "to", 1))),
	turned: (from, to) => message(1, node("Transpose", [from], [to], ints(5, "perm", [1, 0]))),
	reshaped: (from, to) => message(1, node("Reshape", [from, "shape"], [to])),
	squeezed: (from, to) => message(1, node("Unsqueeze", [from, "axes"], [to])),
	scaled: (from, to) => message(1, node("Mul", [from, "mask"], [to])),
	quantized: (from, to) => message(1, node("DequantizeLinear", [from, "scale"], [to])),
};

interface Model {
	readonly aliases: readonly string[];
	readonly readers: readonly ("Gather" | "MatMul" | "Gemm" | "Einsum" | "GatherND" | "Relu" | "Shape")[];
	readonly scopes: readonly ("main" | "If" | "Loop" | "both")[];
	readonly dims: readonly (number | bigint)[];
	readonly dtype: number;
	readonly stored: "raw" | "external" | "none" | "float_data" | "short";
	readonly offset: string;
	readonly mistakes: readonly string[];
	readonly depth: number;
	readonly seed: number;
}

const usual = fc.constant([ROWS, COLS] as const);
const odd = fc.array(
	fc.oneof(
		fc.constantFrom(0, 1, COLS, ROWS, ROWS * COLS),
		fc.constantFrom(-1n, 2n ** 31n, 2n ** 40n, 2n ** 62n, -(2n ** 63n)),
		fc.nat(100),
	),
	{ maxLength: 4 },
);

export const model: fc.Arbitrary<Bytes> = fc
	.record<Model>({
		aliases: fc.array(fc.constantFrom(...Object.keys(ALIASES)), { maxLength: 5 }),
		readers: fc.array(fc.constantFrom("Gather", "MatMul", "Gemm", "Einsum", "GatherND", "Relu", "Shape"), { minLength: 1, maxLength: 4 }),
		scopes: fc.array(fc.constantFrom("main", "If", "Loop", "both"), { minLength: 4, maxLength: 4 }),
		dims: fc.oneof({ weight: 9, arbitrary: usual }, { weight: 1, arbitrary: odd }),
		dtype: fc.oneof({ weight: 9, arbitrary: fc.constant(1) }, { weight: 1, arbitrary: fc.integer({ min: 0, max: 30 }) }),
		stored: fc.oneof({ weight: 9, arbitrary: fc.constant("raw") }, fc.constantFrom("external", "none", "float_data", "short")),
		offset: fc.constantFrom("0", "64", "-8", "9007199254740993", "zero"),
		mistakes: fc.oneof(
			{ weight: 2, arbitrary: fc.constant([]) },
			fc.array(
				fc.constantFrom(
					"duplicate",
					"cycle",
					"dangling",
					"shadow",
					"unsorted",
					"missing output",
					"utf8",
					"self",
					"two opsets",
					"overridable",
				),
				{ maxLength: 2 },
			),
		),
		depth: fc.oneof({ weight: 4, arbitrary: fc.constant(1) }, fc.integer({ min: 2, max: 60 })),
		seed: fc.nat(100),
	})
	.map(encode);

function encode(plan: Model): Bytes {
	const { aliases, readers, scopes, depth } = plan;
	const nodes: Bytes[] = [];
	let name = "table";
	for (const [index, alias] of aliases.entries()) {
		const to = `alias${index}`;
		nodes.push(ALIASES[alias]?.(name, to) ?? join());
		name = to;
	}
	const outputs: Bytes[] = [];
	for (const [index, reader] of readers.entries()) {
		const output = `out${index}`;
		const read = readerOf(reader, name, output);
		nodes.push(scoped(scopes[index] ?? "main", read, output, depth));
		outputs.push(value(12, output, 1, "batch", "length", reader === "Gather" ? COLS : ROWS));
	}
	const graph = [
		message(2, "main"),
		...withMistakes(plan, nodes, name),
		message(5, table(plan)),
		message(5, tensor("shape", 7, [2], raw(new Uint8Array(BigInt64Array.of(BigInt(ROWS), BigInt(COLS)).buffer)))),
		message(5, tensor("axes", 7, [1], raw(new Uint8Array(8)))),
		message(5, tensor("mask", 1, [ROWS, 1], raw(float32(...Array.from({ length: ROWS }, (_, row) => (row === 0 ? 0 : 1)))))),
		message(5, tensor("scale", 1, [], raw(float32(0.5)))),
		message(5, tensor("condition", 9, [], raw(Uint8Array.of(1)))),
		message(5, tensor("trips", 7, [], raw(Uint8Array.of(2, 0, 0, 0, 0, 0, 0, 0)))),
		value(11, "input_ids", 7, "batch", "length"),
		value(11, "hidden", 1, "batch", "length", COLS),
		value(11, "hidden2d", 1, "batch", COLS),
		...(plan.mistakes.includes("overridable") ? [value(11, "table", 1, ROWS, COLS)] : []),
		...outputs,
		...(plan.mistakes.includes("missing output") ? [value(12, "nowhere", 1)] : []),
	];
	const opsets = plan.mistakes.includes("two opsets") ? [13, 17] : [17];
	return join(number(1, 8), message(7, ...graph), ...opsets.map((version) => message(8, number(2, version))));
}

function readerOf(reader: Model["readers"][number], table: string, output: string): Bytes {
	switch (reader) {
		case "Gather":
			return message(1, node("Gather", [table, "input_ids"], [output]));
		case "GatherND":
			return message(1, node("GatherND", [table, "input_ids"], [output]));
		case "Gemm":
			return message(1, node("Gemm", ["hidden2d", table], [output], int(5, "transB", 1)));
		case "Einsum":
			return message(
				1,
				node("Einsum", ["hidden", table], [output], message(5, message(1, "equation"), number(20, 3), message(4, "bsd,vd->bsv"))),
			);
		case "MatMul":
			return join(
				message(1, node("Transpose", [table], [`${output}.t`], ints(5, "perm", [1, 0]))),
				message(1, node("MatMul", ["hidden", `${output}.t`], [output])),
			);
		default:
			return message(1, node(reader, [table], [output]));
	}
}

/** The nodes in `read`, where they stand: in the main graph, or in bodies, several deep. */
function scoped(scope: Model["scopes"][number], read: Bytes, output: string, depth: number): Bytes {
	if (scope === "main") return read;
	const inner = (nodes: Bytes, result: string) => join(message(2, "body"), nodes, message(12, message(1, result)));
	let nodes = read;
	for (let level = 0; level < depth; level++) {
		const outer = level === depth - 1 ? output : `${output}.${level}`;
		const result = level === 0 ? output : `${output}.${level - 1}`;
		if (scope === "Loop") {
			const body = join(
				message(2, "body"),
				message(11, message(1, `i${level}`)),
				message(11, message(1, `c${level}`)),
				message(1, node("Identity", [`c${level}`], [`k${level}`])),
				nodes,
				message(12, message(1, `k${level}`)),
				message(12, message(1, result)),
			);
			nodes = message(1, node("Loop", ["trips", ""], [outer], graphAttribute("body", body)));
		} else {
			const other = scope === "both" ? inner(nodes, result) : inner(message(1, node("Identity", ["hidden"], ["z"])), "z");
			// Branches of the same nodes double with every level.
			const isSmall = nodes.byteLength < 20_000;
			const branches = [graphAttribute("then_branch", inner(nodes, result)), ...(isSmall ? [graphAttribute("else_branch", other)] : [])];
			nodes = message(1, node("If", ["condition"], [outer], ...branches));
		}
	}
	return nodes;
}

function table({ dims, dtype, stored, offset, seed }: Model): Bytes {
	const bytes = floats(ROWS * COLS, seed);
	switch (stored) {
		case "none":
			return tensor("table", dtype, dims);
		case "external":
			return tensor("table", dtype, dims, external({ location: "model.onnx_data", offset }));
		case "float_data":
			return tensor("table", dtype, dims, message(4, bytes));
		case "short":
			return tensor("table", dtype, dims, raw(bytes.subarray(0, bytes.byteLength - 4)));
		default:
			return tensor("table", dtype, dims, raw(bytes));
	}
}

function withMistakes({ mistakes }: Model, nodes: readonly Bytes[], table: string): readonly Bytes[] {
	let result = [...nodes];
	for (const mistake of mistakes) {
		if (mistake === "duplicate") result.push(...result.slice(0, 1));
		if (mistake === "cycle") result.push(message(1, node("Add", ["c1", table], ["c0"])), message(1, node("Neg", ["c0"], ["c1"])));
		if (mistake === "self") result.push(message(1, node("Identity", ["s"], ["s"])));
		if (mistake === "dangling") result.push(message(1, node("Neg", ["nothing"], ["d"])));
		if (mistake === "shadow") result.push(scoped("If", message(1, node("Identity", ["hidden"], ["table"])), "shadowed", 1));
		if (mistake === "unsorted") result = result.toReversed();
		if (mistake === "utf8") result.push(message(1, node("Neg", ["hidden"], ["u"], message(3, Uint8Array.of(0xc3, 0x28)))));
	}
	return result;
}
