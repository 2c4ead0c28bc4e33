// How one pair of factors is laid out: which side it serves, in which files and places, and at which rank.
import type { DType } from "../../src/ir/dtype.js";
import type { Coding, Lookup, ModelFile, Projection, Side, Vocabulary } from "../../src/state.js";
import { computeType, isBlockQuantized, type Role, storageOf, storeOf } from "../../src/storage.js";
import type { FactorizeOptions } from "./options.js";
import type { FactorShape } from "./size.js";

/** How a projection is written: two Gemms on the shared U, or two MatMuls on transposed factors of its own. */
export type ProjectionForm = "gemm" | "matmul";

export interface PlannedFile {
	readonly file: ModelFile;
	readonly form: ProjectionForm;
	readonly roles: readonly Role[];
	readonly lookups: readonly Lookup[];
	readonly projections: readonly Projection[];
}

export interface PlannedGroup {
	readonly vocabulary: Vocabulary;
	readonly side: Side;
	readonly rank: number;
	/** Undefined: all rows and columns alike. */
	readonly coding: Coding | undefined;
	readonly compute: "float32" | "float16";
	readonly files: readonly PlannedFile[];
	/** Bytes of the factors once stored. */
	readonly bytes: number;
}

/** The groups of factors that a vocabulary gets; a rank that is undefined follows from the bytes. */
export function sidesOf(
	vocabulary: Vocabulary,
	{ size, inputRank, outputRank }: FactorizeOptions,
): { side: Side; rank: number | undefined }[] {
	const input = inputRank ?? size.rank;
	const output = outputRank ?? size.rank;
	if (vocabulary.lookups.length === 0) return [{ side: "output", rank: output }];
	if (vocabulary.projections.length === 0) return [{ side: "input", rank: input }];
	if (input === output) return [{ side: "both", rank: input }];
	return [
		{ side: "input", rank: input },
		{ side: "output", rank: output },
	];
}

/** In how many places a vocabulary is stored: model files, or data files that several of them share. */
export function placesOf(vocabulary: Vocabulary, options: FactorizeOptions): number {
	const side: Side = vocabulary.lookups.length === 0 ? "output" : vocabulary.projections.length === 0 ? "input" : "both";
	return layout(vocabulary, side, { ...options, dtype: undefined }).shape.files.length;
}

/** Shape and storage of the factors of one side. */
export function layout(vocabulary: Vocabulary, side: Side, options: FactorizeOptions) {
	const lookups = side === "output" ? [] : vocabulary.lookups;
	const projections = side === "input" ? [] : vocabulary.projections;
	const storage = storageOf(vocabulary.table.stored, options.dtype);
	const types = [...lookups, ...projections].map(({ dtype }): DType => dtype);
	const compute = types.every((dtype) => computeType(dtype) === "float16") ? "float16" : "float32";
	const blocks = isBlockQuantized(storage, options.ops);
	const files = [...new Set([...lookups, ...projections].map(({ file }) => file))].map((file): PlannedFile => {
		const own = { lookups: lookups.filter((site) => site.file === file), projections: projections.filter((site) => site.file === file) };
		const needsGemm = blocks || own.lookups.length > 0 || own.projections.some(({ gemm }) => gemm !== undefined);
		const form = needsGemm ? "gemm" : "matmul";
		return { file, form, roles: form === "gemm" ? ["left", "right"] : ["leftT", "rightT"], ...own };
	});
	const { rows, cols } = vocabulary.table;
	const shape: FactorShape = { rows, cols, storage, ops: options.ops, compute, files: rolesPerStore(vocabulary, files) };
	return { shape, compute, files } as const;
}

/** Roles in each place that stores factors: a model file, or a data file that several model files share. */
function rolesPerStore({ copies }: Vocabulary, files: readonly PlannedFile[]): (readonly Role[])[] {
	const stores = new Map<string, Set<Role>>();
	for (const { file, roles } of files) {
		const store = storeOf(file.name, copies.find((copy) => copy.file === file)?.tensors[0]?.placement);
		stores.set(store, new Set([...(stores.get(store) ?? []), ...roles]));
	}
	return [...stores.values()].map((roles) => [...roles]);
}
