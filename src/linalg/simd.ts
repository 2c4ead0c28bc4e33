// The inner loop of the tridiagonal reduction as WebAssembly with vector instructions: V8 makes none from JavaScript.
import { DistembError } from "../errors.js";

/**
 * Four rows i to i + 3 of a lower triangle, i a multiple of 4, whose 4×4 blocks on the diagonal are stored whole. All numbers are float64:
 * a[k][j] −= v[k]·w[j] + w[k]·v[j] for j ≤ i + 3, and with the new entries product[j] += Σ_k a[k][j]·u[k] for j < i, product[k] = Σ_j a[k][j]·u[j].
 * `row` is the address of row i, `stride` the bytes of a row, `bytes` is 8·i; the others are addresses.
 */
export type FourRows = (row: number, stride: number, bytes: number, v: number, w: number, u: number, product: number) => void;

const ROWS = [0, 1, 2, 3] as const;

type Code = readonly number[];

/** Instructions by their names in the WebAssembly text format. */
const wasm = {
	get: (local: number): Code => [0x20, local],
	set: (local: number): Code => [0x21, local],
	i32Const8: [0x41, 8] as Code,
	i32Const16: [0x41, 16] as Code,
	i32Add: [0x6a] as Code,
	i32LessUnsigned: [0x49] as Code,
	f64Add: [0xa0] as Code,
	f64Store: [0x39, 3, 0] as Code,
	load: [0xfd, 0x00, 3, 0] as Code,
	loadSplat: (offset: number): Code => [0xfd, 0x0a, 3, offset],
	store: [0xfd, 0x0b, 3, 0] as Code,
	lane: (index: number): Code => [0xfd, 0x21, index],
	add: [0xfd, 0xf0, 0x01] as Code,
	subtract: [0xfd, 0xf1, 0x01] as Code,
	multiply: [0xfd, 0xf2, 0x01] as Code,
	ifThen: [0x04, 0x40] as Code,
	loop: [0x03, 0x40] as Code,
	repeatIf: [0x0d, 0] as Code,
	end: [0x0b] as Code,
};

const I32 = 0x7f;
const V128 = 0x7b;

/** The parts of WebAssembly that are used here; TypeScript knows it only together with the browser's types. */
declare const WebAssembly: {
	readonly Memory: new (limits: { initial: number }) => { readonly buffer: ArrayBuffer };
	readonly Module: new (bytes: Uint8Array<ArrayBuffer>) => object;
	readonly Instance: new (module: object, imports: object) => { readonly exports: Readonly<Record<string, unknown>> };
};

/** Bytes of a page of memory. */
const PAGE = 65_536;

/** Zeroed memory of at least so many bytes, and the kernel that works on it. Throws where the processor has no vector instructions. */
export function fourRows(bytes: number): { readonly memory: ArrayBuffer; readonly kernel: FourRows } {
	const memory = new WebAssembly.Memory({ initial: Math.max(1, Math.ceil(bytes / PAGE)) });
	const { exports } = new WebAssembly.Instance(new WebAssembly.Module(moduleBytes()), { host: { memory } });
	const kernel = exports.fourRows;
	if (!isKernel(kernel)) throw new DistembError("internal", "the kernel exports no function");
	return { memory: memory.buffer, kernel };
}

function isKernel(exported: unknown): exported is FourRows {
	return typeof exported === "function";
}

function kernelCode(): Code {
	const [row, stride, bytes, v, w, u, product, j] = [0, 1, 2, 3, 4, 5, 6, 7];
	const address = ROWS.map((k) => 8 + k);
	const [vHere, wHere, uHere, sum] = [12, 16, 20, 24].map((first) => ROWS.map((k) => first + k));
	const [entry, vThere, wThere, uThere, along] = [28, 29, 30, 31, 32];
	const { get, set } = wasm;
	const at = (base: number, index: number): Code => [...get(base), ...get(index), ...wasm.i32Add];
	const local = (list: readonly number[] | undefined, k: number) => list?.[k] ?? 0;
	const spread = (base: number, target: readonly number[] | undefined) =>
		ROWS.flatMap((k) => [...at(base, bytes), ...wasm.loadSplat(8 * k), ...set(local(target, k))]);
	const times = (a: number, b: number): Code => [...get(a), ...get(b), ...wasm.multiply];
	const load = (base: number, target: number): Code => [...at(base, j), ...wasm.load, ...set(target)];
	const updateEntry = (k: number): Code => [
		...[...at(local(address, k), j), ...wasm.load],
		...[...times(local(vHere, k), wThere), ...wasm.subtract, ...times(local(wHere, k), vThere), ...wasm.subtract, ...set(entry)],
		...[...at(local(address, k), j), ...get(entry), ...wasm.store],
		...[...get(local(sum, k)), ...times(entry, uThere), ...wasm.add, ...set(local(sum, k))],
	];
	const onward: Code = [...get(j), ...wasm.i32Const16, ...wasm.i32Add, ...set(j)];
	const onDiagonal = [...load(v, vThere), ...load(w, wThere), ...load(u, uThere), ...ROWS.flatMap(updateEntry), ...onward];
	return [
		...ROWS.flatMap((k) => [...(k === 0 ? get(row) : at(local(address, k - 1), stride)), ...set(local(address, k))]),
		...[...spread(v, vHere), ...spread(w, wHere), ...spread(u, uHere)],
		...[...get(j), ...get(bytes), ...wasm.i32LessUnsigned, ...wasm.ifThen, ...wasm.loop],
		...[...load(v, vThere), ...load(w, wThere), ...load(u, uThere), ...load(product, along)],
		...ROWS.flatMap((k) => [...updateEntry(k), ...get(along), ...times(entry, local(uHere, k)), ...wasm.add, ...set(along)]),
		...[...at(product, j), ...get(along), ...wasm.store, ...onward],
		...[...get(j), ...get(bytes), ...wasm.i32LessUnsigned, ...wasm.repeatIf, ...wasm.end, ...wasm.end],
		...[...onDiagonal, ...onDiagonal, ...at(product, bytes), ...set(j)],
		...ROWS.flatMap((k) => [
			...[...get(j), ...get(local(sum, k)), ...wasm.lane(0), ...get(local(sum, k)), ...wasm.lane(1), ...wasm.f64Add, ...wasm.f64Store],
			...[...get(j), ...wasm.i32Const8, ...wasm.i32Add, ...set(j)],
		]),
	];
}

function moduleBytes(): Uint8Array<ArrayBuffer> {
	const parameters = new Array<number>(7).fill(I32);
	// One more address, four of rows, and vectors.
	const locals = [2, 5, I32, 21, V128];
	const body = [...locals, ...kernelCode(), ...wasm.end];
	return Uint8Array.from([
		...[0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
		...section(1, [1, 0x60, parameters.length, ...parameters, 0]),
		...section(2, [1, ...text("host"), ...text("memory"), 2, 0, 1]),
		...section(3, [1, 0]),
		...section(7, [1, ...text("fourRows"), 0, 0]),
		...section(10, [1, ...unsigned(body.length), ...body]),
	]);
}

function section(id: number, content: Code): Code {
	return [id, ...unsigned(content.length), ...content];
}

function text(name: string): Code {
	return [name.length, ...new TextEncoder().encode(name)];
}

/** LEB128. */
function unsigned(value: number): Code {
	return value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...unsigned(value >>> 7)];
}
