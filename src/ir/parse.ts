// Reads the notation that `print.ts` writes: models as text, one line per node, for tests and for graphs built for the engine.
import { DistembError } from "../errors.js";
import { graph as graphAttribute } from "./attributes.js";
import { bitsOf, byteLengthOf, type DType } from "./dtype.js";
import {
	addBody,
	addFunction,
	addInitializer,
	addInput,
	addNode,
	addOutput,
	addSparse,
	createModel,
	describe,
	giveDefault,
	setAttribute,
} from "./edit.js";
import { hasNumbers, writeElements } from "./elements.js";
import { type Attribute, Graph, type Model, type Node, type TensorType, type Value } from "./graph.js";
import {
	isInteger,
	listAttribute,
	numberOf,
	readDeclaredType,
	readGraphName,
	readOperator,
	readOpsets,
	readTensorType,
	type TensorHeader,
} from "./notation.js";
import { Scanner } from "./scan.js";
import { dataOf, INLINE, Tensor } from "./tensor.js";
import { scopes } from "./walk.js";

export interface ParseOptions {
	/** Elements of initializers whose values the text leaves out, by name. */
	readonly values?: Readonly<Record<string, ArrayLike<number | bigint>>>;
	/** Fills the other initializers with repeatable random numbers; without it they have no data. */
	readonly seed?: number;
}

/**
 * The model written in `text`, which may be indented as a whole; lines that start with `#` are skipped.
 * @throws DistembError `input`, with the number of the line.
 */
export function parseModel(text: string, options: ParseOptions = {}): Model {
	return new Parser(linesOf(text), options).model();
}

interface Line {
	readonly depth: number;
	readonly text: string;
	readonly number: number;
}

/** Lines with their depth in tabs, counted from the least indented one. */
function linesOf(text: string): Line[] {
	const lines: Line[] = [];
	for (const [index, line] of text.split("\n").entries()) {
		const content = line.trim();
		if (content === "" || content.startsWith("#")) continue;
		const indent = line.slice(0, line.indexOf(content));
		if (/[^\t]/.test(indent)) throw new DistembError("input", "indent with tabs", { at: `line ${index + 1}` });
		lines.push({ depth: indent.length, text: content, number: index + 1 });
	}
	const least = Math.min(...lines.map(({ depth }) => depth));
	return lines.map((line) => ({ ...line, depth: line.depth - least }));
}

type Names = Map<string, Value>;

interface DeclaredOutput {
	readonly name: string | undefined;
	readonly type: TensorType | undefined;
}

class Parser {
	private next = 0;
	private readonly names = new Map<Graph, Names>();
	private readonly random: () => number;

	constructor(
		private readonly lines: readonly Line[],
		private readonly options: ParseOptions,
	) {
		this.random = randomNumbers(options.seed ?? 0);
	}

	model(): Model {
		const scan = this.take(0, "a line `model ir N, opset …`");
		if (!scan.acceptWord("model") || !scan.acceptWord("ir")) scan.fail("a model starts with `model ir N, opset …`");
		const irVersion = Number(scan.number() ?? scan.fail("expected the IR version"));
		scan.expect(",");
		const opsets = readOpsets(scan);
		scan.finish();
		const header = this.take(0, "a line `graph NAME(…)`");
		const name = readGraphName(header);
		const model = createModel(irVersion, opsets, name);
		this.graph(model.graph, header, 0);
		for (let line = this.peek(0); line !== undefined; line = this.peek(0)) this.function(model);
		return model;
	}

	private function(model: Model): void {
		const scan = this.take(0, "a function");
		if (!scan.acceptWord("function")) scan.fail("expected `function` after the main graph");
		const { domain, opType: name, overload } = readOperator(scan);
		const attributeNames: string[] = [];
		const attributeDefaults = new Map<string, Attribute>();
		scan.list("<", ">", () => {
			const attribute = scan.name("an attribute");
			if (scan.accept("=")) attributeDefaults.set(attribute, this.attribute(scan));
			else attributeNames.push(attribute);
		});
		scan.expect(",");
		const opsets = readOpsets(scan);
		scan.finish();
		const header = this.take(1, "the function's graph");
		const body = new Graph(model, readGraphName(header));
		this.graph(body, header, 1);
		addFunction(model, { domain, name, overload, attributeNames, attributeDefaults, opsets, body, carried: undefined });
	}

