// Rows that cost most, and neighbours, of tables small enough to work them out by hand.
import { afterAll, describe, expect, it } from "vitest";
import { damageOf } from "../../src/details/damage.js";
import { neighboursOf } from "../../src/details/neighbours.js";
import type { StoredGroup } from "../../src/details/tables.js";
import { tokenNames } from "../../src/details/token-names.js";
import { engineProducts } from "../../src/runtime/products.js";
import type { Calibration, FactorGroup, Vocabulary } from "../../src/state.js";

const products = engineProducts({ threads: 1 });
afterAll(() => products.close());

/** Rows of two numbers. */
const ROWS = [
	[1, 0],
	[0.9, 0.1],
	[0, 1],
	[0.1, 0.9],
] as const;
/** What is stored instead: the second row turned away. */
const STORED = [
	[1, 0],
	[0.1, 0.8],
	[0, 1],
	[0.1, 0.9],
] as const;

const table = { rows: 4, cols: 2, read: (start: number, end: number) => Float32Array.from(ROWS.slice(start, end).flat()) };
const vocabulary = { name: "table", table } as unknown as Vocabulary;
const group = { vocabulary, side: "input", rank: 2 } as unknown as FactorGroup;
const stored: StoredGroup = {
	group,
	left: (start, end) => Float32Array.from(STORED.slice(start, end).flat()),
	right: Float32Array.from([1, 0, 0, 1]),
};
const WORDS = ["one", "two", "three", "four"];
const nameOf = (id: number) => ({ id, text: WORDS[id] ?? "" });

const calibration: Calibration = {
	vocabulary,
	frequency: Float64Array.from([0.5, 0.25, 0.125, 0.125]),
	gradientMoment: Float64Array.from([2, 0, 0, 4]),
	spread: undefined,
	hiddenMoment: undefined,
	counted: 100,
	tokens: 100,
	source: "data",
};

describe("damage", () => {
	it("is_the_second_order_loss_of_each_row", async () => {
		const damage = await damageOf(vocabulary, [stored], calibration, nameOf, products, undefined);
		if (!("known" in damage)) throw new Error(damage.missing);
		// Half the frequency times (0.8² · 2 + 0.7² · 4).
		const expected = 0.5 * 0.25 * (0.64 * 2 + 0.49 * 4);
		expect(damage.known.total).toBeCloseTo(expected, 5);
		expect(damage.known.worst[0]).toMatchObject({ id: 1, text: "two", frequency: 0.25 });
		expect(damage.known.worst[0]?.loss).toBeCloseTo(expected, 5);
		expect(damage.known.worst[0]?.relativeError).toBeCloseTo(Math.sqrt((0.64 + 0.49) / 0.82), 4);
		expect(damage.known.worst.slice(1).map(({ loss }) => loss)).toEqual([0, 0, 0]);
	});

	it("says_why_it_is_not_known", async () => {
		const of = (known: Calibration | undefined) => damageOf(vocabulary, [stored], known, nameOf, products, undefined);
		expect(await of(undefined)).toMatchObject({ missing: expect.stringMatching("--method distemb") });
		expect(await of({ ...calibration, source: "id order" })).toMatchObject({ missing: expect.stringMatching("no text") });
	});
});

describe("neighbours", () => {
	it("are_those_with_the_largest_cosine_in_each_table", async () => {
		const counted = { counts: [1, 5, 0, 0], from: "here" };
		const found = await neighboursOf(vocabulary, [stored], counted, nameOf, products, undefined);
		if (!("known" in found)) throw new Error(found.missing);
		const ids = found.known.tokens.map(({ id, before, after }) => [id, before.map((near) => near.id), after.map((near) => near.id)]);
		expect(ids).toEqual([
			[1, [0, 3, 2], [3, 2, 0]],
			[0, [1, 3, 2], [1, 3, 2]],
		]);
		expect(found.known.tokens[0]?.before[0]?.cosine).toBeCloseTo(0.9 / Math.hypot(0.9, 0.1), 5);
	});

	it("needs_to_know_what_is_frequent", async () => {
		expect(await neighboursOf(vocabulary, [stored], undefined, nameOf, products, undefined)).toMatchObject({
			missing: expect.stringMatching("frequent"),
		});
	});
});

describe("names of tokens", () => {
	const tokenizer = {
		name: (id: number) => ["Ġdog", "▁cat", "<s>", "Ã", "s"][id],
		decode: ([id]: readonly number[]) => [" dog", "cat", "", "�", "s"][id ?? 0] ?? "",
	};

	it("show_leading_spaces_special_tokens_and_parts_of_characters", () => {
		const names = tokenNames(tokenizer as Parameters<typeof tokenNames>[0]);
		expect([0, 1, 2, 3, 4, 5].map((id) => names(id).text)).toEqual(["␣dog", "␣cat", "<s>", "Ã", "s", undefined]);
	});

	it("are_ids_without_a_tokenizer", () => {
		expect(tokenNames(undefined)(7)).toEqual({ id: 7 });
	});
});
