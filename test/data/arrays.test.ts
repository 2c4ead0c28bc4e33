// Arrays in a file: back as they were, intact however a writer ends, and refused when broken.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { loadArrays, removeArrays, saveArrays } from "../../src/data/arrays.js";
import { folder, refusal } from "./support.js";

const { root } = folder();
const MODULE = path.resolve(import.meta.dirname, "../../dist/src/data/arrays.js");

describe("arrays", () => {
	it("come_back_as_they_were", async () => {
		const file = path.join(root, "new/arrays.safetensors");
		const arrays = new Map([
			["a/b", Float32Array.from([1, -0, Number.NaN, Number.POSITIVE_INFINITY, 1e-45])],
			["empty", new Float32Array(0)],
			["Ü", Float32Array.from({ length: 1001 }, (_, index) => index / 3)],
		]);
		await saveArrays(file, { facts: { step: 3, list: [null, "x"] }, arrays });
		expect(await loadArrays(file)).toEqual({ facts: { step: 3, list: [null, "x"] }, arrays });
		expect(readdirSync(path.dirname(file))).toEqual(["arrays.safetensors"]);
	});

	it("are_replaced_and_removed_with_their_folder", async () => {
		const file = path.join(root, "short/arrays.safetensors");
		for (const facts of [1, 2]) await saveArrays(file, { facts, arrays: new Map() });
		expect((await loadArrays(file))?.facts).toBe(2);
		await removeArrays(file);
		expect(await loadArrays(file)).toBeUndefined();
		expect(existsSync(path.dirname(file))).toBe(false);
	});

	it("leave_a_folder_in_which_something_else_lies", async () => {
		const file = path.join(root, "shared/arrays.safetensors");
		await saveArrays(file, { facts: 1, arrays: new Map() });
		writeFileSync(path.join(root, "shared/notes.txt"), "mine");
		await removeArrays(file);
		expect(readdirSync(path.dirname(file))).toEqual(["notes.txt"]);
	});

	it.each([0, 4, 40, 100])("cut_after_%d_bytes_are_refused", async (bytes) => {
		const file = path.join(root, `cut-${bytes}`);
		await saveArrays(file, { facts: 1, arrays: new Map([["a", new Float32Array(64)]]) });
		writeFileSync(file, readFileSync(file).subarray(0, bytes));
		expect(await refusal(() => loadArrays(file))).toBe(`input: ${file}: is broken; remove it, and begin anew`);
	});

	it("are_old_or_new_whenever_their_writer_is_killed", async () => {
		const file = path.join(root, "killed/arrays.safetensors");
		const script = `
			const { saveArrays } = await import(${JSON.stringify(`file://${MODULE}`)});
			for (let facts = 1; ; facts++) {
				await saveArrays(${JSON.stringify(file)}, { facts, arrays: new Map([["all", new Float32Array(2 ** 20).fill(facts)]]) });
				if (facts === 1) process.stdout.write("saved");
			}`;
		for (let round = 0; round < 6; round++) {
			const writer = spawn(process.execPath, ["--input-type=module", "-e", script], { stdio: ["ignore", "pipe", "inherit"] });
			await once(writer.stdout, "data");
			await new Promise((resolve) => setTimeout(resolve, 7 * round));
			writer.kill("SIGKILL");
			await once(writer, "exit");
			const { facts, arrays } = (await loadArrays(file)) ?? { facts: undefined, arrays: new Map() };
			expect(facts).toBeGreaterThanOrEqual(1);
			const all: Float32Array = arrays.get("all") ?? new Float32Array();
			expect(all.length).toBe(2 ** 20);
			expect(all.every((value) => value === facts)).toBe(true);
		}
	}, 60_000);
});
