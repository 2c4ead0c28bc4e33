// What a rank does to real models without training: a Markdown table per model. The README's figures come from here.
// usage: node dist/test/bench/models.js lm MODEL.onnx TOKENS.npy [--window 128] [--tokens 25600] [--ranks 32,64,128]
//        node dist/test/bench/models.js translator FOLDER [--pairs 200]     (translation_model.onnx, test.safetensors)
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { parseArgs } from "node:util";
import { readNpyTokens } from "../../src/data/npy.js";
import { compile } from "../../src/index.js";
import { formatBytes } from "../../src/report/format.js";
import { crossEntropy, negativeLogProbability } from "../../src/runtime/cross-entropy.js";
import { tensorOf } from "../../src/runtime/numbers.js";
import { openSession, type Session } from "../../src/runtime/session.js";

const { values: options, positionals } = parseArgs({
	allowPositionals: true,
	options: {
		window: { type: "string", default: "128" },
		tokens: { type: "string", default: "25600" },
		pairs: { type: "string", default: "200" },
		ranks: { type: "string", default: "32,64,128" },
		methods: { type: "string", default: "svd" },
		dtype: { type: "string" },
	},
});

type Measure = (model: string) => Promise<number>;

const [kind, input, tokens] = positionals;
if (kind === "lm" && input !== undefined && tokens !== undefined) await table(input, languageModel(tokens), "perplexity", Math.exp);
else if (kind === "translator" && input !== undefined) await table(input, translator(input), "nats a token", (nats) => nats);
else throw new Error("usage: models.js lm MODEL.onnx TOKENS.npy | translator FOLDER");

async function table(model: string, measure: Measure, unit: string, shown: (nats: number) => number): Promise<void> {
	const work = mkdtempSync(path.join(tmpdir(), "distemb-models-"));
	print(`| | bytes | vocabulary | relative error | ${unit} |\n|---|---|---|---|---|`);
	try {
		let first = true;
		for (const method of options.methods.split(",")) {
			for (const rank of options.ranks.split(",").map(Number)) {
				const out = path.join(work, `${method}-${rank}${path.extname(model)}`);
				const dtype = options.dtype as "float32" | "float16" | "int8" | undefined;
				const report = await compile(model, out, {
					rank,
					method: method as "svd" | "paper",
					...(method === "svd" ? {} : { distill: false }),
					threads: 2,
					...(dtype === undefined ? {} : { dtype }),
				});
				if (first) row("original", report.input.bytes, report.bytes.vocabulary, 0, shown(await measure(model)));
				first = false;
				const factor = report.factors[0];
				row(
					`${method}, rank ${rank}`,
					report.output?.bytes ?? 0,
					sum(report.factors.map(({ bytes }) => bytes)),
					factor?.storedRelativeError ?? 0,
					shown(await measure(out)),
				);
				rmSync(out, { recursive: true });
			}
		}
	} finally {
		rmSync(work, { recursive: true, force: true });
	}
}

function row(name: string, bytes: number, vocabulary: number, error: number, quality: number): void {
	print(
		`| ${name} | ${formatBytes(bytes)} | ${formatBytes(vocabulary)} | ${error === 0 ? "" : error.toFixed(3)} | ${quality.toPrecision(4)} |`,
	);
}

function sum(numbers: readonly number[]): number {
	return numbers.reduce((total, each) => total + each, 0);
}

function print(line: string): void {
	process.stdout.write(`${line}\n`);
}

async function withModel<T>(model: string, work: (session: Session) => Promise<T>): Promise<T> {
	const session = await openSession(model, { threads: 2 });
	try {
		return await work(session);
	} finally {
		await session.close();
	}
}

function languageModel(file: string): Measure {
	const stream = readNpyTokens(file).subarray(0, Number(options.tokens));
	return (model) =>
		withModel(model, async (session) => (await crossEntropy(session, stream, { window: Number(options.window), batch: 4 })).nats);
}

/** Teacher-forced cross-entropy of the one-file translator; conventions in the model's README. */
function translator(folder: string): Measure {
	const pairs = readPairs(path.join(folder, "test.safetensors")).slice(0, Number(options.pairs));
	return (model) =>
		withModel(path.join(model, "translation_model.onnx"), async (session) => {
			let nats = 0;
			for (const [source, target] of pairs) {
				const ids = (values: ArrayLike<number>) => tensorOf("int64", [1, values.length], (index) => values[index] ?? 0);
				const { logits } = await session.run(
					{
						input_ids: ids(source),
						attention_mask: tensorOf("int64", [1, source.length], () => 1),
						decoder_input_ids: tensorOf("int64", [1, target.length], (index) => (index === 0 ? 0 : (target[index - 1] ?? 0))),
					},
					["logits"],
				);
				if (!(logits?.data instanceof Float32Array)) throw new Error("no logits");
				const size = logits.data.length / target.length;
				for (let at = 0; at < target.length; at++)
					nats += negativeLogProbability(logits.data.subarray(at * size, (at + 1) * size), target[at] ?? 0);
			}
			return nats / sum(pairs.map(([, target]) => target.length));
		});
}

/** Sentence pairs of a safetensors file: src/tgt_tokens (uint16), src/tgt_offsets (uint32). */
function readPairs(file: string): [Uint16Array, Uint16Array][] {
	const bytes = readFileSync(file);
	const length = Number(bytes.readBigUInt64LE(0));
	const header = JSON.parse(bytes.toString("utf8", 8, 8 + length)) as Record<string, { data_offsets: [number, number] }>;
	const part = (name: string) => {
		const [start, end] = header[name]?.data_offsets ?? [0, 0];
		return bytes.buffer.slice(bytes.byteOffset + 8 + length + start, bytes.byteOffset + 8 + length + end);
	};
	const sentences = (side: string) => {
		const tokens = new Uint16Array(part(`${side}_tokens`));
		const offsets = new Uint32Array(part(`${side}_offsets`));
		return Array.from({ length: offsets.length - 1 }, (_, index) => tokens.subarray(offsets[index], offsets[index + 1]));
	};
	const targets = sentences("tgt");
	return sentences("src").map((source, index) => [source, targets[index] ?? new Uint16Array(0)]);
}
