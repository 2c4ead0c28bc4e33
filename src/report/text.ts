// Reports as text for a terminal.
import { qualityText } from "./compare-text.js";
import { graphText } from "./flow-text.js";
import { formatBytes } from "./format.js";
import type {
	CompileReport,
	FactorReport,
	InspectReport,
	RejectedReport,
	UseReport,
	VerificationReport,
	VocabularyReport,
} from "./report.js";

const plural = (count: number, one: string, many = `${one}s`): string => `${count} ${count === 1 ? one : many}`;
const percent = (part: number): string => `${(100 * part).toFixed(1)} %`;
const short = (value: number): string =>
	value === 0 ? "0" : Math.abs(value) < 1e-3 || Math.abs(value) >= 1e4 ? value.toExponential(2) : value.toPrecision(3);

/** What `inspect` prints. */
export function inspectText(report: InspectReport): string {
	const total = report.bytes.vocabulary + report.bytes.other;
	return [
		`${report.input.path}: ${formatBytes(report.input.bytes)} in ${plural(report.input.files.length, "model file")}`,
		`vocabulary ${formatBytes(report.bytes.vocabulary)} (${percent(total === 0 ? 0 : report.bytes.vocabulary / total)} of the weights), everything else ${formatBytes(report.bytes.other)}`,
		...report.vocabularies.map(vocabularyText),
		...(report.graph ?? []).flatMap(graphText),
		...rejectedText(report.rejected),
	].join("\n");
}

function vocabularyText(vocabulary: VocabularyReport): string {
	const { name, rows, cols, stored, tied, bytes, alreadyRank } = vocabulary;
	const state = tied ? "tied" : vocabulary.lookups.length > 0 ? "lookups only" : "projections only";
	const lines = [
		"",
		`vocabulary "${name}": ${rows} × ${cols}, ${stored}, ${state}, ${formatBytes(bytes)} in ${plural(vocabulary.copies.length, "copy", "copies")}`,
	];
	if (alreadyRank !== undefined) lines.push(`  already factorized at rank ${alreadyRank}`);
	for (const copy of vocabulary.copies) {
		lines.push(
			`  stored     ${copy.file}  "${copy.tensor}"  ${copy.orientation}  ${formatBytes(copy.bytes)}${copy.unused ? "  (nobody reads it)" : ""}`,
		);
	}
	for (const use of vocabulary.lookups) lines.push(`  lookup     ${useText(use)}`);
	for (const use of vocabulary.projections) lines.push(`  projection ${useText(use)}`);
	return lines.join("\n");
}

function useText({ file, scope, node, op, pattern }: UseReport): string {
	return `${file}  ${op} "${node}"${scope === "main" ? "" : ` in ${scope}`}  (${pattern})`;
}

function rejectedText(rejected: readonly RejectedReport[]): string[] {
	if (rejected.length === 0) return [];
	const lines = rejected.map(({ file, tensor, dims, reason }) => `  ${file}  "${tensor}" ${dims.join(" × ")}: ${reason}`);
	return ["", "other candidates, left alone:", ...lines];
}

/** `model.onnx (7.84 MB) → small.onnx (5.52 MB), 29.6 % smaller`; of a dry run only what there is. */
export function changeText({ input, output }: Pick<CompileReport, "input" | "output">): string {
	const from = `${input.path} (${formatBytes(input.bytes)})`;
	if (output === undefined) return from;
	return `${from} → ${output.path} (${formatBytes(output.bytes)}), ${percent(1 - output.bytes / input.bytes)} smaller`;
}

/** What a conversion prints. */
export function compileText(report: CompileReport): string {
	const { input, output } = report;
	const lines: string[] = [];
	if (output === undefined) {
		lines.push(
			`dry run: ${input.path}, ${formatBytes(input.bytes)}, would be ${formatBytes(report.savedBytes)} smaller; nothing was written`,
		);
		for (const { log } of report.passes) lines.push(...log.map((line) => `  ${line}`));
		return lines.join("\n");
	}
	lines.push(changeText(report));
	for (const factor of report.factors) lines.push(factorText(factor, report.vocabularies));
	for (const { reason } of report.sides ?? []) lines.push(`sides      ${reason}`);
	for (const verification of report.verification) lines.push(...verificationText(verification));
	if (report.training !== undefined) lines.push(trainingText(report.training));
	if (report.quality !== undefined) lines.push(...qualityText(report.quality), "", ...predictionText(report));
	for (const warning of report.warnings) lines.push(`warning    ${warning}`);
	const seconds = report.passes.map(({ name, milliseconds }) => `${name} ${(milliseconds / 1000).toFixed(2)}`).join(", ");
	lines.push(`seconds    ${seconds}`);
	return lines.join("\n");
}

