// What distillation does to a model: the passes with the options given, the curve, the log, and a comparison on test data.
// usage: node dist/test/bench/distill.js MODEL OUT --train FILE --valid FILE --test FILE [--rank 64 | --ratio X] [--dtype float32|mixed]
//        [--method distemb|paper|svd] [--steps N | --minutes M [--at 5,15]] [--batch N] [--length N] [--lr X] [--set head|factors|norms|all]
//        [--phases head,factors,all] [--weights JSON] [--calibration TOKENS] [--power 0.67] [--pairs 200] [--tokens 25600] [--seed 0] [--quiet]
// --at: also what the best so far was worth after so many minutes of the same training, at its last checkpoint before them; as OUT.at-MINUTES.
// Prints rows of a Markdown table: training, steps, KL, nats, perplexity, agreement; for translators BLEU and chrF.
import { parseArgs } from "node:util";
import { calibrate } from "../../passes/calibrate/index.js";
import { distill } from "../../passes/distill/index.js";
import { factorize } from "../../passes/factorize/index.js";
import { locate } from "../../passes/locate/index.js";
import { quantize } from "../../passes/quantize/index.js";
import { reconstruct } from "../../passes/reconstruct/index.js";
import { compare } from "../../src/index.js";
import { openBundle, StagedOutput } from "../../src/onnx/index.js";
import { type CompileOptions, resolveOptions } from "../../src/options.js";
import { type PassRunner, runPass } from "../../src/pass.js";
import type { Calibration } from "../../src/state.js";
import type { Checkpoint, CheckpointStore } from "../../src/training/checkpoint.js";
import { loadedFrom, writeBundle } from "../../src/workspace.js";
import { corpusOf } from "./students.js";

const { values, positionals } = parseArgs({
	allowPositionals: true,
	options: {
		train: { type: "string", default: "" },
		valid: { type: "string", default: "" },
		test: { type: "string", default: "" },
		rank: { type: "string" },
		ratio: { type: "string" },
		dtype: { type: "string", default: "float32" },
		power: { type: "string" },
		method: { type: "string", default: "distemb" },
		steps: { type: "string" },
		minutes: { type: "string" },
		at: { type: "string", default: "" },
		batch: { type: "string" },
		length: { type: "string" },
		lr: { type: "string" },
		set: { type: "string" },
		phases: { type: "string" },
		weights: { type: "string" },
		calibration: { type: "string" },
		pairs: { type: "string", default: "200" },
		tokens: { type: "string", default: "25600" },
		seed: { type: "string", default: "0" },
		quiet: { type: "boolean", default: false },
	},
});

const THREADS = 2;
const [input = "", output = ""] = positionals;
if (output === "" || values.train === "" || values.valid === "" || values.test === "")
	throw new Error("usage: distill.js MODEL OUT --train FILE --valid FILE --test FILE; see the head of the file");
const number = (text: string | undefined) => (text === undefined ? undefined : Number(text));
const method = values.method as "distemb" | "paper" | "svd";
const sized = values.ratio === undefined ? { rank: number(values.rank) ?? 64 } : { ratio: Number(values.ratio) };
const form = { dtype: values.dtype as CompileOptions["dtype"], frequencyPower: number(values.power) };
const options = resolveOptions({ ...sized, ...form, method, overwrite: true });
const corpus = await corpusOf(input, { train: values.train, validation: values.valid, test: values.test });
let calibrations: readonly Calibration[] | undefined;

/** The best so far at the last checkpoint before each of the minutes of `--at`. */
const snapshots = new Map<number, Checkpoint>();
const moments = values.at.split(",").map(Number);
const last = await run(output, {
	load: async () => undefined,
	save: async (checkpoint) => {
		const due = moments.filter((minutes) => minutes > 0 && checkpoint.facts.seconds <= 60 * minutes);
		const kept = due.length > 0 ? bestOf(checkpoint) : checkpoint;
		for (const minutes of due) snapshots.set(minutes, kept);
	},
});
await row(output, last);
for (const [minutes, { facts, arrays }] of snapshots) {
	const earlier = output.replace(/(\.onnx)?$/, `.at-${minutes}$1`);
	print(`| at ${(facts.seconds / 60).toFixed(1)} min of these |`);
	const isOver = { ...facts, step: number(values.steps) ?? facts.step, seconds: 60 * (number(values.minutes) ?? 0) };
	await row(earlier, await run(earlier, { load: async () => ({ facts: isOver, arrays }), save: async () => {} }));
}

