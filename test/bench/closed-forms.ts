// What the closed forms of math.md §3 leave of a model without any training: a Markdown table, from which the README's figures come.
// usage: node dist/test/bench/closed-forms.js MODEL --train FILE --test FILE [--ranks 64,128] [--tokens N]
//        [--measured 12800] [--pairs 200] [--window 128] [--forms "truncated SVD;weights, metric"]
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { parseArgs } from "node:util";
import { idOrder } from "../../passes/calibrate/id-order.js";
import { calibrate } from "../../passes/calibrate/index.js";
import { factorize } from "../../passes/factorize/index.js";
import { locate } from "../../passes/locate/index.js";
import { quantize } from "../../passes/quantize/index.js";
import { reconstruct } from "../../passes/reconstruct/index.js";
import { compare } from "../../src/compare.js";
import { openPairs } from "../../src/data/pairs.js";
import { openTokens } from "../../src/data/tokens.js";
import { openBundle, StagedOutput } from "../../src/onnx/index.js";
import { COMPILE_DEFAULTS } from "../../src/options.js";
import { type PassRunner, runPass } from "../../src/pass.js";
import type { CompareReport } from "../../src/report/compare.js";
import type { Calibration } from "../../src/state.js";
import type { Corpus } from "../../src/training/corpus.js";
import { loadedFrom, writeBundle } from "../../src/workspace.js";

const { values: options, positionals } = parseArgs({
	allowPositionals: true,
	options: {
		train: { type: "string" },
		test: { type: "string" },
		ranks: { type: "string", default: "64,128" },
		tokens: { type: "string" },
		measured: { type: "string", default: "12800" },
		pairs: { type: "string", default: "200" },
		window: { type: "string", default: "128" },
		forms: { type: "string" },
	},
});

const THREADS = 2;
const [model] = positionals;
const { train, test } = options;
if (model === undefined || train === undefined || test === undefined)
	throw new Error("usage: closed-forms.js MODEL --train FILE --test FILE");

/** What each form knows of what was measured. */
const FORMS: Readonly<Record<string, (calibration: Calibration) => Calibration | undefined>> = {
	"truncated SVD": () => undefined,
	"id order": ({ vocabulary }) => idOrder(vocabulary),
	weights: (calibration) => ({ ...calibration, gradientMoment: undefined, hiddenMoment: undefined }),
	"weights, metric": (calibration) => calibration,
};

const runner = (): PassRunner => ({ threads: THREADS, seed: 0, records: [] });
const wanted = options.forms?.split(";") ?? Object.keys(FORMS);
const calibrations = await calibrated();
let isFirst = true;
for (const rank of options.ranks.split(",").map(Number)) for (const form of wanted) await row(form, rank);

async function calibrated(): Promise<readonly Calibration[]> {
	return await withBundle(async (bundle) => {
		const corpus = await corpusOf();
		const records = runner();
		const located = await runPass(locate({}), loadedFrom(bundle), records);
		const { calibrations: found } = await runPass(
			calibrate(options.tokens === undefined ? { corpus } : { corpus, tokens: Number(options.tokens) }),
			located,
			records,
		);
		for (const { name, milliseconds, log } of records.records) print(`<!-- ${name}: ${Math.round(milliseconds)} ms; ${log.join("; ")} -->`);
		return found;
	});
}

async function corpusOf(): Promise<Corpus> {
	const origin = { special: { pad: 0, start: 0, mask: undefined, context: undefined }, generated: false, from: train ?? "" };
	if (train?.endsWith(".safetensors") === true) {
		const data = await openPairs([train]);
		return { kind: "pairs", train: data, validation: data, test: data, ...origin };
	}
	const data = await openTokens([train ?? ""]);
	return { kind: "tokens", train: data, validation: data, test: data, ...origin };
}

async function row(form: string, rank: number): Promise<void> {
	const work = mkdtempSync(path.join(tmpdir(), "distemb-forms-"));
	try {
		const student = path.join(work, path.basename(model ?? ""));
		const predicted = await write(form, rank, student);
		const report = await compare(model ?? "", student, {
			data: [test ?? ""],
			tokens: Number(options.measured),
			pairs: Number(options.pairs),
			window: Number(options.window),
			footprint: false,
			threads: THREADS,
		});
		if (isFirst) heading(report);
		isFirst = false;
		const { tokens, translation } = report;
		const { studentNats = 0, teacherNats = 0, divergence = 0, agreement = 0 } = tokens?.all ?? {};
		const bleu = translation === undefined ? "" : ` ${translation.student.bleu.toFixed(1)} |`;
		print(
			`| ${form} | ${rank} | ${studentNats.toFixed(3)} | +${(studentNats - teacherNats).toFixed(3)} | ${divergence.toFixed(4)} | ${predicted?.toFixed(4) ?? ""} | ${(100 * agreement).toFixed(1)} % |${bleu}`,
		);
	} finally {
		rmSync(work, { recursive: true, force: true });
	}
}

function heading({ tokens, translation }: CompareReport): void {
	const bleu = translation === undefined ? "" : ` ${translation.teacher.bleu.toFixed(1)} |`;
	print(`| | rank | nats | above the original | KL | predicted | agreement |${translation === undefined ? "" : " BLEU |"}`);
	print(`|---|---|---|---|---|---|---|${translation === undefined ? "" : "---|"}`);
	print(`| original | | ${tokens?.all.teacherNats.toFixed(3)} | | | | |${bleu}`);
}

/** Writes the model and returns the loss that was predicted of it. */
async function write(form: string, rank: number, output: string): Promise<number | undefined> {
	return await withBundle(async (bundle) => {
		const records = runner();
		const located = await runPass(locate({}), loadedFrom(bundle), records);
		const known = located.vocabularies.flatMap((vocabulary, index) => {
			const calibration = calibrations[index];
			return calibration === undefined ? [] : [{ ...calibration, vocabulary }];
		});
		const factorized = await runPass(factorize({ ...COMPILE_DEFAULTS, size: { rank } }), located, records);
		const used = known.flatMap((calibration) => FORMS[form]?.(calibration) ?? []);
		const method = used.length > 0 ? "distemb" : "svd";
		const reconstructed = await runPass(reconstruct({ method, calibrations: used.length > 0 ? used : known }), factorized, records);
		await runPass(quantize({ ops: "standard", dtype: "float32" }), reconstructed, records);
		const staged = new StagedOutput(output, bundle.kind);
		try {
			await writeBundle(staged, bundle, output, { threads: THREADS });
			await staged.commit(false);
		} finally {
			staged.discard();
		}
		// The weights alone predict with the identity as the metric: no loss in nats.
		if (form === "weights") return undefined;
		return reconstructed.reconstructions.reduce<number | undefined>(
			(sum, { predictedLoss }) => (predictedLoss === undefined ? sum : (sum ?? 0) + predictedLoss),
			undefined,
		);
	});
}

async function withBundle<T>(work: (bundle: ReturnType<typeof openBundle>) => Promise<T>): Promise<T> {
	const bundle = openBundle(model ?? "");
	try {
		return await work(bundle);
	} finally {
		bundle.close();
	}
}

function print(line: string): void {
	process.stdout.write(`${line}\n`);
}
