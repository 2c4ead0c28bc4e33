// Calibrations in a file beside the output: the next size of the same model, by the same data, need not measure again.
import path from "node:path";
import { loadArrays, saveArrays } from "../../src/data/arrays.js";
import { contentHash } from "../../src/data/cache.js";
import { isRecord } from "../../src/data/files.js";
import type { PassContext } from "../../src/pass.js";
import type { Calibration, Vocabulary } from "../../src/state.js";

export interface CalibrationCache {
	readonly folder: string;
	/** Files of the model and of its data: their contents are part of the key. */
	readonly files: readonly string[];
}

const ARRAYS = ["frequency", "gradientMoment", "spread", "hiddenMoment"] as const;

/** Raised when what is measured changes. */
const VERSION = 3;

/**
 * What `measured` gives, from the file if it is there; `facts` are all else that the result depends on. In single precision either way, and with the
 * same warnings.
 */
export async function kept(
	{ folder, files }: CalibrationCache,
	vocabularies: readonly Vocabulary[],
	facts: unknown,
	context: PassContext,
	measured: (context: PassContext) => Promise<readonly Calibration[]>,
): Promise<readonly Calibration[]> {
	const key = await contentHash(files, [JSON.stringify({ version: VERSION, facts, tables: vocabularies.map(({ table }) => table.hash) })]);
	const file = path.join(folder, `calibration-${key.slice(0, 16)}.safetensors`);
	const found = await loadArrays(file);
	if (found !== undefined) {
		context.log(`kept from an earlier run in ${file}`);
		const { warnings, each } = isRecord(found.facts) ? found.facts : {};
		for (const warning of Array.isArray(warnings) ? warnings : []) context.warn(String(warning));
		return vocabularies.map((vocabulary, index) =>
			restored(vocabulary, Array.isArray(each) ? each[index] : undefined, (name) => found.arrays.get(`${index}.${name}`)),
		);
	}
	const warnings: string[] = [];
	const warn = (warning: string) => {
		warnings.push(warning);
		context.warn(warning);
	};
	const fresh = await measured({ ...context, warn });
	if (fresh.every(({ source }) => source === "id order")) return fresh;
	const arrays = new Map<string, Float32Array>();
	for (const [index, calibration] of fresh.entries())
		for (const name of ARRAYS) {
			const values = calibration[name];
			if (values !== undefined) arrays.set(`${index}.${name}`, Float32Array.from(values));
		}
	const each = fresh.map(({ tokens, counted, source }) => ({ tokens, counted, source }));
	await saveArrays(file, { facts: { warnings, each }, arrays });
	return fresh.map(({ vocabulary }, index) => restored(vocabulary, each[index], (name) => arrays.get(`${index}.${name}`)));
}

function restored(vocabulary: Vocabulary, facts: unknown, arrayOf: (name: string) => Float32Array | undefined): Calibration {
	const { tokens, counted, source } = isRecord(facts) ? facts : {};
	const wide = (name: (typeof ARRAYS)[number]) => {
		const values = arrayOf(name);
		return values && Float64Array.from(values);
	};
	return {
		vocabulary,
		frequency: wide("frequency"),
		gradientMoment: wide("gradientMoment"),
		spread: wide("spread"),
		hiddenMoment: wide("hiddenMoment"),
		tokens: Number(tokens),
		counted: Number(counted),
		source: source === "generated" || source === "id order" ? source : "data",
	};
}
