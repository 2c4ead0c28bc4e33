// Bits for columns of blocks under a number of bytes, and where their codes stand.
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type AllocateOptions, allocate, type CodedBlock, type Interval } from "../../src/linalg/allocate.js";
import { codedBytes, layoutOf, outlineOf } from "../../src/linalg/coding.js";
import { PRECISIONS, precisionOf } from "../../src/linalg/precision.js";

const COLS = 32;
const PLACES = { permuted: true, lookups: true, right: "float16" } as const;

/** Losses that fall from column to column and from range to range, as those of tables do. */
const intervals = fc
	.array(fc.record({ rows: fc.integer({ min: 1, max: 400 }), size: fc.double({ min: 1e-3, max: 10, noNaN: true }) }), {
		minLength: 1,
		maxLength: 6,
	})
	.map((parts): Interval[] =>
		parts.map(({ rows, size }, index) => ({
			rows,
			losses: Float64Array.from({ length: COLS }, (_, column) => (size * 0.8 ** column) / (index + 1)),
		})),
	);

function optionsFor(held: readonly Interval[], budget: number, blocks = 4): AllocateOptions {
	const rows = held.reduce((sum, interval) => sum + interval.rows, 0);
	return {
		budget,
		blocks,
		precisions: PRECISIONS.fitted,
		spacing: "fitted" as const,
		bytesOf: (coded: readonly CodedBlock[], rank: number) => codedBytes(layoutOf(coded, rank, "fitted"), rows, COLS, PLACES),
	};
}

/** All columns of all rows `perByte` to a byte. */
function uniform(held: readonly Interval[], perByte: number): { bytes: number; loss: number } {
	const blocks = [{ rows: held.reduce((sum, { rows }) => sum + rows, 0), perByte: new Uint8Array(COLS).fill(perByte) }];
	const total = held.flatMap(({ losses }) => [...losses]).reduce((sum, loss) => sum + loss, 0);
	return {
		bytes: codedBytes(layoutOf(blocks, COLS, "fitted"), blocks[0]?.rows ?? 0, COLS, PLACES),
		loss: total * precisionOf(perByte, "fitted").distortion,
	};
}

describe("allocate", () => {
	it("never_exceeds_the_budget_and_counts_its_bytes", () => {
		fc.assert(
			fc.property(intervals, fc.integer({ min: 0, max: 60_000 }), fc.integer({ min: 1, max: 8 }), (held, budget, blocks) => {
				const options = optionsFor(held, budget, blocks);
				const found = allocate(held, options);
				if (found === undefined) return;
				expect(found.bytes).toBeLessThanOrEqual(budget);
				expect(found.bytes).toBe(options.bytesOf(found.blocks, found.rank));
				expect(found.blocks.length).toBeLessThanOrEqual(blocks);
				expect(found.blocks.reduce((sum, { rows }) => sum + rows, 0)).toBe(held.reduce((sum, { rows }) => sum + rows, 0));
			}),
			{ seed: 1 },
		);
	});

	it("does_not_depend_on_rounding_errors", () => {
		// Many neighbours have one precision: to join them costs nothing but what rounding says.
		const rows = Array.from({ length: 24 }, (_, index) => Math.round(2 * 1.3 ** index));
		const total = rows.reduce((sum, count) => sum + count, 0);
		const held = (rounding: number) =>
			rows.map(
				(count, index): Interval => ({
					rows: count,
					losses: Float64Array.from(
						{ length: COLS },
						(_, column) => (0.8 ** column / (index + 1)) * (1 + rounding * ((column * 7 + index) % 5)),
					),
				}),
			);
		const exact = held(0);
		const found = allocate(exact, optionsFor(exact, total * 8));
		for (const rounding of [-1e-15, 1e-15, 3e-15]) {
			const again = allocate(held(rounding), optionsFor(exact, total * 8));
			expect(again?.blocks).toEqual(found?.blocks);
		}
	});

	it("is_never_worse_than_one_precision_for_all_at_the_same_bytes", () => {
		fc.assert(
			fc.property(intervals, fc.constantFrom(...PRECISIONS.fitted), (held, perByte) => {
				const plain = uniform(held, perByte);
				const found = allocate(held, optionsFor(held, plain.bytes, 1));
				expect(found?.loss ?? Number.POSITIVE_INFINITY).toBeLessThanOrEqual(plain.loss * (1 + 1e-9));
			}),
			{ seed: 1 },
		);
	});

	it("loses_less_with_more_bytes", () => {
		fc.assert(
			fc.property(intervals, fc.integer({ min: 3000, max: 30_000 }), (held, budget) => {
				const less = allocate(held, optionsFor(held, budget, 1));
				const more = allocate(held, optionsFor(held, budget * 2, 1));
				if (less !== undefined) expect(more?.loss).toBeLessThanOrEqual(less.loss * (1 + 1e-9));
			}),
			{ seed: 1 },
		);
	});

	it("spends_what_one_price_for_all_leaves_over", () => {
		const losses = Float64Array.from({ length: COLS }, (_, column) => 0.8 ** column);
		// Eight columns of the last rows take at most 320 bytes, those of the others up to 3200.
		const held = [
			{ rows: 400, losses },
			{ rows: 40, losses: losses.map((loss) => loss / 100) },
		];
		const bytesOf = (coded: readonly CodedBlock[], rank: number) => layoutOf(coded, rank, "fitted").bytes;
		const left = Array.from({ length: 40 }, (_, step) => {
			const budget = 1500 + 100 * step;
			return budget - (allocate(held, { ...optionsFor(held, budget, 2), bytesOf })?.bytes ?? 0);
		});
		expect(left.reduce((sum, bytes) => sum + bytes, 0) / left.length).toBeLessThan(100);
	});

	it("gives_more_bits_to_rows_that_cost_more", () => {
		const losses = Float64Array.from({ length: COLS }, (_, column) => 0.8 ** column);
		const held = [
			{ rows: 100, losses },
			{ rows: 100, losses: losses.map((loss) => loss / 1000) },
		];
		const bytesOf = (coded: readonly CodedBlock[], rank: number) => layoutOf(coded, rank, "fitted").bytes;
		const found = allocate(held, { ...optionsFor(held, 3200, 2), bytesOf });
		const [first, second] = layoutOf(found?.blocks ?? [], found?.rank ?? 0, "fitted").blocks;
		expect(first?.rowBytes).toBeGreaterThan(second?.rowBytes ?? Number.POSITIVE_INFINITY);
	});

	it("says_when_nothing_fits", () => {
		const held = [{ rows: 100, losses: new Float64Array(COLS).fill(1) }];
		expect(allocate(held, optionsFor(held, 10))).toBeUndefined();
	});
});

