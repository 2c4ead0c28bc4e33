// Rows of U rounded to codes: what is encoded, what is read, and scales that are kept.
import { describe, expect, it } from "vitest";
import { precisionOf } from "../../src/linalg/precision.js";
import { largest, Rounding } from "../../src/linalg/rounding.js";
import { normal } from "../../src/random.js";
import type { Coding } from "../../src/state.js";

const [V, R, D] = [600, 9, 5];
const PRECISIONS = [
	[1, 1, 2, 3, 4, 5, 2, 3, 3],
	[2, 4, 0, 3, 0, 0, 5, 6, 8],
];
const BLOCKS = PRECISIONS.map((perByte) => ({ rows: V / 2, perByte: Uint8Array.from(perByte) }));
/** @param cost what is lost with each column, in nats */
const codingOf = (blocks: Coding["blocks"], cost: (column: number) => number = () => 1) =>
	({
		positions: Uint32Array.from({ length: V }, (_, id) => (id * 7) % V),
		blocks,
		spacing: "fitted",
		basis: { losses: Float64Array.from(blocks[0]?.perByte ?? [], (_, column) => cost(column)) },
		rowWeights: new Float32Array(V).fill(1 / V),
	}) as unknown as Coding;

function draw(count: number, seed: number): Float32Array {
	const random = normal(seed);
	return Float32Array.from({ length: count }, () => random());
}

const left = draw(V * R, 1);
left.fill(0, 3 * R, 4 * R);
const right = draw(R * D, 2).map((value) => 300 * value);
const rounding = new Rounding(codingOf(BLOCKS), R, V);
const factorsOf = (rows: Float32Array, w = right) => ({
	right: w,
	left: (start: number, end: number) => rows.subarray(start * R, end * R),
});
const encode = (rows: Float32Array) => rounding.encode(factorsOf(rows), undefined);

/** Rounded as a training reads it: by new scales, or by those that were found for other rows. */
function round(rows: Float32Array, foundFor = rows) {
	const by = rounding.weigh(right, largest(left));
	const stored = rounding.room();
	rounding.encodeRows({ values: foundFor, first: 0, last: V }, by, stored, true);
	if (foundFor !== rows) {
		stored.codes.fill(255);
		rounding.encodeRows({ values: rows, first: 0, last: V }, by, stored, false);
	}
	const rounded = new Float32Array(V * R);
	rounding.decodeRows(stored, 0, V, rounded);
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
		expect(scales[21]).toBe(0);
		expect(decoded(3, 4).every((value) => value === 0)).toBe(true);
		expect(decoded(4, 5).some((value) => value !== 0)).toBe(true);
	});

	it("gives_a_row_the_columns_of_its_block", () => {
		const decoded = encode(left).left(0, V);
		for (let id = 0; id < V; id++) {
			const precisions = PRECISIONS[(id * 7) % V < V / 2 ? 0 : 1] ?? [];
			for (let k = 0; k < R; k++) if (precisions[k] === 0 && decoded[id * R + k] !== 0) throw new Error(`row ${id} has column ${k}`);
		}
		expect(rounding.droppedOf(1)).toEqual([]);
		expect(rounding.droppedOf(50)).toEqual([
			[2, 3],
			[4, 6],
		]);
	});

	it("goes_on_with_kept_scales_nearly_as_well_as_with_new_ones", () => {
		const gauge = rounding.weigh(right, largest(left)).gauge;
		const moved = left.map((value, at) => value + 0.01 * (draw(1, at + 5)[0] ?? 0));
		const [anew, kept, foreign] = [
			round(moved),
			round(moved, left),
			round(
				moved,
				left.map((value) => 3 * value),
			),
		];
		const error = (rounded: Float32Array) =>
			squared(
				rounded.map((value) => value / gauge),
				moved,
			);
		expect(kept).not.toEqual(anew);
		expect(error(kept)).toBeLessThan(1.05 * error(anew));
		expect(error(foreign)).toBeGreaterThan(1.1 * error(anew));
	});

	it.each([2, 3, 4, 5, 6, 8])("loses_by_%i_columns_to_a_byte_what_is_predicted_or_less", (perByte) => {
		const coding = codingOf([{ rows: V, perByte: Uint8Array.from({ length: 120 }, () => perByte) }]);
		const rows = draw(V * 120, 3);
		const w = draw(120, 4).fill(1);
		const { left: decoded, gauge } = new Rounding(coding, 120, V).encode(
			{ right: w, left: (start, end) => rows.subarray(start * 120, end * 120) },
			undefined,
		);
		const error = squared(
			decoded(0, V).map((value) => value / gauge),
			rows,
		);
		expect(error / (V * 120) / precisionOf(perByte, "fitted").distortion).toBeGreaterThan(0.8);
		expect(error / (V * 120) / precisionOf(perByte, "fitted").distortion).toBeLessThan(1.03);
	});

	it("cuts_no_column_off_where_another_costs_nearly_all", () => {
		// The first column costs 10⁴ times as much, and its numbers are small.
		const columnOf = (at: number) => at % R;
		const rows = left.map((value, at) => (columnOf(at) === 0 ? 0.01 * value : value));
		const coding = codingOf([{ rows: V, perByte: new Uint8Array(R).fill(1) }], (column) => (column === 0 ? 1e4 : 1));
		const { left: decoded, gauge } = new Rounding(coding, R, V).encode(factorsOf(rows), undefined);
		const error = squared(
			decoded(0, V).map((value) => value / gauge),
			rows,
		);
		expect(error / squared(new Float32Array(V * R), rows)).toBeLessThan(0.001);
	});

	it("puts_errors_into_columns_that_cost_less", () => {
		const errorOf = (cost: (column: number) => number, column: number) => {
			const coding = codingOf([{ rows: V, perByte: new Uint8Array(R).fill(3) }], cost);
			const { left: decoded, gauge } = new Rounding(coding, R, V).encode(factorsOf(left), undefined);
			const rounded = decoded(0, V);
			return Array.from({ length: V }, (_, id) => ((rounded[id * R + column] ?? 0) / gauge - (left[id * R + column] ?? 0)) ** 2).reduce(
				(sum, error) => sum + error,
				0,
			);
		};
		const costly = (column: number) => (column % 3 === 0 ? 100 : 1);
		expect(errorOf(costly, 0)).toBeLessThan(0.7 * errorOf(() => 1, 0));
		expect(errorOf(costly, 1)).toBeGreaterThan(1.1 * errorOf(() => 1, 1));
	});
});
