// A model as one graph that can be run forward and differentiated: its one file, or encoder and decoder joined.
import { DistembError } from "../errors.js";
import type { Model, Value } from "../ir/graph.js";
import { type ChosenGraphs, chooseAmong } from "../runtime/decode/choose.js";
import { openChosen, type TextModel, type TextModelKind } from "../runtime/decode/model.js";
import type { GraphRoles } from "../runtime/decode/roles.js";
import type { ModelFile } from "../state.js";
import { joinParts } from "./joined.js";

/** Never written; it shares payloads with the files that it was made of. */
export interface WholeModel {
	readonly kind: TextModelKind;
	readonly model: Model;
	/** Of the one graph: an encoder that was joined to a decoder leaves no `states` port, but `source` and `sourceMask`. */
	readonly roles: GraphRoles;
	/** Rows of the vocabulary that is predicted, or the width of an encoder's states. */
	readonly width: number;
	/** Sizes that the graph itself fixes: rows and tokens of a batch, tokens of a source. */
	readonly fixed: TextModel["fixed"];
	/** Files that it was made of. The others of a folder (a decoder with past) share their factors and take over what is trained. */
	readonly files: readonly ModelFile[];
	/** The value that stands for `value` of one of the files' graphs, bodies included; undefined if it is not in here. */
	valueOf(file: ModelFile, value: Value): Value | undefined;
}

export interface WholeOptions {
	readonly threads: number;
}

/**
 * The graphs of `files` that run on whole sequences, as one. The files at the models' paths are run on a few tokens, to tell causal
 * from masked models and which way a recurrent one takes its ids; the models themselves may be other ones of the same signature.
 * @throws DistembError `refused` if they are no model that can be run on data, or the engine does not run it
 */
export async function wholeOf(files: readonly ModelFile[], options: WholeOptions): Promise<WholeModel> {
	const chosen = chooseAmong(files, files.length === 1 ? "file" : "directory");
	const { kind, width, fixed, timeMajor } = await seen(chosen, options);
	const common = { kind, width, fixed };
	const fileOf = (path: string) => {
		const file = files.find((candidate) => candidate.path === path);
		return file ?? fail(`"${path}" is none of the files`);
	};
	const { encoder, full } = chosen;
	const file = fileOf(full.path);
	const roles = { ...full.roles, timeMajor };
	if (encoder === undefined) {
		const { model } = file;
		return { ...common, model, roles, files: [file], valueOf: (from, value) => (from === file ? value : undefined) };
	}
	const source = fileOf(encoder.path);
	const joined = joinParts({ model: source.model, roles: encoder.roles }, { model: file.model, roles });
	return { ...common, model: joined.model, roles: joined.roles, files: [source, file], valueOf: (_file, value) => joined.valueOf(value) };
}

function fail(message: string): never {
	throw new DistembError("internal", message);
}

/** What a run of the original shows. */
async function seen(chosen: ChosenGraphs, { threads }: WholeOptions): Promise<Pick<TextModel, "kind" | "width" | "fixed" | "timeMajor">> {
	try {
		const model = await openChosen(chosen, { threads, wholeSequences: true });
		await model.close();
		return model;
	} catch (error) {
		throw asRefusal(error);
	}
}

/** A model that the engine does not run is sound, but cannot be trained. */
export function asRefusal(error: unknown): unknown {
	if (!(error instanceof DistembError) || error.code !== "engine") return error;
	return new DistembError("refused", error.message, { at: error.at, hint: error.hint, cause: error });
}
