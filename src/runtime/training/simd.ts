// A WebAssembly module of one loop: AdamW on four numbers at a time. Written by hand, because one loop needs no compiler.

/** The part of the JavaScript API for WebAssembly used here; neither lib.es2023 nor @types/node 20 declares it. */
interface WebAssemblyApi {
	readonly Memory: new (size: { initial: number; maximum: number }) => SharedPages;
	readonly Module: new (bytes: Uint8Array) => object;
	readonly Instance: new (module: object, imports: object) => { readonly exports: { readonly update: Update } };
}

interface SharedPages {
	readonly buffer: ArrayBuffer;
}

/**
 * One update of the elements at bytes [values, end), a multiple of 16; the others lie at the addresses given.
 * g = scale · gradient; m = beta1 · m + rest1 · g; v = beta2 · v + rest2 · g²; p = keep · p − size · m / (√(correction · v) + epsilon).
 */
export type Update = (
	values: number,
	gradient: number,
	mean: number,
	square: number,
	end: number,
	scale: number,
	beta1: number,
	rest1: number,
	beta2: number,
	rest2: number,
	keep: number,
	size: number,
	correction: number,
	epsilon: number,
) => void;

/** Bytes per page of a WebAssembly memory, and the pages that 32-bit addresses reach. */
const PAGE = 65_536;
const MOST_PAGES = 65_536;

/** Bytes that fit one memory: 4 GiB. */
export const MOST_BYTES = PAGE * MOST_PAGES;

/** Zeroed memory of at least `bytes`, and the loop that works in it. */
export function simdUpdate(bytes: number): { readonly buffer: ArrayBuffer; readonly update: Update } {
	const { Memory, Module, Instance } = (globalThis as unknown as { readonly WebAssembly: WebAssemblyApi }).WebAssembly;
	const pages = Math.max(1, Math.ceil(bytes / PAGE));
	const memory = new Memory({ initial: pages, maximum: pages });
	const { exports } = new Instance(new Module(moduleBytes()), { host: { memory } });
	return { buffer: memory.buffer, update: exports.update };
}

type Code = readonly number[];

// Numbers, lists and sections of the binary format (WebAssembly Core Specification 2.0, chapter 5).

function unsigned(number: number): number[] {
	return number < 128 ? [number] : [(number & 127) | 128, ...unsigned(number >>> 7)];
}

const list = (items: readonly Code[]): number[] => [...unsigned(items.length), ...items.flat()];
const section = (id: number, body: Code): number[] => [id, ...unsigned(body.length), ...body];
const text = (name: string): number[] => [...unsigned(name.length), ...Buffer.from(name)];

const [I32, F32, V128] = [0x7f, 0x7d, 0x7b];
const END = 0x0b;

// Instructions; a vector is four float32.

const get = (local: number): number[] => [0x20, local];
const set = (local: number, code: Code): number[] => [...code, 0x21, local];
const vector = (opcode: number): number[] => [0xfd, ...unsigned(opcode)];
const ALIGNED = [4, 0];
const load = (address: number): number[] => [...get(address), ...vector(0x00), ...ALIGNED];
const store = (address: number, code: Code): number[] => [...get(address), ...code, ...vector(0x0b), ...ALIGNED];
const splat = (local: number): number[] => [...get(local), ...vector(0x13)];
const sqrt = (a: Code): number[] => [...a, ...vector(0xe3)];
const add = (a: Code, b: Code): number[] => [...a, ...b, ...vector(0xe4)];
const sub = (a: Code, b: Code): number[] => [...a, ...b, ...vector(0xe5)];
const mul = (a: Code, b: Code): number[] => [...a, ...b, ...vector(0xe6)];
const div = (a: Code, b: Code): number[] => [...a, ...b, ...vector(0xe7)];
/** address += 16 */
const advance = (address: number): number[] => set(address, [...get(address), 0x41, 16, 0x6a]);

const ADDRESSES = 5;
const SCALARS = 9;

function updateCode(): number[] {
	const [values, gradient, mean, square, end] = [0, 1, 2, 3, 4];
	const wide = (index: number) => ADDRESSES + SCALARS + index;
	const scalar = (index: number) => get(wide(index));
	const [scale, beta1, rest1, beta2, rest2] = [scalar(0), scalar(1), scalar(2), scalar(3), scalar(4)];
	const [keep, size, correction, epsilon] = [scalar(5), scalar(6), scalar(7), scalar(8)];
	const [g, m, v] = [wide(SCALARS), wide(SCALARS + 1), wide(SCALARS + 2)];
	const denominator = add(sqrt(mul(get(v), correction)), epsilon);
	return [
		...Array.from({ length: SCALARS }, (_, index) => set(wide(index), splat(ADDRESSES + index))).flat(),
		...[0x03, 0x40], // loop
		...set(g, mul(load(gradient), scale)),
		...set(m, add(mul(load(mean), beta1), mul(get(g), rest1))),
		...set(v, add(mul(load(square), beta2), mul(mul(get(g), get(g)), rest2))),
		...store(mean, get(m)),
		...store(square, get(v)),
		...store(values, sub(mul(load(values), keep), div(mul(get(m), size), denominator))),
		...[values, gradient, mean, square].flatMap(advance),
		...[...get(values), ...get(end), 0x49, 0x0d, 0], // again, if values < end
		...[END, END],
	];
}

function moduleBytes(): Uint8Array {
	const parameters = [...Array.from({ length: ADDRESSES }, () => [I32]), ...Array.from({ length: SCALARS }, () => [F32])];
	const body = [...list([[SCALARS + 3, V128]]), ...updateCode()];
	return Uint8Array.from([
		...[0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
		...section(1, list([[0x60, ...list(parameters), 0]])), // types: the function's
		...section(2, list([[...text("host"), ...text("memory"), 2, 0, 0]])), // imports: a memory
		...section(3, list([[0]])), // functions: one, of that type
		...section(7, list([[...text("update"), 0, 0]])), // exports
		...section(10, list([[...unsigned(body.length), ...body]])), // code
	]);
}
