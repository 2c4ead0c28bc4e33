// Model files for the tests of the file format: committed fixtures, files made on the spot, and their encoded form.
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll } from "vitest";
import { encodeModel, type OpenModel, openModel } from "../../src/onnx/index.js";
import { FileRange } from "../../src/onnx/payload.js";
import { join } from "./wire.js";

export const FIXTURES = path.resolve(import.meta.dirname, "../../fixtures");

/** Every committed model that is sound, relative to the fixtures. */
export function soundFixtures(): string[] {
	return (readdirSync(FIXTURES, { recursive: true }) as string[])
		.filter((name) => name.endsWith(".onnx") && !/^(broken|fuzz)/.test(name))
		.map((name) => name.split(path.sep).join("/"))
		.sort();
}

/** A folder of its own, removed when the test file is done. */
export function temporaryFolder(): string {
	const folder = mkdtempSync(path.join(tmpdir(), "distemb-onnx-"));
	afterAll(() => rmSync(folder, { recursive: true, force: true }));
	return folder;
}

/** Opens the model, hands it to `use`, closes it. */
export function withModel<T>(file: string, use: (open: OpenModel) => T): T {
	const open = openModel(file);
	try {
		return use(open);
	} finally {
		open.close();
	}
}

/** Writes `bytes` to `file` and opens it as a model. */
export function withBytes<T>(file: string, bytes: Uint8Array, use: (open: OpenModel) => T): T {
	writeFileSync(file, bytes);
	return withModel(file, use);
}

/** The encoded model, external tensors left where they are. */
export function encodedInPlace(open: OpenModel): Uint8Array<ArrayBuffer> {
	const { segments } = encodeModel(open.model, {
		source: open.source,
		place: ({ placement, data }) =>
			placement.kind === "external" && data instanceof FileRange ? { location: placement.location, offset: data.start } : undefined,
	});
	return join(...segments.map((part) => (part instanceof Uint8Array ? part : part.read(0, part.byteLength))));
}

/** Opens `bytes` as a model and encodes it. */
export function roundTrip(file: string, bytes: Uint8Array): Uint8Array<ArrayBuffer> {
	return withBytes(file, bytes, encodedInPlace);
}
