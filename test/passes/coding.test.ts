// Which coding is chosen: never one that a plain quantizer beats in the same bytes.
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { importanceOf, searchCoding } from "../../passes/factorize/coding.js";
import { roundingLosses } from "../../src/linalg/basis.js";
import { numbersOf } from "../../src/linalg/coding.js";
import { PLAIN_BITS, plainBytes } from "../../src/linalg/plain.js";
import type { DenseProducts } from "../../src/linalg/products.js";
import { readRight, storeRight } from "../../src/linalg/right-factor.js";
import { Rounding } from "../../src/linalg/rounding.js";
import { normal } from "../../src/random.js";
import { engineProducts } from "../../src/runtime/products.js";
import type { Calibration, Vocabulary } from "../../src/state.js";
import { tableOf } from "./support.js";

const V = 2000;
const D = 32;

/** Of W in 16 bits, and of the small tables beside the codes. */
const RIGHT_BYTES = 2 * D * D + 1200;

let products: DenseProducts;
beforeAll(() => {
	products = engineProducts({ threads: 1 });
});
afterAll(async () => {
	await products.close();
});

const draw = normal(5);
const TABLES: Readonly<Record<string, (column: number) => number>> = {
	"of independent numbers": draw,
	"around a mean row": (column) => 3 * Math.cos(column) + draw(),
	"with large exceptions": () => draw() * Math.exp(draw()),
	"with a steep spectrum": (column) => draw() / (1 + column / 8),
};

/** @param along how much more an error costs along the mean row */
function calibratedTable(numbers: (column: number) => number, along: number): { vocabulary: Vocabulary; calibration: Calibration } {
	const values = Float32Array.from({ length: V * D }, (_, at) => numbers(at % D));
	const table = tableOf(values, V, D);
	const vocabulary: Vocabulary = {
		...{ name: "table", table, copies: [], lookups: [], projections: [], tied: true, bytes: 4 * V * D, alreadyRank: undefined },
	};
	const moment = new Float64Array(D * D);
	for (let j = 0; j < D; j++) for (let k = 0; k < D; k++) moment[j * D + k] = (j === k ? 1 : 0) + along * Math.cos(j) * Math.cos(k);
	const weights = Float64Array.from({ length: V }, (_, row) => 1 / (1 + row));
	const total = weights.reduce((sum, weight) => sum + weight, 0);
	const shares = weights.map((weight) => weight / total);
	const moments = { frequency: shares, spread: shares, gradientMoment: moment, hiddenMoment: moment };
	return { vocabulary, calibration: { vocabulary, ...moments, tokens: 1e5, counted: 1e5, source: "data" } };
}

const SETTINGS = { blocks: "auto", seed: 0, signal: undefined, spacing: "fitted", plain: true } as const;

