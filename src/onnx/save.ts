// Writes models whole or not at all: everything goes to a new folder beside the output first, and moves into place by rename.
import { existsSync, mkdirSync, rmSync } from "node:fs";
import { copyFile, type FileHandle, mkdir, open, readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { DistembError, outputError, throwIfAborted } from "../errors.js";
import type { TensorData } from "../ir/tensor.js";
import { claimOutput } from "./claim.js";
import { commitDirectory, commitFiles, RESULT, undoCommit } from "./commit.js";
import { encodeModel } from "./encode.js";
import { DataLayout, renamedLocation } from "./layout.js";
import type { OpenModel } from "./open.js";
import { locationsOf, renumbered } from "./pieces.js";
import { inputError } from "./source.js";

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

/** A complete result in a folder of its own, waiting for its name. While it waits, no other run can have the same output. */
export class StagedOutput {
	/** Folder that holds the result under its final file names. */
	readonly folder: string;
	/** Files written, relative to the folder: data files first, models last. */
	readonly files: string[] = [];
	/** Bytes written by {@link write}. */
	bytes = 0;
	readonly #target: string;
	readonly #kind: "file" | "directory";
	/** This run's, with the result in it. */
	readonly #claimed: string;
	#isOpen = true;

	/**
	 * @param target the output: a file (its data files appear beside it) or a directory
	 * @throws DistembError `output` if another run writes the same output, or the folder above cannot be written
	 */
	constructor(target: string, kind: "file" | "directory") {
		this.#target = path.resolve(target);
		this.#kind = kind;
		this.#claimed = claimOutput(this.#target);
		this.folder = path.join(this.#claimed, RESULT);
		try {
			mkdirSync(this.folder);
		} catch (cause) {
			this.discard();
			throw outputError(this.folder, cause);
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
			throw existsSync(from) ? outputError(to, cause) : inputError(from, cause);
		}
		this.files.push(name);
	}

	/**
	 * Moves the result to its place: killed at any moment, the output is whole, or not there.
	 * @throws DistembError `output` if something stands there that may not be replaced
	 */
	async commit(overwrite = false): Promise<void> {
		const targets = this.#kind === "directory" ? [this.#target] : this.files.map((name) => path.join(path.dirname(this.#target), name));
		const existing = targets.find((target) => existsSync(target));
		if (existing !== undefined && !overwrite) {
			throw new DistembError("output", "already exists", { at: existing, hint: "use --overwrite to replace it" });
		}
		try {
			if (this.#kind === "directory") commitDirectory(this.#claimed, this.#target);
			else await commitFiles(this.#claimed, this.files, this.#target);
		} catch (cause) {
			undoCommit(this.#claimed, this.#target);
			throw outputError(this.#target, cause);
		}
		this.discard();
	}

	/** Leaves no trace, and the output to others. A second call does nothing: by then the folder may be another run's. */
	discard(): void {
		if (!this.#isOpen) return;
		this.#isOpen = false;
		rmSync(this.#claimed, { recursive: true, force: true });
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
