// Calibrating a small real model: what it predicts of an error is what the engine measures, and factors that follow it lose less.
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type CalibrateOptions, calibrate } from "../../passes/calibrate/index.js";
import { factorize } from "../../passes/factorize/index.js";
import { locate } from "../../passes/locate/index.js";
import { reconstruct } from "../../passes/reconstruct/index.js";
import { readNpyTokens } from "../../src/data/npy.js";
import { openTokens } from "../../src/data/tokens.js";
import { setTensor } from "../../src/ir/edit.js";
import { dataOf, Tensor } from "../../src/ir/tensor.js";
import { expectedLoss, termsOf } from "../../src/linalg/objective.js";
import { divergence } from "../../src/metrics/distribution.js";
import { type Bundle, encodeToBytes, openBundle } from "../../src/onnx/index.js";
import { COMPILE_DEFAULTS } from "../../src/options.js";
import { runPass } from "../../src/pass.js";
import { normal } from "../../src/random.js";
import { engineProducts } from "../../src/runtime/products.js";
import { openSession } from "../../src/runtime/session.js";
import type { Calibrated, Calibration, Factorized, Located, Reconstruction } from "../../src/state.js";
import { feedsFor } from "../../src/training/batches.js";
import type { Corpus } from "../../src/training/corpus.js";
import { wholeOf } from "../../src/training/whole.js";
import { loadedFrom } from "../../src/workspace.js";
import { FIXTURES, temporaryFolder } from "../support/models.js";
import { runner } from "./support.js";

const FOLDER = path.join(FIXTURES, "sotu-lm");
const MODEL = path.join(FOLDER, "model.onnx");
const THREADS = 2;

const opened: Bundle[] = [];
afterAll(() => {
	for (const bundle of opened) bundle.close();
});

async function fresh(): Promise<Located> {
	const bundle = openBundle(MODEL);
	opened.push(bundle);
	return await runPass(locate({}), loadedFrom(bundle), runner());
}

async function corpusOf(): Promise<Corpus> {
	const data = await openTokens([path.join(FOLDER, "train.npy")]);
	const special = { pad: 0, start: 0, mask: undefined, context: 128 };
	return { kind: "tokens", train: data, validation: data, test: data, special, generated: false, from: "train.npy" };
}

const only = ({ calibrations: [first] }: Calibrated): Calibration => {
	if (first === undefined) throw new Error("nothing was calibrated");
	return first;
};

const products = engineProducts({ threads: THREADS });
afterAll(() => products.close());

const [BATCH, LENGTH] = [8, 64];
const held = readNpyTokens(path.join(FOLDER, "test.npy")).slice(0, BATCH * LENGTH);

/** Logits on text that calibration has not seen. */
async function logitsOf(state: Pick<Located, "files">): Promise<{ readonly values: Float32Array; readonly width: number }> {
	const { model, roles, width } = await wholeOf(state.files, { threads: THREADS });
	const source = opened.flatMap(({ models }) => models).find(({ open }) => open.model === model)?.open.source;
	const session = await openSession(encodeToBytes(model, source), { threads: THREADS });
	try {
		const results = await session.run(feedsFor(roles, { tokens: { batch: BATCH, length: LENGTH, ids: held } }), [roles.output]);
		const values = results[roles.output]?.data;
		if (!(values instanceof Float32Array)) throw new Error("no logits");
		return { values, width };
	} finally {
		await session.close();
	}
}

let teacher: Awaited<ReturnType<typeof logitsOf>>;

/** Mean KL(original ‖ student), nats per predicted token. */
async function measured(state: Pick<Located, "files">): Promise<number> {
	const { values, width } = await logitsOf(state);
	let sum = 0;
	for (let at = 0; at < values.length; at += width)
		sum += divergence(teacher.values.subarray(at, at + width), values.subarray(at, at + width));
	return sum / (values.length / width);
}

async function factorized(located: Located, rank: number): Promise<Factorized> {
	return await runPass(factorize({ ...COMPILE_DEFAULTS, size: { rank }, allowLarger: true }), located, runner());
}

