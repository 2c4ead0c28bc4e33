// A model of the configuration as `compile` takes it: paths as seen from the working directory, amounts as numbers.
import path from "node:path";
import { closest, distance } from "fastest-levenshtein";
import { parseShare, parseSize } from "../amounts.js";
import { DistembError } from "../errors.js";
import type { CompileOptions } from "../options.js";
import type { DistembConfig, ModelConfig } from "./config.js";

export interface PlannedModel {
	readonly name: string;
	readonly input: string;
	readonly output: string;
	readonly options: CompileOptions;
	/** As configured. */
	readonly model: ModelConfig;
}

/**
 * The models to build, in the configuration's order.
 * @param folder what the configuration's paths are relative to
 * @param names those asked for; undefined or none: all
 * @throws DistembError `usage` for a name that the configuration does not hold
 */
export function plannedModels({ models }: DistembConfig, folder: string, names: readonly string[] = []): PlannedModel[] {
	const known = Object.keys(models);
	for (const name of names) {
		if (known.includes(name)) continue;
		const nearest = closest(name, known);
		const hint = distance(name, nearest) <= Math.max(2, name.length / 3) ? `did you mean "${nearest}"?` : `there are ${known.join(", ")}`;
		throw new DistembError("usage", `the configuration has no model "${name}"`, { hint });
	}
	return Object.entries(models)
		.filter(([name]) => names.length === 0 || names.includes(name))
		.map(([name, model]) => ({
			name,
			input: seen(folder, model.input),
			output: seen(folder, model.output),
			options: compileOptionsOf(model, folder),
			model,
		}));
}

/** @throws DistembError `usage` for amounts that are none */
export function compileOptionsOf(model: ModelConfig, folder: string): CompileOptions {
	const { input: _input, output: _output, targetSize, maxPerplexityIncrease, data, tokenizer, report, ...options } = model;
	return {
		...options,
		targetSize: typeof targetSize === "string" ? parseSize(targetSize, "targetSize") : targetSize,
		maxPerplexityIncrease:
			typeof maxPerplexityIncrease === "string" ? parseShare(maxPerplexityIncrease, "maxPerplexityIncrease") : maxPerplexityIncrease,
		data: data?.map((file) => seen(folder, file)),
		tokenizer: tokenizer && seen(folder, tokenizer),
		report: report && seen(folder, report),
	};
}

/** Relative to the working directory, as a person would write it there. */
function seen(folder: string, file: string): string {
	const full = path.resolve(folder, file);
	const relative = path.relative(process.cwd(), full);
	return relative === "" || relative.startsWith(`..${path.sep}..`) ? full : relative;
}
