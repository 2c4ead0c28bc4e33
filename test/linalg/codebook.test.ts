// Vector quantizers for normally distributed numbers, and the search for the nearest of their vectors.
import { describe, expect, it } from "vitest";
import { codebookOf } from "../../src/linalg/codebook.js";
import { quantizerOf } from "../../src/linalg/levels.js";
import { NearestSearch, PAIRS } from "../../src/linalg/nearest.js";
import { isScalar, PRECISIONS, precisionOf } from "../../src/linalg/precision.js";
import { normal } from "../../src/random.js";

const VECTORS = PRECISIONS.fitted.filter((perByte) => !isScalar(perByte, "fitted"));

/** Values of the most even scalar quantizer of which so many fit a byte. */
const SCALARS = new Map([
	[2, 16],
	[3, 6],
	[4, 4],
	[5, 3],
	[8, 2],
]);

describe("codebookOf", () => {
	it.each(VECTORS)("of_%i_numbers_loses_less_than_numbers_by_themselves_and_more_than_Shannons_bound", (width) => {
		const { distortion } = codebookOf(width);
		expect(distortion).toBeGreaterThan(2 ** (-16 / width));
		const count = SCALARS.get(width);
		if (count !== undefined) expect(distortion).toBeLessThan(0.92 * quantizerOf(count).distortion);
	});

	it.each(VECTORS)("of_%i_numbers_measures_what_it_predicts", (width) => {
		const { values, distortion } = codebookOf(width);
		const draw = normal(77);
		let error = 0;
		const count = 16_000;
		for (let index = 0; index < count; index++) {
			const query = Array.from({ length: width }, draw);
			error += nearest(
				values,
				query,
				query.map(() => 1),
			).error;
		}
		expect(error / (count * width) / distortion).toBeGreaterThan(0.96);
		expect(error / (count * width) / distortion).toBeLessThan(1.04);
	});

	it.each(VECTORS)("of_%i_numbers_holds_each_vector_and_its_negative", (width) => {
		const { values } = precisionOf(width, "fitted");
		for (let pair = 0; pair < PAIRS; pair++)
			for (let digit = 0; digit < width; digit++)
				expect(values[2 * pair * width + digit]).toBe(-(values[(2 * pair + 1) * width + digit] ?? Number.NaN));
	});
});

describe("NearestSearch", () => {
	it.each(VECTORS)("finds_the_nearest_of_%i_numbers_by_their_weights", (width) => {
		const { values } = codebookOf(width);
		const search = new NearestSearch(width);
		search.setVectors(
			Float64Array.from({ length: PAIRS * width }, (_, at) => values[2 * Math.floor(at / width) * width + (at % width)] ?? 0),
		);
		const draw = normal(5);
		const weights = Array.from({ length: width }, (_, digit) => (digit === 1 ? 0 : 1 / (1 + digit)));
		search.setWeights(weights);
		const count = 300;
		const queries = Array.from({ length: count }, () => Array.from({ length: width }, draw));
		for (const [row, query] of queries.entries())
			search.queries.set(
				query.map((number, digit) => number * (weights[digit] ?? 0)),
				row * width,
			);
		const codes = new Uint8Array(count);
		search.find(count, codes);
		for (const [row, query] of queries.entries()) {
			const found = errorOf(values, query, weights, codes[row] ?? 0);
			expect(found).toBeLessThanOrEqual(nearest(values, query, weights).error + 1e-5);
		}
	});
});

function errorOf(values: Float64Array, query: readonly number[], weights: readonly number[], code: number): number {
	return query.reduce((sum, number, digit) => sum + (weights[digit] ?? 0) * (number - (values[code * query.length + digit] ?? 0)) ** 2, 0);
}

function nearest(values: Float64Array, query: readonly number[], weights: readonly number[]) {
	let best = { code: 0, error: Number.POSITIVE_INFINITY };
	for (let code = 0; code < 256; code++) {
		const error = errorOf(values, query, weights, code);
		if (error < best.error) best = { code, error };
	}
	return best;
}
