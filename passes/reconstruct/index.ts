// Fills the factors in closed form: what costs the model least, the best approximation of the table, or the paper's nonnegative left factor.
import { factorError } from "../../src/linalg/error.js";
import { gramMatrix } from "../../src/linalg/gram.js";
import { nonnegativeFactors } from "../../src/linalg/nonnegative.js";
import { ExpectedLoss, type Objective, objectiveOf, termsOf } from "../../src/linalg/objective.js";
import type { DenseProducts } from "../../src/linalg/products.js";
import { lowRank } from "../../src/linalg/svd.js";
import { leadingEigen } from "../../src/linalg/symmetric.js";
import type { Pass, PassContext } from "../../src/pass.js";
import { engineProducts } from "../../src/runtime/products.js";
import type { Calibration, Coding, FactorGroup, Factorized, Reconstructed, Reconstruction, Table } from "../../src/state.js";
import { binsOf } from "./bins.js";
import { codedFactors } from "./coded.js";
import { FilledFactors } from "./filled.js";

export interface ReconstructOptions {
	/**
	 * `distemb`: weighted and whitened by the calibration, math.md §3; `svd`: truncated singular value decomposition;
	 * `paper`: ReLU(U)·W fitted by gradient descent from the closed form.
	 */
	readonly method: Reconstruction["method"];
	/** Of every vocabulary that has one; `distemb` needs it, the other methods report by it. */
	readonly calibrations?: readonly Calibration[] | undefined;
}

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
	readonly bestRelativeError: number | undefined;
	readonly singularValues: readonly number[];
	left(start: number, end: number, table: Float32Array): Float32Array | Promise<Float32Array>;
}

async function reconstructGroup(
	group: FactorGroup,
	{ method, calibrations = [] }: ReconstructOptions,
	products: DenseProducts,
	{ seed, signal, log }: PassContext,
	progress: (fraction: number) => void,
): Promise<Reconstruction> {
	const { vocabulary, rank, side } = group;
	const { table } = vocabulary;
	const calibration = calibrations.find((each) => each.vocabulary === vocabulary);
	const terms = calibration === undefined ? [] : termsOf(calibration, side);
	const half = (fraction: number) => progress(fraction / 2);
	const settings = { seed, signal, onProgress: half, objective: objectiveOf(terms, table.cols) };
	const { coding } = group;
	const solution = await (coding === undefined ? SOLVERS[method](table, rank, products, settings) : coded(table, rank, coding, products));
	const { right } = solution;
	const filled = new FilledFactors(group, right);
	const isMeasured = calibration !== undefined && calibration.source !== "id order" && terms.length > 0;
	const expected = isMeasured ? await ExpectedLoss.of(table, terms, { rank, right }, products) : undefined;
	const left = async (start: number, end: number, block: Float32Array) => {
		const computed = await solution.left(start, end, block);
		filled.setLeft(start, end, computed);
		await expected?.add(start, end, block, computed);
		return computed;
	};
	const bins = binsOf(table.rows, calibration);
	const error = await factorError(table, { rank, left, right }, products, {
		bins: bins.ofRow,
		signal,
		onProgress: (fraction) => progress(0.5 + fraction / 2),
	});
	filled.store();
	progress(1);
	const predicted = expected === undefined ? "" : `, predicted loss ${expected.total.toPrecision(2)} nats`;
	log(`${vocabulary.name}: rank ${rank} of ${table.cols}, relative error ${error.relative.toPrecision(3)}${predicted} (${method})`);
	return {
		group,
		method,
		relativeError: error.relative,
		bestRelativeError: solution.bestRelativeError,
		predictedLoss: expected?.total,
		bins: bins.names.map((name, index) => ({
			name,
			rows: error.bins[index]?.rows ?? 0,
			relativeError: error.bins[index]?.relative ?? 0,
		})),
		singularValues: solution.singularValues,
	};
}

type Settings = { seed: number; signal: AbortSignal | undefined; onProgress: (fraction: number) => void; objective: Objective | undefined };

type Solver = (table: Table, rank: number, products: DenseProducts, settings: Settings) => Promise<Solution>;

const SOLVERS: Readonly<Record<Reconstruction["method"], Solver>> = { distemb, svd, paper };

/** The optimum of the calibrated objective; without one, that of the plain squared error. */
async function distemb(table: Table, rank: number, products: DenseProducts, { objective, ...settings }: Settings): Promise<Solution> {
	if (objective === undefined) return await svd(table, rank, products, { ...settings, objective });
	const solved = await lowRank(table, rank, products, { ...settings, ...objective });
	const gram = await gramMatrix(table, products, { signal: settings.signal });
	const { values } = await leadingEigen(gram, table.cols, 0, products);
	const singularValues = values.map((value) => Math.sqrt(Math.max(0, value)));
	const totalSquared = values.reduce((sum, value) => sum + Math.max(0, value), 0);
	return { right: solved.factor, ...spectrum(singularValues.subarray(0, rank), totalSquared), left: solved.project };
}

async function svd(table: Table, rank: number, products: DenseProducts, { objective: _, ...settings }: Settings): Promise<Solution> {
	const solved = await lowRank(table, rank, products, settings);
	return {
		right: solved.factor,
		...spectrum(solved.singularValues, solved.totalSquared),
		left: solved.project,
	};
}

async function paper(table: Table, rank: number, products: DenseProducts, { objective: _, ...settings }: Settings): Promise<Solution> {
	const best = await lowRank(table, rank, products, { ...settings, onProgress: undefined });
	const { left, right } = await nonnegativeFactors(table, rank, products, settings);
	return { right, ...spectrum(best.singularValues, best.totalSquared), left: (start, end) => left.subarray(start * rank, end * rank) };
}

/** Not the best matrix of its rank in the Frobenius norm: the rank differs between blocks, and errors are weighted. */
function coded(table: Table, rank: number, coding: Coding, products: DenseProducts): Solution {
	return { ...codedFactors(table, rank, coding, products), bestRelativeError: undefined, singularValues: [] };
}

function spectrum(singularValues: Float64Array, totalSquared: number) {
	const kept = singularValues.reduce((sum, value) => sum + value * value, 0);
	return {
		bestRelativeError: totalSquared > 0 ? Math.sqrt(Math.max(0, totalSquared - kept) / totalSquared) : 0,
		singularValues: [...singularValues.subarray(0, SHOWN_SINGULAR_VALUES)],
	};
}
