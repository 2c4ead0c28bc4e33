// The vector loops of the tridiagonal reduction against the same sums in plain JavaScript.
import { describe, expect, it } from "vitest";
import { kernelsOn } from "../../src/linalg/simd.js";
import { normal } from "../../src/random.js";

describe("fourRows", () => {
	for (const [size, first] of [
		[4, 0],
		[9, 4],
		[23, 16],
	] as const) {
		it(`updates_and_multiplies_rows_${first}_to_${first + 3}_of_a_${size}x${size}_triangle`, () => {
			const { memory, kernels } = kernelsOn((size * size + 4 * size) * 8);
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
			kernels.fourRows(first * size * 8, size * 8, first * 8, v * 8, w * 8, u * 8, product * 8);
			// Everything else in the memory is as it was.
			for (const [index, value] of all.entries()) expect(Math.abs(value - get(index))).toBeLessThan(1e-13);
		});
	}
});

describe("dot and combine", () => {
	const [x, y, out] = [0, 8, 16] as const;
	const { memory, kernels } = kernelsOn(24 * 8);
	const all = new Float64Array(memory, 0, 24);
	const draw = normal(3);

	it.each([2, 6])("work_on_%s_numbers_and_leave_the_others", (length) => {
		for (let index = 0; index < all.length; index++) all[index] = draw();
		const before = Array.from(all);
		const get = (index: number) => before[index] ?? Number.NaN;
		const sum = before.slice(x, x + length).reduce((total, value, index) => total + value * get(y + index), 0);
		expect(kernels.dot(x * 8, y * 8, length * 8)).toBeCloseTo(sum, 13);
		kernels.combine(out * 8, 0.5, x * 8, -2, y * 8, 3, length * 8);
		for (const [index, value] of all.entries()) {
			const at = index - out;
			const isChanged = at >= 0 && at < length;
			expect(value).toBeCloseTo(isChanged ? 0.5 * get(index) - 2 * get(x + at) + 3 * get(y + at) : get(index), 13);
		}
	});
});
