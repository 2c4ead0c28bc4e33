// Distillation of coded tables in all forms of a head: what validation measured last is what the written file does.
import path from "node:path";
import { describe, expect, it } from "vitest";
import { distill } from "../../passes/distill/index.js";
import { factorize } from "../../passes/factorize/index.js";
import { locate } from "../../passes/locate/index.js";
import { quantize } from "../../passes/quantize/index.js";
import { reconstruct } from "../../passes/reconstruct/index.js";
import { encodeToBytes, openBundle } from "../../src/onnx/index.js";
import { COMPILE_DEFAULTS } from "../../src/options.js";
import { runPass } from "../../src/pass.js";
import { normal, uniform } from "../../src/random.js";
import { reader } from "../../src/runtime/numbers.js";
import { openSession } from "../../src/runtime/session.js";
import type { Corpus } from "../../src/training/corpus.js";
import { writeModel } from "../support/bigrams.js";
import { temporaryFolder } from "../support/models.js";
import { int64s, runner } from "./support.js";

const [V, D] = [1024, 32];

/** About three bits a number. */
const RATIO = { float32: 10, float16: 5 } as const;
const SHAPE = { batch: 4, length: 32 } as const;

/** A language model whose next token depends on the last one alone. */
const model = (dtype: "float32" | "float16", isTied: boolean) => `
	model ir 8, opset ai.onnx 17
	graph main(input_ids: int64[batch, sequence])
		table = ${dtype}[${V}, ${D}]
		body = ${dtype}[${D}, ${D}]
		${isTied ? "" : `head = ${dtype}[${D}, ${V}]`}
		rows = Gather(table, input_ids)
		mixed = MatMul(rows, body)
		states = Tanh(mixed)
		${isTied ? "head = Transpose<perm=[1, 0]>(table)" : ""}
		logits = MatMul(states, head)
		return logits: ${dtype}[batch, sequence, ${V}]`;

/** Columns of different sizes: there is something to gain from different precisions. */
function numbers(rows: number, cols: number, size: (row: number, col: number) => number, seed: number): Float32Array {
	const random = normal(seed);
	return Float32Array.from({ length: rows * cols }, (_, at) => random() * size(Math.floor(at / cols), at % cols));
}

/** Ids of which the first are the most frequent. */
function draw(count: number, seed: number): Int32Array {
	const random = uniform(seed);
	return Int32Array.from({ length: count }, () => Math.floor(V * random() ** 3));
}

const held = draw(512, 2);

function corpusOf(): Corpus {
	const data = (ids: Int32Array) => ({
		async *read() {
			yield { ids, starts: true };
		},
	});
	const special = { pad: 0, start: 0, mask: undefined, context: undefined };
	const [train, validation] = [data(draw(4096, 1)), data(held)];
	return { kind: "tokens", special, generated: false, from: "drawn", train, validation, test: validation };
}

const folder = temporaryFolder();

async function convert(dtype: "float32" | "float16", isTied: boolean, steps: number) {
	const decay = (k: number) => 1 / (1 + k / 4);
	const file = writeModel(path.join(folder, `${dtype}-${isTied}.onnx`), model(dtype, isTied), {
		table: numbers(V, D, (_, k) => decay(k), 1),
		body: numbers(D, D, () => 0.6, 2),
		...(isTied ? {} : { head: numbers(D, V, (k) => decay(k), 3) }),
	});
	const bundle = openBundle(file);
	try {
		const files = bundle.models.map(({ name, open }) => ({ name, path: open.path, model: open.model, bytes: open.source.size }));
		const located = await runPass(locate({}), { kind: bundle.kind, path: bundle.path, files }, runner());
		const frequency = Float64Array.from({ length: V }, (_, id) => (1 + id) ** (-2 / 3) / 30);
		const calibrations = located.vocabularies.map((vocabulary) => ({
			...{ vocabulary, frequency, spread: frequency, gradientMoment: undefined, hiddenMoment: undefined },
			...{ tokens: 0, counted: 0, source: "id order" as const },
		}));
		const options = { ...COMPILE_DEFAULTS, size: { ratio: RATIO[dtype] }, dtype: "mixed" as const, blocks: 3, allowLarger: true };
		const sized = await runPass(factorize(options), { ...located, calibrations }, runner());
		const state = await runPass(reconstruct({ method: "distemb", calibrations }), sized, runner());
		const roles = state.groups.map(({ values }) => values.map(({ role }) => role));
		const corpus = corpusOf();
		const distilled = await runPass(distill({ corpus, method: "distemb", ...SHAPE, steps, lr: 2e-3 }), state, runner());
		const { distillation } = distilled;
		await runPass(quantize({ ops: "standard", dtype: "mixed", refit: distillation === undefined }), distilled, runner());
		const [own] = bundle.models;
		if (own === undefined) throw new Error("no model");
		const written = encodeToBytes(own.open.model, own.open.source);
		return { roles, distillation, divergence: await divergence(file, written) };
	} finally {
		bundle.close();
	}
}

/** Mean divergence of the written model from the original after every held token, worked out from their logits. */
async function divergence(original: string, written: Uint8Array): Promise<number> {
	const feeds = { input_ids: int64s([...held], [1, held.length]) };
	const [teacher, student] = await Promise.all(
		[original, written].map(async (file) => {
			const session = await openSession(file, { threads: 1 });
			const { logits } = await session.run(feeds);
			await session.close();
			if (logits === undefined) throw new Error("no logits");
			const read = reader(logits);
			return Float64Array.from({ length: V * held.length }, (_, index) => read(index));
		}),
	);
	let sum = 0;
	for (let row = 0; row < held.length; row++) {
		const [p, q] = [teacher, student].map((all) => logSoftmax(all?.subarray(row * V, (row + 1) * V) ?? new Float64Array(0)));
		sum += p?.reduce((held, log, at) => held + Math.exp(log) * (log - (q?.[at] ?? 0)), 0) ?? 0;
	}
	return sum / held.length;
}

function logSoftmax(logits: Float64Array): Float64Array {
	const most = logits.reduce((held, value) => Math.max(held, value), Number.NEGATIVE_INFINITY);
	const total = Math.log(logits.reduce((sum, value) => sum + Math.exp(value - most), 0)) + most;
	return logits.map((value) => value - total);
}

describe("a distilled coded table", () => {
	it.each([
		["one_table_in_float32", "float32", true, [["left", "right"]], 1e-3],
		[
			"a_transposed_head_of_its_own",
			"float32",
			false,
			[
				["left", "right"],
				["leftT", "rightT"],
			],
			1e-3,
		],
		["float16_boundaries", "float16", true, [["left", "right"]], 2e-2],
		[
			"a_transposed_head_and_float16_boundaries",
			"float16",
			false,
			[
				["left", "right"],
				["leftT", "rightT"],
			],
			2e-2,
		],
	] as const)("does_in_its_file_what_was_validated_with_%s", async (_, dtype, isTied, roles, tolerance) => {
		const { roles: found, distillation, divergence } = await convert(dtype, isTied, 40);
		expect(found).toEqual(roles);
		const { best, curve = [] } = distillation ?? {};
		expect(best?.step).toBeGreaterThan(12);
		expect(best?.validation).toBeLessThan(0.9 * (curve[0]?.validation ?? 0));
		expect(Math.abs(divergence / (best?.validation ?? 0) - 1)).toBeLessThan(tolerance);
	});
});
