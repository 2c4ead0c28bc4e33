// Files as blocks of bytes, ranges and lines of UTF-8; never read at once, compressed ones (.gz) included.
import { createReadStream } from "node:fs";
import { type FileHandle, open, readFile, stat } from "node:fs/promises";
import { pipeline } from "node:stream/promises";
import { createGunzip } from "node:zlib";
import { DistembError, throwIfAborted } from "../errors.js";

const BLOCK = 256 * 1024;

/** A longer line is no line of text, but a file of another kind or one that must be broken up. */
const LONGEST_LINE = 64 * 1024 * 1024;

export interface Line {
	readonly text: string;
	/** From 1. */
	readonly number: number;
}

/** Extension in lower case, `.gz` left out: `.tsv` for `a/Train.TSV.gz`. */
export function extension(file: string): string {
	return /(\.[^./\\]+)?(?:\.gz)?$/.exec(file.toLowerCase())?.[1] ?? "";
}

/** True if `file` is there and no folder. */
export async function isFile(file: string): Promise<boolean> {
	const facts = await stat(file).catch(() => undefined);
	return facts?.isFile() === true;
}

/** The system's and zlib's errors in our words; any other error as it is. */
function unreadable(file: string, cause: unknown): unknown {
	if (cause instanceof DistembError || !(cause instanceof Error && "code" in cause)) return cause;
	const code = String(cause.code);
	const reason = code === "ENOENT" ? "does not exist" : code.startsWith("Z_") ? "is no intact gzip file" : "cannot be read";
	return new DistembError("input", reason, { at: file, hint: "check the path of the data", cause });
}

/** The bytes of a file, in order. */
async function* blocks(file: string): AsyncGenerator<Buffer> {
	const bytes = createReadStream(file, { highWaterMark: BLOCK });
	const plain = file.toLowerCase().endsWith(".gz") ? createGunzip({ chunkSize: BLOCK }) : undefined;
	try {
		// pipeline carries errors of the file into the decompressor; the loop below then sees them.
		if (plain !== undefined) pipeline(bytes, plain).catch(() => undefined);
		for await (const block of plain ?? bytes) yield block as Buffer;
	} catch (cause) {
		throw unreadable(file, cause);
	} finally {
		plain?.destroy();
		// The handle is closed some time after this was asked for: nothing of ours stays open when a call has ended.
		if (!bytes.destroy().closed) await new Promise<void>((resolve) => bytes.once("close", resolve));
	}
}

/**
 * The lines of a file of UTF-8 text, without their ends (LF or CR LF), empty ones included; a byte order mark is left out.
 * @throws DistembError `input` if the file is missing or not UTF-8 (with the line), `interrupted`
 */
export async function* lines(file: string, signal?: AbortSignal): AsyncGenerator<Line> {
	let rest: Buffer[] = [];
	let length = 0;
	let number = 0;
	for await (const block of blocks(file)) {
		throwIfAborted(signal);
		let start = 0;
		for (let end = block.indexOf(10); end >= 0; end = block.indexOf(10, start)) {
			const own = block.subarray(start, end);
			number++;
			yield { text: decode(rest.length === 0 ? own : Buffer.concat([...rest, own]), file, number), number };
			rest = [];
			length = 0;
			start = end + 1;
		}
		rest.push(block.subarray(start));
		length += block.length - start;
		if (length > LONGEST_LINE)
			throw new DistembError("input", "is a line of more than 64 MiB", { at: `${file}:${number + 1}`, hint: "break the text into lines" });
	}
	if (length > 0) yield { text: decode(Buffer.concat(rest), file, number + 1), number: number + 1 };
}

const UTF8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

function decode(bytes: Buffer, file: string, number: number): string {
	const end = bytes.at(-1) === 13 ? bytes.length - 1 : bytes.length;
	try {
		const text = UTF8.decode(bytes.subarray(0, end));
		return number === 1 && text.startsWith("\ufeff") ? text.slice(1) : text;
	} catch (cause) {
		const wide = number === 1 && /^(\xff\xfe|\xfe\xff)/.test(bytes.toString("latin1", 0, 2));
		throw new DistembError("input", wide ? "is UTF-16, not UTF-8" : "is not UTF-8", {
			at: `${file}:${number}`,
			hint: "convert the file to UTF-8, for instance with iconv",
			cause,
		});
	}
}

/** One JSON value per line; empty lines are passed over. `at` is file:line. */
export async function* jsonLines(file: string, signal?: AbortSignal): AsyncGenerator<{ readonly value: unknown; readonly at: string }> {
	for await (const { text, number } of lines(file, signal)) {
		if (text.trim() === "") continue;
		const at = `${file}:${number}`;
		let value: unknown;
		try {
			value = JSON.parse(text);
		} catch (cause) {
			throw new DistembError("input", "is no JSON", { at, hint: "a .jsonl file has one JSON value per line", cause });
		}
		yield { value, at };
	}
}

/** A file of bytes that is read in ranges. */
export interface RangeReader {
	readonly size: number;
	/** @throws DistembError `input` if the file ends before the range does */
	readonly range: (start: number, length: number) => Promise<Buffer>;
}

/** Opens `file` for `use` and closes it afterwards, however `use` ends. */
export async function* withRanges<T>(file: string, use: (reader: RangeReader) => AsyncGenerator<T>): AsyncGenerator<T> {
	let handle: FileHandle | undefined;
	try {
		handle = await open(file);
		yield* use(await rangesOf(handle, file));
	} catch (cause) {
		throw unreadable(file, cause);
	} finally {
		await handle?.close();
	}
}

async function rangesOf(handle: FileHandle, file: string): Promise<RangeReader> {
	const { size } = await handle.stat();
	return {
		size,
		range: async (start, length) => {
			const broken = new DistembError("input", "ends before its last value", { at: file, hint: "write the file again" });
			if (start < 0 || length < 0 || start + length > size) throw broken;
			const bytes = Buffer.alloc(length);
			let filled = 0;
			while (filled < length) {
				const { bytesRead } = await handle.read(bytes, filled, length - filled, start + filled);
				if (bytesRead === 0) throw broken;
				filled += bytesRead;
			}
			return bytes;
		},
	};
}

/** A JSON object from a file, or undefined if there is no such file. */
export async function jsonObject(file: string): Promise<Readonly<Record<string, unknown>> | undefined> {
	let text: string;
	try {
		text = await readFile(file, "utf8");
	} catch (cause) {
		if (cause instanceof Error && "code" in cause && cause.code === "ENOENT") return undefined;
		throw unreadable(file, cause);
	}
	let value: unknown;
	try {
		value = JSON.parse(text);
	} catch (cause) {
		throw new DistembError("input", "is no JSON", { at: file, hint: "fetch the file again", cause });
	}
	if (isRecord(value)) return value;
	throw new DistembError("input", "is no JSON object", { at: file, hint: "fetch the file again" });
}

export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
	return typeof value === "object" && value !== null && !Array.isArray(value);
}
