// Every committed model is read and written again: an independent reader sees no difference, and a second time changes no byte.
import { copyFileSync, cpSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { parseModel } from "../../src/ir/parse.js";
import { printModel } from "../../src/ir/print.js";
import { encodeToBytes } from "../../src/onnx/index.js";
import { wireDifference } from "../support/compare.js";
import { encodedInPlace, FIXTURES, roundTrip, soundFixtures, temporaryFolder, withModel } from "../support/models.js";
import { decodeByPeer, firstDifference, withPlainExternalData } from "../support/peer.js";
import { at, fields, join, message, model, node, number } from "../support/wire.js";

const folder = temporaryFolder();

describe("round trip", () => {
	it.each(soundFixtures())("%s: keeps_everything_that_an_independent_reader_knows", (name) => {
		const file = path.join(FIXTURES, name);
		const original = readFileSync(file);
		const written = withModel(file, encodedInPlace);
		const [before, after] = [original, written].map((bytes) => withPlainExternalData(decodeByPeer(bytes)));
		expect(firstDifference(before, after)).toBeUndefined();
	});

	it.each(inlineFixtures())("%s: keeps_every_field_on_the_wire", (name) => {
		const file = path.join(FIXTURES, name);
		expect(wireDifference(readFileSync(file), withModel(file, encodedInPlace))).toBeUndefined();
	});

	it.each(soundFixtures())("%s: writes_the_same_bytes_the_second_time", (name) => {
		const copy = path.join(folder, path.dirname(name), path.basename(name));
		cpSync(path.join(FIXTURES, path.dirname(name)), path.dirname(copy), { recursive: true, filter: keepsSmall });
		copyFileSync(path.join(FIXTURES, name), copy);
		const first = withModel(copy, encodedInPlace);
		const second = roundTrip(copy, first);
		expect(Buffer.compare(first, second)).toBe(0);
	});
});

describe("a model that was built here", () => {
	it("keeps_its_functions", () => {
		const text = `model ir 9, opset ai.onnx 17, own 1
graph main(x)
	y = own.Scale:by<by=2.0>(x)
	return y
function own.Scale:by<by, times=1>, opset ai.onnx 17
	graph Scale(a)
		b = LeakyRelu<alpha=@by>(a)
		return b`;
		const file = path.join(folder, "functions.onnx");
		writeFileSync(file, encodeToBytes(parseModel(text)));
		expect(withModel(file, ({ model: read }) => printModel(read))).toBe(text);
	});
});

/** Those without external data, whose entries are completed when they are written. */
function inlineFixtures(): string[] {
	return soundFixtures().filter((name) => !name.includes("external-"));
}

/** Data files are needed beside the copy, other models are not. */
function keepsSmall(file: string): boolean {
	return !file.endsWith(".onnx") && !file.endsWith(".npy") && !file.endsWith(".txt");
}

describe("nodes that are not in order", () => {
	it("are_sorted_and_otherwise_kept", () => {
		const names = ["c", "a", "b"];
		const nodes = [node("Neg", ["v"], ["w"]), node("Neg", ["x"], ["u"]), node("Neg", ["u"], ["v"])].map((each, index) =>
			join(each, message(3, names[index] ?? ""), message(8000, `future ${names[index]}`)),
		);
		const unsorted = model(join(...nodes.map((each) => message(1, each)), message(11, message(1, "x")), message(12, message(1, "w"))));
		const written = roundTrip(path.join(folder, "unsorted.onnx"), unsorted);
		expect(at(written, 7, 1, 3).map((name) => Buffer.from(name).toString())).toEqual(["a", "b", "c"]);
		const contents = (bytes: Uint8Array) =>
			at(bytes, 7, 1).map((each) =>
				fields(each)
					.map(({ field, bytes: held }) => `${field}:${Buffer.from(held).toString("latin1")}`)
					.sort()
					.join(),
			);
		expect(contents(written).sort()).toEqual(contents(unsorted).sort());
	});
});

describe("the comparisons", () => {
	it("notice_a_missing_unknown_field_and_another_order", () => {
		const [a, b] = [number(8000, 1), number(8000, 2)];
		expect(wireDifference(model(join(a, b)), model(a))).toBe("Model.7[0].8000: 2 times became 1 times");
		expect(wireDifference(model(join(a, b)), model(join(b, a)))).toMatch(/^Model\.7\[0\]\.8000\[0\]: /);
		expect(wireDifference(model(join(a, message(2, "x"))), model(join(message(2, "x"), a)))).toBeUndefined();
	});

	it("notices_one_changed_bit_of_a_tensor", () => {
		const bytes = readFileSync(path.join(FIXTURES, "patterns/e01-gather.onnx"));
		const changed = Uint8Array.from(bytes);
		const table = bytes.indexOf(withModel(path.join(FIXTURES, "patterns/e01-gather.onnx"), firstTensor));
		changed[table] = (changed[table] ?? 0) ^ 1;
		expect(firstDifference(decodeByPeer(bytes), decodeByPeer(changed))).toMatch(/initializer\.\d+\.rawData: other bytes/);
	});
});

function firstTensor({ model }: Parameters<Parameters<typeof withModel>[1]>[0]): Uint8Array {
	const tensor = model.graph.initializers.map((value) => value.tensor).find((held) => held !== undefined && held.byteLength > 1024);
	return tensor?.bytes() ?? new Uint8Array(0);
}
