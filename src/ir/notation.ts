// Types, operators, operator sets and lists in the notation of `print.ts`.
import { codeOfDType, type DType } from "./dtype.js";
import type { Attribute, Dim, TensorType } from "./graph.js";
import type { Scanner } from "./scan.js";

export function readGraphName(scan: Scanner): string {
	if (!scan.acceptWord("graph")) scan.fail("expected `graph NAME(…)`");
	return scan.name("the graph's name");
}

export function readOpsets(scan: Scanner): Map<string, number> {
	if (!scan.acceptWord("opset")) scan.fail("expected `opset`");
	const opsets = new Map<string, number>();
	do {
		const domain = scan.name("a domain");
		opsets.set(domain === "ai.onnx" ? "" : domain, Number(scan.number() ?? scan.fail("expected a version")));
	} while (scan.accept(","));
	return opsets;
}

/** `domain.Operator:overload`, domain and overload optional. */
export function readOperator(scan: Scanner): { domain: string; opType: string; overload: string } {
	const [path = "", overload = ""] = scan.name("an operator").split(":");
	const dot = path.lastIndexOf(".");
	return { domain: dot < 0 ? "" : path.slice(0, dot), opType: path.slice(dot + 1), overload };
}

export interface TensorHeader {
	readonly dtype: DType;
	readonly dims: readonly number[];
}

/** `dtype[2, 3]`, if that comes next. */
export function readTensorType(scan: Scanner): TensorHeader | undefined {
	const dtype = readDType(scan);
	if (dtype === undefined) return undefined;
	const dims = scan.list("[", "]", () => Number(scan.number() ?? scan.fail("expected a size")));
	return { dtype, dims: dims ?? scan.fail(`expected sizes after ${dtype}`) };
}

export function readDeclaredType(scan: Scanner): TensorType | undefined {
	if (!scan.accept(":")) return undefined;
	const dtype = scan.accept("?") ? undefined : (readDType(scan) ?? scan.fail("expected an element type"));
	if (scan.accept("[…]")) return { dtype, shape: undefined };
	const shape = scan.list("[", "]", () => readDim(scan));
	return { dtype, shape: shape ?? scan.fail("expected a shape") };
}

function readDim(scan: Scanner): Dim {
	if (scan.accept("?")) return undefined;
	const size = scan.number();
	return size === undefined ? scan.name("a size") : Number(size);
}

function readDType(scan: Scanner): DType | undefined {
	return scan.wordThat(isDType);
}

function isDType(word: string): word is DType {
	return codeOfDType(word as DType) !== 0;
}

export function listAttribute(scan: Scanner, items: readonly (string | { readonly number: string })[]): Attribute {
	const texts = items.filter((item) => typeof item === "string");
	const numbers = items.flatMap((item) => (typeof item === "string" ? [] : [item.number]));
	if (texts.length > 0 && numbers.length > 0) scan.fail("a list holds numbers or strings, not both");
	if (texts.length > 0) return { kind: "strings", value: texts };
	if (numbers.every(isInteger)) return { kind: "ints", value: numbers.map(BigInt) };
	return { kind: "floats", value: numbers.map((number) => Math.fround(numberOf(number))) };
}

export function isInteger(written: string): boolean {
	return /^[-+]?\d+$/.test(written);
}

export function numberOf(written: string): number {
	if (written.endsWith("nan")) return Number.NaN;
	if (written.endsWith("inf")) return written.startsWith("-") ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY;
	return Number(written);
}
