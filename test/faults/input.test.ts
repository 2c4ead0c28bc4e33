// Inputs that are removed, replaced or changed while a conversion runs: noticed, named on one line, and nothing is written.
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { beforeEach, describe, expect, it } from "vitest";
import { temporaryFolder } from "../support/models.js";
import { LANGUAGE_MODEL, ROOT, run, writeIds, writeModel } from "./support.js";

const root = temporaryFolder();
let work = root;
beforeEach(() => {
	work = path.join(root, `${process.hrtime.bigint()}`);
	mkdirSync(work);
});

/** Converts in a process of its own, and does `action` to `file` when `pass` begins. Prints the error as the command line would. */
const SCRIPT = `
	import { appendFileSync, cpSync, renameSync, rmSync, utimesSync, writeFileSync } from "node:fs";
	import { compile } from ${JSON.stringify(path.join(ROOT, "dist/src/index.js"))};
	const [input, output, pass, action, file, options] = process.argv.slice(2);
	const actions = {
		remove: () => rmSync(file),
		append: () => appendFileSync(file, "x"),
		touch: () => utimesSync(file, 1, 1),
		replace: () => { cpSync(file, file + ".new", { preserveTimestamps: true }); renameSync(file + ".new", file); },
	};
	let done = false;
	const onProgress = (progress) => {
		if (progress.pass !== pass || done) return;
		done = true;
		actions[action]();
	};
	try {
		await compile(input, output, { ...JSON.parse(options), threads: 1, onProgress });
	} catch (error) {
		process.stderr.write(error.toLine() + "\\n");
		process.exitCode = 1;
	}
	if (!done) process.stderr.write("never came to " + pass + "\\n");`;

async function convert(input: string, pass: string, action: string, file = input, options: object = { rank: 4, method: "svd" }) {
	const program = path.join(root, "convert.mjs");
	writeFileSync(program, SCRIPT);
	return await run([input, path.join(work, "out"), pass, action, file, JSON.stringify(options)], { program, cwd: work });
}

const NOTICED = /^[^\n]*\.(onnx|bin): was (changed|removed) while it was converted; run the conversion again\n$/;

describe("an input that is not what it was", () => {
	const cases = ["remove", "append", "touch", "replace"].flatMap((action) =>
		["factorize", "verify"].map((pass) => [action, pass] as const),
	);
	it.each(cases)("by_%s_at_%s_is_noticed", async (action, pass) => {
		const input = writeModel(path.join(work, "in.onnx"), LANGUAGE_MODEL);
		const { status, stderr } = await convert(input, pass, action);
		expect(stderr).toMatch(NOTICED);
		expect(status).toBe(1);
		expect(readdirSync(work).filter((name) => !name.startsWith("in.onnx"))).toEqual([]);
	});

	it.each(["data", "distill", "measure"])("by_removal_at_%s_is_noticed_however_the_engine_words_it", async (pass) => {
		const input = writeModel(path.join(work, "in.onnx"), LANGUAGE_MODEL);
		const data = [writeIds(path.join(work, "ids.jsonl"))];
		const options = { rank: 4, steps: 2, batch: 2, length: 16, data };
		const { stderr } = await convert(input, pass, "remove", input, options);
		expect(stderr).toMatch(NOTICED);
		expect(existsSync(path.join(work, "out"))).toBe(false);
	});

	it("by_its_data_file_is_noticed", async () => {
		const text = LANGUAGE_MODEL.replace("table = float32[200, 16]", 'table = float32[200, 16] external "weights.bin"');
		const input = writeModel(path.join(work, "in.onnx"), text);
		const { stderr } = await convert(input, "verify", "touch", path.join(work, "weights.bin"));
		expect(stderr).toMatch(/weights\.bin: was changed/);
	});

	it("by_a_file_beside_the_model_that_cannot_be_copied_any_more_is_named", async () => {
		const input = path.join(work, "in");
		cpSync(path.join(ROOT, "fixtures/numbers-translator"), input, { recursive: true });
		const { status, stderr } = await convert(input, "write", "remove", path.join(input, "generation_config.json"));
		expect(stderr).toMatch(/generation_config\.json: no such file\n$/);
		expect(status).toBe(1);
		expect(readdirSync(work)).toEqual(["in"]);
	});

	it("is_not_suspected_where_it_is_as_it_was", async () => {
		const input = writeModel(path.join(work, "in.onnx"), LANGUAGE_MODEL);
		const other = path.join(work, "other");
		writeFileSync(other, "x");
		const { status, stderr } = await convert(input, "verify", "append", other);
		expect(stderr).toBe("");
		expect(status).toBe(0);
		expect(readFileSync(path.join(work, "out")).byteLength).toBeGreaterThan(0);
	});
});
