// Whether a non-linear decoder at the lookups, u → ReLU(uA + a)B in place of uW, is worth its bytes once both are distilled alike.
// usage: node dist/test/bench/input-decoder.js MODEL --train FILE --valid FILE --test FILE [--rank 32] [--extra 2]
//        [--decoders linear,own,mlp] [--embedding 0,0.5] [--seeds 0,1,2] [--steps 300] [--batch N] [--length N] [--rate 10]
//        [--calibration TOKENS] [--measured 25600]
// Of a model with one table for lookups and projections. Decoders, the first three of at most the same bytes, of which they miss less
// than one hidden unit or rank:
//   linear  rank + extra, W shared with the projections
//   own     a W of the lookups' own, and the largest rank that leaves room for it
//   mlp     the rank, and as many hidden units as the extra ranks' bytes buy, at least two for each rank
//   narrow  the rank, linear: what mlp computes until it is trained, in fewer bytes
// --embedding: weights of embedding distillation. It sees the table's factors, not a decoder of the lookups' own.
// --rate: learning rate of the decoder as a multiple of the body's; 10 is that of the factors.
// --steps 0: nothing is trained; narrow and mlp are then the same to rounding.
// Prints rows of a Markdown table, one for each training, then the means over the seeds.
import { parseArgs } from "node:util";
import { distill } from "../../passes/distill/index.js";
import { floatsOf } from "../../passes/distill/write.js";
import { factorize } from "../../passes/factorize/index.js";
import { quantize } from "../../passes/quantize/index.js";
import { reconstruct } from "../../passes/reconstruct/index.js";
import { compare } from "../../src/compare.js";
import type { Value } from "../../src/ir/graph.js";
import { COMPILE_DEFAULTS } from "../../src/options.js";
import { type PassRunner, runPass } from "../../src/pass.js";
import type { Located, Table } from "../../src/state.js";
import { decodeLookups } from "./lookup-decoder.js";
import { calibrationsFor, calibrationsOf, corpusOf, print, THREADS, withStudent } from "./students.js";

const { values: options, positionals } = parseArgs({
	allowPositionals: true,
	options: {
		train: { type: "string", default: "" },
		valid: { type: "string", default: "" },
		test: { type: "string", default: "" },
		rank: { type: "string", default: "32" },
		extra: { type: "string", default: "2" },
		decoders: { type: "string", default: "linear,own,mlp" },
		embedding: { type: "string", default: "0,0.5" },
		seeds: { type: "string", default: "0,1,2" },
		steps: { type: "string", default: "300" },
		batch: { type: "string" },
		length: { type: "string" },
		rate: { type: "string", default: "10" },
		calibration: { type: "string" },
		measured: { type: "string", default: "25600" },
	},
});

type Decoder = "linear" | "own" | "mlp" | "narrow";

interface Row {
	readonly decoder: Decoder;
	readonly embedding: number;
	readonly rank: number;
	readonly hidden: number | undefined;
	readonly bytes: number;
	/** KL(original ‖ student) and the student's cross-entropy on the test part, nats per token. */
	readonly kl: number;
	readonly nats: number;
}

const number = (text: string | undefined) => (text === undefined ? undefined : Number(text));
const numbers = (text: string) => text.split(",").map(Number);
const [model = ""] = positionals;
const { train, valid, test } = options;
if ([model, train, valid, test].includes("")) throw new Error("usage: input-decoder.js MODEL --train FILE --valid FILE --test FILE");
const [rank, extra, steps, rate] = [Number(options.rank), Number(options.extra), Number(options.steps), Number(options.rate)];
const calibrations = await calibrationsOf(model, train, number(options.calibration));
const corpus = await corpusOf(model, { train, validation: valid, test });

print(
	"| decoder of the lookups | rank | hidden | vocabulary, bytes | embedding distillation | seed | KL | nats | perplexity | best step | s |",
);
print("|---|---|---|---|---|---|---|---|---|---|---|");
const rows: Row[] = [];
for (const seed of numbers(options.seeds))
	for (const embedding of numbers(options.embedding))
		for (const decoder of options.decoders.split(",") as Decoder[]) rows.push(await row(decoder, embedding, seed));
for (const embedding of numbers(options.embedding))
	for (const decoder of options.decoders.split(",") as Decoder[])
		mean(rows.filter((one) => one.decoder === decoder && one.embedding === embedding));

