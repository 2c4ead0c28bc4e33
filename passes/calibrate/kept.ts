// Calibrations in a file beside the output: the next size of the same model, by the same data, need not measure again.
import path from "node:path";
import { loadArrays, saveArrays } from "../../src/data/arrays.js";
import { contentHash } from "../../src/data/cache.js";
import { isRecord } from "../../src/data/files.js";
import type { Calibration, Vocabulary } from "../../src/state.js";

export interface CalibrationCache {
	readonly folder: string;
	/** Files of the model and of its data: their contents are part of the key. */
	readonly files: readonly string[];
}

const ARRAYS = ["frequency", "gradientMoment", "spread", "hiddenMoment"] as const;

/** Raised when what is measured changes. */
const VERSION = 2;

/** What `measured` gives, from the file if it is there; `facts` are all else that the result depends on. In single precision either way. */
export async function kept(
	{ folder, files }: CalibrationCache,
	vocabularies: readonly Vocabulary[],
	facts: unknown,
	log: (line: string) => void,
	measured: () => Promise<readonly Calibration[]>,
): Promise<readonly Calibration[]> {
	const key = await contentHash(files, [JSON.stringify({ version: VERSION, facts, tables: vocabularies.map(({ table }) => table.hash) })]);
	const file = path.join(folder, `calibration-${key.slice(0, 16)}.safetensors`);
	const found = await loadArrays(file);
	if (found !== undefined) {
		log(`kept from an earlier run in ${file}`);
		return vocabularies.map((vocabulary, index) =>
			restored(vocabulary, found.facts, index, (name) => found.arrays.get(`${index}.${name}`)),
		);
	}
	const fresh = await measured();
	const arrays = new Map<string, Float32Array>();
	for (const [index, calibration] of fresh.entries())
		for (const name of ARRAYS) {
			const values = calibration[name];
			if (values !== undefined) arrays.set(`${index}.${name}`, Float32Array.from(values));
		}
	const { tokens, source } = fresh[0] ?? {};
	const counted = fresh.map((calibration) => calibration.counted);
	if (tokens === undefined || source === "id order") return fresh;
	await saveArrays(file, { facts: { tokens, counted, source }, arrays });
	return fresh.map(({ vocabulary }, index) =>
		restored(vocabulary, { tokens, counted, source }, index, (name) => arrays.get(`${index}.${name}`)),
	);
}

function restored(vocabulary: Vocabulary, facts: unknown, index: number, arrayOf: (name: string) => Float32Array | undefined): Calibration {
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
		counted: Array.isArray(counted) ? Number(counted[index]) : 0,
		source: source === "generated" ? "generated" : "data",
	};
}
