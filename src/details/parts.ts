// Stored bytes by what they hold, before and after.
import type { Model, Value } from "../ir/graph.js";
import { distinctBytes, type Tensor } from "../ir/tensor.js";
import { allGraphs } from "../ir/walk.js";
import { tensorsOf } from "../onnx/index.js";
import type { PartReport } from "../report/details.js";
import type { Located } from "../state.js";

const PARTS = ["vocabulary", "other matrices", "biases and norms", "graph and padding"] as const;
type Part = (typeof PARTS)[number];

export interface Stock {
	/** Initializers of the original. */
	readonly values: ReadonlySet<Value>;
	readonly tables: ReadonlySet<Tensor>;
	readonly bytes: ReadonlyMap<Part, number>;
}

/** To be taken before the graph is rewritten. @param total bytes of all files */
export function takeStock({ files, vocabularies }: Located, total: number): Stock {
	const models = files.map(({ model }) => model);
	const tables = new Set(vocabularies.flatMap(({ copies }) => copies.flatMap(({ tensors }) => tensors)));
	return { values: new Set(models.flatMap(initializers)), tables, bytes: bytesByPart(models, tables, total) };
}

/** What was not there before belongs to the factors. @param total bytes of all files now */
export function partReports({ values, tables, bytes }: Stock, models: readonly Model[], total: number): PartReport[] {
	const added = models.flatMap(initializers).filter((value) => !values.has(value));
	const factors = new Set([...tables, ...added.flatMap(({ tensor }) => tensor ?? [])]);
	const after = bytesByPart(models, factors, total);
	return PARTS.map((name) => ({ name, before: bytes.get(name) ?? 0, after: after.get(name) ?? 0 }));
}

function initializers(model: Model): Value[] {
	return [...allGraphs(model)].flatMap((graph) => graph.initializers);
}

function bytesByPart(models: readonly Model[], vocabulary: ReadonlySet<Tensor>, total: number): Map<Part, number> {
	const held = new Map<Part, Tensor[]>(PARTS.map((part) => [part, []]));
	for (const tensor of models.flatMap((model) => [...tensorsOf(model)])) held.get(partOf(tensor, vocabulary))?.push(tensor);
	const bytes = new Map([...held].map(([part, tensors]) => [part, distinctBytes(tensors)]));
	const weights = total - PARTS.slice(0, -1).reduce((sum, part) => sum + (bytes.get(part) ?? 0), 0);
	return bytes.set("graph and padding", weights);
}

/** Shapes, axes and positions are part of the graph. */
function partOf(tensor: Tensor, vocabulary: ReadonlySet<Tensor>): Part {
	if (vocabulary.has(tensor)) return "vocabulary";
	if (tensor.dtype === "int64") return "graph and padding";
	return tensor.dims.length >= 2 ? "other matrices" : "biases and norms";
}
