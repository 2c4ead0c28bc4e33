// Every way in which ONNX stores a tensor gives the same bytes as raw_data would, and is written back as it was.
import { writeFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { wireDifference } from "../support/compare.js";
import { encodedInPlace, temporaryFolder, withBytes } from "../support/models.js";
import {
	external,
	filled,
	fixed,
	float32,
	float64,
	join,
	message,
	modelOf,
	number,
	opening,
	raw,
	tensor,
	varint,
	varints,
} from "../support/wire.js";

const folder = temporaryFolder();
const file = path.join(folder, "model.onnx");

/** Bytes of the only tensor of a model, and whether the model is written back field by field. */
function read(fields: Uint8Array): { bytes: Buffer; kept: string | undefined } {
	const source = modelOf(fields);
	return withBytes(file, source, (open) => {
		const bytes = Buffer.from(open.model.graph.initializers[0]?.tensor?.bytes() ?? []);
		return { bytes, kept: wireDifference(source, encodedInPlace(open)) };
	});
}

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex");
const error = expect.objectContaining({ name: "DistembError", code: "input" });

/** dtype, code, field, elements as that field holds them, and the bytes of one copy of them. */
const TYPED: readonly (readonly [string, number, number, readonly (number | bigint)[], Uint8Array, number])[] = [
	["float16", 10, 5, [0x3c00, 0xfc01, 1], new Uint8Array(Uint16Array.of(0x3c00, 0xfc01, 1).buffer), 3],
	["bfloat16", 16, 5, [0x3f80, 0xffc1], new Uint8Array(Uint16Array.of(0x3f80, 0xffc1).buffer), 2],
	["int8", 3, 5, [-128, -1, 127], Uint8Array.of(128, 255, 127), 3],
	["uint8", 2, 5, [0, 255], Uint8Array.of(0, 255), 2],
	["int16", 5, 5, [-32768, 5], new Uint8Array(Int16Array.of(-32768, 5).buffer), 2],
	["uint16", 4, 5, [65535, 5], new Uint8Array(Uint16Array.of(65535, 5).buffer), 2],
	["int32", 6, 5, [-(2 ** 31), 2 ** 31 - 1, -2], new Uint8Array(Int32Array.of(-(2 ** 31), 2 ** 31 - 1, -2).buffer), 3],
	["bool", 9, 5, [1, 0], Uint8Array.of(1, 0), 2],
	["int4", 22, 5, [0x71, 0xf8], Uint8Array.of(0x71, 0xf8), 4],
	["uint4", 21, 5, [0x10, 0x32], Uint8Array.of(0x10, 0x32), 4],
	["float8e4m3fn", 17, 5, [0x7f, 0xfe], Uint8Array.of(0x7f, 0xfe), 2],
	["int64", 7, 7, [-(2n ** 63n), -1n, 2n ** 62n + 1n], new Uint8Array(BigInt64Array.of(-(2n ** 63n), -1n, 2n ** 62n + 1n).buffer), 3],
	["uint64", 13, 11, [2n ** 64n - 1n, 3n], new Uint8Array(BigUint64Array.of(2n ** 64n - 1n, 3n).buffer), 2],
	["uint32", 12, 11, [2 ** 32 - 1, 3], new Uint8Array(Uint32Array.of(2 ** 32 - 1, 3).buffer), 2],
];

describe.each(TYPED)("%s in a typed field", (_name, code, field, elements, bytes, size) => {
	const repeated = (times: number) => Array.from({ length: times }, () => elements).flat();
	const expected = (times: number) => hex(join(...Array.from({ length: times }, () => bytes)));

	it("is_read_from_one_small_chunk", () => {
		expect(hex(read(tensor("t", code, [size], message(field, varints(elements)))).bytes)).toBe(expected(1));
	});

	it("is_read_from_one_large_chunk_and_written_back", () => {
		const { bytes: found, kept } = read(tensor("t", code, [size * 900], message(field, varints(repeated(900)))));
		expect(hex(found)).toBe(expected(900));
		expect(kept).toBeUndefined();
	});

	it("is_read_from_numbers_that_are_not_packed", () => {
		const { bytes: found } = read(tensor("t", code, [size * 20], ...repeated(20).map((element) => number(field, element))));
		expect(hex(found)).toBe(expected(20));
	});

	it.each([
		["small_then_large", [3, 900]],
		["large_then_small", [900, 3]],
		["large_small_large_small", [900, 1, 1200, 2]],
	])("is_read_from_chunks_%s_in_their_order", (_order, parts) => {
		const numbers = repeated(parts.reduce((sum, part) => sum + part, 0));
		const rotated = [...numbers.slice(1), ...numbers.slice(0, 1)];
		const starts = parts.map((_, index) => parts.slice(0, index).reduce((sum, part) => sum + part, 0) * elements.length);
		const chunks = starts.map((start, index) => message(field, varints(rotated.slice(start, starts[index + 1]))));
		const fields = (form: readonly Uint8Array[]) => tensor("t", code, [size * (numbers.length / elements.length)], ...form);
		const apart = read(fields(chunks));
		expect(hex(apart.bytes)).toBe(hex(read(fields([message(field, varints(rotated))])).bytes));
		expect(hex(apart.bytes)).not.toBe(hex(read(fields([message(field, varints(numbers))])).bytes));
	});

	it("is_read_from_hundreds_of_small_chunks", () => {
		const chunk = message(field, varints(elements));
		expect(hex(read(tensor("t", code, [size * 600], ...Array.from({ length: 600 }, () => chunk))).bytes)).toBe(expected(600));
	});

	it("is_read_from_single_numbers_after_a_large_chunk", () => {
		const [last = 0, ...rest] = [...repeated(900)].reverse();
		const chunk = message(field, varints(rest.reverse()));
		expect(hex(read(tensor("t", code, [size * 900], chunk, number(field, last))).bytes)).toBe(expected(900));
	});

	it("is_refused_with_one_number_too_few_or_too_many", () => {
		for (const numbers of [repeated(1).slice(1), [...repeated(1), 0], repeated(900).slice(1), [...repeated(900), 0]]) {
			const count = numbers.length > 10 ? 900 : 1;
			expect(() => read(tensor("t", code, [size * count], message(field, varints(numbers))))).toThrow(error);
		}
	});
});

describe.each([
	["float32", 1, 4, float32, 1],
	["float64", 11, 10, float64, 1],
	["complex64", 14, 4, float32, 2],
	["complex128", 15, 10, float64, 2],
] as const)("%s in a typed field", (_name, code, field, make, parts) => {
	const values = (count: number) => Array.from({ length: count * parts }, (_, index) => index / 7 - 3);

	it.each([1, 3, 500])("is_read_from_one_chunk_of_%i", (count) => {
		const { bytes, kept } = read(tensor("t", code, [count], message(field, make(...values(count)))));
		expect(hex(bytes)).toBe(hex(make(...values(count))));
		expect(kept).toBeUndefined();
	});

	it("is_read_from_several_chunks_and_single_numbers_in_their_order", () => {
		const all = values(600);
		const first = message(field, make(...all.slice(0, 2)));
		const second = message(field, make(...all.slice(2, 500)));
		const single = fixed(field, make(...all.slice(500, 501)));
		const rest = message(field, make(...all.slice(501)));
		const { bytes } = read(tensor("t", code, [600], first, second, single, rest));
		expect(hex(bytes)).toBe(hex(make(...all)));
	});

	it("is_refused_if_a_chunk_ends_within_a_number", () => {
		for (const count of [2, 600]) {
			const chunk = make(...values(count));
			expect(() => read(tensor("t", code, [count], message(field, chunk.subarray(0, chunk.byteLength - 1))))).toThrow(error);
		}
	});
});

describe("raw_data", () => {
	it.each([4, 1020, 1024, 1028, 4096])("of_%i_bytes_is_read_and_written_back", (size) => {
		const { bytes, kept } = read(tensor("t", 1, [size / 4], raw(filled(size))));
		expect(hex(bytes)).toBe(hex(filled(size)));
		expect(kept).toBeUndefined();
	});

	it.each([3, 5, 0, 4095, 4097])("of_%i_bytes_is_refused_where_another_length_is_due", (size) => {
		expect(() => read(tensor("t", 1, [size < 10 ? 1 : 1024], raw(filled(size))))).toThrow(error);
	});

	it("holds_a_scalar", () => expect(hex(read(tensor("t", 1, [], raw(float32(2)))).bytes)).toBe(hex(float32(2))));

	it("may_be_given_twice_and_the_last_one_counts", () => {
		const [first, second] = [filled(2000, 1), filled(2000, 2)];
		expect(hex(read(tensor("t", 2, [2000], raw(first), raw(second))).bytes)).toBe(hex(second));
		expect(() => read(tensor("t", 2, [2000], raw(second), raw(first.subarray(1))))).toThrow(error);
		expect(() => read(tensor("t", 2, [2000], raw(second), raw(first.subarray(0, 8))))).toThrow(error);
	});

	it("is_a_range_of_the_file_when_large", () => {
		withBytes(file, modelOf(tensor("t", 2, [5000], raw(filled(5000)))), ({ model }) => {
			expect(model.graph.initializers[0]?.tensor?.data?.constructor.name).toBe("FileRange");
		});
	});
});

describe("tensors without elements", () => {
	it("are_read_with_and_without_a_payload_field", () => {
		const nothing = { bytes: Buffer.alloc(0), kept: undefined };
		expect(read(tensor("t", 1, [3, 0, 2]))).toEqual(nothing);
		expect(read(tensor("t", 1, [3, 0, 2], raw(new Uint8Array(0))))).toEqual(nothing);
		expect(read(tensor("t", 1, [3, 0, 2], message(4))).bytes.byteLength).toBe(0);
	});

	it("are_read_from_an_external_file_too", () => {
		writeFileSync(path.join(folder, "empty.bin"), "");
		expect(read(tensor("t", 1, [0], external({ location: "empty.bin", offset: "0", length: "0" }))).kept).toBeUndefined();
	});
});

describe("strings", () => {
	const strings = (count: number, ...texts: (string | Uint8Array)[]) => tensor("t", 8, [count], ...texts.map((text) => message(6, text)));

	it("are_carried_whatever_their_bytes", () => {
		expect(read(strings(4, "", "Straße", Uint8Array.of(0xff, 0), "x".repeat(3000))).kept).toBeUndefined();
	});

	it("are_refused_when_their_number_is_wrong_or_they_lie_outside", () => {
		writeFileSync(path.join(folder, "text.bin"), "abc");
		expect(() => read(strings(2, "one"))).toThrow(error);
		expect(() => read(tensor("t", 8, [1], external({ location: "text.bin" })))).toThrow(error);
	});
});

describe("dimensions", () => {
	it.each([
		["negative", [-1n]],
		["overflowing", [2n ** 40n, 2n ** 30n]],
		["beyond_53_bits", [2n ** 62n]],
		["too_large_for_the_payload", [2]],
	])("that_are_%s_are_refused", (_kind, dims) => {
		expect(() => read(tensor("t", 1, dims, raw(float32(1))))).toThrow(error);
	});

	it("may_be_packed", () => {
		const packed = join(opening(1, 2), varint(2), varint(3), number(2, 1), message(8, "t"), raw(filled(24)));
		withBytes(file, modelOf(packed), ({ model }) => expect(model.graph.initializers[0]?.tensor?.dims).toEqual([2, 3]));
	});

	it("of_a_type_that_does_not_exist_are_refused", () => {
		for (const code of [0, 29, 77, -1]) expect(() => read(tensor("t", code, [1], raw(filled(1))))).toThrow(error);
	});
});
