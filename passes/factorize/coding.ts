// Decides how a vocabulary is coded: its basis, its blocks and their bits, for a number of bytes and a calibration.
import { type Allocation, allocate, type CodedBlock, uniformly } from "../../src/linalg/allocate.js";
import { type Basis, basesOf, type Importance, intervalLosses, roundingLosses } from "../../src/linalg/basis.js";
import { codedBytes, outlineOf, placesIn } from "../../src/linalg/coding.js";
import type { Spacing } from "../../src/linalg/levels.js";
import { PLAIN_BITS, plainBytes, roundPlain } from "../../src/linalg/plain.js";
import { PRECISIONS } from "../../src/linalg/precision.js";
import type { DenseProducts } from "../../src/linalg/products.js";
import { type RightForm, rightLosses } from "../../src/linalg/right-factor.js";
import type { Calibration, Coding, Side, Table, Vocabulary } from "../../src/state.js";
import { looksUpAlone } from "../../src/storage.js";
import { FACTORIZE_DEFAULTS } from "./options.js";

export interface CodingOptions {
	/** Most blocks; `auto`: as many as pay. */
	readonly blocks: number | "auto";
	/** Power of a row's weight, see {@link FACTORIZE_DEFAULTS}. */
	readonly frequencyPower?: number | undefined;
	/** How the values of a column lie. */
	readonly spacing: Spacing;
	readonly seed: number;
	readonly signal: AbortSignal | undefined;
	readonly onProgress?: ((fraction: number) => void) | undefined;
	/** Also predict what plain quantizers lose. */
	readonly plain?: boolean | undefined;
}

/** The whole table in whole numbers, a scale for each group of a row. */
export interface PlainTable {
	readonly bits: number;
	readonly bytes: number;
	/** As {@link Coding.predictedLoss}, by the rounding error itself. */
	readonly predictedLoss: number;
}

/** What the codings of a vocabulary, or of one side of it, have in common at different sizes. */
export interface CodingSearch {
	readonly vocabulary: Vocabulary;
	readonly side: Side;
	/** The best coding in at most `bytes` bytes, or undefined if none is that small. */
	within(bytes: number): PlannedCoding | undefined;
	/** Empty unless they were asked for. */
	readonly plain: readonly PlainTable[];
}

export interface PlannedCoding {
	readonly coding: Coding;
	/** Columns of U. */
	readonly rank: number;
	/** Stored bytes in one place. */
	readonly bytes: number;
}

/** More than so many blocks gain next to nothing (measured on three models) and cost a Gemm each. */
export const MOST_BLOCKS = 8;

/** Sets of precisions that are tried: more kinds fit better and need larger tables. */
const PRECISION_SETS = {
	fitted: [PRECISIONS.fitted, [1, 2, 3, 5, 8], [3, 5, 8], [1, 2, 4], [1, 2]],
	equal: [PRECISIONS.equal, [1, 2]],
} as const;

const RIGHT_FORMS: readonly RightForm[] = ["float16", "int8"];

/** A form of W, and what its rounding costs row by row, in nats. */
interface RightChoice {
	readonly form: RightForm;
	readonly losses: Float64Array;
}

/** Ranges of rows, the most important first, that blocks are made of: their ends grow by about a third. */
const RANGES = 24;
const FIRST_RANGE = 0.002;

/** Reads the table twice: for the basis, and for what each column costs in each range of rows. */
export async function searchCoding(
	vocabulary: Vocabulary,
	side: Side,
	calibration: Calibration | undefined,
	products: DenseProducts,
	options: CodingOptions,
): Promise<CodingSearch> {
	const { table } = vocabulary;
	const { signal, seed, spacing, onProgress, frequencyPower } = options;
	const importance = importanceOf(vocabulary, side, calibration, frequencyPower);
	const { shared: basis, own } = await basesOf(table, importance, products, { seed, signal, onProgress: (part) => onProgress?.(part / 2) });
	const sorted = positionsBy(importance.rowWeights);
	const orders = [sorted, undefined];
	const ends = rangeEnds(table.rows);
	const found = await intervalLosses(table, basis, importance, orders, ends, products, {
		signal,
		onProgress: (part) => onProgress?.(0.5 + part / 2),
	});
	const plain = options.plain === true ? await plainTables(table, basis, importance, products, signal) : [];
	const rights = await Promise.all(RIGHT_FORMS.map(async (form) => ({ form, losses: await rightLosses(basis, form, products) })));
	const most = options.blocks === "auto" ? MOST_BLOCKS : options.blocks;
	const lookups = looksUpAlone(vocabulary, side);
	const within = (budget: number): PlannedCoding | undefined => {
		const candidates: PlannedCoding[] = [];
		const add = (allocation: Allocation | undefined, right: RightChoice, rotation: Basis, ranked: Uint32Array | undefined) => {
			if (allocation === undefined) return;
			const { blocks, rank, bytes, loss } = allocation;
			const { rowWeights } = importance;
			const positions = ranked && placesIn(blocks, ranked);
			const costs = right.losses.subarray(0, rotation === own ? 0 : rank);
			const predictedLoss = costs.reduce((sum, cost) => sum + cost, loss);
			const calibrated = calibration?.source;
			const coding = { positions, blocks, spacing, basis: rotation, right: right.form, rowWeights, predictedLoss, calibrated };
			candidates.push({ coding, rank, bytes });
		};
		for (const right of rights) {
			for (const precisions of PRECISION_SETS[spacing]) {
				const optionsFor = (permuted: boolean) => {
					const bytesOf = (blocks: readonly CodedBlock[], rank: number) => {
						const stored = { permuted: permuted && blocks.length > 1, lookups, right: right.form };
						return codedBytes(outlineOf(blocks, rank, spacing), table.rows, table.cols, stored);
					};
					return { budget, precisions, spacing, blocks: most, bytesOf };
				};
				for (const [index, positions] of orders.entries()) {
					const permuted = positions !== undefined && most > 1;
					add(allocate(found[index] ?? [], optionsFor(permuted)), right, basis, permuted ? positions : undefined);
				}
				// The table as it is, rounded: never worse than a quantizer alone. Fitted again, W beside it is no longer a diagonal that bytes hold.
				if (right.form === "float16") add(uniformly(table.rows, own.losses, optionsFor(false)), right, own, undefined);
			}
		}
		return candidates.reduce<PlannedCoding | undefined>(
			(best, one) => (best === undefined || one.coding.predictedLoss < best.coding.predictedLoss ? one : best),
			undefined,
		);
	};
	return { vocabulary, side, within, plain };
}

