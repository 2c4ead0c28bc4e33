// What is left of a model without training at several sizes of its vocabulary, ours against other ways to make a table small.
// Markdown tables, from which the figures of the documentation come: all tokens, then by how often a token occurs in the training text.
// usage: node dist/test/bench/sizes.js MODEL --train FILE --test FILE [--other FILE] [--ratios 4,8,16,32] [--measured 12800] [--pairs 200]
//        [--window 128] [--rivals svd,weighted,whitened,blocks,int8,int4,int3,aware] [--ours mixed,onnxruntime] [--timed]
// --other: text of another domain, on which KL and loss are measured too. --timed: milliseconds of a decoded token.
import { parseArgs } from "node:util";
import { importanceOf } from "../../passes/factorize/coding.js";
import { factorize } from "../../passes/factorize/index.js";
import { quantize } from "../../passes/quantize/index.js";
import { reconstruct } from "../../passes/reconstruct/index.js";
import { compare } from "../../src/compare.js";
import { setTensor } from "../../src/ir/edit.js";
import { float32Tensor } from "../../src/ir/tensor.js";
import { PLAIN_GROUP } from "../../src/linalg/plain.js";
import { COMPILE_DEFAULTS } from "../../src/options.js";
import { type PassRunner, runPass } from "../../src/pass.js";
import { BIN_NAMES, type CompareReport } from "../../src/report/compare.js";
import { formatBytes } from "../../src/report/format.js";
import { engineProducts } from "../../src/runtime/products.js";
import type { Calibration, Located } from "../../src/state.js";
import { blocksWithoutWhitening, errorAware, nearest, predictedLoss, type Rival } from "./rivals.js";
import { calibrationsFor, calibrationsOf, print, THREADS, withStudent } from "./students.js";

const { values: options, positionals } = parseArgs({
	allowPositionals: true,
	options: {
		train: { type: "string" },
		test: { type: "string" },
		other: { type: "string" },
		ratios: { type: "string", default: "4,8,16,32" },
		measured: { type: "string", default: "12800" },
		pairs: { type: "string", default: "200" },
		window: { type: "string", default: "128" },
		rivals: { type: "string", default: "svd,weighted,whitened,blocks,int8,int4,int3,aware" },
		ours: { type: "string", default: "mixed" },
		timed: { type: "boolean", default: false },
	},
});

const [model = ""] = positionals;
const { train = "", test = "", other } = options;
if (model === "" || train === "" || test === "") throw new Error("usage: sizes.js MODEL --train FILE --test FILE");

interface Made {
	/** Of the vocabulary. */
	readonly bytes: number;
	readonly savedBytes: number;
	readonly predicted?: number | undefined;
	/** What is measured computes with floats, not with what is counted. */
	readonly simulated: boolean;
}

type Maker = (located: Located, runner: PassRunner) => Promise<Made>;

/** What a rival of one rank knows of the calibration. */
const FORMS: Readonly<Record<string, (calibration: Calibration) => Calibration | undefined>> = {
	svd: () => undefined,
	weighted: (calibration) => ({ ...calibration, gradientMoment: undefined, hiddenMoment: undefined }),
	whitened: (calibration) => calibration,
};

const NAMES = { svd: "truncated SVD, int8", weighted: "weighted SVD, int8", whitened: "weighted and whitened SVD, int8" } as const;

const calibrations = await calibrationsOf(model, train);
const rivals = new Set(options.rivals.split(","));
const ours = new Set(options.ours.split(","));
const tables: { all: string[]; bins: string[] } = { all: [], bins: [] };
for (const bits of [8, 4, 3]) {
	const name = `int${bits}, groups of ${PLAIN_GROUP}`;
	if (rivals.has(`int${bits}`)) await row(`${name}, nearest`, simulated(nearest(bits)));
	if (rivals.has("aware") && bits < 8) await row(`${name}, error-aware`, simulated(errorAware(bits)));
}
for (const ratio of options.ratios.split(",").map(Number)) {
	for (const form of ["svd", "weighted", "whitened"] as const)
		if (rivals.has(form)) await row(`${NAMES[form]}, ${ratio}×`, factored(ratio, "int8", "standard", FORMS[form]));
	if (rivals.has("blocks")) await row(`blocks by frequency without whitening, ${ratio}×`, simulated(blocksWithoutWhitening, ratio));
	if (ours.has("mixed")) await row(`columns of different precision, ${ratio}×`, factored(ratio, "mixed", "standard"));
	if (ours.has("onnxruntime")) await row(`the same in onnxruntime's operators, ${ratio}×`, factored(ratio, "mixed", "onnxruntime"));
}
for (const line of ["", ...tables.bins]) print(line);

function factored(ratio: number, dtype: "int8" | "mixed", ops: "standard" | "onnxruntime", form = FORMS.whitened): Maker {
	return async (located, runner) => {
		const known = calibrationsFor(located, calibrations).flatMap((calibration) => form?.(calibration) ?? []);
		const used = known.length > 0 ? known : undefined;
		const factorized = await runPass(
			factorize({ ...COMPILE_DEFAULTS, ops, size: { ratio }, dtype, allowLarger: true }),
			{ ...located, calibrations: used },
			runner,
		);
		const method = used === undefined ? "svd" : "distemb";
		const reconstructed = await runPass(reconstruct({ method, calibrations: used }), factorized, runner);
		const { quantizations, groups } = await runPass(quantize({ ops, dtype }), reconstructed, runner);
		const bytes = quantizations.reduce((sum, held) => sum + held.bytes, 0);
		const predicted =
			dtype === "mixed"
				? groups.reduce((sum, { coding }) => sum + (coding?.predictedLoss ?? 0), 0)
				: reconstructed.reconstructions.reduce((sum, held) => sum + (held.predictedLoss ?? 0), 0);
		const isPredicted = form === FORMS.whitened;
		const saved = located.vocabularies.reduce((sum, held) => sum + held.bytes, 0) - bytes;
		return { bytes, savedBytes: saved, predicted: isPredicted ? predicted : undefined, simulated: false };
	};
}

