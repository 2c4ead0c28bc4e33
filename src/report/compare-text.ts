// The report of `compare` as a table for a terminal.
import { BIN_NAMES, type ComparedModel, type CompareReport, type TokenScores } from "./compare.js";
import { formatBytes } from "./format.js";
import type { QualityReport } from "./report.js";
import { tableLines } from "./table.js";

/** A line of the table: a figure of each model and their difference, or one figure of both. */
type Line = readonly [label: string, teacher: string, student: string, difference: string];

const number = (value: number): string =>
	Math.abs(value) >= 1e5 ? value.toExponential(2) : value.toFixed(Math.abs(value) >= 1000 ? 0 : 2);
const nats = (value: number): string => value.toFixed(4);
const percent = (share: number): string => `${(100 * share).toFixed(1)} %`;
/** With its sign; what rounds to zero has none of its own. */
const signed = (text: string): string => (/^-.*[1-9]/.test(text) ? text.replace("-", "−") : `+${text.replace(/^-/, "")}`);
const relative = (teacher: number, student: number): string => (teacher === 0 ? "" : signed(percent(student / teacher - 1)));

/** What the two models are called: whoever compresses a model has an original and a result. */
type Names = readonly [teacher: string, student: string];

/** What `compare` prints. */
export function compareText(report: CompareReport): string {
	const { teacher, student, data, translation, notes } = report;
	const names: Names = ["teacher", "student"];
	const table = tableLines([["", ...names, "difference"], ...figureLines(report, names), ...costLines(teacher, student)]);
	return [
		`teacher    ${teacher.path} (${teacher.files.join(", ")})`,
		`student    ${student.path} (${student.files.join(", ")})`,
		`measured   ${data.measured}${data.limited ? " (as many as asked for)" : ""}`,
		...(translation === undefined ? [] : [`decoding   ${translation.decoding}; ${translation.signatures.bleu}`]),
		"",
		...table,
		...binLines(report, names),
		...notes.map((note) => `note: ${note}`),
	].join("\n");
}

/** What a conversion prints of the same figures. */
export function qualityText(report: QualityReport): string[] {
	const { data, generated, notes } = report;
	const names: Names = ["original", "result"];
	return [
		"",
		`measured   ${data.measured}`,
		`           of ${data.files.join(", ")}${generated ? ": what the original writes, not what its users write" : ""}`,
		...tableLines([["", ...names, "difference"], ...figureLines(report, names)]),
		...binLines(report, names),
		...notes.map((note) => `note: ${note}`),
	];
}

type Figures = Pick<CompareReport, "kind" | "tokens" | "states" | "translation">;

function figureLines({ kind, tokens, states, translation }: Figures, names: Names): Line[] {
	const lines: Line[] = [];
	if (tokens !== undefined) lines.push(...tokenLines(tokens.all, kind, names));
	if (states !== undefined) {
		lines.push(["cosine of states", "", "", states.cosine.toFixed(5)]);
		lines.push(["relative error of states", "", "", states.relativeError.toPrecision(3)]);
	}
	if (translation !== undefined) {
		const { teacher: own, student: other } = translation;
		lines.push(["BLEU", number(own.bleu), number(other.bleu), signed(number(other.bleu - own.bleu))]);
		lines.push(["chrF2", number(own.chrf), number(other.chrf), signed(number(other.chrf - own.chrf))]);
		lines.push(["tokens per translation", number(own.length), number(other.length), signed(number(other.length - own.length))]);
		lines.push(["same translation", "", "", percent(translation.identical)]);
	}
	return lines;
}

function binLines({ tokens }: Figures, names: Names): string[] {
	return tokens === undefined ? [] : ["", ...binTable(tokens.bins, names), `bins: by token counts of ${tokens.counts}`];
}

function tokenLines(all: TokenScores, kind: CompareReport["kind"], names: Names): Line[] {
	const { teacherPerplexity, studentPerplexity, teacherNats, studentNats, divergence, agreement } = all;
	const what = kind === "masked" ? " of hidden tokens" : kind === "translator" ? " of references" : "";
	return [
		[`perplexity${what}`, number(teacherPerplexity), number(studentPerplexity), relative(teacherPerplexity, studentPerplexity)],
		["nats per token", nats(teacherNats), nats(studentNats), signed(nats(studentNats - teacherNats))],
		[`KL(${names.join(" ‖ ")}), nats`, "", "", nats(divergence)],
		["same first choice", "", "", percent(agreement)],
	];
}

function costLines(teacher: ComparedModel, student: ComparedModel): Line[] {
	const decodes = teacher.decodes && student.decodes;
	const rerun = decodes && !(teacher.hasPast && student.hasPast) ? " (no past)" : "";
	const line = (label: string, of: (model: ComparedModel) => number | undefined, text: (value: number) => string): Line[] => {
		const [own, other] = [of(teacher), of(student)];
		return own === undefined || other === undefined ? [] : [[label, text(own), text(other), relative(own, other)]];
	};
	const milliseconds = (value: number) => `${value.toFixed(value < 10 ? 2 : 0)} ms`;
	return [
		...line("file size", ({ bytes }) => bytes, formatBytes),
		...line("load time", ({ loadMilliseconds }) => loadMilliseconds, milliseconds),
		...line("memory", ({ peakBytes }) => peakBytes, formatBytes),
		...line(`${decodes ? "decoded token" : "token"}, batch 1${rerun}`, ({ millisecondsPerToken }) => millisecondsPerToken, milliseconds),
	];
}

function binTable(bins: NonNullable<CompareReport["tokens"]>["bins"], names: Names): string[] {
	const rows = BIN_NAMES.flatMap((name) => {
		const scores = bins[name];
		if (scores === undefined) return [];
		const { positions, teacherPerplexity, studentPerplexity, divergence, agreement } = scores;
		return [[name, String(positions), number(teacherPerplexity), number(studentPerplexity), nats(divergence), percent(agreement)]];
	});
	return tableLines([["bin", "tokens", ...names.map((name) => `${name} ppl`), "KL, nats", "same first choice"], ...rows]);
}
