// The vector loop of the tridiagonal reduction against the same sums in plain JavaScript.
import { describe, expect, it } from "vitest";
import { fourRows } from "../../src/linalg/simd.js";
import { normal } from "../../src/random.js";

describe("fourRows", () => {
	for (const [size, first] of [
		[4, 0],
		[9, 4],
		[23, 16],
	] as const) {
		it(`updates_and_multiplies_rows_${first}_to_${first + 3}_of_a_${size}x${size}_triangle`, () => {
			const { memory, kernel } = fourRows((size * size + 4 * size) * 8);
			const all = new Float64Array(memory, 0, size * size + 4 * size);
			const draw = normal(size);
			for (let index = 0; index < all.length; index++) all[index] = draw();
			const expected = Array.from(all);
			const [v, w, u, product] = [0, 1, 2, 3].map((index) => size * size + index * size) as [number, number, number, number];
			const get = (index: number) => expected[index] ?? Number.NaN;
			const add = (index: number, amount: number) => {
				expected[index] = get(index) + amount;
			};
			for (let k = first; k < first + 4; k++) {
				expected[product + k] = 0;
				for (let j = 0; j < first + 4; j++) {
					const at = k * size + j;
					add(at, -(get(v + k) * get(w + j) + get(w + k) * get(v + j)));
					add(product + k, get(at) * get(u + j));
					if (j < first) add(product + j, get(at) * get(u + k));
				}
			}
			kernel(first * size * 8, size * 8, first * 8, v * 8, w * 8, u * 8, product * 8);
			// Everything else in the memory is as it was.
			for (const [index, value] of all.entries()) expect(Math.abs(value - get(index))).toBeLessThan(1e-13);
		});
	}
});