/** What a runtime would read instead of the table, written as floats; its bytes are counted. */
function simulated(rival: Rival, ratio = 1): Maker {
	return async (located) => {
		const products = engineProducts({ threads: THREADS });
		let [bytes, before, predicted] = [0, 0, 0];
		try {
			const known = calibrationsFor(located, calibrations);
			for (const [index, vocabulary] of located.vocabularies.entries()) {
				const { table, copies } = vocabulary;
				const importance = importanceOf(vocabulary, "both", known[index]);
				const approximation = await rival({ table, importance, budget: vocabulary.bytes / ratio, products });
				predicted += await predictedLoss(vocabulary, known[index], approximation.values, products);
				for (const { value, orientation } of copies) {
					if (orientation !== "VxD") throw new Error(`"${value.name}" is stored transposed`);
					setTensor(value, float32Tensor(approximation.values, [table.rows, table.cols]));
				}
				bytes += approximation.bytes;
				before += vocabulary.bytes;
			}
		} finally {
			await products.close();
		}
		return { bytes, savedBytes: before - bytes, predicted, simulated: true };
	};
}

async function row(name: string, make: Maker): Promise<void> {
	await withStudent(model, make, async (student, made) => {
		const measured = await measure(student, test, options.timed && !made.simulated);
		const elsewhere = other === undefined ? undefined : await measure(student, other, false);
		if (tables.all.length === 0) head(measured, elsewhere);
		const { tokens, translation, teacher } = measured;
		const all = tokens?.all;
		const scores = translation === undefined ? [] : [translation.student.bleu.toFixed(1), translation.student.chrf.toFixed(1)];
		const file = formatBytes(teacher.bytes - made.savedBytes);
		add("all", [
			name,
			formatBytes(made.bytes),
			file,
			(all?.studentNats ?? 0).toFixed(3),
			above(all),
			made.predicted?.toPrecision(2) ?? "",
			(all?.divergence ?? 0).toFixed(4),
			`${(100 * (all?.agreement ?? 0)).toFixed(1)} %`,
			...scores,
			...(elsewhere === undefined ? [] : [above(elsewhere.tokens?.all), (elsewhere.tokens?.all.divergence ?? 0).toFixed(4)]),
			...(options.timed ? [made.simulated ? "" : milliseconds(measured.student.millisecondsPerToken)] : []),
		]);
		const bins = [measured, ...(elsewhere === undefined ? [] : [elsewhere])].flatMap(({ tokens: held }) =>
			BIN_NAMES.map((bin) => above(held?.bins[bin])),
		);
		add("bins", [name, formatBytes(made.bytes), ...bins]);
	});
}

function head(measured: CompareReport, elsewhere: CompareReport | undefined): void {
	const { tokens, translation, teacher } = measured;
	const scores = translation === undefined ? [] : ["BLEU", "chrF"];
	const far = elsewhere === undefined ? [] : ["other text: above", "KL"];
	const titles = ["", "vocabulary", "files", "nats", "above the original", "predicted", "KL", "agreement", ...scores, ...far];
	const columns = [...titles, ...(options.timed ? ["ms a token"] : [])];
	add("all", columns);
	add(
		"all",
		columns.map(() => "---"),
	);
	const known = translation === undefined ? [] : [translation.teacher.bleu.toFixed(1), translation.teacher.chrf.toFixed(1)];
	const nats = elsewhere === undefined ? [] : [`(${(elsewhere.tokens?.all.teacherNats ?? 0).toFixed(3)} nats)`, ""];
	const time = options.timed ? [milliseconds(teacher.millisecondsPerToken)] : [];
	const originalNats = (tokens?.all.teacherNats ?? 0).toFixed(3);
	add("all", ["original", "", formatBytes(teacher.bytes), originalNats, "", "", "", "", ...known, ...nats, ...time]);
	const bins = [measured, ...(elsewhere === undefined ? [] : [elsewhere])].flatMap(({ tokens: held }, index) =>
		BIN_NAMES.map((bin) => `${index === 0 ? "" : "other text: "}${bin} (${held?.bins[bin]?.positions ?? 0})`),
	);
	add("bins", ["nats above the original", "vocabulary", ...bins]);
	add("bins", ["---", "---", ...bins.map(() => "---")]);
}

async function measure(student: string, data: string, footprint: boolean): Promise<CompareReport> {
	return await compare(model, student, {
		data: [data],
		counts: [train],
		tokens: Number(options.measured),
		pairs: Number(options.pairs),
		window: Number(options.window),
		footprint,
		threads: THREADS,
	});
}

function above(scores: { readonly studentNats: number; readonly teacherNats: number } | undefined): string {
	if (scores === undefined) return "";
	const difference = scores.studentNats - scores.teacherNats;
	return `${difference < 0 ? "−" : "+"}${Math.abs(difference).toFixed(4)}`;
}

function milliseconds(time: number | undefined): string {
	return time?.toFixed(1) ?? "";
}

/** The first table appears line by line, the second at the end. */
function add(table: "all" | "bins", cells: readonly string[]): void {
	const line = `| ${cells.join(" | ")} |`;
	tables[table].push(line);
	if (table === "all") print(line);
}
