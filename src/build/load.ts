// Finds and loads distemb.config.{ts,js,json}.
import path from "node:path";
import { isFile, jsonObject } from "../data/files.js";
import { DistembError } from "../errors.js";
import { TOOL } from "../version.js";
import { checkConfig } from "./check.js";
import type { DistembConfig } from "./config.js";

/** A configuration, and where it was found. */
export interface LoadedConfig {
	/** As it was named or found, relative to the working directory. */
	readonly file: string;
	/** The configuration's folder: what its paths are relative to. */
	readonly folder: string;
	readonly config: DistembConfig;
}

/** Looked for in the working directory. */
const NAMES = ["distemb.config.ts", "distemb.config.js", "distemb.config.json"] as const;

/**
 * Loads a configuration.
 * @param file default: the one of the working directory
 * @throws DistembError `input` if there is none, or it cannot be loaded; `usage` for what it must not hold
 */
export async function loadConfig(file?: string): Promise<LoadedConfig> {
	const found = file ?? (await findConfig());
	if (!(await isFile(found))) throw new DistembError("input", "does not exist", { at: found, hint: "check the path of the configuration" });
	const config = path.extname(found) === ".json" ? await json(found) : await script(found);
	return { file: found, folder: path.dirname(found), config: await checkConfig(config, found) };
}

async function findConfig(): Promise<string> {
	const there: string[] = [];
	for (const name of NAMES) if (await isFile(name)) there.push(name);
	const [found, other] = there;
	if (found === undefined)
		throw new DistembError("input", `there is no ${NAMES.join(", ")} here`, { hint: "write one, or name it with --config" });
	if (other !== undefined)
		throw new DistembError("usage", `there are ${there.join(" and ")}`, { hint: "name one with --config, or remove the others" });
	return found;
}

async function json(file: string): Promise<unknown> {
	try {
		return await jsonObject(file);
	} catch (error) {
		throw unloadable(file, error instanceof DistembError ? (error.cause ?? error) : error);
	}
}

/** TypeScript, and JavaScript of both kinds. A configuration's `import … from "onnx-distemb"` means this very package, wherever it is installed. */
async function script(file: string): Promise<unknown> {
	const { createJiti } = await import("jiti");
	// Not imported above: the public API holds this file.
	const own: unknown = await import("../index.js");
	const jiti = createJiti(import.meta.url, { fsCache: false, moduleCache: false, virtualModules: { [TOOL.name]: own } });
	try {
		return await jiti.import(path.resolve(file), { default: true });
	} catch (error) {
		throw unloadable(file, error);
	}
}

function unloadable(at: string, cause: unknown): DistembError {
	const reason = cause instanceof Error ? cause.message : String(cause);
	return new DistembError("input", `cannot be loaded: ${reason.split("\n")[0]}`, { at, hint: "correct the configuration", cause });
}
