// A small assembler of WebAssembly: the instructions that simd.ts and nearest.ts need, and a module around functions that work on one
// imported memory.

/** Bytes of code. */
export type Code = readonly number[];

/** Types of values. */
export const I32 = 0x7f;
export const F64 = 0x7c;
export const V128 = 0x7b;

/** Instructions by their names in the WebAssembly text format; addresses are bytes, vectors two float64. */
export const wasm = {
	get: (local: number): Code => [0x20, local],
	set: (local: number): Code => [0x21, local],
	i32Const8: [0x41, 8] as Code,
	i32Const16: [0x41, 16] as Code,
	i32Const: (value: number): Code => [0x41, ...signed(value)],
	i32Add: [0x6a] as Code,
	i32LessUnsigned: [0x49] as Code,
	f64Add: [0xa0] as Code,
	f64Store: [0x39, 3, 0] as Code,
	load: [0xfd, 0x00, 3, 0] as Code,
	loadSplat: (offset: number): Code => [0xfd, 0x0a, 3, offset],
	store: [0xfd, 0x0b, 3, 0] as Code,
	splat: [0xfd, 0x14] as Code,
	lane: (index: number): Code => [0xfd, 0x21, index],
	add: [0xfd, 0xf0, 0x01] as Code,
	subtract: [0xfd, 0xf1, 0x01] as Code,
	multiply: [0xfd, 0xf2, 0x01] as Code,
	/** Vectors of four float32 or int32. */
	load32Splat: (offset: number): Code => [0xfd, 0x09, 2, offset],
	loadAt: (offset: number): Code => [0xfd, 0x00, 2, ...unsigned(offset)],
	storeAt: (offset: number): Code => [0xfd, 0x0b, 2, ...unsigned(offset)],
	constant: (words: readonly [number, number, number, number]): Code => [0xfd, 0x0c, ...words.flatMap(littleEndian)],
	select: [0xfd, 0x52] as Code,
	f32Less: [0xfd, 0x43] as Code,
	f32Absolute: [0xfd, 0xe0, 0x01] as Code,
	f32Add: [0xfd, 0xe4, 0x01] as Code,
	f32Subtract: [0xfd, 0xe5, 0x01] as Code,
	f32Multiply: [0xfd, 0xe6, 0x01] as Code,
	f32Least: [0xfd, 0xea, 0x01] as Code,
	i32AddVector: [0xfd, 0xae, 0x01] as Code,
	ifThen: [0x04, 0x40] as Code,
	loop: [0x03, 0x40] as Code,
	repeatIf: [0x0d, 0] as Code,
	end: [0x0b] as Code,
};

/** A function of a module. Locals are numbered after the parameters, in the order of their groups. */
export interface WasmFunction {
	readonly name: string;
	readonly parameters: readonly number[];
	readonly results: readonly number[];
	/** How many locals of which type. */
	readonly locals: readonly (readonly [count: number, type: number])[];
	readonly code: Code;
}

/** A module of exported functions, which imports its memory as `host.memory`. */
export function moduleOf(functions: readonly WasmFunction[]): Uint8Array<ArrayBuffer> {
	const indices = functions.map((_, index) => index);
	return Uint8Array.from([
		...[0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
		...section(1, list(functions.map(({ parameters, results }) => [0x60, ...list(parameters.map(one)), ...list(results.map(one))]))),
		...section(2, [1, ...text("host"), ...text("memory"), 2, 0, 1]),
		...section(3, list(indices.map(one))),
		...section(7, list(functions.map(({ name }, index) => [...text(name), 0, index]))),
		...section(10, list(functions.map(({ locals, code }) => sized([...list(locals), ...code, ...wasm.end])))),
	]);
}

const one = (value: number): Code => [value];

function section(id: number, content: Code): Code {
	return [id, ...sized(content)];
}

function sized(content: Code): Code {
	return [...unsigned(content.length), ...content];
}

function list(items: readonly Code[]): Code {
	return [...unsigned(items.length), ...items.flat()];
}

function text(name: string): Code {
	return sized([...new TextEncoder().encode(name)]);
}

function littleEndian(word: number): Code {
	return [word & 0xff, (word >>> 8) & 0xff, (word >>> 16) & 0xff, (word >>> 24) & 0xff];
}

/** LEB128 of a number that is not negative, as integers with a sign have it. */
function signed(value: number): Code {
	return value < 0x40 ? [value] : [(value & 0x7f) | 0x80, ...signed(value >>> 7)];
}

/** LEB128. */
function unsigned(value: number): Code {
	return value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...unsigned(value >>> 7)];
}
