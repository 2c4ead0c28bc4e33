// Two choices, measured: a coding of its own for each side of a tied table, which is seldom made, and rounding in the metric of each row, which the tool does not offer.
// usage: node dist/test/bench/choices.js MODEL --train FILE --test FILE [--ratios 8,16,32] [--measured 5120] [--pairs 100] [--tokens N] [--sides] [--rounding]
import { parseArgs } from "node:util";
import { searchCoding } from "../../passes/factorize/coding.js";
import { divide } from "../../passes/factorize/sides.js";
import { compare } from "../../src/compare.js";
import { setTensor } from "../../src/ir/edit.js";
import { fromHalves } from "../../src/ir/halves.js";
import { float32Tensor } from "../../src/ir/tensor.js";
import { quantizerOf } from "../../src/linalg/levels.js";
import { valueCount } from "../../src/linalg/precision.js";
import type { DenseProducts } from "../../src/linalg/products.js";
import { leastSquares } from "../../src/linalg/refit.js";
import { Rounding } from "../../src/linalg/rounding.js";
import { engineProducts } from "../../src/runtime/products.js";
import type { Calibration, Coding, Vocabulary } from "../../src/state.js";
import { predictedLoss } from "./rivals.js";
import { calibrationsFor, calibrationsOf, print, THREADS, withStudent } from "./students.js";

const { values: options, positionals } = parseArgs({
	allowPositionals: true,
	options: {
		train: { type: "string" },
		test: { type: "string" },
		ratios: { type: "string", default: "8,16,32" },
		measured: { type: "string", default: "5120" },
		pairs: { type: "string", default: "100" },
		tokens: { type: "string" },
		sides: { type: "boolean", default: false },
		rounding: { type: "boolean", default: false },
	},
});

const [model = ""] = positionals;
const { train = "", test = "" } = options;
if (model === "" || train === "" || test === "") throw new Error("usage: choices.js MODEL --train FILE --test FILE");

const SETTINGS = { blocks: "auto", spacing: "fitted", seed: 0, signal: undefined } as const;

/** Each number is rounded by itself, so that it can move alone. */
const SPACED = { ...SETTINGS, spacing: "equal" } as const;

const ratios = options.ratios.split(",").map(Number);
const calibrations = await calibrationsOf(model, train, options.tokens === undefined ? undefined : Number(options.tokens));
if (options.sides) await sides();
if (options.rounding) await roundings();

/** Predicted losses: one coding for both sides, or the bytes divided between two. */
async function sides(): Promise<void> {
	const lines = await withStudent(
		model,
		async (located) => {
			const products = engineProducts({ threads: THREADS });
			const found: string[] = [];
			for (const calibration of calibrationsFor(located, calibrations)) {
				const { vocabulary } = calibration;
				const [both, input, output] = [
					await searchCoding(vocabulary, "both", calibration, products, SETTINGS),
					await searchCoding(vocabulary, "input", calibration, products, SETTINGS),
					await searchCoding(vocabulary, "output", calibration, products, SETTINGS),
				];
				for (const ratio of ratios) {
					const bytes = vocabulary.bytes / ratio;
					const tied = both.within(bytes)?.coding.predictedLoss ?? Number.POSITIVE_INFINITY;
					const { split } = divide(bytes, { search: input, places: 1 }, { search: output, places: 1 }, Number.POSITIVE_INFINITY);
					if (split === undefined) continue;
					const part = Math.round((100 * split.input.bytes) / bytes);
					found.push(`| ${vocabulary.name} | ${ratio}× | ${tied.toPrecision(2)} | ${split.loss.toPrecision(2)} | ${part} % |`);
				}
			}
			await products.close();
			return found;
		},
		async (_, made) => made,
	);
	print("| table | bytes | one coding for both sides, predicted | a coding for each side, predicted | of these bytes for the lookups |");
	print("|---|---|---|---|---|");
	for (const line of lines) print(line);
	print("");
}

/** Codes rounded to the nearest, and codes that make good each other's errors in the metric of their row. */
async function roundings(): Promise<void> {
	print("| bytes | rounding | predicted in the shared metric | KL | above the original |");
	print("|---|---|---|---|---|");
	for (const ratio of ratios)
		for (const sweeps of [0, 2])
			await withStudent(
				model,
				async (located) => {
					const products = engineProducts({ threads: THREADS });
					let predicted = 0;
					for (const calibration of calibrationsFor(located, calibrations)) {
						const { vocabulary } = calibration;
						const values = await approximation(vocabulary, calibration, vocabulary.bytes / ratio, sweeps, products);
						predicted += await predictedLoss(vocabulary, calibration, values, products);
						const { rows, cols } = vocabulary.table;
						for (const { value } of vocabulary.copies) setTensor(value, float32Tensor(values, [rows, cols]));
					}
					await products.close();
					return predicted;
				},
				async (student, predicted) => {
					const measuring = {
						data: [test],
						tokens: Number(options.measured),
						pairs: Number(options.pairs),
						footprint: false,
						threads: THREADS,
					};
					const { tokens, translation } = await compare(model, student, measuring);
					const { divergence = 0, studentNats = 0, teacherNats = 0 } = tokens?.all ?? {};
					const bleu = translation === undefined ? "" : ` (BLEU ${translation.student.bleu.toFixed(1)})`;
					const name = sweeps === 0 ? "to the nearest" : `${sweeps} sweeps of error feedback`;
					print(
						`| ${ratio}× | ${name} | ${predicted.toPrecision(3)} | ${divergence.toFixed(4)} | ${(studentNats - teacherNats).toFixed(4)}${bleu} |`,
					);
				},
			);
}

