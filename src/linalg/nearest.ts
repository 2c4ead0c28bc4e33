// The nearest of some vectors and their negatives, four at a time in WebAssembly: every number of a coded table is looked for among 256.
import { DistembError } from "../errors.js";
import { type Code, I32, moduleOf, V128, type WasmFunction, wasm } from "./assembler.js";

/** Vectors that stand for themselves and for their negatives. */
export const PAIRS = 128;

/** Numbers looked up at a time at most. */
const BATCH = 1024;

/** Most numbers in a vector. */
const WIDEST = 16;

/** The parts of WebAssembly that are used here; TypeScript knows it only together with the browser's types. */
declare const WebAssembly: {
	readonly Memory: new (limits: { initial: number }) => { readonly buffer: ArrayBuffer };
	readonly Module: new (bytes: Uint8Array<ArrayBuffer>) => object;
	readonly Instance: new (module: object, imports: object) => { readonly exports: Readonly<Record<string, Search>> };
};

type Search = (from: number, to: number, out: number, book: number, halves: number) => void;

/** Addresses: the vectors by their first, second, … numbers; half their squares; what is looked up; what is found. */
const VECTOR_BYTES = 4 * PAIRS;
const HALVES = WIDEST * VECTOR_BYTES;
const QUERIES = HALVES + VECTOR_BYTES;
const FOUND = QUERIES + 4 * BATCH * WIDEST;
/** For each query four least distances and where they were found. */
const FOUND_BYTES = 32;
const PAGE = 65_536;

/** Looks vectors of `width` numbers up among {@link PAIRS} others and their negatives. */
export class NearestSearch {
	private readonly search: Search;
	private readonly book: Float32Array;
	private readonly halves: Float32Array;
	private readonly least: Float32Array;
	private readonly where: Int32Array;
	/** Room for vectors to look up, one after the other. */
	readonly queries: Float32Array;

	constructor(readonly width: number) {
		const memory = new WebAssembly.Memory({ initial: Math.ceil((FOUND + FOUND_BYTES * BATCH) / PAGE) });
		const module = new WebAssembly.Module(moduleOf([searchFunction(width)]));
		const { search } = new WebAssembly.Instance(module, { host: { memory } }).exports;
		if (search === undefined) throw new DistembError("internal", "the module does not export the search");
		this.search = search;
		this.book = new Float32Array(memory.buffer, 0, width * PAIRS);
		this.halves = new Float32Array(memory.buffer, HALVES, PAIRS);
		this.queries = new Float32Array(memory.buffer, QUERIES, width * BATCH);
		this.least = new Float32Array(memory.buffer, FOUND, 8 * BATCH);
		this.where = new Int32Array(memory.buffer, FOUND, 8 * BATCH);
	}

	get batch(): number {
		return BATCH;
	}

	/** The vectors: number `digit` of vector `pair` is values[pair · width + digit]. */
	setVectors(values: ArrayLike<number>): void {
		for (let pair = 0; pair < PAIRS; pair++)
			for (let digit = 0; digit < this.width; digit++) this.book[digit * PAIRS + pair] = values[pair * this.width + digit] as number;
	}

	/** What an error in each number costs: those that cost nothing are not looked at. */
	setWeights(weights: ArrayLike<number>): void {
		this.halves.fill(0);
		for (let digit = 0; digit < this.width; digit++) {
			const half = (weights[digit] as number) / 2;
			for (let pair = 0; pair < PAIRS; pair++) {
				const value = this.book[digit * PAIRS + pair] as number;
				this.halves[pair] = (this.halves[pair] as number) + half * value * value;
			}
		}
	}

	/**
	 * The nearest to each of the first `count` queries, which are multiplied by their weights: 2·pair, or 2·pair + 1 for the negative. Of
	 * Σ w(x − c)² it minimises Σ ½wc² − |Σ wx·c|.
	 */
	find(count: number, codes: Uint8Array): void {
		const { width, least, where, queries, book } = this;
		this.search(QUERIES, QUERIES + 4 * width * count, FOUND, 0, HALVES);
		for (let index = 0, at = 0; index < count; index++, at += 8) {
			let lane = 0;
			for (let other = 1; other < 4; other++) {
				const [a, b] = [least[at + lane] as number, least[at + other] as number];
				if (b < a || (b === a && (where[at + other + 4] as number) < (where[at + lane + 4] as number))) lane = other;
			}
			const pair = where[at + lane + 4] as number;
			let dot = 0;
			for (let digit = 0; digit < width; digit++)
				dot += (queries[index * width + digit] as number) * (book[digit * PAIRS + pair] as number);
			codes[index] = 2 * pair + (dot < 0 ? 1 : 0);
		}
	}
}

/** Bits of +∞ in float32. */
const INFINITE = 0x7f80_0000;

function searchFunction(width: number): WasmFunction {
	const [from, to, out, book, halves, j] = [0, 1, 2, 3, 4, 5];
	const [least, found, here, score, nearer] = [6, 7, 8, 9, 10];
	const query = Array.from({ length: width }, (_, digit) => 11 + digit);
	const { get, set } = wasm;
	const at = (base: number): Code => [...get(base), ...get(j), ...wasm.i32Add];
	const product = (digit: number): Code => [
		...[...at(book), ...wasm.loadAt(digit * VECTOR_BYTES), ...get(query[digit] as number), ...wasm.f32Multiply],
		...(digit === 0 ? [] : wasm.f32Add),
	];
	const zero = wasm.i32Const(0);
	const code = [
		...wasm.loop,
		...query.flatMap((local, digit) => [...get(from), ...wasm.load32Splat(4 * digit), ...set(local)]),
		...[...wasm.constant([INFINITE, INFINITE, INFINITE, INFINITE]), ...set(least)],
		...[...wasm.constant([0, 1, 2, 3]), ...set(here), ...wasm.constant([0, 0, 0, 0]), ...set(found), ...zero, ...set(j)],
		...wasm.loop,
		...[...at(halves), ...wasm.loadAt(0), ...query.flatMap((_, digit) => product(digit)), ...wasm.f32Absolute, ...wasm.f32Subtract],
		...[...set(score), ...get(score), ...get(least), ...wasm.f32Less, ...set(nearer)],
		...[...get(here), ...get(found), ...get(nearer), ...wasm.select, ...set(found)],
		...[...get(least), ...get(score), ...wasm.f32Least, ...set(least)],
		...[...get(here), ...wasm.constant([4, 4, 4, 4]), ...wasm.i32AddVector, ...set(here)],
		...[...get(j), ...wasm.i32Const16, ...wasm.i32Add, ...set(j)],
		...[...get(j), ...wasm.i32Const(VECTOR_BYTES), ...wasm.i32LessUnsigned, ...wasm.repeatIf, ...wasm.end],
		...[...get(out), ...get(least), ...wasm.storeAt(0), ...get(out), ...get(found), ...wasm.storeAt(16)],
		...[...get(out), ...wasm.i32Const(FOUND_BYTES), ...wasm.i32Add, ...set(out)],
		...[...get(from), ...wasm.i32Const(4 * width), ...wasm.i32Add, ...set(from)],
		...[...get(from), ...get(to), ...wasm.i32LessUnsigned, ...wasm.repeatIf, ...wasm.end],
	];
	const locals = [
		[1, I32],
		[5 + width, V128],
	] as const;
	return { name: "search", parameters: [I32, I32, I32, I32, I32], results: [], locals, code };
}
