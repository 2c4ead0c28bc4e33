// In processes of their own: a kill in the middle of writing, and the memory that large models take.
import { closeSync, openSync, readdirSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync, writeSync } from "node:fs";
import path from "node:path";
import { afterEach, beforeAll, describe, expect, it } from "vitest";
import { buildFileFormat, runScript, startScript } from "../support/built.js";
import { temporaryFolder } from "../support/models.js";
import { external, join, message, model, modelOf, number, opening, tensor } from "../support/wire.js";

const folder = temporaryFolder();
const file = path.join(folder, "model.onnx");
beforeAll(() => buildFileFormat(folder));
afterEach(() => {
	for (const name of readdirSync(folder)) if (/^\.?(model|out)\./.test(name)) rmSync(path.join(folder, name), { recursive: true });
});

/** A model with one uint8 tensor of `size` zeros in raw_data, as a sparse file. */
function sparseModel(size: number): void {
	const head = join(tensor("t", 2, [size]), opening(9, size));
	const initializer = join(opening(5, head.byteLength + size), head);
	const start = join(number(1, 10), message(8, number(2, 21)), opening(7, initializer.byteLength + size), initializer);
	writeFileSync(file, start);
	truncateSync(file, start.byteLength + size);
}

/**
 * Megabytes that a script's process grew by at its peak, over what it takes with everything loaded.
 * Linux' VmHWM belongs to the program itself; maxRSS also counts what its parent held when it was started.
 */
async function peakOf(body: string): Promise<number> {
	const script = `
		import { existsSync, readFileSync } from "node:fs";
		import { openModel, StagedOutput } from "./src/onnx/index.js";
		const status = () => readFileSync("/proc/self/status", "utf8").match(/VmHWM:\\s+(\\d+)/)?.[1];
		const peak = () => Number(existsSync("/proc/self/status") ? status() : process.resourceUsage().maxRSS) / 1024;
		openModel(process.argv[3]).close();
		globalThis.gc();
		const before = peak();
		${body}
		console.log(peak() - before);`;
	const warm = path.join(folder, "warm.onnx");
	writeFileSync(warm, modelOf());
	return Number(await runScript(folder, script, [file, warm]));
}

const SAVE = `
	const open = openModel(process.argv[2]);
	const staged = new StagedOutput(process.argv[2].replace("model.onnx", "out.onnx"), "file");
	await staged.write([{ open, name: "out.onnx" }]);
	await staged.commit();`;

describe("memory", () => {
	it("opening_a_model_of_1_GB_takes_less_than_50_MB", async () => {
		sparseModel(2 ** 30);
		expect(await peakOf("globalThis.kept = openModel(process.argv[2]);")).toBeLessThan(50);
	});

	it("writing_a_model_of_200_MB_streams_it", async () => {
		sparseModel(200 * 2 ** 20);
		expect(await peakOf(SAVE)).toBeLessThan(100);
		expect(statSync(path.join(folder, "out.onnx")).size).toBe(statSync(file).size);
	});

	it("opening_and_reading_30_million_numbers_in_int32_data_takes_less_than_their_bytes_and_30_MB", async () => {
		const count = 30_000_000;
		const packed = new Uint8Array(count).fill(7);
		writeFileSync(file, modelOf(join(tensor("t", 10, [count]), message(5, packed))));
		const peak = await peakOf("globalThis.bytes = openModel(process.argv[2]).model.graph.initializers[0].tensor.bytes();");
		expect(peak).toBeLessThan(60 + 30);
	});

	it("opening_5_million_numbers_in_small_chunks_takes_less_than_40_MB", async () => {
		const chunk = message(7, new Uint8Array(1000).fill(7));
		writeFileSync(file, modelOf(join(tensor("t", 7, [5_000_000]), ...Array.from({ length: 5000 }, () => chunk))));
		expect(await peakOf("openModel(process.argv[2]);")).toBeLessThan(40);
	});

	it("a_text_of_300_MB_is_held_once", async () => {
		const size = 300 * 2 ** 20;
		writeFileSync(file, join(model(message(11, message(1, "x"))), opening(6, size)));
		truncateSync(file, statSync(file).size + size);
		expect(await peakOf("globalThis.kept = openModel(process.argv[2]);")).toBeLessThan(300 + 50);
	});

	it("a_payload_beyond_4_GiB_is_read_at_its_place_only", async () => {
		const data = path.join(folder, "model.bin");
		const offset = 6 * 2 ** 30;
		writeFileSync(data, "");
		truncateSync(data, offset + 4);
		const descriptor = openSync(data, "r+");
		writeSync(descriptor, Uint8Array.of(1, 2, 3, 4), 0, 4, offset);
		closeSync(descriptor);
		writeFileSync(file, modelOf(tensor("t", 2, [4], external({ location: "model.bin", offset: `${offset}` }))));
		expect(await peakOf(SAVE)).toBeLessThan(50);
		expect([...readFileSync(path.join(folder, "out.bin"))]).toEqual([1, 2, 3, 4]);
	});
});

describe("a kill", () => {
	it("while_writing_leaves_no_output_and_the_input_as_it_was", async () => {
		sparseModel(1500 * 2 ** 20);
		const before = statSync(file, { bigint: true });
		const script = `
			import { openModel, StagedOutput } from "./src/onnx/index.js";
			const open = openModel(process.argv[2]);
			const staged = new StagedOutput(process.argv[3], "file");
			let told = false;
			const onProgress = (fraction) => {
				if (!told && fraction > 0.01) process.stdout.write("writing\\n");
				told ||= fraction > 0.01;
			};
			await staged.write([{ open, name: "out.onnx" }], { onProgress });
			await staged.commit();`;
		const child = startScript(folder, script, [file, path.join(folder, "out.onnx")]);
		const ended = new Promise<NodeJS.Signals | null>((resolve) => child.on("close", (_code, signal) => resolve(signal)));
		await new Promise((resolve) => child.stdout?.once("data", resolve));
		child.kill("SIGKILL");
		expect(await ended).toBe("SIGKILL");
		expect(readdirSync(folder).filter((name) => name.startsWith("out"))).toEqual([]);
		const after = statSync(file, { bigint: true });
		expect([after.size, after.mtimeNs, after.ino]).toEqual([before.size, before.mtimeNs, before.ino]);
	});
});