/** All passes on the model read anew, since they change it; writes `output`. */
async function run(output: string, checkpoint: CheckpointStore) {
	const runner = runnerOf();
	const bundle = openBundle(input);
	try {
		const located = await runPass(locate({}), loadedFrom(bundle), runner);
		const extent = values.calibration === undefined ? {} : { tokens: Number(values.calibration) };
		if (method === "distemb") calibrations ??= (await runPass(calibrate({ corpus, ...extent }), located, runner)).calibrations;
		const known = calibrations?.flatMap((calibration, index) => {
			const vocabulary = located.vocabularies[index];
			return vocabulary === undefined ? [] : [{ ...calibration, vocabulary }];
		});
		const calibrated = { ...located, calibrations: known };
		const factorized = await runPass(factorize(options), calibrated, runner);
		const reconstructed = await runPass(reconstruct({ method, calibrations: known }), factorized, runner);
		const distilled = await runPass(
			distill({
				corpus,
				method,
				checkpoint,
				steps: number(values.steps),
				minutes: number(values.minutes),
				batch: number(values.batch),
				length: number(values.length),
				lr: number(values.lr),
				train: values.set as "head" | "factors" | "norms" | "all" | undefined,
				phases: values.phases?.split(",") as ("head" | "factors" | "all")[] | undefined,
				weights: values.weights === undefined ? undefined : JSON.parse(values.weights),
			}),
			{ ...reconstructed, calibrations: known ?? [] },
			runner,
		);
		await runPass(quantize({ ...options, refit: distilled.distillation === undefined }), distilled, runner);
		const staged = new StagedOutput(output, bundle.kind);
		await writeBundle(staged, bundle, output, {});
		await staged.commit(true);
		const record = runner.records.find(({ name }) => name === "distill");
		print([`distill ${Math.round(record?.milliseconds ?? 0)} ms`, ...(record?.log ?? [])].join("\n  "));
		return distilled.distillation;
	} finally {
		bundle.close();
	}
}

/** What was trained, and what the output is worth. */
async function row(output: string, trained: Awaited<ReturnType<typeof run>>) {
	const { curve = [], best } = trained ?? {};
	for (const { phase, step, seconds, loss, validation } of curve)
		print(`  ${phase} step ${step}  ${seconds.toFixed(0)} s  loss ${loss.toPrecision(4)}  validation ${validation?.toPrecision(4)}`);
	const { tokens, translation } = await compare(input, output, {
		data: [values.test],
		threads: THREADS,
		footprint: false,
		pairs: Number(values.pairs),
		tokens: Number(values.tokens),
	});
	print(JSON.stringify({ best, tokens, translation }));
	const all = tokens?.all;
	const cells = [
		`${best?.step ?? 0} steps, ${((curve.at(-1)?.seconds ?? 0) / 60).toFixed(1)} min`,
		all?.divergence.toFixed(4),
		all?.studentNats.toFixed(3),
		all?.studentPerplexity.toFixed(2),
		`${(100 * (all?.agreement ?? 0)).toFixed(1)} %`,
		...(translation === undefined ? [] : [translation.student.bleu.toFixed(1), translation.student.chrf.toFixed(1)]),
	];
	print(`| ${cells.join(" | ")} |`);
}

/** Only what was best, in arrays of its own; the optimizer's moments are not needed any more. */
function bestOf({ facts, arrays }: Checkpoint): Checkpoint {
	const kept = new Map<string, Float32Array>();
	for (const [name, array] of arrays) {
		const isValue = name.startsWith("best/values/");
		if (name.startsWith("now/")) continue;
		const values = isValue ? array.slice() : new Float32Array(array.length);
		kept.set(name, values).set(name.replace("best/", "now/"), values);
	}
	return { facts, arrays: kept };
}

function runnerOf(): PassRunner {
	let told = 0;
	return {
		threads: THREADS,
		seed: Number(values.seed),
		records: [],
		onProgress: ({ pass, note }) => {
			if (values.quiet || pass !== "distill" || note === undefined || performance.now() - told < 10_000) return;
			told = performance.now();
			print(`  ${note}`);
		},
	};
}

function print(line: string): void {
	process.stdout.write(`${line}\n`);
}
