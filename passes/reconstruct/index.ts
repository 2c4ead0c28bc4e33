// Fills the factors in closed form: the best approximation of the table, or the paper's nonnegative left factor.
import { setTensor } from "../../src/ir/edit.js";
import { dataOf, Tensor, type TensorData } from "../../src/ir/tensor.js";
import { binOfRanges, factorError } from "../../src/linalg/error.js";
import { nonnegativeFactors } from "../../src/linalg/nonnegative.js";
import type { DenseProducts } from "../../src/linalg/products.js";
import { lowRank } from "../../src/linalg/svd.js";
import type { Pass, PassContext } from "../../src/pass.js";
import { engineProducts } from "../../src/runtime/products.js";
import type { FactorGroup, Factorized, FactorValue, Reconstructed, Reconstruction, Table } from "../../src/state.js";

export interface ReconstructOptions {
	/** `svd`: truncated singular value decomposition; `paper`: ReLU(U)·W fitted by gradient descent from the closed form. */
	readonly method: Reconstruction["method"];
}

/** Ends of the reported ranges of token ids, as parts of the vocabulary: byte-pair ids are close to frequency order. */
const BIN_ENDS = [0.01, 0.1, 1] as const;

/** Singular values that the report shows at most. */
const SHOWN_SINGULAR_VALUES = 1024;

/** Gives every factor its values, as float32; `quantize` stores them as asked. */
export function reconstruct(options: ReconstructOptions): Pass<Factorized, Reconstructed> {
	return {
		name: "reconstruct",
		run: async (state, context) => {
			const products = engineProducts({ threads: context.threads });
			try {
				const reconstructions: Reconstruction[] = [];
				for (const [index, group] of state.groups.entries()) {
					const progress = (fraction: number) => context.progress((index + fraction) / state.groups.length, group.vocabulary.name);
					reconstructions.push(await reconstructGroup(group, options, products, context, progress));
				}
				return { ...state, reconstructions };
			} finally {
				await products.close();
			}
		},
		ensures: ({ groups }) => {
			for (const { values } of groups)
				for (const { value } of values) if (value.tensor?.data === undefined) throw new Error(`"${value.name}" is empty`);
		},
	};
}

interface Solution {
	readonly right: Float32Array;
	readonly bestRelativeError: number;
	readonly singularValues: readonly number[];
	left(start: number, end: number, table: Float32Array): Float32Array | Promise<Float32Array>;
}

async function reconstructGroup(
	group: FactorGroup,
	{ method }: ReconstructOptions,
	products: DenseProducts,
	{ seed, signal, log }: PassContext,
	progress: (fraction: number) => void,
): Promise<Reconstruction> {
	const { table } = group.vocabulary;
	const settings = { seed, signal };
	const half = (fraction: number) => progress(fraction / 2);
	const solution = await (method === "paper" ? paper : svd)(table, group.rank, products, { ...settings, onProgress: half });
	const { rows } = table;
	const ends = BIN_ENDS.map((part) => Math.ceil(part * rows));
	const filled = new FilledFactors(group, solution.right);
	const left = async (start: number, end: number, block: Float32Array) => {
		const computed = await solution.left(start, end, block);
		filled.setLeft(start, end, computed);
		return computed;
	};
	const error = await factorError(table, { rank: group.rank, left, right: solution.right }, products, {
		bins: binOfRanges(rows, ends),
		signal,
		onProgress: (fraction) => progress(0.5 + fraction / 2),
	});
	filled.store();
	progress(1);
	log(`${group.vocabulary.name}: rank ${group.rank} of ${table.cols}, relative error ${error.relative.toPrecision(3)} (${method})`);
	return {
		group,
		method,
		relativeError: error.relative,
		bestRelativeError: solution.bestRelativeError,
		bins: error.bins.map((bin, index) => ({
			name: `ids ${ends[index - 1] ?? 0} to ${(ends[index] ?? rows) - 1}`,
			rows: bin.rows,
			relativeError: bin.relative,
		})),
		singularValues: solution.singularValues,
	};
}

type Settings = { seed: number; signal: AbortSignal | undefined; onProgress: (fraction: number) => void };

async function svd(table: Table, rank: number, products: DenseProducts, settings: Settings): Promise<Solution> {
	const solved = await lowRank(table, rank, products, settings);
	return {
		right: solved.factor,
		...spectrum(solved.singularValues, solved.totalSquared),
		left: solved.project,
	};
}

async function paper(table: Table, rank: number, products: DenseProducts, settings: Settings): Promise<Solution> {
	const best = await lowRank(table, rank, products, { ...settings, onProgress: undefined });
	const { left, right } = await nonnegativeFactors(table, rank, products, settings);
	return { right, ...spectrum(best.singularValues, best.totalSquared), left: (start, end) => left.subarray(start * rank, end * rank) };
}

function spectrum(singularValues: Float64Array, totalSquared: number) {
	const kept = singularValues.reduce((sum, value) => sum + value * value, 0);
	return {
		bestRelativeError: totalSquared > 0 ? Math.sqrt(Math.max(0, totalSquared - kept) / totalSquared) : 0,
		singularValues: [...singularValues.subarray(0, SHOWN_SINGULAR_VALUES)],
	};
}

type Role = FactorValue["role"];

/** The arrays behind a group's initializers, each role stored once however many files share it. */
class FilledFactors {
	readonly #group: FactorGroup;
	readonly #arrays = new Map<Role, Float32Array>();

	constructor(group: FactorGroup, right: Float32Array) {
		this.#group = group;
		const { rows, cols } = group.vocabulary.table;
		for (const { role } of group.values) {
			if (this.#arrays.has(role)) continue;
			this.#arrays.set(role, role.startsWith("left") ? new Float32Array(rows * group.rank) : rightOf(role, right, group.rank, cols));
		}
	}

	/** Copies rows [start, end) of U to where they belong. */
	setLeft(start: number, end: number, block: Float32Array): void {
		const { rank, vocabulary } = this.#group;
		const { rows } = vocabulary.table;
		this.#arrays.get("left")?.set(block.subarray(0, (end - start) * rank), start * rank);
		const leftT = this.#arrays.get("leftT");
		if (leftT === undefined) return;
		for (let row = start; row < end; row++)
			for (let k = 0; k < rank; k++) leftT[k * rows + row] = block[(row - start) * rank + k] as number;
	}

	/** Puts the arrays under their initializers. */
	store(): void {
		const data = new Map<Role, TensorData>();
		for (const [role, array] of this.#arrays) data.set(role, dataOf(new Uint8Array(array.buffer, array.byteOffset, array.byteLength)));
		for (const { value, role } of this.#group.values) {
			const placeholder = value.tensor;
			if (placeholder !== undefined) setTensor(value, new Tensor("float32", placeholder.dims, data.get(role), placeholder.placement));
		}
	}
}

function rightOf(role: Role, right: Float32Array, rank: number, cols: number): Float32Array {
	if (role === "right") return right;
	const transposed = new Float32Array(right.length);
	for (let k = 0; k < rank; k++)
		for (let column = 0; column < cols; column++) transposed[column * rank + k] = right[k * cols + column] ?? 0;
	return transposed;
}
