// What the closed forms of math.md §3 leave of a model without any training: a Markdown table, from which the README's figures come.
// usage: node dist/test/bench/closed-forms.js MODEL --train FILE --test FILE [--ranks 64,128] [--tokens N]
//        [--measured 12800] [--pairs 200] [--window 128] [--forms "truncated SVD;weights, metric"]
import { parseArgs } from "node:util";
import { idOrder } from "../../passes/calibrate/id-order.js";
import { factorize } from "../../passes/factorize/index.js";
import { quantize } from "../../passes/quantize/index.js";
import { reconstruct } from "../../passes/reconstruct/index.js";
import { compare } from "../../src/compare.js";
import { COMPILE_DEFAULTS } from "../../src/options.js";
import { type PassRunner, runPass } from "../../src/pass.js";
import type { CompareReport } from "../../src/report/compare.js";
import type { Calibration, Located } from "../../src/state.js";
import { calibrationsFor, calibrationsOf, print, THREADS, withStudent } from "./students.js";

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

const [model = ""] = positionals;
const { train = "", test = "" } = options;
if (model === "" || train === "" || test === "") throw new Error("usage: closed-forms.js MODEL --train FILE --test FILE");

/** What each form knows of what was measured. */
const FORMS: Readonly<Record<string, (calibration: Calibration) => Calibration | undefined>> = {
	"truncated SVD": () => undefined,
	"id order": ({ vocabulary }) => idOrder(vocabulary),
	weights: (calibration) => ({ ...calibration, gradientMoment: undefined, hiddenMoment: undefined }),
	"weights, metric": (calibration) => calibration,
};

const wanted = options.forms?.split(";") ?? Object.keys(FORMS);
const calibrations = await calibrationsOf(model, train, options.tokens === undefined ? undefined : Number(options.tokens));
let isFirst = true;
for (const rank of options.ranks.split(",").map(Number)) for (const form of wanted) await row(form, rank);

async function row(form: string, rank: number): Promise<void> {
	const make = async (located: Located, records: PassRunner) => await factored(form, rank, located, records);
	await withStudent(model, make, async (student, predicted) => {
		const report = await compare(model, student, {
			data: [test],
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
	});
}

function heading({ tokens, translation }: CompareReport): void {
	const bleu = translation === undefined ? "" : ` ${translation.teacher.bleu.toFixed(1)} |`;
	print(`| | rank | nats | above the original | KL | predicted | agreement |${translation === undefined ? "" : " BLEU |"}`);
	print(`|---|---|---|---|---|---|---|${translation === undefined ? "" : "---|"}`);
	print(`| original | | ${tokens?.all.teacherNats.toFixed(3)} | | | | |${bleu}`);
}

/** Returns the loss that is predicted of it. */
async function factored(form: string, rank: number, located: Located, records: PassRunner): Promise<number | undefined> {
	const known = calibrationsFor(located, calibrations);
	const factorized = await runPass(factorize({ ...COMPILE_DEFAULTS, size: { rank } }), located, records);
	const used = known.flatMap((calibration) => FORMS[form]?.(calibration) ?? []);
	const method = used.length > 0 ? "distemb" : "svd";
	const reconstructed = await runPass(reconstruct({ method, calibrations: used.length > 0 ? used : known }), factorized, records);
	await runPass(quantize({ ops: "standard", dtype: "float32" }), reconstructed, records);
	// The weights alone predict with the identity as the metric: no loss in nats.
	if (form === "weights") return undefined;
	return reconstructed.reconstructions.reduce<number | undefined>(
		(sum, { predictedLoss }) => (predictedLoss === undefined ? sum : (sum ?? 0) + predictedLoss),
		undefined,
	);
}
