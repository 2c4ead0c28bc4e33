// A file that is read by ranges, never as a whole.
import { type BigIntStats, closeSync, constants, fstatSync, openSync, readSync, statSync } from "node:fs";
import { DistembError } from "../errors.js";

/** Anything that gives bytes by position. */
export interface ByteSource {
	readonly size: number;
	/** Bytes [start, end); may be a view that the next call overwrites. */
	read(start: number, end: number): Uint8Array;
}

export class SourceFile implements ByteSource {
	readonly path: string;
	readonly size: number;
	/** Modification time in nanoseconds, to notice a change while we work. */
	readonly modified: bigint;
	readonly #inode: bigint;
	readonly #device: bigint;
	readonly #descriptor: number;
	#open = true;

	constructor(path: string) {
		try {
			// Opening a pipe would wait for a writer, unless told not to.
			this.#descriptor = openSync(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
		} catch (cause) {
			throw inputError(path, cause);
		}
		this.path = path;
		const stat = fstatSync(this.#descriptor, { bigint: true });
		if (!stat.isFile()) {
			closeSync(this.#descriptor);
			throw new DistembError("input", "is not a regular file", { at: path });
		}
		this.size = Number(stat.size);
		this.modified = stat.mtimeNs;
		this.#inode = stat.ino;
		this.#device = stat.dev;
	}

	/** Reads into a fresh array. */
	read(start: number, end: number): Uint8Array {
		const bytes = new Uint8Array(end - start);
		this.readInto(bytes, start);
		return bytes;
	}

	/** Fills `target` from position `start`. */
	readInto(target: Uint8Array, start: number): void {
		let done = 0;
		while (done < target.byteLength) {
			const count = readSync(this.#descriptor, target, done, target.byteLength - done, start + done);
			if (count === 0) throw new DistembError("input", "became shorter while it was read", { at: this.path });
			done += count;
		}
	}

	/** What became of the file since it was opened: other bytes in it, another file in its place, or none. */
	change(): "changed" | "removed" | undefined {
		const stat = statOf(this.path);
		if (stat === undefined) return "removed";
		const same = Number(stat.size) === this.size && stat.mtimeNs === this.modified && stat.ino === this.#inode && stat.dev === this.#device;
		return same ? undefined : "changed";
	}

	close(): void {
		if (this.#open) closeSync(this.#descriptor);
		this.#open = false;
	}
}

/** Reads small pieces through one window of the file. */
export class WindowedSource implements ByteSource {
	readonly size: number;
	readonly #file: SourceFile;
	readonly #window: Uint8Array;
	#start = 0;
	#end = 0;

	constructor(file: SourceFile, windowBytes = 1 << 18) {
		this.#file = file;
		this.size = file.size;
		this.#window = new Uint8Array(windowBytes);
	}

	read(start: number, end: number): Uint8Array {
		if (end - start > this.#window.byteLength) return this.#file.read(start, end);
		if (start < this.#start || end > this.#end) {
			this.#start = start;
			this.#end = Math.min(this.size, start + this.#window.byteLength);
			this.#file.readInto(this.#window.subarray(0, this.#end - this.#start), start);
		}
		return this.#window.subarray(start - this.#start, end - this.#start);
	}
}

/** Facts of the system about a path; undefined if nothing is there, or it cannot be looked at. */
export function statOf(file: string): BigIntStats | undefined {
	try {
		return statSync(file, { bigint: true });
	} catch {
		return undefined;
	}
}

/** What stands at a path; undefined if nothing does, or something that is neither. */
export function pathKind(file: string): "file" | "directory" | undefined {
	const stat = statOf(file);
	return stat?.isDirectory() === true ? "directory" : stat?.isFile() === true ? "file" : undefined;
}

/** One line for what went wrong at the file system. */
export function inputError(path: string, cause: unknown): DistembError {
	const code = cause instanceof Error && "code" in cause ? cause.code : undefined;
	const message =
		code === "ENOENT"
			? "no such file"
			: code === "EACCES" || code === "EPERM"
				? "permission denied"
				: code === "ELOOP"
					? "too many symbolic links"
					: code === "EISDIR"
						? "is a directory"
						: `cannot be read (${String(code ?? cause)})`;
	return new DistembError("input", message, { at: path, cause });
}