async function plainTables(
	table: Table,
	basis: Basis,
	importance: Importance,
	products: DenseProducts,
	signal: AbortSignal | undefined,
): Promise<PlainTable[]> {
	const roundings = PLAIN_BITS.map((bits) => (rows: Float32Array) => roundPlain(rows, table.cols, bits));
	const losses = await roundingLosses(table, basis, importance, roundings, products, { signal });
	return PLAIN_BITS.map((bits, index) => ({ bits, bytes: plainBytes(table, bits), predictedLoss: losses[index] ?? 0 }));
}

function rangeEnds(rows: number): number[] {
	const growth = (1 / FIRST_RANGE) ** (1 / (RANGES - 1));
	const ends = Array.from({ length: RANGES }, (_, index) => Math.round(rows * FIRST_RANGE * growth ** index));
	ends[RANGES - 1] = rows;
	return [...new Set(ends.filter((end) => end > 0))];
}

/** The place of each row, the heaviest first; equal weights keep their order. */
function positionsBy(weights: Float32Array): Uint32Array {
	const ids = Array.from(weights.keys()).sort((a, b) => (weights[b] as number) - (weights[a] as number) || a - b);
	const positions = new Uint32Array(ids.length);
	for (const [place, id] of ids.entries()) positions[id] = place;
	return positions;
}

/**
 * Part of the weight that is spread over all rows alike: `times` the probability that the next token is an unseen one. Without any, what a
 * few ten thousand tokens don't show would be spoilt.
 */
const UNSEEN = { times: 1, least: 0.03, most: 0.5 } as const;

/**
 * One weight per row and one metric for the sides that are served; for both so that Σ wᵢ·Δᵢ·G·Δᵢᵀ is near Σ Δᵢ(qᵢM + DᵢC)Δᵢᵀ: G = M·Σq + C·ΣD, and a row's
 * weight is its share of q and of D, each counted by the trace of its side.
 * @param power of a row's weight, before an equal share is added
 */
export function importanceOf(
	{ table }: Vocabulary,
	side: Side,
	calibration: Calibration | undefined,
	power: number = FACTORIZE_DEFAULTS.frequencyPower,
): Importance {
	const { rows, cols } = table;
	const sides = [
		...(side === "output" ? [] : [{ weights: calibration?.frequency, moment: calibration?.gradientMoment }]),
		...(side === "input" ? [] : [{ weights: calibration?.spread, moment: calibration?.hiddenMoment }]),
	];
	const rowWeights = new Float32Array(rows);
	const metric = new Float64Array(cols * cols);
	const unseen = unseenShare(calibration);
	let measured = false;
	let known = 0;
	for (const { weights, moment } of sides) {
		const total = weights?.reduce((sum, weight) => sum + weight, 0) ?? 0;
		if (weights === undefined || !(total > 0)) continue;
		const tempered = weights.reduce((sum, weight) => sum + Math.max(0, weight) ** power, 0);
		const size = total * (moment === undefined ? cols : traceOf(moment, cols));
		for (let row = 0; row < rows; row++) {
			const share = (1 - unseen) * (Math.max(0, weights[row] ?? 0) ** power / tempered) + unseen / rows;
			rowWeights[row] = (rowWeights[row] as number) + size * share;
		}
		for (let at = 0; at < metric.length; at++) {
			const identity = at % (cols + 1) === 0 ? 1 : 0;
			metric[at] = (metric[at] as number) + total * (moment?.[at] ?? identity);
		}
		measured ||= moment !== undefined;
		known += size;
	}
	if (known === 0) return { rowWeights: rowWeights.fill(1 / rows), metric: undefined };
	for (let row = 0; row < rows; row++) rowWeights[row] = (rowWeights[row] as number) / known;
	return { rowWeights, metric: measured ? metric : undefined };
}

function traceOf(matrix: Float64Array, size: number): number {
	let trace = 0;
	for (let at = 0; at < matrix.length; at += size + 1) trace += matrix[at] as number;
	return trace;
}

/** By the part of all reads that were a token's only one: the probability of an unseen token (Good 1953). */
function unseenShare(calibration: Calibration | undefined): number {
	const { frequency, counted = 0 } = calibration ?? {};
	if (frequency === undefined || counted === 0) return UNSEEN.least;
	const reads = frequency.reduce((sum, weight) => sum + weight, 0);
	let once = 0;
	for (const weight of frequency) {
		const count = (weight * counted) / reads;
		if (count > 0.5 && count < 1.5) once += count;
	}
	return reads > 0 ? Math.min(UNSEEN.most, Math.max(UNSEEN.least, (UNSEEN.times * once) / counted)) : UNSEEN.least;
}
