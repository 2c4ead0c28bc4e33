// Elements of tensors as numbers: every width round trips, halves are rounded to nearest even.
import { getFloat16, setFloat16 } from "@petamoriken/float16";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { bitsOf, byteLengthOf, codeOfDType, type DType, dtypeOfCode, isFloat } from "../../src/ir/dtype.js";
import { fromBfloat16, fromFloat16, hasNumbers, readElements, toBfloat16, toFloat16, writeElements } from "../../src/ir/elements.js";

const INTEGERS: readonly DType[] = ["int2", "uint2", "int4", "uint4", "int8", "uint8", "int16", "uint16", "int32", "uint32"];

describe("elements", () => {
	it.each(INTEGERS)("of type %s round trip", (dtype) => {
		const bits = bitsOf(dtype);
		const min = dtype.startsWith("int") ? -(2 ** (bits - 1)) : 0;
		fc.assert(
			fc.property(fc.array(fc.integer({ min, max: min + 2 ** bits - 1 })), (values) => {
				const bytes = writeElements(dtype, values);
				expect(bytes.byteLength).toBe(byteLengthOf(dtype, values.length));
				expect(readElements(dtype, bytes, values.length)).toEqual(values);
			}),
			{ seed: 1 },
		);
	});

	it("of 64 bits keep every digit", () => {
		const values = [2n ** 63n - 1n, -(2n ** 63n), -1n, 0n];
		expect(readElements("int64", writeElements("int64", values), 4)).toEqual(values);
		expect(readElements("uint64", writeElements("uint64", [2n ** 64n - 1n]), 1)).toEqual([2n ** 64n - 1n]);
		expect(readElements("int64", writeElements("int64", [7, -3]), 2)).toEqual([7n, -3n]);
	});

	it.each(["float32", "float64", "float16", "bfloat16"] as const)("of type %s keep what the type can hold", (dtype) => {
		const values = [0, -0, 1, -1.5, 0.15625, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, Number.NaN];
		expect(readElements(dtype, writeElements(dtype, values), values.length)).toEqual(values);
	});

	it("float16 agrees with an independent library, bit for bit", () => {
		const view = new DataView(new ArrayBuffer(4));
		const agrees = (bits: number) => {
			view.setUint32(0, bits);
			const value = view.getFloat32(0);
			setFloat16(view, 0, value);
			if (!Number.isNaN(value)) expect(toFloat16(value)).toBe(view.getUint16(0));
		};
		fc.assert(fc.property(fc.nat(0xffffffff), agrees), { seed: 1, numRuns: 20_000 });
		// Around every boundary: subnormals, ties, overflow.
		for (const bits of [
			0x33000000, 0x33000001, 0x387fc000, 0x387fe000, 0x38800000, 0x3f801000, 0x3f803000, 0x477fe000, 0x477fefff, 0x477ff000, 0x47800000,
			0x7f800000,
		]) {
			agrees(bits);
			agrees(bits + 0x80000000);
		}
		for (let half = 0; half < 0x10000; half++) {
			view.setUint16(0, half);
			if (!Object.is(fromFloat16(half), getFloat16(view, 0))) expect(fromFloat16(half)).toBe(getFloat16(view, 0));
		}
		expect(toFloat16(Number.NaN)).toBe(0x7e00);
	});

	it("bfloat16 is the nearest one, to even in the middle", () => {
		expect(fromBfloat16(toBfloat16(1 + 2 ** -8))).toBe(1);
		expect(fromBfloat16(toBfloat16(1 + 3 * 2 ** -8))).toBe(1 + 2 ** -6);
		expect(fromBfloat16(toBfloat16(3.4e38))).toBe(Number.POSITIVE_INFINITY);
		fc.assert(
			fc.property(fc.float({ noNaN: true, noDefaultInfinity: true, min: -(2 ** 100), max: 2 ** 100 }), (value) => {
				const error = Math.abs(fromBfloat16(toBfloat16(value)) - value);
				expect(error).toBeLessThanOrEqual(Math.max(Math.abs(value) * 2 ** -8, 2 ** -134));
			}),
			{ seed: 1 },
		);
	});

	it("of other types are refused", () => {
		expect(hasNumbers("float8e4m3fn")).toBe(false);
		expect(() => writeElements("float8e4m3fn", [1])).toThrow("float8e4m3fn");
		expect(() => readElements("string", new Uint8Array(), 1)).toThrow("string");
	});
});

describe("dtypes", () => {
	it("have one code each, and 0 is none", () => {
		for (let code = 1; code <= 28; code++) expect(codeOfDType(dtypeOfCode(code) ?? "float32"), `${code}`).toBe(code);
		expect(dtypeOfCode(0)).toBeUndefined();
		expect(dtypeOfCode(99)).toBeUndefined();
	});

	it("are packed to whole bytes", () => {
		expect(byteLengthOf("int4", 3)).toBe(2);
		expect(byteLengthOf("uint2", 5)).toBe(2);
		expect(isFloat("bfloat16")).toBe(true);
		expect(isFloat("float8e4m3fn")).toBe(false);
	});
});
