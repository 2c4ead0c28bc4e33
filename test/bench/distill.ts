// What distillation does to a model: the passes with the options given, the curve, the log, and a comparison on test data.
// usage: node dist/test/bench/distill.js MODEL OUT --train FILE --valid FILE --test FILE [--rank 64] [--method distemb|paper]
//        [--phases head,factors,all] [--steps N | --minutes M] [--batch N] [--length N] [--lr X] [--set factors|norms|all] [--weights JSON] [--pairs 200] [--calibration TOKENS]
import path from "node:path";
import { parseArgs } from "node:util";
import { calibrate } from "../../passes/calibrate/index.js";
import { distill } from "../../passes/distill/index.js";
import { factorize } from "../../passes/factorize/index.js";
import { locate } from "../../passes/locate/index.js";
import { quantize } from "../../passes/quantize/index.js";
import { reconstruct } from "../../passes/reconstruct/index.js";
import { openPairs } from "../../src/data/pairs.js";
import { openTokens } from "../../src/data/tokens.js";
import { compare } from "../../src/index.js";
import { openBundle, StagedOutput } from "../../src/onnx/index.js";
import { resolveOptions } from "../../src/options.js";
import { type PassRunner, runPass } from "../../src/pass.js";
import type { Calibrated } from "../../src/state.js";
import type { Corpus } from "../../src/training/corpus.js";
import { loadedFrom, writeBundle } from "../../src/workspace.js";

const { values, positionals } = parseArgs({
	allowPositionals: true,
	options: {
		train: { type: "string", default: "" },
		valid: { type: "string", default: "" },
		test: { type: "string", default: "" },
		rank: { type: "string", default: "64" },
		method: { type: "string", default: "distemb" },
		steps: { type: "string" },
		minutes: { type: "string" },
		batch: { type: "string" },
		length: { type: "string" },
		lr: { type: "string" },
		set: { type: "string" },
		phases: { type: "string" },
		weights: { type: "string" },
		pairs: { type: "string", default: "200" },
		calibration: { type: "string" },
		seed: { type: "string", default: "0" },
		quiet: { type: "boolean", default: false },
	},
});

const [input = "", output = ""] = positionals;
const number = (text: string | undefined) => (text === undefined ? undefined : Number(text));
const print = (line: string) => process.stdout.write(`${line}\n`);

const special = { pad: 0, start: 0, mask: undefined, context: undefined };
const origin = { special, generated: false, from: values.train } as const;
const isPairs = values.train.endsWith(".safetensors");
const corpus: Corpus = isPairs
	? {
			kind: "pairs",
			...origin,
			train: await openPairs([values.train]),
			validation: await openPairs([values.valid]),
			test: await openPairs([values.test]),
		}
	: {
			kind: "tokens",
			...origin,
			train: await openTokens([values.train]),
			validation: await openTokens([values.valid]),
			test: await openTokens([values.test]),
		};

const method = values.method === "paper" ? "paper" : "svd";
const options = resolveOptions({ rank: Number(values.rank), method, overwrite: true });
let told = 0;
const runner: PassRunner = {
	threads: 2,
	seed: Number(values.seed),
	records: [],
	onProgress: ({ pass, note }) => {
		if (values.quiet || pass !== "distill" || performance.now() - told < 10_000) return;
		told = performance.now();
		print(`  ${note}`);
	},
};
const bundle = openBundle(input);
const located = await runPass(locate({}), loadedFrom(bundle), runner);
const calibrated =
	values.method === "distemb"
		? await runPass(
				calibrate({ corpus, ...(values.calibration === undefined ? {} : { tokens: Number(values.calibration) }) }),
				located,
				runner,
			)
		: located;
const factorized = { ...calibrated, ...(await runPass(factorize(options), calibrated, runner)) };
const calibrations = (calibrated as Partial<Calibrated>).calibrations ?? [];
const reconstructed = await runPass(
	reconstruct({ method: values.method as "distemb" | "paper" | "svd", calibrations }),
	factorized,
	runner,
);
const distilled = await runPass(
	distill({
		corpus,
		method: values.method as "distemb" | "paper" | "svd",
		steps: number(values.steps),
		minutes: number(values.minutes),
		batch: number(values.batch),
		length: number(values.length),
		lr: number(values.lr),
		train: values.set as "factors" | "norms" | "all" | undefined,
		phases: values.phases?.split(",") as ("head" | "factors" | "all")[] | undefined,
		weights: values.weights === undefined ? undefined : JSON.parse(values.weights),
	}),
	{ ...reconstructed, calibrations },
	runner,
);
await runPass(quantize(options), distilled, runner);
const staged = new StagedOutput(output, bundle.kind);
await writeBundle(staged, bundle, output, {});
await staged.commit(true);
bundle.close();
for (const { name, milliseconds, log } of runner.records)
	if (name === "distill") print([`${name} ${Math.round(milliseconds)} ms`, ...log].join("\n  "));
const { curve = [], best } = distilled.distillation ?? {};
for (const point of curve)
	print(
		`  ${point.phase} step ${point.step}  ${point.seconds.toFixed(0)} s  loss ${point.loss.toPrecision(4)}  validation ${point.validation?.toPrecision(4)}`,
	);
print(`  best ${JSON.stringify(best)}`);
if (values.test !== "") {
	const report = await compare(input, output, {
		data: [values.test],
		threads: 2,
		footprint: false,
		pairs: Number(values.pairs),
		tokens: 25_600,
	});
	print(JSON.stringify({ tokens: report.tokens?.all, translation: report.translation }, undefined, 1));
	print(path.basename(output));
}
