// Rows of U rounded to codes: what is encoded, what is read, and scales that are kept.
import { describe, expect, it } from "vitest";
import { fromFloat16 } from "../../src/ir/elements.js";
import { largest, Rounding, scalesOf, weighingOf } from "../../src/linalg/rounding.js";
import { normal } from "../../src/random.js";
import type { Coding } from "../../src/state.js";

const [V, R, D] = [600, 7, 5];
const LEVELS = [
	[256, 256, 16, 6, 4, 3, 16],
	[16, 4, 0, 6, 0, 0, 3],
];
const CODING = {
	positions: Uint32Array.from({ length: V }, (_, id) => (id * 7) % V),
	blocks: LEVELS.map((levels) => ({ rows: V / 2, levels: Uint16Array.from(levels) })),
	rowWeights: new Float32Array(V).fill(1 / V),
} as unknown as Coding;

function draw(count: number, seed: number): Float32Array {
	const random = normal(seed);
	return Float32Array.from({ length: count }, () => random());
}

const left = draw(V * R, 1);
left.fill(0, 3 * R, 4 * R);
const right = draw(R * D, 2).map((value) => 300 * value);
const rounding = new Rounding(CODING, R, V);
const encode = (rows: Float32Array) => rounding.encode({ right, left: (start, end) => rows.subarray(start * R, end * R) }, undefined);

/** Rounded in place, by new scales or by those that were chosen for other rows. */
function round(rows: Float32Array, chosenFor = rows) {
	const scales = scalesOf(V);
	const by = weighingOf(right, R, largest(left));
	rounding.scale(chosenFor, 0, V, by, scales);
	const rounded = rows.slice();
	rounding.round(rounded, 0, V, scales);
	return rounded.map((value) => value * by.gauge);
}

const squared = (a: Float32Array, b: Float32Array) => a.reduce((sum, value, at) => sum + (value - (b[at] ?? 0)) ** 2, 0);

describe("Rounding", () => {
	it("reads_in_training_what_it_writes_as_codes", () => {
		const { left: decoded, gauge, scales } = encode(left);
		expect(gauge).toBeGreaterThan(100);
		// A zero has no sign here.
		const unsigned = (rows: Float32Array) => rows.map((value) => value + 0);
		expect(unsigned(round(left))).toEqual(unsigned(decoded(0, V)));
		expect(fromFloat16(scales[21] ?? 0)).toBe(0);
		expect(decoded(3, 4).every((value) => value === 0)).toBe(true);
		expect(decoded(4, 5).some((value) => value !== 0)).toBe(true);
	});

	it("gives_a_row_the_columns_of_its_block", () => {
		const decoded = encode(left).left(0, V);
		for (let id = 0; id < V; id++) {
			const levels = LEVELS[(id * 7) % V < V / 2 ? 0 : 1] ?? [];
			for (let k = 0; k < R; k++) if (levels[k] === 0 && decoded[id * R + k] !== 0) throw new Error(`row ${id} has column ${k}`);
		}
		expect(rounding.droppedOf(1)).toEqual([]);
		expect(rounding.droppedOf(50)).toEqual([
			[2, 3],
			[4, 6],
		]);
	});

	it("goes_on_with_kept_scales_nearly_as_well_as_with_new_ones", () => {
		const gauge = weighingOf(right, R, largest(left)).gauge;
		const moved = left.map((value, at) => value + 0.01 * (draw(1, at + 5)[0] ?? 0));
		const [anew, kept, foreign] = [round(moved), round(moved, left), round(moved, draw(V * R, 9))];
		const error = (rounded: Float32Array) =>
			squared(
				rounded.map((value) => value / gauge),
				moved,
			);
		expect(kept).not.toEqual(anew);
		expect(error(kept)).toBeLessThan(1.05 * error(anew));
		expect(error(foreign)).toBeGreaterThan(1.2 * error(anew));
	});
});