describe("calibrate", () => {
	let located: Located;
	let calibration: Calibration;

	beforeAll(async () => {
		located = await fresh();
		teacher = await logitsOf(located);
		calibration = only(await runPass(calibrate({ corpus: await corpusOf(), tokens: 4096 }), located, runner()));
	}, 120_000);

	it("knows_both_sides_of_a_tied_table", () => {
		const { frequency, spread, gradientMoment, hiddenMoment, tokens, source } = calibration;
		expect(source).toBe("data");
		expect(tokens).toBeGreaterThanOrEqual(4096);
		const sum = (values: Float64Array | undefined) => values?.reduce((total, value) => total + value, 0) ?? Number.NaN;
		// Every token that is read takes part in the prediction of the next one.
		expect(sum(frequency)).toBeCloseTo(1, 6);
		expect(sum(spread)).toBeGreaterThan(0.5);
		expect(sum(spread)).toBeLessThan(1);
		const { cols } = calibration.vocabulary.table;
		for (const moment of [gradientMoment, hiddenMoment])
			for (let at = 0; at < cols; at++) expect(moment?.[at * cols + at]).toBeGreaterThan(0);
	});

	it.each([1e-3, 1e-2])("predicts_the_divergence_that_random_errors_of_relative_size_%f_cause_within_a_fifth", async (size) => {
		const state = await factorized(await fresh(), 160);
		const [group] = state.groups;
		if (group === undefined) throw new Error("no factors");
		const { table } = group.vocabulary;
		const { rows, cols } = table;
		const own = Float32Array.from(table.read(0, rows));
		const scale = size * Math.sqrt(own.reduce((sum, value) => sum + value * value, 0) / own.length);
		const draw = normal(11);
		const changed = own.map((value) => value + scale * draw());
		const identity = Float32Array.from({ length: cols * cols }, (_, at) => Number(at % (cols + 1) === 0));
		for (const { value, role } of group.values) {
			const turned = Float32Array.from(changed, (_, at) => changed[(at % rows) * cols + Math.floor(at / rows)] ?? 0);
			const array = role === "left" ? changed : role === "leftT" ? turned : identity;
			setTensor(value, new Tensor("float32", value.tensor?.dims ?? [], dataOf(new Uint8Array(array.buffer))));
		}
		const left = (start: number, end: number) => changed.subarray(start * cols, end * cols);
		const predicted = await expectedLoss(table, termsOf(calibration, "both"), { rank: cols, left, right: identity }, products);
		const ratio = (await measured(state)) / predicted;
		expect(ratio).toBeGreaterThan(0.8);
		expect(ratio).toBeLessThan(1.2);
	});

	it("leads_to_factors_that_lose_less_than_the_truncated_svd_and_than_weights_alone", async () => {
		const withoutMoments = { ...calibration, gradientMoment: undefined, hiddenMoment: undefined };
		const result = async (method: Reconstruction["method"], used: Calibration) => {
			const again = await fresh();
			const [vocabulary] = again.vocabularies;
			if (vocabulary === undefined) throw new Error("no vocabulary");
			const state = await factorized(again, 32);
			const reconstructed = await runPass(reconstruct({ method, calibrations: [{ ...used, vocabulary }] }), state, runner());
			return { kl: await measured(reconstructed), record: reconstructed.reconstructions[0] };
		};
		const [plain, weighted, whitened] = [
			await result("svd", calibration),
			await result("distemb", withoutMoments),
			await result("distemb", calibration),
		];
		expect(weighted.kl).toBeLessThan(plain.kl);
		expect(whitened.kl).toBeLessThan(weighted.kl);
		expect(whitened.record?.predictedLoss).toBeLessThan(plain.record?.predictedLoss ?? 0);
		expect(whitened.record?.relativeError).toBeGreaterThan(plain.record?.relativeError ?? 1);
		expect(whitened.record?.bestRelativeError).toBeCloseTo(plain.record?.bestRelativeError ?? 0, 5);
		expect(whitened.record?.bins.map(({ name }) => name)).toEqual(["head", "torso", "tail", "unseen"]);
		expect(weighted.record?.bins[0]?.relativeError).toBeLessThan(plain.record?.bins[0]?.relativeError ?? 0);
	});

	it("falls_back_to_the_order_of_the_ids_without_text", async () => {
		const records = runner();
		const found = only(await runPass(calibrate({ corpus: undefined }), located, records));
		expect(found).toMatchObject({ source: "id order", tokens: 0, gradientMoment: undefined, hiddenMoment: undefined });
		expect(found.frequency?.[0]).toBeGreaterThan(found.frequency?.[1] ?? 1);
		expect(found.frequency?.reduce((sum, weight) => sum + weight, 0)).toBeCloseTo(1, 9);
		expect(records.records.at(-1)?.log).toEqual(["weights by the order of the ids: there is no text to calibrate on"]);
	});

	it("gives_the_same_bits_for_the_same_seed_and_keeps_them_by_the_contents_of_model_and_data", async () => {
		const data = path.join(FOLDER, "train.npy");
		const settings = { corpus: await corpusOf(), tokens: 128, logits: 2 ** 19 };
		const cache = (folder: string) => ({ folder, files: [MODEL, data] });
		const kept = temporaryFolder();
		const found = async (options: CalibrateOptions) => {
			const records = runner();
			return { ...only(await runPass(calibrate(options), located, records)), log: records.records.at(-1)?.log };
		};
		const once = await found({ ...settings, cache: cache(kept) });
		const anew = await found({ ...settings, cache: cache(temporaryFolder()) });
		const again = await found({ ...settings, cache: cache(kept) });
		expect(anew).toEqual(once);
		expect(again.log?.[0]).toMatch(/kept from an earlier run/);
		expect({ ...again, log: undefined }).toEqual({ ...once, log: undefined });
		const other = await found({ ...settings, tokens: 64, cache: cache(kept) });
		expect(other.log?.[0]).not.toMatch(/kept/);
	});
});