describe("the coding that is chosen", () => {
	for (const [name, numbers] of Object.entries(TABLES))
		for (const along of [0, 2])
			it(`loses_less_than_a_plain_quantizer_in_its_bytes_of_a_table_${name}_${along === 0 ? "with equal costs" : "with costs along the mean"}`, async () => {
				const { vocabulary, calibration } = calibratedTable(numbers, along);
				const { plain, within } = await searchCoding(vocabulary, "both", calibration, products, SETTINGS);
				expect(plain.map(({ bits }) => bits)).toEqual([...PLAIN_BITS]);
				for (const { bits, bytes, predictedLoss } of plain) {
					const ours = within(bytes + RIGHT_BYTES);
					expect(ours?.bytes).toBeLessThanOrEqual(bytes + RIGHT_BYTES);
					// At 8 bits both are far below what a measurement shows: ours has a scale a row, the plain table one for 32 numbers.
					expect(ours?.coding.predictedLoss).toBeLessThan(bits === 8 ? 3.5 * predictedLoss : predictedLoss);
				}
			});

	it("is_the_table_itself_where_a_rotation_costs_more", async () => {
		const { vocabulary, calibration } = calibratedTable((column) => 3 * Math.cos(column) + draw(), 2);
		const { within } = await searchCoding(vocabulary, "both", calibration, products, SETTINGS);
		const [large, small] = [within(plainBytes(vocabulary.table, 8) + RIGHT_BYTES), within(plainBytes(vocabulary.table, 4))];
		const isDiagonal = (matrix: Float32Array | undefined) => matrix?.every((value, at) => value === 0 || at % (D + 1) === 0);
		expect(isDiagonal(large?.coding.basis.right)).toBe(true);
		expect(isDiagonal(small?.coding.basis.right)).toBe(false);
		expect(large?.coding.blocks.map(({ perByte }) => [...new Set(perByte)])).toEqual([[1]]);
	});

	it("lets_rare_rows_weigh_by_more_than_how_often_they_are_read", () => {
		const { vocabulary, calibration } = calibratedTable(draw, 0);
		const frequency = new Float64Array(V);
		// Rounding makes p(1 − p) of a token that is certain a little less than 0.
		frequency.set([0.999, 0.001, 0, -1e-9]);
		const { rowWeights } = importanceOf(vocabulary, "input", { ...calibration, frequency });
		const [often = 0, seldom = 0, never = 0, below = 0] = rowWeights;
		expect(often / seldom).toBeGreaterThan(10);
		expect(often / seldom).toBeLessThan(300);
		expect(seldom).toBeGreaterThan(never);
		expect(never).toBeGreaterThan(0);
		expect(below).toBe(never);
		expect(rowWeights.reduce((sum, weight) => sum + weight, 0)).toBeCloseTo(1, 5);
	});

	it("weighs_rows_by_the_power_that_is_asked_for", async () => {
		const { vocabulary, calibration } = calibratedTable(draw, 0);
		const budget = plainBytes(vocabulary.table, 4) / 2;
		const ratioAt = async (frequencyPower: number | undefined) => {
			const { within } = await searchCoding(vocabulary, "both", calibration, products, { ...SETTINGS, frequencyPower });
			const { coding } = within(budget) ?? {};
			if (coding === undefined) throw new Error("nothing fits");
			const blockOf = numbersOf(coding.blocks, coding.positions ?? Uint32Array.from({ length: V }, (_, id) => id));
			const bits = coding.blocks.map(({ perByte }) => perByte.reduce((sum, shared) => sum + (shared > 0 ? 8 / shared : 0), 0));
			const rare = blockOf.subarray(V / 2).reduce((sum, block) => sum + (bits[block] ?? 0), 0);
			const all = blockOf.reduce((sum, block) => sum + (bits[block] ?? 0), 0);
			return { rows: (coding.rowWeights[0] ?? 0) / (coding.rowWeights[99] ?? 1), rare: rare / all };
		};
		const [full, usual, equal] = [await ratioAt(1), await ratioAt(undefined), await ratioAt(0)];
		// The first row is read a hundred times as often as the hundredth.
		expect(full.rows).toBeGreaterThan(60);
		expect(usual).toEqual(await ratioAt(0.67));
		expect(usual.rows).toBeLessThan(22);
		expect(equal.rows).toBeCloseTo(1);
		// Where all weigh alike the rarer half of the rows has about half of all bits.
		expect(equal.rare).toBeGreaterThan(0.45);
		expect(Math.max(full.rare, usual.rare)).toBeLessThan(0.25);
	});

	// Prediction takes costs in a byte as equal: where they are not, errors go to what costs less.
	it.each([
		["equal costs", 0, 0.7],
		["costs along the mean", 2, 0],
	])("loses_by_rounding_what_is_predicted_of_it_or_less_with_%s", async (_, along, least) => {
		const { vocabulary, calibration } = calibratedTable(draw, along);
		const { table } = vocabulary;
		const { within } = await searchCoding(vocabulary, "both", calibration, products, SETTINGS);
		for (const bits of [8, 4]) {
			const planned = within(plainBytes(table, bits) + RIGHT_BYTES);
			if (planned === undefined) throw new Error("nothing fits");
			const { coding, rank } = planned;
			const left = new Float32Array(V * rank);
			const leading = Float32Array.from({ length: D * rank }, (_, at) => coding.basis.right[Math.floor(at / rank) * D + (at % rank)] ?? 0);
			await products.multiply(table.read(0, V), leading, { rows: V, inner: D, columns: rank }, left);
			const right = Float32Array.from(coding.basis.factor.subarray(0, rank * D));
			const rounded = new Rounding(coding, rank, V).encode({ left: (from, to) => left.subarray(from * rank, to * rank), right });
			const over = right.map((value) => value / rounded.gauge);
			const stored = readRight(storeRight(over, rank, coding.right));
			const read = await products.multiply(rounded.left(0, V), stored, { rows: V, inner: rank, columns: D }, new Float32Array(V * D));
			const importance = importanceOf(vocabulary, "both", calibration);
			const { within: again } = await searchCoding(vocabulary, "both", calibration, products, { ...SETTINGS, plain: false });
			const basis = again(plainBytes(table, 3))?.coding.basis;
			if (basis === undefined) throw new Error("nothing fits");
			const [measured = 0] = await roundingLosses(table, basis, importance, [(rows) => rows.set(read)], products);
			expect(measured / coding.predictedLoss).toBeGreaterThan(least);
			expect(measured / coding.predictedLoss).toBeLessThan(1.1);
		}
	});
});
