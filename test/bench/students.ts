// What the benchmarks of models without training share: one calibration, then smaller models written and measured one after the other.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { calibrate } from "../../passes/calibrate/index.js";
import { locate } from "../../passes/locate/index.js";
import { openPairs } from "../../src/data/pairs.js";
import { openTokens } from "../../src/data/tokens.js";
import { readUsage } from "../../src/data/usage.js";
import { openBundle, StagedOutput } from "../../src/onnx/index.js";
import { type PassRunner, runPass } from "../../src/pass.js";
import type { Calibration, Located } from "../../src/state.js";
import type { Corpus } from "../../src/training/corpus.js";
import { loadedFrom, writeBundle } from "../../src/workspace.js";

export const THREADS = 2;

export const runnerOf = (): PassRunner => ({ threads: THREADS, seed: 0, records: [] });

export function print(line: string): void {
	process.stdout.write(`${line}\n`);
}

/** Of the model's vocabularies, in their order; `tokens`: predicted tokens that the moments are means over. */
export async function calibrationsOf(model: string, train: string, tokens?: number): Promise<readonly Calibration[]> {
	return await withBundle(model, async (bundle) => {
		const runner = runnerOf();
		const located = await runPass(locate({}), loadedFrom(bundle), runner);
		const corpus = await corpusOf(model, { train });
		return (await runPass(calibrate(tokens === undefined ? { corpus } : { corpus, tokens }), located, runner)).calibrations;
	});
}

/** The calibrations as those of the same vocabularies, located anew. */
export function calibrationsFor({ vocabularies }: Located, calibrations: readonly Calibration[]): Calibration[] {
	return vocabularies.flatMap((vocabulary, index) => {
		const calibration = calibrations[index];
		return calibration === undefined ? [] : [{ ...calibration, vocabulary }];
	});
}

/** Writes what `make` makes of the model, hands its path to `measure`, and deletes it. */
export async function withStudent<Made, Measured>(
	model: string,
	make: (located: Located, runner: PassRunner) => Promise<Made>,
	measure: (student: string, made: Made) => Promise<Measured>,
): Promise<Measured> {
	const work = mkdtempSync(path.join(tmpdir(), "distemb-student-"));
	try {
		const student = path.join(work, path.basename(model));
		const made = await withBundle(model, async (bundle) => {
			const runner = runnerOf();
			const done = await make(await runPass(locate({}), loadedFrom(bundle), runner), runner);
			const staged = new StagedOutput(student, bundle.kind);
			try {
				await writeBundle(staged, bundle, student, { threads: THREADS });
				await staged.commit(false);
			} finally {
				staged.discard();
			}
			return done;
		});
		return await measure(student, made);
	} finally {
		rmSync(work, { recursive: true, force: true });
	}
}

/** Token ids, or pairs as safetensors; parts that are not given are the one before. */
export async function corpusOf(
	model: string,
	files: { readonly train: string; readonly validation?: string; readonly test?: string },
): Promise<Corpus> {
	const { train: from, validation = from, test = validation } = files;
	const { context } = await readUsage(model, {});
	const special = { pad: 0, start: 0, mask: undefined, context };
	const isPairs = from.endsWith(".safetensors");
	const parts = (open: (paths: string[]) => Promise<unknown>) => Promise.all([from, validation, test].map((file) => open([file])));
	const [train, held, last] = await parts(isPairs ? openPairs : openTokens);
	return { kind: isPairs ? "pairs" : "tokens", special, generated: false, from, train, validation: held, test: last } as Corpus;
}

async function withBundle<T>(model: string, work: (bundle: ReturnType<typeof openBundle>) => Promise<T>): Promise<T> {
	const bundle = openBundle(model);
	try {
		return await work(bundle);
	} finally {
		bundle.close();
	}
}