async function approximation(vocabulary: Vocabulary, calibration: Calibration, bytes: number, sweeps: number, products: DenseProducts) {
	const { table } = vocabulary;
	const { rows, cols: d } = table;
	const { within } = await searchCoding(vocabulary, "both", calibration, products, SPACED);
	const planned = within(bytes);
	if (planned === undefined) throw new Error(`nothing fits in ${bytes} bytes`);
	const { coding, rank } = planned;
	const all = await products.multiply(table.read(0, rows), coding.basis.right, { rows, inner: d, columns: d }, new Float32Array(rows * d));
	const left = new Float32Array(rows * rank);
	for (let row = 0; row < rows; row++) left.set(all.subarray(row * d, row * d + rank), row * rank);
	const right = Float32Array.from(coding.basis.factor.subarray(0, rank * d));
	const rounding = new Rounding(coding, rank, rows);
	const encoded = rounding.encode({ left: (from, to) => left.subarray(from * rank, to * rank), right });
	const codes = encoded.left(0, rows).slice();
	const grid = fromHalves(encoded.grid, "float16");
	if (sweeps > 0)
		await feedBack(
			{ coding, rank, gauge: encoded.gauge, scales: Float32Array.from(encoded.scales, (code) => grid[code] ?? 0), codes, all },
			calibration,
			vocabulary,
			sweeps,
			products,
		);
	const fitted = await leastSquares(
		table,
		{ rank, left: (from, to) => codes.subarray(from * rank, to * rank), rowWeights: coding.rowWeights },
		products,
		undefined,
	);
	return await products.multiply(codes, fitted, { rows, inner: rank, columns: d }, new Float32Array(rows * d));
}

interface Coded {
	readonly coding: Coding;
	readonly rank: number;
	readonly gauge: number;
	readonly scales: Float32Array;
	/** Rows of U as they are read, over W times the gauge; changed in place. */
	readonly codes: Float32Array;
	/** All d columns of every row, unrounded, over the factor as it is. */
	readonly all: Float32Array;
}

/** Coordinate descent on ρ K ρᵀ of each row, ρ its error in the basis, K = F (q M + D C) Fᵀ. */
async function feedBack(
	{ coding, rank, gauge, scales, codes, all }: Coded,
	calibration: Calibration,
	vocabulary: Vocabulary,
	sweeps: number,
	products: DenseProducts,
) {
	const { rows, cols: d } = vocabulary.table;
	const [input, output] = [
		await metricIn(coding, calibration.gradientMoment, d, products),
		await metricIn(coding, calibration.hiddenMoment, d, products),
	];
	const [q, p] = [smoothed(calibration.frequency, rows), smoothed(calibration.spread, rows)];
	const ends = coding.blocks.map((_, index) => coding.blocks.slice(0, index + 1).reduce((sum, block) => sum + block.rows, 0));
	const metric = new Float64Array(d * d);
	const [error, slope] = [new Float64Array(d), new Float64Array(d)];
	for (let row = 0; row < rows; row++) {
		const place = coding.positions?.[row] ?? row;
		const { perByte = new Uint8Array(0) } = coding.blocks[ends.findIndex((end) => place < end)] ?? {};
		const [a, b] = [q[row] ?? 0, p[row] ?? 0];
		for (let at = 0; at < metric.length; at++) metric[at] = a * (input[at] ?? 0) + b * (output[at] ?? 0);
		const read = 1 / gauge;
		for (let k = 0; k < d; k++) error[k] = (all[row * d + k] ?? 0) - (k < rank ? (codes[row * rank + k] ?? 0) * read : 0);
		for (let k = 0; k < d; k++) {
			let sum = 0;
			for (let j = 0; j < d; j++) sum += (metric[k * d + j] as number) * (error[j] as number);
			slope[k] = sum;
		}
		const scale = scales[place] ?? 0;
		for (let sweep = 0; sweep < sweeps && scale > 0; sweep++)
			for (let k = 0; k < rank; k++) {
				const shared = perByte[k] ?? 0;
				const curve = metric[k * d + k] as number;
				if (shared === 0 || !(curve > 0)) continue;
				const { values, encode } = quantizerOf(valueCount(shared), "equal");
				const held = codes[row * rank + k] as number;
				const wanted = held * read + (slope[k] as number) / curve;
				const next = (values[encode((wanted * gauge) / scale)] ?? 0) * scale;
				const change = (next - held) * read;
				if (change === 0) continue;
				codes[row * rank + k] = next;
				for (let j = 0; j < d; j++) slope[j] = (slope[j] as number) - change * (metric[j * d + k] as number);
			}
	}
}

/** F·moment·Fᵀ. */
async function metricIn({ basis }: Coding, moment: Float64Array | undefined, d: number, products: DenseProducts): Promise<Float64Array> {
	const square = { rows: d, inner: d, columns: d };
	const half = moment === undefined ? basis.factor : await products.multiply(basis.factor, moment, square, new Float64Array(d * d));
	return await products.multiply(half, basis.factor, { ...square, transposeB: true }, new Float64Array(d * d));
}

/** A fifth of all weight is spread over all rows: those that were not seen are read too. */
function smoothed(weights: Float64Array | undefined, rows: number): Float64Array {
	const total = weights?.reduce((sum, weight) => sum + weight, 0) ?? 0;
	return Float64Array.from({ length: rows }, (_, row) => 0.8 * (weights?.[row] ?? 0) + (0.2 * total) / rows);
}