describe("outlineOf", () => {
	it.each(["fitted", "equal"] as const)("is_as_large_as_the_layout_of_%s_values", (spacing) => {
		const precision = fc.constantFrom(0, ...PRECISIONS[spacing]);
		const table = fc.integer({ min: 1, max: 70 }).chain((rank) =>
			fc.array(
				fc.record({
					rows: fc.integer({ min: 1, max: 9 }),
					perByte: fc.array(precision, { minLength: rank, maxLength: rank }).map((held) => Uint8Array.from(held)),
				}),
				{ minLength: 1, maxLength: 4 },
			),
		);
		fc.assert(
			fc.property(table, (blocks) => {
				const rank = blocks[0]?.perByte.length ?? 0;
				const [outline, layout] = [outlineOf(blocks, rank, spacing), layoutOf(blocks, rank, spacing)];
				expect(outline.bytes).toBe(layout.bytes);
				expect(outline.kinds.length).toBe(layout.kinds.length);
				expect(outline.blocks).toEqual(layout.blocks.map(({ rows, rank }) => ({ rows, rank })));
			}),
			{ seed: 1 },
		);
	});
});

describe("layoutOf", () => {
	it("gives_every_column_a_place_of_its_own", () => {
		const precisions = fc
			.array(fc.constantFrom(0, ...PRECISIONS.fitted), { minLength: 1, maxLength: 40 })
			.filter((held) => held.some(Boolean));
		fc.assert(
			fc.property(precisions, (held) => {
				const { blocks, kinds } = layoutOf([{ rows: 3, perByte: Uint8Array.from(held) }], held.length, "fitted");
				const [block] = blocks;
				const taken = new Set<string>();
				for (const [column, perByte] of held.entries()) {
					const kind = kinds[block?.kindOf[column] ?? 0];
					expect(kind?.perByte).toBe(perByte);
					if (perByte === 0) continue;
					const byte = block?.byteOf[column] ?? -1;
					expect(byte).toBeLessThan(block?.rowBytes ?? 0);
					taken.add(`${byte} ${perByte} ${kind?.digit}`);
				}
				expect(taken.size).toBe(held.filter(Boolean).length);
				const shared = new Map<number, Set<number>>();
				for (const [column, perByte] of held.entries()) {
					if (perByte > 0) shared.set(block?.byteOf[column] ?? -1, new Set([...(shared.get(block?.byteOf[column] ?? -1) ?? []), perByte]));
				}
				expect([...shared.values()].every(({ size }) => size === 1)).toBe(true);
			}),
			{ seed: 1 },
		);
	});
});
