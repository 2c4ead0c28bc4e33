// Writes models whole or not at all: everything goes to a new folder beside the output first, and moves into place by rename.
import { randomBytes } from "node:crypto";
import { existsSync, mkdirSync, renameSync, rmSync } from "node:fs";
import { copyFile, type FileHandle, mkdir, open, readFile, rename, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { DistembError, throwIfAborted } from "../errors.js";
import type { TensorData } from "../ir/tensor.js";
import { encodeModel } from "./encode.js";
import { DataLayout, renamedLocation } from "./layout.js";
import type { OpenModel } from "./open.js";
import { locationsOf, renumbered } from "./pieces.js";

/** Bytes copied at a time. */
const CHUNK = 8 << 20;

/** A model to be written, and its path relative to the output folder. */
export interface ModelToSave {
	readonly open: OpenModel;
	readonly name: string;
}

export interface SaveOptions {
	readonly signal?: AbortSignal | undefined;
	readonly onProgress?: (fraction: number) => void;
}

/** A complete result in a folder of its own, waiting for its name. */
export class StagedOutput {
	/** Folder that holds the result under its final file names. */
	readonly folder: string;
	/** Files written, relative to the folder: data files first, models last. */
	readonly files: string[] = [];
	/** Bytes written by {@link write}. */
	bytes = 0;
	readonly #target: string;
	readonly #kind: "file" | "directory";

	/**
	 * @param target the output: a file (its data files appear beside it) or a directory
	 * @throws DistembError `output` if the folder above cannot be written
	 */
	constructor(target: string, kind: "file" | "directory") {
		this.#target = path.resolve(target);
		this.#kind = kind;
		const parent = path.dirname(this.#target);
		this.folder = path.join(parent, `.${path.basename(target)}.${randomBytes(4).toString("hex")}.partial`);
		try {
			mkdirSync(this.folder);
		} catch (cause) {
			throw outputError(parent, cause);
		}
	}

	/** Path at which a model can be opened before it is committed. */
	pathOf(name: string): string {
		return path.join(this.folder, name);
	}

	/** Writes models and the data files they need, sharing payloads among the models of each folder. */
	async write(models: readonly ModelToSave[], options: SaveOptions = {}): Promise<void> {
		const folders = groupByFolder(models);
		const total = models.reduce((sum, { open }) => sum + open.source.size, 0) || 1;
		let done = 0;
		const advance = (bytes: number) => {
			this.bytes += bytes;
			done += bytes;
			options.onProgress?.(Math.min(1, done / total));
		};
		try {
			for (const [folder, members] of folders) await this.#writeFolder(folder, members, options.signal, advance);
		} catch (error) {
			throw error instanceof DistembError ? error : outputError(this.#target, error);
		}
	}

	async #writeFolder(folder: string, models: readonly ModelToSave[], signal: AbortSignal | undefined, advance: (bytes: number) => void) {
		const layout = new DataLayout();
		for (const { open: opened, name } of models) {
			const pieces = renumbered(locationsOf(opened.model), opened.path);
			layout.add(opened.model, (location) => renamedLocation(pieces.get(location) ?? location, opened.path, name));
		}
		for (const { location, parts } of layout.files) {
			await this.#writeFile(path.join(folder, location), padded(parts), signal, advance);
		}
		for (const { open: opened, name } of models) {
			const encoded = encodeModel(opened.model, { source: opened.source, place: (tensor) => layout.placeOf(tensor) });
			await this.#writeFile(name, encoded.segments, signal, advance);
		}
	}

	async #writeFile(
		name: string,
		parts: Iterable<Uint8Array | TensorData>,
		signal: AbortSignal | undefined,
		advance: (bytes: number) => void,
	) {
		const full = path.join(this.folder, name);
		await mkdir(path.dirname(full), { recursive: true });
		const handle = await open(full, "wx");
		try {
			for (const part of parts) await writePart(handle, part, signal, advance);
			await handle.sync();
		} finally {
			await handle.close();
		}
		this.files.push(name);
	}

	/** Copies a file that is no model: as it is, or as the text that `edit` makes of it (undefined: as it is). */
	async copy(from: string, name: string, edit?: (text: string) => string | undefined): Promise<void> {
		const to = path.join(this.folder, name);
		try {
			await mkdir(path.dirname(to), { recursive: true });
			const text = edit?.(await readFile(from, "utf8"));
			if (text === undefined) await copyFile(from, to);
			else await writeFile(to, text);
		} catch (cause) {
			throw outputError(to, cause);
		}
		this.files.push(name);
	}

	/**
	 * Moves the result to its place. A directory appears at once; of a file's set the data files come first, the model last.
	 * An old model is removed before its data files are replaced: killed at any moment, the output is whole, or not there.
	 * @throws DistembError `output` if something stands there that may not be replaced
	 */
	async commit(overwrite = false): Promise<void> {
		const targets = this.#kind === "directory" ? [this.#target] : this.files.map((name) => path.join(path.dirname(this.#target), name));
		const existing = targets.find((target) => existsSync(target));
		if (existing !== undefined && !overwrite) {
			throw new DistembError("output", "already exists", { at: existing, hint: "use --overwrite to replace it" });
		}
		try {
			if (this.#kind === "directory") this.#commitDirectory(existing !== undefined);
			else await this.#commitFiles(targets);
		} catch (cause) {
			throw outputError(this.#target, cause);
		}
	}

	#commitDirectory(replace: boolean): void {
		const old = `${this.folder}.old`;
		if (replace) renameSync(this.#target, old);
		renameSync(this.folder, this.#target);
		if (replace) rmSync(old, { recursive: true });
	}

	async #commitFiles(targets: readonly string[]): Promise<void> {
		if (targets.length > 1) await rm(this.#target, { force: true });
		for (const [index, to] of targets.entries()) {
			await mkdir(path.dirname(to), { recursive: true });
			await rename(path.join(this.folder, this.files[index] ?? ""), to);
		}
		await rm(this.folder, { recursive: true });
	}

	/** Leaves no trace. */
	discard(): void {
		rmSync(this.folder, { recursive: true, force: true });
	}
}

function groupByFolder(models: readonly ModelToSave[]): Map<string, ModelToSave[]> {
	const folders = new Map<string, ModelToSave[]>();
	for (const model of models) {
		const folder = path.dirname(model.name);
		folders.set(folder, [...(folders.get(folder) ?? []), model]);
	}
	return folders;
}

/** Payloads of a data file with the zeros between them. */
function* padded(parts: readonly { readonly offset: number; readonly data: TensorData }[]): Generator<Uint8Array | TensorData> {
	let at = 0;
	for (const { offset, data } of parts) {
		if (offset > at) yield new Uint8Array(offset - at);
		yield data;
		at = offset + data.byteLength;
	}
}

async function writePart(
	handle: FileHandle,
	part: Uint8Array | TensorData,
	signal: AbortSignal | undefined,
	advance: (bytes: number) => void,
): Promise<void> {
	const size = part.byteLength;
	for (let start = 0; start < size; start += CHUNK) {
		throwIfAborted(signal);
		const end = Math.min(size, start + CHUNK);
		const bytes = part instanceof Uint8Array ? part.subarray(start, end) : part.read(start, end);
		for (let written = 0; written < bytes.byteLength; ) {
			written += (await handle.write(bytes, written, bytes.byteLength - written)).bytesWritten;
		}
		advance(end - start);
	}
}

/** One line for what went wrong at the file system while writing. */
export function outputError(at: string, cause: unknown): DistembError {
	const code = cause instanceof Error && "code" in cause ? String(cause.code) : "";
	const [message, hint] =
		code === "ENOSPC"
			? ["no space left on the device", "free some space or choose another output"]
			: code === "EACCES" || code === "EPERM" || code === "EROFS"
				? ["cannot be written: permission denied", "choose a folder that you may write to"]
				: code === "ENOENT"
					? ["the folder does not exist", "create it first"]
					: [`cannot be written (${code === "" ? String(cause) : code})`, undefined];
	return new DistembError("output", message ?? "cannot be written", { at, hint, cause });
}
