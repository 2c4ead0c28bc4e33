// Where the code of each column stands in the bytes of a row, block by block, and what all of it takes when stored.
import type { CodedBlock } from "./allocate.js";
import type { Spacing } from "./levels.js";
import { BYTE_VALUES, MOST_PER_BYTE } from "./precision.js";
import { type RightForm, rightBytes } from "./right-factor.js";

/** How a number is read from its byte: it is number `digit` of the `perByte` that share it. Kind 0 is a column that was dropped: `perByte` 0. */
export interface Kind {
	readonly perByte: number;
	readonly digit: number;
}

export interface BlockLayout {
	/** Place of the first row, and number of rows. */
	readonly first: number;
	readonly rows: number;
	/** Columns up to the last that is kept. */
	readonly rank: number;
	/** Bytes of a row, and of the rows before this block. */
	readonly rowBytes: number;
	readonly start: number;
	/** For each of all columns: the byte of a row, and the index of its kind. */
	readonly byteOf: Uint16Array;
	readonly kindOf: Uint8Array;
}

export interface CodedLayout {
	readonly rank: number;
	readonly spacing: Spacing;
	readonly blocks: readonly BlockLayout[];
	readonly kinds: readonly Kind[];
	/** Bytes of all rows. */
	readonly bytes: number;
}

/** Columns of equally spaced values whose codes lie together in the engine's operators; what is missing of the last is filled up. */
export const SPACED_COLUMNS = 32;

/**
 * Columns of equal precision lie together. In a run of c columns in w bytes, column j is number ⌊j/w⌋ of byte j mod w; equally spaced, as
 * MatMulNBits has it, number j mod n of byte ⌊j/n⌋, n to a byte.
 */
export function layoutOf(blocks: readonly CodedBlock[], rank: number, spacing: Spacing): CodedLayout {
	const precisions = [...new Set(blocks.flatMap((block) => [...block.perByte]))].filter((perByte) => perByte > 0).sort((a, b) => a - b);
	const kinds: Kind[] = [{ perByte: 0, digit: 0 }];
	for (const perByte of precisions) for (let digit = 0; digit < perByte; digit++) kinds.push({ perByte, digit });
	let first = 0;
	let start = 0;
	const laid = blocks.map((block): BlockLayout => {
		const byteOf = new Uint16Array(rank);
		const kindOf = new Uint8Array(rank);
		let rowBytes = 0;
		let used = 0;
		for (const perByte of precisions) {
			const columns = [...block.perByte.keys()].filter((column) => block.perByte[column] === perByte);
			const width = widthOf(columns.length, perByte, spacing);
			const kind = kinds.findIndex((held) => held.perByte === perByte);
			for (const [index, column] of columns.entries()) {
				byteOf[column] = rowBytes + (spacing === "fitted" ? index % width : Math.floor(index / perByte));
				kindOf[column] = kind + (spacing === "fitted" ? Math.floor(index / width) : index % perByte);
				used = Math.max(used, column + 1);
			}
			rowBytes += width;
		}
		const laidOut = { first, rows: block.rows, rank: used, rowBytes, start, byteOf, kindOf };
		first += block.rows;
		start += block.rows * rowBytes;
		return laidOut;
	});
	return { rank, spacing, blocks: laid, kinds, bytes: start };
}

/** Bytes of a row's codes of equal precision. */
function widthOf(columns: number, perByte: number, spacing: Spacing): number {
	const stored = spacing === "fitted" ? columns : Math.ceil(columns / SPACED_COLUMNS) * SPACED_COLUMNS;
	return Math.ceil(stored / perByte);
}

/** As much of a layout as its size depends on. */
export interface Outline extends Pick<CodedLayout, "rank" | "spacing" | "bytes"> {
	readonly blocks: readonly Pick<BlockLayout, "rows" | "rank">[];
	/** As many as there are. */
	readonly kinds: { readonly length: number };
}

/** The outline of {@link layoutOf}, without the places of columns: a search for bits asks for thousands. */
export function outlineOf(blocks: readonly CodedBlock[], rank: number, spacing: Spacing): Outline {
	const seen = new Uint32Array(MOST_PER_BYTE + 1);
	const columns = new Uint32Array(MOST_PER_BYTE + 1);
	let bytes = 0;
	const outlined = blocks.map(({ rows, perByte: precisions }) => {
		columns.fill(0);
		let used = 0;
		for (let column = 0; column < precisions.length; column++) {
			const perByte = precisions[column] as number;
			if (perByte === 0) continue;
			columns[perByte] = (columns[perByte] as number) + 1;
			used = column + 1;
		}
		for (let perByte = 1; perByte <= MOST_PER_BYTE; perByte++) {
			const number = columns[perByte] as number;
			if (number === 0) continue;
			seen[perByte] = perByte;
			bytes += rows * widthOf(number, perByte, spacing);
		}
		return { rows, rank: used };
	});
	const digits = seen.reduce((sum, perByte) => sum + perByte, 0);
	return { rank, spacing, blocks: outlined, kinds: { length: 1 + digits }, bytes };
}

/**
 * The place of each row, where the `ranked` rows are divided into blocks: in a block they stand in the order of their ids, so that their
 * blocks tell their places. Undefined: all stand in one block.
 * @param ranked rank of each row, the most important first
 */
