// Data files in pieces, as transformers.js looks for them: model.onnx_data, model.onnx_data_1, …, as many as config.json says.
import path from "node:path";
import type { Model } from "../ir/graph.js";
import { tensorsOf } from "./layout.js";

/** Names of the data files that a model's tensors lie in, normalized. */
export function locationsOf(model: Model): Set<string> {
	const found = new Set<string>();
	for (const { placement } of tensorsOf(model)) if (placement.kind === "external") found.add(path.posix.normalize(placement.location));
	return found;
}

/** Those of `locations` that are pieces of the data of `file`, in order, with the names they have once no number is missing. */
export function renumbered(locations: Iterable<string>, file: string): Map<string, string> {
	const stem = `${path.basename(file)}_data`;
	const pieces = [...locations].flatMap((location) => {
		const number = location === stem ? "0" : location.startsWith(`${stem}_`) ? location.slice(stem.length + 1) : "";
		return /^\d+$/.test(number) ? [{ location, number: Number(number) }] : [];
	});
	pieces.sort((a, b) => a.number - b.number);
	return new Map(pieces.map(({ location }, index) => [location, index === 0 ? stem : `${stem}_${index}`]));
}

/** How many pieces the data of a model came in, and how many are left. */
export interface Pieces {
	/** The model's file name, without folders. */
	readonly model: string;
	readonly before: number;
	readonly after: number;
}

/**
 * A config.json that says how many pieces there are now (`transformers.js_config.use_external_data_format`).
 * @returns undefined if the text says nothing about pieces, or what it says still holds
 */
export function configWithPieces(text: string, models: readonly Pieces[]): string | undefined {
	const config = parsed(text);
	const settings = recordOf(recordOf(config)?.["transformers.js_config"]);
	const said = settings?.use_external_data_format;
	const changed = models.filter(({ model, before, after }) => before !== after && saidOf(said, model) === before);
	if (settings === undefined || changed.length === 0) return undefined;
	const each = recordOf(said) ?? Object.fromEntries(models.map(({ model }) => [model, Number(said)]));
	settings.use_external_data_format = { ...each, ...Object.fromEntries(changed.map(({ model, after }) => [model, after])) };
	return `${JSON.stringify(config, undefined, 2)}\n`;
}

/** The setting holds for all files, or is given by file name, or by file name without what says the dtype (`model` for model_q4.onnx). */
function saidOf(said: unknown, model: string): number {
	const byName = recordOf(said);
	if (byName === undefined) return Number(said ?? 0);
	const stem = path.basename(model, ".onnx");
	const key = [model, ...Object.keys(byName).filter((name) => stem === name || stem.startsWith(`${name}_`))].find((name) => name in byName);
	return Number(key === undefined ? 0 : byName[key]);
}

function parsed(text: string): unknown {
	try {
		return JSON.parse(text);
	} catch {
		return undefined;
	}
}

function recordOf(value: unknown): Record<string, unknown> | undefined {
	return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : undefined;
}