	/** The rest of a graph whose header's name is read: inputs, initializers, nodes, outputs. */
	private graph(graph: Graph, header: Scanner, depth: number): void {
		this.names.set(graph, new Map());
		const inputs = header.list("(", ")", () => ({ name: header.name(), type: readDeclaredType(header) }));
		if (inputs === undefined) header.fail("expected the graph's inputs in parentheses");
		header.finish();
		for (const { name, type } of inputs) this.define(graph, header, addInput(graph, name, type && { type, carried: undefined }));
		for (;;) {
			const scan = this.take(depth + 1, "a line `return …`");
			if (scan.acceptWord("return")) {
				if (!scan.done) {
					do {
						const value = this.find(graph, scan, scan.name());
						addOutput(graph, value, { type: readDeclaredType(scan), carried: undefined });
					} while (scan.accept(","));
				}
				scan.finish();
				return;
			}
			this.statement(graph, scan, depth + 1);
		}
	}

	private statement(graph: Graph, scan: Scanner, depth: number): void {
		const outputs: DeclaredOutput[] = [];
		do outputs.push({ name: scan.optionalName(), type: readDeclaredType(scan) });
		while (scan.accept(","));
		scan.expect("=");
		const only = outputs.length === 1 ? outputs[0]?.name : undefined;
		if (only !== undefined && scan.acceptWord("sparse")) {
			this.define(graph, scan, addSparse(graph, only));
			scan.finish();
			return;
		}
		const constant = only === undefined ? undefined : readTensorType(scan);
		if (only !== undefined && constant !== undefined) {
			this.initializer(graph, scan, only, this.tensor(scan, constant, only));
			scan.finish();
		} else this.node(graph, scan, outputs, depth);
	}

	private initializer(graph: Graph, scan: Scanner, name: string, tensor: Tensor): void {
		const input = this.names.get(graph)?.get(name);
		if (input?.source.kind === "input") giveDefault(input, tensor);
		else this.define(graph, scan, addInitializer(graph, name, tensor));
	}

	private node(graph: Graph, scan: Scanner, outputs: readonly DeclaredOutput[], depth: number): void {
		const operator = readOperator(scan);
		const attributes = new Map<string, Attribute>();
		scan.list("<", ">", () => {
			const name = scan.name("an attribute");
			scan.expect("=");
			if (attributes.has(name)) scan.fail(`attribute "${name}" is given twice`);
			attributes.set(name, this.attribute(scan));
		});
		const inputs = scan.list("(", ")", () => {
			const name = scan.optionalName();
			return name === undefined ? undefined : this.find(graph, scan, name);
		});
		if (inputs === undefined) scan.fail("expected the node's inputs in parentheses");
		const name = scan.string() ?? "";
		scan.finish();
		const node = addNode(graph, { ...operator, name, inputs, outputs: outputs.map((output) => output.name), attributes });
		this.bodies(node, depth + 1);
		for (const [index, { type }] of outputs.entries()) {
			const value = node.outputs[index];
			if (value === undefined) continue;
			this.define(graph, scan, value);
			if (type !== undefined) describe(value, { type, carried: undefined });
		}
	}

	/** The bodies below a node: `attribute:` (or `attribute[]:` for one of a list), then the graph at the same depth. */
	private bodies(node: Node, depth: number): void {
		const lists = new Map<string, Graph[]>();
		while (this.peek(depth) !== undefined) {
			const scan = this.take(depth, "a body");
			const attribute = scan.name("an attribute");
			const isList = scan.accept("[]");
			scan.expect(":");
			scan.finish();
			const header = this.take(depth, "the body's graph");
			const body = addBody(node, readGraphName(header));
			this.graph(body, header, depth);
			if (!isList) setAttribute(node, attribute, graphAttribute(body));
			else {
				const list = [...(lists.get(attribute) ?? []), body];
				lists.set(attribute, list);
				setAttribute(node, attribute, { kind: "graphs", value: list });
			}
		}
	}

