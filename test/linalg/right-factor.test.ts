// W in halves and in bytes: what is read, what it takes, and what its rounding is said to cost.
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Basis } from "../../src/linalg/basis.js";
import type { DenseProducts } from "../../src/linalg/products.js";
import { readRight, rightBytes, rightLosses, storeRight } from "../../src/linalg/right-factor.js";
import { normal } from "../../src/random.js";
import { engineProducts } from "../../src/runtime/products.js";

const [R, D] = [6, 40];

let products: DenseProducts;
beforeAll(() => {
	products = engineProducts({ threads: 1 });
});
afterAll(async () => {
	await products.close();
});

function draw(count: number, seed: number): Float32Array {
	const random = normal(seed);
	return Float32Array.from({ length: count }, () => random());
}

/** Rows of very different sizes. */
const right = draw(R * D, 1).map((value, at) => value * 10 ** -(Math.floor(at / D) / 2));

describe("the right factor", () => {
	it.each([
		["float16", 2 ** -11],
		["int8", 0.5 / 127],
	] as const)("in_%s_is_off_by_at_most_its_step", (form, most) => {
		const stored = storeRight(right, R, form);
		const read = readRight(stored);
		for (let k = 0; k < R; k++) {
			const row = right.subarray(k * D, (k + 1) * D);
			const largest = row.reduce((sum, value) => Math.max(sum, Math.abs(value)), 0);
			const off = row.reduce((sum, value, j) => Math.max(sum, Math.abs(value - (read[k * D + j] ?? 0))), 0);
			expect(off / largest).toBeLessThanOrEqual(most * 1.001);
			expect(off).toBeGreaterThan(0);
		}
		expect(stored.values.byteLength + (stored.steps?.byteLength ?? 0)).toBe(rightBytes(R, D, form));
	});

	it("in_int8_keeps_rows_of_zeros", () => {
		const read = readRight(storeRight(new Float32Array(R * D), R, "int8"));
		expect(read.every((value) => value === 0)).toBe(true);
	});

	it("costs_what_its_errors_cost_beside_columns_of_mean_square_1", async () => {
		// W = S·Q with an orthogonal Q and R = Qᵀ·S⁻¹: an error δ of row k costs Σ lossesⱼ·(δR)ⱼ².
		const [cos, sin] = [Math.cos(0.7), Math.sin(0.7)];
		const basis: Basis = {
			factor: Float64Array.of(5 * cos, 5 * sin, -0.2 * sin, 0.2 * cos),
			right: Float32Array.of(cos / 5, -sin / 0.2, sin / 5, cos / 0.2),
			losses: Float64Array.of(25 / 2, 0.04 / 2),
		};
		const losses = await rightLosses(basis, "int8", products);
		const plain = Float32Array.from(basis.factor);
		const read = readRight(storeRight(plain, 2, "int8"));
		// In the metric I: half the squared error of each row.
		for (const k of [0, 1]) {
			const squared = [0, 1].reduce((sum, j) => sum + ((plain[2 * k + j] ?? 0) - (read[2 * k + j] ?? 0)) ** 2, 0);
			expect(squared).toBeGreaterThan(0);
			expect((losses[k] ?? 0) / (squared / 2)).toBeCloseTo(1, 3);
		}
	});
});
