// Several models at once, by a configuration: each is compiled unless it is up to date.
import path from "node:path";
import { checkConfig } from "./build/check.js";
import type { DistembConfig } from "./build/config.js";
import { type PlannedModel, plannedModels } from "./build/planned.js";
import { originOf, readRecord, reasonToBuild, writeRecord } from "./build/record.js";
import { compile } from "./compile.js";
import { isFile } from "./data/files.js";
import { DistembError, throwIfAborted } from "./errors.js";
import type { CommonOptions } from "./options.js";
import type { Progress } from "./pass.js";
import { BUILD_REPORT_VERSION, type BuildReport, type BuiltModel } from "./report/build.js";
import { makeFolderOf } from "./report/file.js";
import { CHECKPOINT_NAME, checkpointPath } from "./training/checkpoint-folder.js";
import { TOOL } from "./version.js";

/** What happens while a model is built. */
export interface BuildProgress extends Progress {
	/** The model that is being built. */
	readonly model: string;
}

/** What `build` may be asked for. */
export interface BuildOptions extends Omit<CommonOptions, "onProgress"> {
	/** Called when a pass begins and while it works. */
	readonly onProgress?: ((progress: BuildProgress) => void) | undefined;
	/** Called when a model is finished, or failed. */
	readonly onModel?: ((model: BuiltModel) => void) | undefined;
	/** What the configuration's paths are relative to; default: the working directory. */
	readonly folder?: string | undefined;
	/** Names of the models to build; default: all. */
	readonly names?: readonly string[] | undefined;
	/** Build what is up to date, too. */
	readonly force?: boolean | undefined;
	/** Replace outputs that are there though no build made them. */
	readonly overwrite?: boolean | undefined;
	/** Go on with trainings that an interruption left beside their outputs. */
	readonly resume?: boolean | undefined;
}

/**
 * Builds the models of a configuration, one after the other. A model is up to date, and left alone, if the contents of its input, data and
 * tokenizer, its options and the version of this package are those of the last build, which are kept in `OUTPUT.distemb.json`, and its
 * output is still what was built then. A model that fails (a gate missed, a broken file) is reported, and the others are built all the same.
 * @throws DistembError `usage` for a wrong configuration, `interrupted`; what was built before stays
 * @example
 * ```ts
 * import { build, loadConfig } from "onnx-distemb";
 *
 * const { config, folder } = await loadConfig("distemb.config.json");
 * const { models } = await build(config, { folder, onModel: ({ name, status }) => console.log(name, status) });
 * if (models.some(({ status }) => status === "failed")) process.exitCode = 1;
 * ```
 */
export async function build(config: DistembConfig, options: BuildOptions = {}): Promise<BuildReport> {
	const planned = plannedModels(await checkConfig(config), options.folder ?? ".", options.names);
	const models: BuiltModel[] = [];
	for (const model of planned) {
		const built = await buildModel(model, options);
		models.push(built);
		options.onModel?.(built);
	}
	return { version: BUILD_REPORT_VERSION, tool: TOOL, models };
}

async function buildModel(planned: PlannedModel, options: BuildOptions): Promise<BuiltModel> {
	const { name, input, output } = planned;
	const { threads, signal } = options;
	const facts = { name, input, output };
	throwIfAborted(signal);
	try {
		options.onProgress?.({ model: name, pass: "check", fraction: 0 });
		const origin = await originOf(planned, threads, signal);
		const record = await readRecord(output);
		const reason = (await reasonToBuild(record, origin, planned)) ?? (options.force === true ? "forced" : undefined);
		if (reason === undefined && typeof record === "object") return { ...facts, status: "up-to-date", report: record.report };
		for (const file of [output, planned.options.report]) if (file !== undefined) await makeFolderOf(file);
		const report = await compile(input, output, {
			...planned.options,
			...(threads === undefined ? {} : { threads }),
			signal,
			onProgress: (progress) => options.onProgress?.({ ...progress, model: name }),
			// What an earlier build wrote is ours to replace.
			overwrite: record !== undefined || options.overwrite === true,
			resume: options.resume === true ? await checkpointOf(output) : undefined,
		});
		await writeRecord(output, origin, report);
		return { ...facts, status: "built", reason: reason ?? "forced", report };
	} catch (error) {
		const { code, message, at, hint } = asDistembError(error);
		if (code === "interrupted") throw interruption(asDistembError(error), name);
		return {
			...facts,
			status: "failed",
			error: { code, message, ...(at === undefined ? {} : { at }), ...(hint === undefined ? {} : { hint }) },
		};
	}
}

async function checkpointOf(output: string): Promise<string | undefined> {
	const folder = checkpointPath(output);
	return (await isFile(path.join(folder, CHECKPOINT_NAME))) ? folder : undefined;
}

function asDistembError(error: unknown): DistembError {
	if (error instanceof DistembError) return error;
	return new DistembError("internal", error instanceof Error ? error.message : String(error), { cause: error });
}

/** The hint of a single conversion names an option that is another one here. */
function interruption(error: DistembError, model: string): DistembError {
	const hint = error.hint === undefined ? "what was built before stays" : "go on with the same command and --resume";
	return new DistembError("interrupted", `${error.message} (model ${model})`, { at: error.at, hint, cause: error });
}