async function row(decoder: Decoder, embedding: number, seed: number): Promise<Row> {
	const make = (located: Located, runner: PassRunner) => studentOf(decoder, embedding, located, { ...runner, seed });
	return await withStudent(model, make, async (student, { shape, bytes, distillation, log }) => {
		const report = await compare(model, student, { data: [test], tokens: Number(options.measured), footprint: false, threads: THREADS });
		const all = report.tokens?.all;
		if (all === undefined) throw new Error("only language models are measured");
		const { divergence: kl, studentNats: nats } = all;
		const { curve = [], best } = distillation ?? {};
		for (const line of log) print(`  ${line}`);
		print(
			`  original ${all.teacherNats.toFixed(4)} nats on ${all.positions} tokens; validation ${curve[0]?.validation?.toFixed(4)} → ${best?.validation.toFixed(4)}`,
		);
		const cells = [
			seed,
			kl.toFixed(4),
			nats.toFixed(4),
			all.studentPerplexity.toFixed(2),
			best?.step ?? 0,
			curve.at(-1)?.seconds.toFixed(0) ?? 0,
		];
		print(`| ${[decoder, shape.rank, shape.hidden ?? "", bytes, embedding, ...cells].join(" | ")} |`);
		return { decoder, embedding, ...shape, bytes, kl, nats };
	});
}

/** The passes of a conversion, with another decoder at the lookups before distillation. */
async function studentOf(decoder: Decoder, embedding: number, located: Located, runner: PassRunner) {
	const known = calibrationsFor(located, calibrations);
	const [vocabulary, another] = located.vocabularies;
	if (vocabulary?.tied !== true || another !== undefined) throw new Error("the model has not one table for lookups and projections");
	const shape = shapeOf(decoder, vocabulary.table);
	const factorized = await runPass(factorize({ ...COMPILE_DEFAULTS, size: { rank: shape.rank } }), located, runner);
	const reconstructed = await runPass(reconstruct({ method: "distemb", calibrations: known }), factorized, runner);
	const [group] = reconstructed.groups;
	if (group === undefined) throw new Error("nothing was factorized");
	const added = decoder === "own" || decoder === "mlp" ? decodeLookups(group, shape.hidden, { rate, seed: runner.seed }) : [];
	const before = added.map(floatsOf);
	const weights = { embedding };
	const training = { steps, batch: number(options.batch), length: number(options.length), weights };
	const distilled =
		steps === 0
			? { ...reconstructed, distillation: undefined }
			: await runPass(distill({ corpus, method: "distemb", ...training }), { ...reconstructed, calibrations: known }, runner);
	const log = [
		...(distilled.distillation?.untrained ?? []),
		...(steps === 0 ? [] : added.map((value, index) => moved(value, before[index]))),
	];
	await runPass(quantize({ ops: "standard", dtype: "float32" }), distilled, runner);
	const stored = new Set([...group.values.map(({ value }) => value), ...added]);
	const bytes = [...stored].reduce((sum, { tensor }) => sum + (tensor?.byteLength ?? 0), 0);
	return { shape, bytes, log, distillation: distilled.distillation };
}

/** A rank of linear factors costs V + d numbers; a rank of U alone V, a hidden unit a column of A, an element of a and a row of B. */
function shapeOf(decoder: Decoder, { rows: V, cols: d }: Table): { readonly rank: number; readonly hidden: number | undefined } {
	const budget = (rank + extra) * (V + d);
	if (decoder === "linear") return { rank: rank + extra, hidden: undefined };
	if (decoder === "narrow") return { rank, hidden: undefined };
	if (decoder === "own") return { rank: Math.floor(budget / (V + 2 * d)), hidden: undefined };
	const hidden = Math.floor((budget - rank * (V + d)) / (rank + 1 + d));
	if (hidden < 2 * rank) throw new Error(`${extra} extra ranks buy ${hidden} hidden units, less than two for each of ${rank} ranks`);
	return { rank, hidden };
}

/** How far training moved a decoder's tensor: root mean squares. @throws Error if it did not move */
function moved(value: Value, before: Float32Array = new Float32Array(0)): string {
	const now = floatsOf(value);
	const [size, change] = [rate * rootMeanSquare(before), rate * rootMeanSquare(now.map((element, at) => element - (before[at] ?? 0)))];
	if (!(change > 0)) throw new Error(`"${value.name}" was not trained`);
	return `${value.name} [${value.tensor?.dims.join(", ")}] of size ${size.toPrecision(3)} moved by ${change.toPrecision(3)}`;
}

function rootMeanSquare(values: Float32Array): number {
	return Math.sqrt(values.reduce((sum, value) => sum + value ** 2, 0) / values.length);
}

/** Means over the seeds, and from where to where they lie. */
function mean(found: readonly Row[]): void {
	const [first] = found;
	if (first === undefined) return;
	const of = (values: readonly number[]) => {
		const middle = values.reduce((sum, value) => sum + value, 0) / values.length;
		return `${middle.toFixed(4)} (${Math.min(...values).toFixed(4)}–${Math.max(...values).toFixed(4)})`;
	};
	const { decoder, rank, hidden = "", bytes, embedding } = first;
	const [kl, nats] = [found.map((one) => one.kl), found.map((one) => one.nats)];
	print(`| ${[decoder, rank, hidden, bytes, embedding, `${found.length} seeds`, of(kl), of(nats), "", "", ""].join(" | ")} |`);
}
