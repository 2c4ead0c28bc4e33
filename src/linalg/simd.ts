// The inner loops of the tridiagonal reduction as WebAssembly with vector instructions: V8 makes none from JavaScript, and runs a loop that
// it meets for the first time in its interpreter.
import { DistembError } from "../errors.js";
import { type Code, F64, I32, moduleOf, V128, type WasmFunction, wasm } from "./assembler.js";

/** Loops on float64 numbers in one memory. Vectors are addresses, their lengths are in bytes: multiples of 16, and not 0. */
export interface Kernels {
	/**
	 * Four rows i to i + 3 of a lower triangle, i a multiple of 4, whose 4×4 blocks on the diagonal are stored whole:
	 * a[k][j] −= v[k]·w[j] + w[k]·v[j] for j ≤ i + 3, and with the new entries product[j] += Σ_k a[k][j]·u[k] for j < i,
	 * product[k] = Σ_j a[k][j]·u[j]. `row` is the address of row i, `stride` the bytes of a row, `bytes` is 8·i.
	 */
	fourRows(row: number, stride: number, bytes: number, v: number, w: number, u: number, product: number): void;
	/** Σ x[j]·y[j] */
	dot(x: number, y: number, bytes: number): number;
	/** out[j] = c·out[j] + a·x[j] + b·y[j] */
	combine(out: number, c: number, x: number, a: number, y: number, b: number, bytes: number): void;
}

const ROWS = [0, 1, 2, 3] as const;
const { get, set } = wasm;
const at = (base: number, index: number): Code => [...get(base), ...get(index), ...wasm.i32Add];

/** The parts of WebAssembly that are used here; TypeScript knows it only together with the browser's types. */
declare const WebAssembly: {
	readonly Memory: new (limits: { initial: number }) => { readonly buffer: ArrayBuffer };
	readonly Module: new (bytes: Uint8Array<ArrayBuffer>) => object;
	readonly Instance: new (module: object, imports: object) => { readonly exports: object };
};

/** Bytes of a page of memory. */
const PAGE = 65_536;

/** Zeroed memory of at least so many bytes, and the kernels that work on it. Throws where the processor has no vector instructions. */
export function kernelsOn(bytes: number): { readonly memory: ArrayBuffer; readonly kernels: Kernels } {
	const memory = new WebAssembly.Memory({ initial: Math.max(1, Math.ceil(bytes / PAGE)) });
	const module = new WebAssembly.Module(moduleOf([fourRowsFunction(), dotFunction(), combineFunction()]));
	const { exports } = new WebAssembly.Instance(module, { host: { memory } });
	if (!isKernels(exports)) throw new DistembError("internal", "the module does not export the kernels");
	return { memory: memory.buffer, kernels: exports };
}

function isKernels(exported: object): exported is Kernels {
	return ["fourRows", "dot", "combine"].every((name) => typeof Reflect.get(exported, name) === "function");
}

function fourRowsFunction(): WasmFunction {
	const [row, stride, bytes, v, w, u, product, j] = [0, 1, 2, 3, 4, 5, 6, 7];
	const address = ROWS.map((k) => 8 + k);
	const [vHere, wHere, uHere, sum] = [12, 16, 20, 24].map((first) => ROWS.map((k) => first + k));
	const [entry, vThere, wThere, uThere, along] = [28, 29, 30, 31, 32];
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
	const code = [
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
	const parameters = new Array<number>(7).fill(I32);
	// One more address, four of rows, and vectors.
	return {
		name: "fourRows",
		parameters,
		results: [],
		locals: [
			[5, I32],
			[21, V128],
		],
		code,
	};
}

function dotFunction(): WasmFunction {
	const [x, y, bytes, j, sum] = [0, 1, 2, 3, 4];
	const code = [
		...[...wasm.loop, ...get(sum), ...at(x, j), ...wasm.load, ...at(y, j), ...wasm.load, ...wasm.multiply, ...wasm.add, ...set(sum)],
		...untilEnd(j, bytes),
		...[...get(sum), ...wasm.lane(0), ...get(sum), ...wasm.lane(1), ...wasm.f64Add],
	];
	return {
		name: "dot",
		parameters: [I32, I32, I32],
		results: [F64],
		locals: [
			[1, I32],
			[1, V128],
		],
		code,
	};
}

function combineFunction(): WasmFunction {
	const [out, c, x, a, y, b, bytes, j] = [0, 1, 2, 3, 4, 5, 6, 7];
	const part = (base: number, factor: number): Code => [...at(base, j), ...wasm.load, ...get(factor), ...wasm.splat, ...wasm.multiply];
	const code = [
		...[...wasm.loop, ...at(out, j), ...part(out, c), ...part(x, a), ...wasm.add, ...part(y, b), ...wasm.add, ...wasm.store],
		...untilEnd(j, bytes),
	];
	return { name: "combine", parameters: [I32, F64, I32, F64, I32, F64, I32], results: [], locals: [[1, I32]], code };
}

/** The end of a loop over vectors: on to the next two numbers, and again while there are any. */
function untilEnd(j: number, bytes: number): Code {
	const onward = [...get(j), ...wasm.i32Const16, ...wasm.i32Add, ...set(j)];
	return [...onward, ...get(j), ...get(bytes), ...wasm.i32LessUnsigned, ...wasm.repeatIf, ...wasm.end];
}
