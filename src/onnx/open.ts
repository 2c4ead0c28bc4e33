// Opens a model file: checks it, builds its IR, and keeps its files open for payloads.
import { existsSync, realpathSync, statSync } from "node:fs";
import path from "node:path";
import { DistembError } from "../errors.js";
import { problems } from "../ir/check.js";
import type { Model } from "../ir/graph.js";
import { decodeModel } from "./decode.js";
import { ExternalFiles } from "./external.js";
import { lift } from "./lift.js";
import { ModelMessage, type ModelProto } from "./schema.js";
import { SourceFile, WindowedSource } from "./source.js";

/** A model and the open files that hold its payloads. Close it when the last tensor has been read. */
export interface OpenModel {
	readonly path: string;
	readonly model: Model;
	readonly source: SourceFile;
	readonly external: ExternalFiles;
	close(): void;
}

/**
 * Reads the graph of an .onnx file; payloads stay where they are.
 * @throws DistembError `input`, located at the file, if it is missing or broken
 */
export function openModel(file: string): OpenModel {
	if (!existsSync(file)) throw new DistembError("input", "no such file", { at: file });
	if (statSync(file).isDirectory()) throw new DistembError("input", "is a directory where a file is due", { at: file });
	const external = new ExternalFiles(path.dirname(file));
	const source = new SourceFile(file);
	const close = () => {
		source.close();
		external.close();
	};
	try {
		const model = decodeModel(parse(source), { file: source, external });
		for (const [location, { path: real }] of external.files) {
			if (real === realpathSync(file)) throw new DistembError("refused", `has external data in the model file itself ("${location}")`);
		}
		for (const problem of problems(model)) throw new DistembError("input", `is not a sound model: ${problem}`);
		return { path: file, model, source, external, close };
	} catch (error) {
		close();
		throw asInputError(error).located(file);
	}
}

function parse(source: SourceFile): ModelProto {
	if (source.size === 0) throw new DistembError("input", "is empty");
	const skeleton = lift(new WindowedSource(source));
	return ModelMessage.decode(skeleton) as unknown as ModelProto;
}

/** Whatever protobufjs or a range check throws about a file is the file's fault. */
function asInputError(error: unknown): DistembError {
	if (error instanceof DistembError) return error;
	const reason = error instanceof Error ? error.message : String(error);
	return new DistembError("input", `is not an ONNX model: ${reason}`, { cause: error });
}
