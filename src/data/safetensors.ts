// Token pairs in a .safetensors file: all sentences of a side one after the other, and where each begins.
// Layout: u64 length of a JSON header, the header ({name: {dtype, shape, data_offsets}}), the arrays; little-endian.
// `src_tokens`, `tgt_tokens`: ids; `src_offsets`, `tgt_offsets` (pairs + 1): sentence i is tokens[offsets[i] : offsets[i + 1]].
import { DistembError, throwIfAborted } from "../errors.js";
import { checkedIds, type Pair } from "./data.js";
import { isRecord, type RangeReader, withRanges } from "./files.js";
import { ELEMENTS, type ElementReader, elements } from "./npy.js";

/** Pairs that are read at once. */
const PAIRS = 1024;

const LONGEST_HEADER = 100 * 1024 * 1024;

const TYPES: Readonly<Record<string, string>> = { U8: "u1", U16: "u2", I16: "i2", I32: "i4", U32: "u4", I64: "i8", U64: "u8" };

interface List {
	readonly name: string;
	readonly reader: ElementReader;
	readonly count: number;
	/** Position in the file, in bytes. */
	readonly start: number;
}

export interface SafetensorsOptions {
	readonly rows: number | undefined;
	readonly targetRows: number | undefined;
	readonly signal?: AbortSignal | undefined;
}

/** @throws DistembError `input` if the file is broken, lacks one of the four arrays, or has ids beyond the vocabulary */
export function safetensorsPairs(file: string, { rows, targetRows, signal }: SafetensorsOptions): AsyncGenerator<Pair> {
	return withRanges(file, async function* (reader) {
		const find = await lists(file, reader);
		const source = { tokens: find("src_tokens"), offsets: find("src_offsets") };
		const target = { tokens: find("tgt_tokens"), offsets: find("tgt_offsets") };
		const pairs = source.offsets.count - 1;
		if (target.offsets.count - 1 !== pairs) throw broken(file, `has ${pairs} sources and ${target.offsets.count - 1} targets`);
		for (let first = 0; first < pairs; first += PAIRS) {
			throwIfAborted(signal);
			const count = Math.min(PAIRS, pairs - first);
			const sources = await sentences(file, reader, source, first, count, rows);
			const targets = await sentences(file, reader, target, first, count, targetRows);
			for (const [index, ids] of sources.entries()) yield { source: ids, target: targets[index] ?? new Int32Array() };
		}
	});
}

function broken(file: string, reason: string): DistembError {
	return new DistembError("input", reason, { at: file, hint: "token pairs are src_tokens, src_offsets, tgt_tokens and tgt_offsets" });
}

async function lists(file: string, { size, range }: RangeReader): Promise<(name: string) => List> {
	const length = size < 8 ? 0 : Number((await range(0, 8)).readBigUInt64LE(0));
	if (length < 2 || length > Math.min(LONGEST_HEADER, size - 8)) throw broken(file, "is no .safetensors file");
	let header: unknown;
	try {
		header = JSON.parse((await range(8, length)).toString("utf8"));
	} catch (cause) {
		throw new DistembError("input", "has a header that is no JSON", { at: file, hint: "write the file again", cause });
	}
	return (name) => {
		const entry: unknown = isRecord(header) ? header[name] : undefined;
		if (!isRecord(entry)) throw broken(file, `lacks "${name}"`);
		const { dtype, shape, data_offsets: offsets } = entry;
		const reader = ELEMENTS[TYPES[String(dtype)] ?? ""];
		if (reader === undefined) throw broken(file, `has "${name}" of type ${String(dtype)}`);
		const count: unknown = Array.isArray(shape) && shape.length === 1 ? shape[0] : undefined;
		const start: unknown = Array.isArray(offsets) ? offsets[0] : undefined;
		if (typeof count !== "number" || typeof start !== "number") throw broken(file, `has "${name}" of another shape`);
		return { name, reader, count, start: 8 + length + start };
	};
}

/** Sentences `first` to `first + count − 1` of one side. */
async function sentences(
	file: string,
	{ range }: RangeReader,
	side: { readonly tokens: List; readonly offsets: List },
	first: number,
	count: number,
	rows: number | undefined,
): Promise<Int32Array[]> {
	const read = async ({ reader, start }: List, from: number, length: number) =>
		elements(await range(start + from * reader.width, length * reader.width), reader, length);
	const offsets = await read(side.offsets, first, count + 1);
	const begin = offsets[0] ?? 0;
	const end = offsets[count] ?? begin;
	if (offsets.some((offset, index) => offset < (offsets[index - 1] ?? 0)) || end > side.tokens.count)
		throw broken(file, `has "${side.offsets.name}" that do not fit "${side.tokens.name}"`);
	const tokens = checkedIds(await read(side.tokens, begin, end - begin), { rows, at: file, position: begin });
	return Array.from({ length: count }, (_, index) => tokens.slice((offsets[index] ?? 0) - begin, (offsets[index + 1] ?? 0) - begin));
}
