// Models as text, located; errors as values.
import { type LocateOptions, locate } from "../../../passes/locate/index.js";
import { DistembError } from "../../../src/errors.js";
import { checkModel } from "../../../src/ir/check.js";
import { type ParseOptions, parseModel } from "../../../src/ir/parse.js";
import type { Loaded, Located, ModelFile, Vocabulary } from "../../../src/state.js";

export interface Given extends LocateOptions, ParseOptions {
	/** Lines of the pass log are put here. */
	readonly log?: string[];
}

/** Locates the vocabularies of one model, or of several that belong together; unnamed tensors hold seeded random numbers. */
export async function located(texts: string | readonly string[], given: Given = {}): Promise<Located> {
	const list = typeof texts === "string" ? [texts] : texts;
	const files = list.map((text, index): ModelFile => {
		const name = list.length === 1 ? "model.onnx" : `model_${index}.onnx`;
		return { name, path: `/${name}`, model: parseModel(text, { seed: 1 + index, ...given }), bytes: 0 };
	});
	const state: Loaded = { kind: files.length === 1 ? "file" : "directory", path: "/model", files };
	const context = {
		signal: undefined,
		threads: 1,
		seed: 0,
		progress: () => {},
		log: (line: string) => given.log?.push(line),
		warn: () => {},
	};
	const after = await locate(given).run(state, context);
	for (const { model } of files) checkModel(model);
	return after;
}

/** The error that locating ends with. */
export async function refusal(texts: string | readonly string[], given: Given = {}): Promise<DistembError> {
	try {
		await located(texts, given);
	} catch (error) {
		if (error instanceof DistembError) return error;
		throw error;
	}
	throw new Error("nothing was refused");
}

/** One line per vocabulary: stored copies, lookups and projections with their patterns. */
export function summary({ vocabularies }: Located): string[] {
	return vocabularies.map(describe);
}

function describe({ table, copies, lookups, projections }: Vocabulary): string {
	const stored = copies.map(({ value, orientation, unused }) => `${value.name} ${orientation}${unused ? " unused" : ""}`);
	const uses = [...lookups, ...projections].map(({ pattern, node }) => `${pattern} ${node.name === "" ? node.opType : node.name}`);
	return `${table.rows}x${table.cols}: ${stored.join(", ")}: ${uses.join(", ")}`;
}

/** `count` numbers that repeat nothing. */
export function numbers(count: number, seed = 1): Float32Array {
	return Float32Array.from({ length: count }, (_, index) => Math.fround(Math.sin(seed * 1000 + index * 1.37)));
}

/** The transpose of a row-major matrix. */
export function transposed(values: ArrayLike<number>, rows: number, cols: number): Float32Array {
	return Float32Array.from({ length: rows * cols }, (_, index) => values[(index % rows) * cols + Math.floor(index / rows)] ?? 0);
}
