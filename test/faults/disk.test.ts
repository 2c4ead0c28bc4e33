// Disks that are full or read-only, and outputs on other file systems: one line that says so, nothing half-written, the input as it was.
import { cpSync, existsSync, mkdirSync, readdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import path from "node:path";
import { afterAll, beforeEach, describe, expect, it } from "vitest";
import { temporaryFolder } from "../support/models.js";
import { contentOf, LANGUAGE_MODEL, mountSmall, ROOT, run, start, writeIds, writeModel } from "./support.js";

const work = temporaryFolder();
const MODEL = writeModel(path.join(work, "model.onnx"), LANGUAGE_MODEL);
const IDS = writeIds(path.join(work, "ids.jsonl"));
const FAST = ["--rank", "4", "--method", "svd", "--quiet"];
const TRAINING = ["--rank", "4", "--steps", "3", "--batch", "2", "--length", "16", "--data", IDS, "--quiet"];
const input = contentOf(MODEL);

/** A file system of 64 kB; the model takes 28 kB, its result less, the training's checkpoint more than what is left. */
const disk = mountSmall(path.join(work, "disk"), "64k");
afterAll(() => disk?.unmount());
const where = disk === undefined ? " (not run: this user may not mount a file system)" : "";
const folder = disk?.folder ?? "";

beforeEach(() => {
	if (disk !== undefined) for (const name of readdirSync(folder)) rmSync(path.join(folder, name), { recursive: true });
});

/** Leaves `pages` pages of 4 kB. */
function fill(pages: number): void {
	writeFileSync(path.join(folder, "other"), Buffer.alloc((16 - pages) * 4096));
}

async function refused(args: readonly string[], reason: RegExp): Promise<void> {
	const { status, stderr, last } = await run(args, { cwd: work });
	expect(last).toMatch(reason);
	expect(stderr.trim().split("\n")).toHaveLength(1);
	expect(status).toBe(1);
	expect(contentOf(MODEL)).toEqual(input);
}

describe.skipIf(disk === undefined)(`a full disk${where}`, () => {
	it("ends_a_conversion_with_one_line_and_leaves_nothing", async () => {
		fill(2);
		await refused([MODEL, path.join(folder, "small.onnx"), ...FAST], /small\.onnx: no space left on the device; free some space/);
		expect(readdirSync(folder)).toEqual(["other"]);
	});

	it("ends_a_conversion_that_cannot_even_begin", async () => {
		fill(0);
		await refused([MODEL, path.join(folder, "small.onnx"), ...FAST], /no space left on the device/);
		expect(readdirSync(folder)).toEqual(["other"]);
	});

	it("ends_the_copy_of_a_folder", async () => {
		const bundle = path.join(work, "bundle");
		cpSync(path.join(ROOT, "fixtures/numbers-translator"), bundle, { recursive: true });
		fill(8);
		await refused([bundle, path.join(folder, "small"), ...FAST], /no space left on the device/);
		expect(readdirSync(folder)).toEqual(["other"]);
	});

	it("ends_a_run_whose_generated_text_has_no_place", async () => {
		fill(3);
		await refused(
			[MODEL, path.join(folder, "small.onnx"), ...TRAINING.filter((word) => word !== "--data" && word !== IDS)],
			/no space left/,
		);
		expect(readdirSync(folder).filter((name) => name !== "small.onnx.distemb-cache")).toEqual(["other"]);
		expect(readdirSync(path.join(folder, "small.onnx.distemb-cache"))).toEqual([]);
	});

	it("ends_an_interrupted_training_whose_checkpoint_has_no_place", async () => {
		fill(3);
		const many = TRAINING.flatMap((word) => (word === "--quiet" ? [] : [word === "3" ? "1000000" : word]));
		const { child, ended, says } = start([MODEL, path.join(folder, "small.onnx"), ...many]);
		expect(await says(/^distill \d/m)).toBe(true);
		child.kill("SIGINT");
		const { status, last } = await ended;
		expect(last).toMatch(/checkpoint\.safetensors: no space left on the device/);
		expect(status).toBe(1);
		expect(readdirSync(path.join(folder, "small.onnx.checkpoint"))).toEqual([]);
	});

	it("ends_with_a_line_about_the_report_that_has_no_place", async () => {
		fill(0);
		const out = path.join(work, "reported.onnx");
		await refused([MODEL, out, ...FAST, "--json", path.join(folder, "report.json")], /report\.json: no space left on the device/);
	});
});

describe.skipIf(disk === undefined)(`another file system${where}`, () => {
	it("takes_the_output", async () => {
		expect(await run([MODEL, path.join(folder, "small.onnx"), ...FAST])).toMatchObject({ status: 0, stderr: "" });
		expect(readdirSync(folder)).toEqual(["small.onnx"]);
	});

	it("takes_the_output_through_a_link_to_its_folder", async () => {
		symlinkSync(folder, path.join(work, "link"));
		expect(await run([MODEL, "link/small.onnx", ...FAST], { cwd: work })).toMatchObject({ status: 0, stderr: "" });
		expect(readdirSync(folder)).toEqual(["small.onnx"]);
	});

	it("that_is_mounted_at_the_output_itself_is_named", async () => {
		const bundle = path.join(work, "in");
		mkdirSync(bundle);
		cpSync(MODEL, path.join(bundle, "model.onnx"));
		await refused(
			[bundle, folder, ...FAST, "--overwrite"],
			/disk: cannot be replaced: something is mounted there; name a folder inside it/,
		);
		expect(readdirSync(folder)).toEqual([]);
		expect(readdirSync(work).filter((name) => name.startsWith("."))).toEqual([]);
	});
});

describe("a device that is full", () => {
	it.runIf(existsSync("/dev/full"))("behind_standard_output_is_one_line", async () => {
		const through = ["sh", "-c", 'exec "$@" >/dev/full', "sh"];
		const { status, stderr } = await run(["inspect", MODEL, "--quiet"], { through });
		expect(stderr.trim()).toBe("onnx-distemb: standard output: no space left on the device; free some space or choose another output");
		expect(status).toBe(1);
	});
});

// The last: the file system stays read-only.
describe.skipIf(disk === undefined)(`a read-only disk${where}`, () => {
	it("ends_a_conversion_with_one_line", async () => {
		disk?.makeReadOnly();
		await refused(
			[MODEL, path.join(folder, "small.onnx"), ...FAST],
			/disk: cannot be written: the file system is read-only; choose a folder that you may write to/,
		);
	});
});