/** What was predicted of factors that were not trained, beside what was measured. */
function predictionText({ factors, quality, training }: CompileReport): string[] {
	const measured = quality?.tokens?.all?.divergence;
	if (measured === undefined || training !== undefined || factors.some(({ predictedLoss }) => predictedLoss === undefined)) return [];
	const predicted = factors.reduce((sum, { predictedLoss = 0 }) => sum + predictedLoss, 0);
	const ratio = measured > 0 && predicted > 0 ? `: ${short(measured / predicted)} times as much` : "";
	return [`predicted  ${short(predicted)} nats to second order; KL measured ${short(measured)}${ratio}`];
}

function trainingText({ measures, curve, best, stopped, tokens }: NonNullable<CompileReport["training"]>): string {
	const before = curve.find(({ validation }) => validation !== undefined)?.validation;
	const last = curve.at(-1);
	const seconds = Math.round(last?.seconds ?? 0);
	const time = seconds < 120 ? `${seconds} s` : `${Math.round(seconds / 60)} min`;
	const from = before === undefined ? "" : `${short(before)} → `;
	return `trained    ${plural(last?.step ?? 0, "step")}, ${tokens} tokens in ${time} (until ${ENDS[stopped]}); ${MEASURES[measures].name} on validation data ${from}${short(best.validation)}${MEASURES[measures].unit}, best after step ${best.step}`;
}

const MEASURES = {
	divergence: { name: "KL", unit: " nats" },
	crossEntropy: { name: "cross-entropy", unit: " nats" },
	both: { name: "mean of KL and cross-entropy", unit: " nats" },
	states: { name: "squared difference of states", unit: " of their square" },
} as const;

const ENDS = { steps: "the last step", minutes: "the time was over", plateau: "nothing improved", diverged: "it diverged" } as const;

/** A line for each output with token scores, over all inputs tried, and one for all other outputs. */
function verificationText({ file, ran, reason, outputs }: VerificationReport): string[] {
	if (!ran) return [`verified   ${file}: not run: ${reason ?? "for an unknown reason"}`];
	const scores = outputs.filter(({ kl }) => kl !== undefined);
	const lines = [...new Set(scores.map(({ output }) => output))].map((output) => {
		const runs = scores.filter((run) => run.output === output);
		const kl = range(runs.map((run) => run.kl ?? 0));
		const top = range(runs.map((run) => 100 * (run.top1Agreement ?? 0)));
		const difference = short(Math.max(...runs.map(({ maxDifference }) => maxDifference)));
		return `verified   ${file}  ${output}: KL ${kl} nats, top-1 agreement ${top} %, max |Δ| ${difference}  (${plural(runs.length, "kind")} of made-up inputs)`;
	});
	const others = outputs.filter(({ kl }) => kl === undefined).sort((a, b) => b.relativeDifference - a.relativeDifference);
	const [worst] = others;
	if (worst !== undefined) {
		const which = others.every(({ output }) => output === worst.output) ? worst.output : `other outputs, worst ${worst.output}`;
		lines.push(`verified   ${file}  ${which}: max |Δ| ${short(worst.maxDifference)} (${short(worst.relativeDifference)} relative)`);
	}
	return lines;
}

function range(values: readonly number[]): string {
	const [least, most] = [short(Math.min(...values)), short(Math.max(...values))];
	return least === most ? least : `${least} to ${most}`;
}

function factorText(factor: FactorReport, vocabularies: readonly VocabularyReport[]): string {
	const vocabulary = vocabularies.find(({ name }) => name === factor.vocabulary);
	const before =
		vocabulary === undefined ? "" : `${vocabulary.rows} × ${vocabulary.cols} ${vocabulary.stored}, ${formatBytes(vocabulary.bytes)}`;
	const side = factor.side === "both" ? "lookups and projections" : factor.side === "input" ? "lookups" : "projections";
	const best = factor.bestRelativeError === undefined ? "" : ` (best at this rank ${short(factor.bestRelativeError)})`;
	const stored = `${factor.dtype}${factor.ops === "standard" ? "" : ` (${factor.ops})`}`;
	return [
		`vocabulary "${factor.vocabulary}": ${before}`,
		`  ${side}: rank ${factor.rank}, ${stored}, ${formatBytes(factor.bytes)}; relative error ${short(factor.storedRelativeError)}${best}`,
	].join("\n");
}
