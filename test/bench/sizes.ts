// What is left of a model without training at several sizes of its vocabulary: columns of different precision against a truncated SVD and
// against tables rounded to 8, 4 and 3 bits. A Markdown table, from which the README's figures come.
// usage: node dist/test/bench/sizes.js MODEL --train FILE --test FILE [--ratios 4,8,16,32] [--measured 12800] [--pairs 200]
//        [--window 128] [--rivals svd,int8,int4,int3]
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { parseArgs } from "node:util";
import { calibrate } from "../../passes/calibrate/index.js";
import { factorize } from "../../passes/factorize/index.js";
import { locate } from "../../passes/locate/index.js";
import { quantize } from "../../passes/quantize/index.js";
import { reconstruct } from "../../passes/reconstruct/index.js";
import { compare } from "../../src/compare.js";
import { openPairs } from "../../src/data/pairs.js";
import { openTokens } from "../../src/data/tokens.js";
import { setTensor } from "../../src/ir/edit.js";
import { float32Tensor } from "../../src/ir/tensor.js";
import { PLAIN_BITS, PLAIN_GROUP, plainBytes, roundPlain } from "../../src/linalg/plain.js";
import { openBundle, StagedOutput } from "../../src/onnx/index.js";
import { COMPILE_DEFAULTS } from "../../src/options.js";
import { type PassRunner, runPass } from "../../src/pass.js";
import { formatBytes } from "../../src/report/format.js";
import type { Calibration, Located } from "../../src/state.js";
import type { Corpus } from "../../src/training/corpus.js";
import { loadedFrom, writeBundle } from "../../src/workspace.js";

const { values: options, positionals } = parseArgs({
	allowPositionals: true,
	options: {
		train: { type: "string" },
		test: { type: "string" },
		ratios: { type: "string", default: "4,8,16,32" },
		measured: { type: "string", default: "12800" },
		pairs: { type: "string", default: "200" },
		window: { type: "string", default: "128" },
		rivals: { type: "string", default: "svd,int8,int4,int3" },
	},
});

const THREADS = 2;
const [model = ""] = positionals;
const { train = "", test = "" } = options;
if (model === "" || train === "" || test === "") throw new Error("usage: sizes.js MODEL --train FILE --test FILE");

interface Written {
	readonly bytes: number;
	readonly predicted?: number | undefined;
}

/** Changes the models and says what their vocabulary then takes. */
type Maker = (located: Located, runner: PassRunner) => Promise<Written>;

const runnerOf = (): PassRunner => ({ threads: THREADS, seed: 0, records: [] });
const calibrations = await calibrated();
const rivals = new Set(options.rivals.split(","));
let isFirst = true;
for (const bits of PLAIN_BITS) if (rivals.has(`int${bits}`)) await row(`int${bits}, groups of ${PLAIN_GROUP}, nearest`, rounded(bits));
for (const ratio of options.ratios.split(",").map(Number)) {
	if (rivals.has("svd")) await row(`truncated SVD, int8, ${ratio}×`, factored(ratio, "int8"));
	await row(`columns of different precision, ${ratio}×`, factored(ratio, "mixed"));
}

function factored(ratio: number, dtype: "int8" | "mixed"): Maker {
	return async (located, runner) => {
		const known = located.vocabularies.flatMap((vocabulary, index) => {
			const calibration = calibrations[index];
			return calibration === undefined ? [] : [{ ...calibration, vocabulary }];
		});
		const used = dtype === "mixed" ? known : undefined;
		const factorized = await runPass(
			factorize({ ...COMPILE_DEFAULTS, size: { ratio }, dtype }),
			{ ...located, calibrations: used },
			runner,
		);
		const reconstructed = await runPass(
			reconstruct({ method: dtype === "mixed" ? "distemb" : "svd", calibrations: used }),
			factorized,
			runner,
		);
		const { quantizations, groups } = await runPass(quantize({ ops: "standard", dtype }), reconstructed, runner);
		const predicted = groups.reduce((sum, { coding }) => sum + (coding?.predictedLoss ?? 0), 0);
		return { bytes: quantizations.reduce((sum, { bytes }) => sum + bytes, 0), predicted: dtype === "mixed" ? predicted : undefined };
	};
}