export function placesIn(blocks: readonly { readonly rows: number }[], ranked: Uint32Array): Uint32Array | undefined {
	if (blocks.length === 1) return undefined;
	const numbers = numbersOf(blocks, ranked);
	const next = startsOf(blocks);
	return Uint32Array.from(numbers, (number) => {
		const place = next[number] as number;
		next[number] = place + 1;
		return place;
	});
}

/** The block of each row, by its place or rank. */
export function numbersOf(blocks: readonly { readonly rows: number }[], places: Uint32Array): Uint8Array {
	const starts = startsOf(blocks);
	const blockAt = new Uint8Array(places.length);
	for (const [number, { rows }] of blocks.entries()) blockAt.fill(number, starts[number], (starts[number] as number) + rows);
	return Uint8Array.from(places, (place) => blockAt[place] as number);
}

/** The numbers of at most so many blocks take half a byte each. */
export const HALF_BYTE = 16;

/** Block numbers as they are stored: where two share a byte, that of row i with that of row i + ⌈V/2⌉, times {@link HALF_BYTE}. */
export function packedNumbers(numbers: Uint8Array, blocks: number): Uint8Array {
	if (numbersInByte(blocks) === 1) return numbers;
	const half = Math.ceil(numbers.length / 2);
	return Uint8Array.from({ length: half }, (_, at) => (numbers[at] as number) + HALF_BYTE * (numbers[half + at] ?? 0));
}

/** How many block numbers share a byte. */
export function numbersInByte(blocks: number): 1 | 2 {
	return blocks <= HALF_BYTE ? 2 : 1;
}

/** Place of the first row of each block. */
export function startsOf(blocks: readonly { readonly rows: number }[]): number[] {
	let start = 0;
	return blocks.map(({ rows }) => {
		start += rows;
		return start - rows;
	});
}

/** What an engine decodes for projections when it loads a model: U·W, all rows of U, or the rows of each block by themselves. */
export type DecodedForm = "table" | "rows" | "blocks";

/** What a node more in a graph costs, and to put a score in its place: as much as so many multiplications (measured in Node.js and WebAssembly). */
const NODE_COST = 30_000;
const PLACE_COST = 6;

/** Multiplications that an engine does in some tens of milliseconds; beyond them W costs a token next to nothing, too. */
const MOST_MULTIPLIED = 2 ** 31;

/** What costs a token least: columns that a block has dropped come back as zeros if the rows of all blocks are joined, and all columns do with W. */
export function decodedForm({ rank, spacing, blocks }: Outline, cols: number, permuted: boolean): DecodedForm {
	if (spacing === "equal") return "blocks";
	const rows = blocks.reduce((sum, block) => sum + block.rows, 0);
	const numbers = blocks.reduce((sum, block) => sum + block.rows * block.rank, 0);
	const sliced = blocks.filter((block) => block.rank < rank).length;
	if (rows * rank - numbers > NODE_COST * (blocks.length + sliced) + (permuted ? PLACE_COST * rows : 0)) return "blocks";
	return rows * (cols - rank) <= rank * cols && rows * rank * cols <= MOST_MULTIPLIED ? "table" : "rows";
}

/** Numbers that a projection of one token multiplies by. */
export function projectedNumbers(layout: CodedLayout, cols: number, permuted: boolean): number {
	const { rank, blocks } = layout;
	const form = decodedForm(layout, cols, permuted);
	const width = { table: () => cols, rows: () => rank, blocks: (block: BlockLayout) => block.rank }[form];
	return blocks.reduce((sum, block) => sum + block.rows * width(block), form === "table" ? 0 : rank * cols);
}

/** What a table's bytes depend on besides its outline. */
export interface Stored {
	/** Rows do not stand in the order of the ids. */
	readonly permuted: boolean;
	/** Some file looks rows up and projects nothing by them. */
	readonly lookups: boolean;
	/** How W is stored. */
	readonly right: RightForm;
}

/** Stored bytes of a coded table, by tensor; what does not depend on the codes' values is all there is. */
export function codedSizes(layout: Outline, rows: number, cols: number, { permuted, lookups, right }: Stored) {
	const { rank, blocks, kinds, bytes } = layout;
	const several = blocks.length > 1 && (lookups || decodedForm(layout, cols, permuted) === "blocks") ? 1 : 0;
	return {
		codes: bytes,
		scales: rows + 2 * BYTE_VALUES,
		factor: rightBytes(rank, cols, right),
		values: kinds.length * BYTE_VALUES * 2,
		numbers: permuted ? Math.ceil(rows / numbersInByte(blocks.length)) : 0,
		bytes: blocks.length * rank * 2,
		kinds: blocks.length * rank,
		// Row sizes and starts, int64; ends of all blocks but the last, int64, and as many ones to count them with.
		blocks: several * (blocks.length * 16 + (blocks.length - 1) * 12),
	};
}

/** The sum of {@link codedSizes}. */
export function codedBytes(layout: Outline, rows: number, cols: number, stored: Stored): number {
	return Object.values(codedSizes(layout, rows, cols, stored)).reduce((sum, bytes) => sum + bytes, 0);
}
