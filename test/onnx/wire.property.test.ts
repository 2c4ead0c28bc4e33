// Properties of taking payloads out of the wire format and putting them back, on random messages and hostile bytes.
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { lift, lower } from "../../src/onnx/lift.js";
import { ModelMessage } from "../../src/onnx/schema.js";
import type { ByteSource } from "../../src/onnx/source.js";
import { wireDifference } from "../support/compare.js";
import { type Bytes, filled, fixed, join, message, number, opening, varint, varints } from "../support/wire.js";

const sourceOf = (bytes: Uint8Array): ByteSource => ({ size: bytes.byteLength, read: (start, end) => bytes.subarray(start, end) });

/** Lifts, decodes, encodes, lowers, and puts the payloads in. */
function through(bytes: Uint8Array): Bytes {
	const decoded = ModelMessage.decode(lift(sourceOf(bytes)));
	const { segments, length } = lower(ModelMessage.encode(decoded).finish());
	const result = join(...segments.map((part) => (part instanceof Uint8Array ? part : bytes.subarray(part.start, part.end))));
	expect(result.byteLength).toBe(length);
	return result;
}

const sizes = fc.oneof(fc.integer({ min: 0, max: 40 }), fc.integer({ min: 1016, max: 1032 }), fc.integer({ min: 2000, max: 20000 }));
const content = fc.tuple(sizes, fc.nat(255)).map(([size, seed]) => filled(size, seed));
const text = fc.string({ maxLength: 8 });
const unknownField = fc.oneof(
	fc.tuple(fc.integer({ min: 8000, max: 9000 }), content).map(([field, bytes]) => message(field, bytes)),
	fc
		.tuple(fc.integer({ min: 8000, max: 2 ** 29 - 1000 }), fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }))
		.map(([field, value]) => number(field, value)),
	fc.constantFrom(4, 8).map((width) => fixed(8001, filled(width))),
);
const numbers = fc.array(fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }), { maxLength: 300 });
const payload = fc.oneof(
	content.map((bytes) => message(9, bytes)),
	content.map((bytes) => message(4, join(bytes.subarray(bytes.byteLength % 4), filled(4)))),
	content.map((bytes) => message(10, join(bytes.subarray(bytes.byteLength % 8), filled(8)))),
	numbers.map((values) => message(7, varints([...values, 1]))),
	numbers.map((values) => message(5, varints([...values, 1]))),
	content.map((bytes) => message(6, bytes)),
);
const tensor = fc
	.tuple(text, fc.array(fc.nat(2 ** 40), { maxLength: 3 }), payload, fc.array(unknownField, { maxLength: 2 }))
	.map(([name, dims, data, unknown]) => join(...dims.map((dim) => number(1, dim)), number(2, 1), message(8, name), data, ...unknown));

const { graph } = fc.letrec<{ graph: Bytes; node: Bytes; attribute: Bytes }>((tie) => ({
	attribute: fc
		.tuple(
			text,
			fc.oneof(
				{ depthSize: "small", withCrossShrink: true },
				tensor.map((inner) => message(5, inner)),
				content.map((bytes) => message(4, bytes)),
				tie("graph").map((inner) => message(6, inner)),
				fc.array(tie("graph"), { maxLength: 2 }).map((inner) => join(...inner.map((each) => message(11, each)))),
				fc.array(tensor, { maxLength: 2 }).map((inner) => join(...inner.map((each) => message(10, each)))),
				fc.tuple(tensor, tensor).map(([values, indices]) => message(22, message(1, values), message(2, indices))),
			),
			fc.array(unknownField, { maxLength: 1 }),
		)
		.map(([name, value, unknown]) => join(message(1, name), value, ...unknown)),
	node: fc
		.tuple(fc.array(text, { maxLength: 3 }), fc.array(tie("attribute"), { maxLength: 2 }), fc.array(unknownField, { maxLength: 1 }))
		.map(([names, attributes, unknown]) =>
			join(...names.map((name) => message(1, name)), ...attributes.map((each) => message(5, each)), ...unknown),
		),
	graph: fc
		.tuple(fc.array(tie("node"), { maxLength: 2 }), fc.array(tensor, { maxLength: 2 }), fc.array(unknownField, { maxLength: 1 }))
		.map(([nodes, tensors, unknown]) =>
			join(...nodes.map((each) => message(1, each)), ...tensors.map((each) => message(5, each)), ...unknown),
		),
}));
const model = fc
	.tuple(graph, fc.array(unknownField, { maxLength: 2 }))
	.map(([inner, unknown]) => join(number(1, 10), message(7, inner), ...unknown));

describe("lift and lower", () => {
	it("keep_every_field_and_payload_of_any_message", () => {
		fc.assert(
			fc.property(model, (bytes) => {
				expect(wireDifference(bytes, through(bytes))).toBeUndefined();
			}),
			{ numRuns: 400, seed: 1 },
		);
	});

	it("leave_no_payload_of_more_than_1024_bytes_in_the_skeleton", () => {
		fc.assert(
			fc.property(fc.integer({ min: 1025, max: 100_000 }), fc.constantFrom(4, 5, 7, 9, 10, 11), (size, field) => {
				const bytes = message(7, message(5, message(field, new Uint8Array(size).fill(1))));
				expect(lift(sourceOf(bytes)).byteLength).toBeLessThan(64);
			}),
			{ numRuns: 100, seed: 2 },
		);
	});
});

describe("hostile lengths", () => {
	const refused = (bytes: Uint8Array) =>
		expect(() => lift(sourceOf(bytes))).toThrow(expect.objectContaining({ name: "DistembError", code: "input" }));

	it.each([
		["4 GiB", 2n ** 32n],
		["2^53", 2n ** 53n],
		["2^63", 2n ** 63n],
		["2^64 - 1", 2n ** 64n - 1n],
		["one byte more than there is", 3n],
	])("of_%s_are_refused_at_every_level", (_name, length) => {
		const bomb = (field: number) => join(varint(field * 8 + 2), varint(length), Uint8Array.of(0, 0));
		refused(bomb(7));
		refused(bomb(8000));
		refused(message(7, bomb(5)));
		refused(message(7, message(5, bomb(9))));
		refused(message(7, message(1, message(5, message(5, bomb(4))))));
	});

	it("inside_a_longer_outer_message_cannot_reach_over_its_end", () => {
		refused(join(message(7, join(opening(5, 30), filled(10))), filled(100)));
	});

	it("of_numbers_without_end_are_refused", () => {
		refused(new Uint8Array(11).fill(255));
		refused(Uint8Array.of(0x3a, ...new Uint8Array(10).fill(128), 1));
	});

	it("field_numbers_that_protobuf_does_not_have_are_refused", () => {
		refused(number(0, 1));
		refused(number(2 ** 29, 1));
		refused(join(varint(2n ** 40n), varint(1)));
	});

	it("a_forged_payload_reference_is_refused", () => {
		const forged = message(536_870_000, number(1, 9), number(2, 0), number(3, 1000));
		refused(message(7, message(5, forged)));
		refused(message(7, message(5, number(536_870_000, 5))));
	});
});