	private attribute(scan: Scanner): Attribute {
		const text = scan.string();
		if (text !== undefined) return { kind: "string", value: text };
		if (scan.accept("@")) return { kind: "reference", name: scan.name("an attribute") };
		if (scan.accept("?")) return { kind: "opaque" };
		const written = scan.number();
		if (written !== undefined) {
			return isInteger(written) ? { kind: "int", value: BigInt(written) } : { kind: "float", value: Math.fround(numberOf(written)) };
		}
		if (scan.acceptWord("floats")) return this.emptyList(scan, { kind: "floats", value: [] });
		if (scan.acceptWord("strings")) return this.emptyList(scan, { kind: "strings", value: [] });
		const items = scan.list("[", "]", () => scan.string() ?? { number: scan.number() ?? scan.fail("expected a number or a string") });
		if (items !== undefined) return listAttribute(scan, items);
		const type = readTensorType(scan) ?? scan.fail("expected an attribute's value");
		return { kind: "tensor", value: this.tensor(scan, type) };
	}

	private emptyList(scan: Scanner, attribute: Attribute): Attribute {
		scan.expect("[");
		scan.expect("]");
		return attribute;
	}

	/** Placement and values after a tensor's type. */
	private tensor(scan: Scanner, { dtype, dims }: TensorHeader, name?: string): Tensor {
		const placement = scan.acceptWord("external")
			? ({ kind: "external", location: scan.string() ?? scan.fail("expected the data file's name as a string") } as const)
			: INLINE;
		const written = scan.list("{", "}", () => scan.number() ?? scan.fail("expected a number"));
		const count = new Tensor(dtype, dims, undefined).size;
		const given = written?.map((number) => (isInteger(number) ? BigInt(number) : numberOf(number))) ?? this.given(name);
		if (given !== undefined) {
			if (given.length !== count) scan.fail(`${dtype}[${dims.join(", ")}] takes ${count} values, got ${given.length}`);
			return new Tensor(dtype, dims, dataOf(writeElements(dtype, given)), placement);
		}
		if (this.options.seed === undefined) return new Tensor(dtype, dims, undefined, placement);
		const filler = Float64Array.from({ length: count }, () => randomElement(dtype, this.random));
		const bytes = hasNumbers(dtype) ? writeElements(dtype, filler) : new Uint8Array(byteLengthOf(dtype, count));
		return new Tensor(dtype, dims, dataOf(bytes), placement);
	}

	private given(name: string | undefined): ArrayLike<number | bigint> | undefined {
		return name === undefined ? undefined : this.options.values?.[name];
	}

	private define(graph: Graph, scan: Scanner, value: Value): void {
		const names = this.names.get(graph);
		if (names?.has(value.name) === true) scan.fail(`"${value.name}" is defined twice in graph "${graph.name}"`);
		names?.set(value.name, value);
	}

	private find(graph: Graph, scan: Scanner, name: string): Value {
		for (const scope of scopes(graph)) {
			const value = this.names.get(scope)?.get(name);
			if (value !== undefined) return value;
		}
		return scan.fail(`"${name}" is not defined`);
	}

	/** The next line, if it stands at `depth`. */
	private peek(depth: number): Line | undefined {
		const line = this.lines[this.next];
		return line?.depth === depth ? line : undefined;
	}

	private take(depth: number, what: string): Scanner {
		const line = this.lines[this.next];
		if (line === undefined)
			throw new DistembError("input", `expected ${what}, but the text ends`, { at: `line ${this.lines.at(-1)?.number ?? 0}` });
		const scan = new Scanner(line.text, line.number);
		if (line.depth !== depth) scan.fail(`expected ${what}, indented by ${depth} tabs instead of ${line.depth}`);
		this.next++;
		return scan;
	}
}

/** Floats in (-1, 1), 8-bit and narrower integers over their whole range, booleans, other integers 0 to 3. */
function randomElement(dtype: DType, random: () => number): number {
	if (dtype.startsWith("float") || dtype === "bfloat16") return random() * 2 - 1;
	if (dtype === "bool") return random() < 0.5 ? 0 : 1;
	const bits = bitsOf(dtype);
	if (bits > 8) return Math.floor(random() * 4);
	return Math.floor(random() * 2 ** bits) - (dtype.startsWith("int") ? 2 ** (bits - 1) : 0);
}

/** Repeatable numbers in [0, 1): mulberry32. */
function randomNumbers(seed: number): () => number {
	let state = seed >>> 0;
	return () => {
		state = (state + 0x6d2b79f5) >>> 0;
		let mixed = Math.imul(state ^ (state >>> 15), state | 1);
		mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
		return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
	};
}
