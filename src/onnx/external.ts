// External data: locations are checked when they are used, ranges are read from files that stay open once.
import { existsSync, lstatSync, realpathSync } from "node:fs";
import path from "node:path";
import { DistembError } from "../errors.js";
import { FileRange } from "./payload.js";
import type { TensorProto } from "./schema.js";
import { SourceFile } from "./source.js";

/** The data files of the models in one folder. */
export class ExternalFiles {
	/** Absolute path of the folder that no location may leave. */
	readonly folder: string;
	readonly #files = new Map<string, SourceFile>();

	constructor(folder: string) {
		this.folder = realpathSync(folder);
	}

	/** Data files opened so far, by location. */
	get files(): ReadonlyMap<string, SourceFile> {
		return this.#files;
	}

	/**
	 * The bytes that a TensorProto with data_location EXTERNAL refers to.
	 * @param expected bytes that the tensor's dimensions call for
	 * @throws DistembError `input` if the location escapes the folder, the file is missing, or the range does not fit
	 */
	locate(proto: TensorProto, expected: number): { readonly location: string; readonly data: FileRange } {
		const fail = (reason: string, hint?: string) => new DistembError("input", `tensor "${proto.name ?? ""}" ${reason}`, { hint });
		const entries = new Map(proto.external_data.map(({ key, value }) => [key ?? "", value ?? ""]));
		const location = entries.get("location");
		if (location === undefined || location === "") throw fail("has external data without a location");
		const file = this.#open(location, fail);
		const offset = wholeNumber(entries.get("offset") ?? "0");
		if (offset === undefined) throw fail(`has the external offset "${entries.get("offset")}", which is no whole number`);
		const length = wholeNumber(entries.get("length") ?? `${expected}`);
		if (length === undefined) throw fail(`has the external length "${entries.get("length")}", which is no whole number`);
		if (length !== expected) throw fail(`has ${length} bytes of external data where its dimensions say ${expected}`);
		if (offset + length > file.size) {
			throw fail(
				`lies at bytes ${offset} to ${offset + length} of "${location}", which ends at ${file.size}`,
				"the data file is incomplete",
			);
		}
		return { location, data: new FileRange(file, offset, length) };
	}

	close(): void {
		for (const file of this.#files.values()) file.close();
		this.#files.clear();
	}

	#open(location: string, fail: (reason: string, hint?: string) => DistembError): SourceFile {
		const known = this.#files.get(location);
		if (known !== undefined) return known;
		const refuse = (why: string) => fail(`has its data at "${location}", ${why}`, "external data must lie in the model's folder");
		if (location.includes("\0") || location.includes("\\") || /^[A-Za-z]:/.test(location)) throw refuse("which is no relative path");
		if (path.isAbsolute(location)) throw refuse("an absolute path");
		if (location.split("/").includes("..")) throw refuse("which leads out of the folder");
		const full = path.join(this.folder, location);
		if (!existsSync(full)) throw fail(`has its data at "${location}", which does not exist beside the model`, "copy the data file there");
		const real = realpathSync(full);
		const relative = path.relative(this.folder, real);
		if (relative.startsWith("..") || path.isAbsolute(relative)) throw refuse("a link that leads out of the folder");
		const stat = lstatSync(real);
		if (!stat.isFile()) throw refuse("which is no regular file");
		if (stat.nlink > 1 && lstatSync(full).isSymbolicLink()) throw refuse("a link to a file with several names");
		const file = new SourceFile(real);
		this.#files.set(location, file);
		return file;
	}
}

function wholeNumber(text: string): number | undefined {
	if (!/^\s*\d{1,16}\s*$/.test(text)) return undefined;
	const value = Number(text);
	return Number.isSafeInteger(value) ? value : undefined;
}
