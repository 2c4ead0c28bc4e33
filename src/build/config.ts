// What `build` is told: the contents of distemb.config.{ts,js,json}. Its JSON Schema (schemas/) is made from these types.
import type { CompileOptions } from "../options.js";

/** Options of a single run, which a configuration does not hold. */
type RunOption = "signal" | "onProgress" | "dryRun" | "overwrite" | "resume";

/** One model: what it is made from and how. Paths are relative to the configuration's folder. */
export interface ModelConfig extends Omit<CompileOptions, RunOption | "targetSize" | "maxPerplexityIncrease"> {
	/** An .onnx file, or a folder with the files of one model. */
	readonly input: string;
	/** The result, of the same kind. */
	readonly output: string;
	/** Bytes that the whole result may have, as a number or like "20MB" and "1.5GiB". */
	readonly targetSize?: number | string | undefined;
	/** Most by which the perplexity may rise, as a share (0.01) or like "1%". */
	readonly maxPerplexityIncrease?: number | string | undefined;
}

/** The contents of a configuration. */
export interface DistembConfig {
	/** Where this file's JSON Schema is, for editors. */
	readonly $schema?: string | undefined;
	/** By the names that the command line and the report call them; built in this order. */
	readonly models: Readonly<Record<string, ModelConfig>>;
}

/**
 * Gives `config` back: editors complete it and TypeScript checks it.
 * @example
 * ```ts
 * import { defineConfig } from "onnx-distemb";
 *
 * export default defineConfig({ models: { small: { input: "model.onnx", output: "dist/small.onnx", ratio: 8, dtype: "mixed" } } });
 * ```
 */
export function defineConfig(config: DistembConfig): DistembConfig {
	return config;
}