/** The table as a plain quantizer would store it, symmetric, a 16-bit scale a group; written as floats, counted as codes. */
function rounded(bits: number): Maker {
	return async ({ vocabularies }) => {
		let bytes = 0;
		for (const { table, copies } of vocabularies) {
			const { rows, cols } = table;
			const values = Float32Array.from(table.read(0, rows));
			roundPlain(values, cols, bits);
			for (const { value, orientation } of copies) {
				if (orientation !== "VxD") throw new Error(`"${value.name}" is stored transposed`);
				setTensor(value, float32Tensor(values, [rows, cols]));
			}
			bytes += plainBytes(table, bits);
		}
		return { bytes };
	};
}

async function calibrated(): Promise<readonly Calibration[]> {
	return await withBundle(async (bundle) => {
		const runner = runnerOf();
		const located = await runPass(locate({}), loadedFrom(bundle), runner);
		return (await runPass(calibrate({ corpus: await corpusOf() }), located, runner)).calibrations;
	});
}

async function corpusOf(): Promise<Corpus> {
	const origin = { special: { pad: 0, start: 0, mask: undefined, context: undefined }, generated: false, from: train };
	if (train.endsWith(".safetensors")) {
		const data = await openPairs([train]);
		return { kind: "pairs", train: data, validation: data, test: data, ...origin };
	}
	const data = await openTokens([train]);
	return { kind: "tokens", train: data, validation: data, test: data, ...origin };
}

async function row(name: string, make: Maker): Promise<void> {
	const work = mkdtempSync(path.join(tmpdir(), "distemb-sizes-"));
	try {
		const student = path.join(work, path.basename(model));
		const { bytes, predicted } = await write(make, student);
		const { tokens, translation } = await compare(model, student, {
			data: [test],
			tokens: Number(options.measured),
			pairs: Number(options.pairs),
			window: Number(options.window),
			footprint: false,
			threads: THREADS,
		});
		const { studentNats = 0, teacherNats = 0, divergence = 0, agreement = 0 } = tokens?.all ?? {};
		const bleu = (value: number | undefined) => (translation === undefined ? "" : ` ${value?.toFixed(1) ?? ""} |`);
		if (isFirst) {
			print(`| | vocabulary | nats | above the original | predicted | KL | agreement |${translation === undefined ? "" : " BLEU |"}`);
			print(`|---|---|---|---|---|---|---|${translation === undefined ? "" : "---|"}`);
			print(`| original | | ${teacherNats.toFixed(3)} | | | | |${bleu(translation?.teacher.bleu)}`);
		}
		isFirst = false;
		const above = studentNats - teacherNats;
		print(
			`| ${name} | ${formatBytes(bytes)} | ${studentNats.toFixed(3)} | ${above < 0 ? "−" : "+"}${Math.abs(above).toFixed(4)} | ${predicted?.toPrecision(2) ?? ""} | ${divergence.toFixed(4)} | ${(100 * agreement).toFixed(1)} % |${bleu(translation?.student.bleu)}`,
		);
	} finally {
		rmSync(work, { recursive: true, force: true });
	}
}

async function write(make: Maker, output: string): Promise<Written> {
	return await withBundle(async (bundle) => {
		const runner = runnerOf();
		const written = await make(await runPass(locate({}), loadedFrom(bundle), runner), runner);
		const staged = new StagedOutput(output, bundle.kind);
		try {
			await writeBundle(staged, bundle, output, { threads: THREADS });
			await staged.commit(false);
		} finally {
			staged.discard();
		}
		return written;
	});
}

async function withBundle<T>(work: (bundle: ReturnType<typeof openBundle>) => Promise<T>): Promise<T> {
	const bundle = openBundle(model);
	try {
		return await work(bundle);
	} finally {
		bundle.close();
	}
}

function print(line: string): void {
	process.stdout.write(`${line}\n`);
}
