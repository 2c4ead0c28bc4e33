// Models that cost more than they weigh, and cases that the fuzzer found: each ends in success or in one DistembError.
import { mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { compile, DistembError, inspect } from "../../src/index.js";
import { openModel } from "../../src/onnx/index.js";
import { entry, join, message, model, node, number, raw, tensor } from "../support/wire.js";
import { act } from "./act.js";
import type { FuzzCase } from "./case.js";
import { Dice } from "./dice.js";
import { HOSTILE } from "./hostile.js";
import { readCase } from "./saved.js";

const root = mkdtempSync(path.join(tmpdir(), "distemb-hostile-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));
const FOUND = path.resolve(import.meta.dirname, "../../fixtures/fuzz");

/** The one error, undefined for success; anything else is thrown. */
async function outcomeOf(test: FuzzCase): Promise<DistembError | undefined> {
	const folder = mkdtempSync(path.join(root, "case-"));
	const folders = { input: path.join(folder, "in"), output: path.join(folder, "out"), trained: folder };
	mkdirSync(folders.input);
	mkdirSync(folders.output);
	for (const [name, bytes] of test.files) writeFileSync(path.join(folders.input, name), bytes);
	for (const [name, target] of test.links ?? []) symlinkSync(target, path.join(folders.input, name));
	try {
		await act(test, folders);
		return undefined;
	} catch (error) {
		if (error instanceof DistembError && error.code !== "internal") return error;
		throw error;
	}
}

const fileWith = (bytes: Uint8Array): string => {
	const file = path.join(mkdtempSync(path.join(root, "model-")), "model.onnx");
	writeFileSync(file, bytes);
	return file;
};

describe("a hostile model", () => {
	it.each(Object.entries(HOSTILE))("of %s is_read_or_refused", async (name, make) => {
		const files = new Map([["model.onnx", make(new Dice(1, name))]]);
		for (const action of ["inspect", "encode"] as const) {
			const error = await outcomeOf({ action, files, targets: ["model.onnx"] });
			expect(error?.toLine() ?? "").not.toMatch(/call stack|is not a function|undefined/);
		}
	});
});

describe("what the fuzzer found", () => {
	const names = readdirSync(FOUND);

	it.each(names)("%s stays_repaired", async (name) => {
		const error = await outcomeOf(readCase(path.join(FOUND, name)));
		expect(error?.toLine() ?? "").not.toMatch(/call stack|is not a function|undefined/);
	});
});

describe("long graphs", () => {
	const LENGTH = 15_000;
	const chain = (operator: string, from: string) =>
		Array.from({ length: LENGTH }, (_, index) => message(1, node(operator, [index === 0 ? from : `v${index - 1}`], [`v${index}`])));
	const table = message(5, tensor("table", 1, [64, 8], raw(new Uint8Array(64 * 8 * 4))));
	const ids = message(11, message(1, "input_ids"), message(2, message(1, number(1, 7))));
	const gather = (...inputs: string[]) => message(1, node("Gather", inputs, ["rows"]));
	const last = `v${LENGTH - 1}`;

	it("of_identities_around_a_lookup_are_followed_to_their_end", async () => {
		const between = [
			join(table, ids, ...chain("Identity", "table"), gather(last, "input_ids"), message(12, message(1, "rows"))),
			join(table, ids, ...chain("Identity", "input_ids"), gather("table", last), message(12, message(1, "rows"))),
			join(table, ids, gather("table", "input_ids"), ...chain("Identity", "rows"), message(12, message(1, last))),
		];
		for (const graph of between) {
			const report = await inspect(fileWith(model(graph)), { threads: 1 });
			expect(report.vocabularies.map(({ rows, cols }) => [rows, cols])).toEqual([[64, 8]]);
		}
	});
});

describe("graphs that expand", () => {
	it("into_more_memory_than_their_file_lets_expect_are_refused_and_others_are_not", () => {
		const nodes = (count: number) => {
			const one = message(1, node("Neg", ["x"], [""]));
			const all = new Uint8Array(count * one.byteLength);
			for (let index = 0; index < count; index++) all.set(one, index * one.byteLength);
			return fileWith(model(join(message(11, message(1, "x")), all)));
		};
		openModel(nodes(10_000)).close();
		expect(() => openModel(nodes(400_000))).toThrow(/describes a graph that would take more than 29\d MB of memory/);
	});

	it("by_functions_that_call_others_twice_are_refused", async () => {
		const local = message(7, "local");
		const opsets = [message(9, number(2, 21)), message(9, message(1, "local"), number(2, 1))];
		const definition = (index: number) => {
			const calls = [node(`F${index + 1}`, ["a"], ["c"], local), node(`F${index + 1}`, ["c"], ["b"], local)];
			return message(
				25,
				message(1, `F${index}`),
				message(10, "local"),
				...opsets,
				message(4, "a"),
				message(5, "b"),
				...calls.map((call) => message(7, call)),
			);
		};
		const matrix = message(5, message(1, "value"), number(20, 4), message(5, tensor("", 1, [2, 2], raw(new Uint8Array(16)))));
		const end = message(
			25,
			...[message(1, "F40"), message(10, "local"), ...opsets, message(4, "a"), message(5, "b")],
			...[node("Constant", [], ["m"], matrix), node("Neg", ["a"], ["b"])].map((inner) => message(7, inner)),
		);
		const functions = [...Array.from({ length: 40 }, (_, index) => definition(index)), end];
		const graph = join(
			message(5, tensor("table", 1, [64, 8], raw(new Uint8Array(64 * 8 * 4)))),
			message(11, message(1, "input_ids"), message(2, message(1, number(1, 7)))),
			message(1, node("F0", ["table"], ["rows"], local)),
			message(12, message(1, "rows")),
		);
		const file = fileWith(model(graph, ...functions, message(8, message(1, "local"), number(2, 1))));
		await expect(inspect(file, { threads: 1 })).rejects.toThrow(/expand to more than 20000 nodes/);
	});
});

describe("links in a model's folder", () => {
	const bytes = model(
		join(
			message(5, tensor("table", 1, [64, 8], raw(new Uint8Array(64 * 8 * 4).fill(60)))),
			message(11, message(1, "input_ids"), message(2, message(1, number(1, 7)))),
			message(1, node("Gather", ["table", "input_ids"], ["rows"])),
			message(12, message(1, "rows"), message(2, message(1, number(1, 1)))),
			entry(16, "a", "b"),
		),
	);

	it("out_of_it_are_refused_by_name_and_those_within_or_to_nothing_are_not", async () => {
		const folder = path.dirname(fileWith(bytes));
		writeFileSync(path.join(folder, "config.json"), "{}");
		symlinkSync("config.json", path.join(folder, "same.json"));
		symlinkSync("loop", path.join(folder, "loop"));
		symlinkSync("nowhere", path.join(folder, "dangling"));
		symlinkSync("..", path.join(folder, "up"));
		const convert = (name: string) => compile(folder, path.join(root, name), { method: "svd", rank: 2, threads: 1 });
		await convert("copied");
		expect(readdirSync(path.join(root, "copied")).sort()).toEqual(["config.json", "model.onnx", "same.json"]);
		writeFileSync(path.join(root, "secret.txt"), "secret");
		symlinkSync("../secret.txt", path.join(folder, "notes.txt"));
		await expect(convert("refused")).rejects.toThrow(/"notes\.txt" is a link that leads out of the folder/);
		expect(readdirSync(root)).not.toContain("refused");
	});
});
