// Compiled folders in transformers.js: the same application, in Node.js and in headless Chromium, on the original and on the result.
import { cpSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import path from "node:path";
import * as transformers from "@huggingface/transformers";
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type CompileOptions, compile } from "../../src/index.js";
import { setTensor } from "../../src/ir/edit.js";
import { Tensor } from "../../src/ir/tensor.js";
import { openModel, StagedOutput } from "../../src/onnx/index.js";
import { launchChromium, PAGES, packageFolder, type Visit, visit } from "./chromium.js";
import { answer } from "./page/app.js";
import { type LoopbackServer, serve } from "./server.js";

const FIXTURES = path.resolve(import.meta.dirname, "../../fixtures");
const work = mkdtempSync(path.join(tmpdir(), "distemb-transformers-"));

/** Where the engine of the installed transformers.js lies: it pins a version of its own. */
function engineFolder(): string {
	const library = createRequire(path.join(packageFolder("@huggingface/transformers"), "package.json"));
	return path.dirname(library.resolve("onnxruntime-web"));
}

let browser: Browser;
let server: LoopbackServer;
let visited: Visit;

beforeAll(async () => {
	server = await serve({
		page: PAGES,
		transformers: path.join(packageFolder("@huggingface/transformers"), "dist"),
		"ort-transformers": engineFolder(),
		models: work,
	});
	browser = await launchChromium();
	visited = await visit(browser, `${server.origin}/page/app.html`);
	await visited.page.waitForFunction(() => "answer" in globalThis);
});

afterAll(async () => {
	await browser?.close();
	await server?.close();
	rmSync(work, { recursive: true, force: true });
});

const GENERATION = {
	task: "text-generation",
	text: "The people of the United States",
	options: { max_new_tokens: 8, do_sample: false },
	expected: [{ generated_text: expect.stringMatching(/^The people of the United States.{8}/s) }],
} as const;

const TRANSLATION = {
	task: "translation",
	text: "four hundred and twenty one thousand six hundred and five",
	options: { max_new_tokens: 40 },
	expected: [{ translation_text: "quatrocentos e vinte e um mil seiscentos e cinco" }],
} as const;

interface Case {
	readonly ask: typeof GENERATION | typeof TRANSLATION;
	/** What the library calls the files: fp32 is model.onnx, q8 is model_quantized.onnx, … */
	readonly dtype: "fp32" | "fp16" | "q8" | "q4";
	/** Makes the original folder, with everything in `onnx/` that the library reads. */
	readonly make: (folder: string) => Promise<void>;
	readonly options: CompileOptions;
}

/** As fixtures/sotu-lm, with its model in `onnx/` under the name of a dtype. */
const languageModel = (suffix: string) => async (folder: string) => {
	mkdirSync(path.join(folder, "onnx"), { recursive: true });
	cpSync(path.join(FIXTURES, "sotu-lm/model.onnx"), path.join(folder, `onnx/model${suffix}.onnx`));
	for (const name of ["config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json"]) {
		cpSync(path.join(FIXTURES, "sotu-lm", name), path.join(folder, name));
	}
};

/** The same with its weights in model.onnx_data, and config.json saying so. */
async function withExternalData(folder: string): Promise<void> {
	const inner = path.join(work, "with-inner-data");
	await languageModel("")(inner);
	const open = openModel(path.join(inner, "onnx/model.onnx"));
	for (const value of open.model.graph.initializers) {
		const { tensor } = value;
		if (tensor === undefined || tensor.byteLength < 1024) continue;
		setTensor(value, new Tensor(tensor.dtype, tensor.dims, tensor.data, { kind: "external", location: "model.onnx_data" }));
	}
	const staged = new StagedOutput(folder, "directory");
	await staged.write([{ open, name: "onnx/model.onnx" }]);
	for (const name of ["generation_config.json", "tokenizer.json", "tokenizer_config.json"]) await staged.copy(path.join(inner, name), name);
	await staged.commit();
	open.close();
	const config: Record<string, unknown> = JSON.parse(readFileSync(path.join(inner, "config.json"), "utf8"));
	config["transformers.js_config"] = { use_external_data_format: { "model.onnx": true } };
	writeFileSync(path.join(folder, "config.json"), JSON.stringify(config));
}

const translator = async (folder: string) => cpSync(path.join(FIXTURES, "numbers-translator"), folder, { recursive: true });

/** The same under the names of another dtype. */
const translatorNamed = (suffix: string) => async (folder: string) => {
	await translator(folder);
	for (const name of ["encoder_model", "decoder_model_merged"]) {
		renameSync(path.join(folder, `onnx/${name}.onnx`), path.join(folder, `onnx/${name}${suffix}.onnx`));
	}
};

const CASES: Readonly<Record<string, Case>> = {
	"language model": { ask: GENERATION, dtype: "fp32", make: languageModel(""), options: { rank: 160, dtype: "int8", method: "svd" } },
	"language model under a quantized name": {
		ask: GENERATION,
		dtype: "q8",
		make: languageModel("_quantized"),
		options: { rank: 160, dtype: "int8", method: "svd" },
	},
	"language model with external data": {
		ask: GENERATION,
		dtype: "fp32",
		make: withExternalData,
		options: { rank: 160, dtype: "int8", method: "svd" },
	},
	translator: { ask: TRANSLATION, dtype: "fp32", make: translator, options: { rank: 32, dtype: "int8", method: "svd" } },
	"translator under a 4-bit name": {
		ask: TRANSLATION,
		dtype: "q4",
		make: translatorNamed("_q4"),
		options: { rank: 32, dtype: "int8", method: "svd" },
	},
};

describe.each(Object.entries(CASES))("%s", (name, { ask: { expected, ...ask }, dtype, make, options }) => {
	const model = name.replaceAll(" ", "-");
	const small = `${model}-small`;

	it("is_used_by_an_unchanged_application_in_node_and_in_the_browser", async () => {
		await make(path.join(work, model));
		const { savedBytes } = await compile(path.join(work, model), path.join(work, small), options);
		expect(savedBytes).toBeGreaterThan(0);

		const inNode = (which: string) => answer(transformers, { ...ask, dtype, models: work, model: which });
		const inBrowser = (which: string) =>
			visited.page.evaluate((request) => (globalThis as unknown as { answer(request: unknown): Promise<unknown> }).answer(request), {
				...ask,
				dtype,
				models: "/models/",
				model: which,
			});
		const original = await inNode(model);
		expect(original).toEqual(expected);
		expect(await inNode(small)).toEqual(original);
		expect(await inBrowser(small)).toEqual(original);
	});
});

it("needs_nothing_from_elsewhere_and_reports_no_error", () => {
	// The library asks for files that a folder may lack, and does without.
	const optional = (problem: string) => /console: Failed to load resource.*404/.test(problem);
	expect(visited.problems.filter((problem) => !optional(problem))).toEqual([]);
});
