// Damaged files: whatever happens to the bytes of a model, opening it succeeds or ends in one DistembError, in time and within memory.
import { copyFileSync, readFileSync } from "node:fs";
import path from "node:path";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { DistembError } from "../../src/errors.js";
import { encodedInPlace, FIXTURES, temporaryFolder, withBytes } from "../support/models.js";
import { filled } from "../support/wire.js";

const file = path.join(temporaryFolder(), "model.onnx");

copyFileSync(path.join(FIXTURES, "patterns/external-one-file/model.onnx_data"), `${file}_data`);

/** Fixtures in which different things can break: subgraphs, functions, typed fields, metadata, external data, small types. */
const NAMES = [
	"e03-nested-if",
	"e03-loop",
	"custom-domain-function",
	"typed-fields",
	"fp16-int32-data",
	"metadata-props-unknown-fields",
	"external-one-file/model",
	"p07-dequantize-int4",
	"ir3-initializers-as-inputs",
];
const ORIGINALS = new Map(NAMES.map((name) => [name, Uint8Array.from(readFileSync(path.join(FIXTURES, "patterns", `${name}.onnx`)))]));

/** Opens and encodes the bytes; what became of it. */
function outcome(bytes: Uint8Array): "opened" | "refused" {
	const started = performance.now();
	const before = process.memoryUsage().rss;
	try {
		withBytes(file, bytes, (open) => encodedInPlace(open));
		return "opened";
	} catch (error) {
		if (!(error instanceof DistembError)) throw error;
		expect(["input", "refused"]).toContain(error.code);
		expect(error.toLine()).not.toMatch(/[\n\r]/);
		expect(error.at).toBe(file);
		return "refused";
	} finally {
		expect(performance.now() - started).toBeLessThan(5000);
		expect(process.memoryUsage().rss - before).toBeLessThan(bytes.byteLength + 300 * 2 ** 20);
	}
}

const model = fc.constantFrom(...NAMES).map((name) => ORIGINALS.get(name) ?? new Uint8Array(0));
const place = fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true });

/** Most of a fixture is payload; a position near the start or the end hits the structure. */
const position = fc.tuple(place, fc.constantFrom(200, 2000, -3000, 1e9)).map(([fraction, range]) => (length: number) => {
	const span = Math.min(Math.abs(range), length);
	const offset = Math.floor(fraction * span);
	return range < 0 ? length - 1 - offset : offset;
});

function damaged(bytes: Uint8Array, changes: readonly (readonly [(length: number) => number, number])[]): Uint8Array {
	const copy = Uint8Array.from(bytes);
	for (const [where, value] of changes) copy[where(copy.byteLength)] = value;
	return copy;
}

describe("a damaged model", () => {
	it("with_a_few_bytes_changed_is_opened_or_refused", () => {
		const seen = { opened: 0, refused: 0 };
		const value = fc.oneof(fc.nat(255), fc.constantFrom(0, 1, 127, 128, 255));
		fc.assert(
			fc.property(model, fc.array(fc.tuple(position, value), { minLength: 1, maxLength: 3 }), (bytes, changes) => {
				seen[outcome(damaged(bytes, changes))]++;
			}),
			{ numRuns: 1500, seed: 11 },
		);
		expect(seen.opened).toBeGreaterThan(50);
		expect(seen.refused).toBeGreaterThan(50);
	});

	it("with_one_bit_flipped_is_opened_or_refused", () => {
		fc.assert(
			fc.property(model, position, fc.nat(7), (bytes, where, bit) => {
				const at = where(bytes.byteLength);
				outcome(damaged(bytes, [[() => at, (bytes[at] ?? 0) ^ (1 << bit)]]));
			}),
			{ numRuns: 800, seed: 12 },
		);
	});

	it("cut_off_anywhere_is_refused", () => {
		fc.assert(
			fc.property(model, position, (bytes, where) => {
				const end = where(bytes.byteLength);
				const cut = outcome(bytes.subarray(0, end));
				if (end < bytes.byteLength - 100) expect(cut).toBe("refused");
			}),
			{ numRuns: 400, seed: 13 },
		);
	});

	it("with_bytes_inserted_or_removed_is_opened_or_refused", () => {
		fc.assert(
			fc.property(model, position, fc.integer({ min: 1, max: 12 }), fc.nat(255), fc.boolean(), (bytes, where, count, seed, insert) => {
				const at = where(bytes.byteLength);
				const parts = insert
					? [bytes.subarray(0, at), filled(count, seed), bytes.subarray(at)]
					: [bytes.subarray(0, at), bytes.subarray(at + count)];
				outcome(Uint8Array.from(Buffer.concat(parts)));
			}),
			{ numRuns: 600, seed: 14 },
		);
	});

	it("that_is_random_bytes_is_refused", () => {
		fc.assert(
			fc.property(fc.uint8Array({ minLength: 1, maxLength: 300 }), (bytes) => {
				expect(outcome(bytes)).toBe("refused");
			}),
			{ numRuns: 500, seed: 15 },
		);
	});

	it("that_is_not_damaged_at_all_is_opened", () => {
		for (const name of NAMES.filter((each) => !each.includes("external")))
			expect(outcome(ORIGINALS.get(name) ?? new Uint8Array(0))).toBe("opened");
	});
});
