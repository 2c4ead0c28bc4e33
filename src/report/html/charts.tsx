// The charts of a run: bytes, spectrum or bits, training, divergence by frequency, time.
import { axisY, barX, dot, lineY, rect, ruleX, ruleY, text } from "@observablehq/plot";
import { BIN_NAMES } from "../compare.js";
import type { CodingDetails, PartReport } from "../details.js";
import { formatBytes } from "../format.js";
import type { CompileReport, FactorReport, QualityReport } from "../report.js";
import { COLOURS, draw } from "./draw.js";
import { duration, percent, short, tick } from "./numbers.js";
import { Figure, Table } from "./parts.js";

const MEGA = 1e6;

export function BytesChart({ parts }: { parts: readonly PartReport[] }) {
	const bars = parts.flatMap(({ name, before, after }) => [
		{ file: "original", name, bytes: before },
		{ file: "result", name, bytes: after },
	]);
	const totals = ["original", "result"].map((file) => ({
		file,
		bytes: bars.filter((bar) => bar.file === file).reduce((sum, { bytes }) => sum + bytes, 0),
	}));
	const most = Math.max(...totals.map(({ bytes }) => bytes));
	const drawn = draw((isNarrow) => ({
		height: 140,
		marginLeft: 58,
		marginRight: isNarrow ? 14 : 70,
		x: { label: "MB", domain: [0, most / MEGA], ticks: isNarrow ? 4 : 8, grid: true },
		y: { label: null, domain: ["original", "result"], padding: 0.25 },
		color: { domain: parts.map(({ name }) => name), range: [...COLOURS] },
		marks: [
			barX(bars, {
				x: (bar) => bar.bytes / MEGA,
				y: "file",
				fill: "name",
				title: (bar) => `${bar.file}, ${bar.name}: ${formatBytes(bar.bytes)}`,
			}),
			...(isNarrow
				? []
				: [
						text(totals, {
							x: ({ bytes }) => bytes / MEGA,
							y: "file",
							text: ({ bytes }) => formatBytes(bytes),
							textAnchor: "start",
							dx: 6,
						}),
					]),
		],
	}));
	const legend = parts.map(({ name }, index) => ({ name, colour: COLOURS[index] ?? "" }));
	const share = ({ before, after }: PartReport) => (before === 0 ? "" : percent(after / before));
	return (
		<Figure title="Bytes before and after" unit="megabytes of all files, by what they hold" drawn={drawn} legend={legend}>
			<Table
				head={["part", "original", "result", "kept"]}
				rows={[
					...parts.map((part) => [part.name, formatBytes(part.before), formatBytes(part.after), share(part)]),
					["all", ...totals.map(({ bytes }) => formatBytes(bytes)), percent((totals[1]?.bytes ?? 0) / (totals[0]?.bytes || 1))],
				]}
			/>
		</Figure>
	);
}

const SIDES = { both: "", input: " of the lookups", output: " of the projections" } as const;

export function SpectrumChart({ values, factors }: { values: readonly number[]; factors: readonly FactorReport[] }) {
	const all = values.reduce((sum, value) => sum + value * value, 0) || 1;
	const kept = (rank: number) => values.slice(0, rank).reduce((sum, value) => sum + value * value, 0) / all;
	const largest = values[0] || 1;
	// What is zero has no logarithm, and below the rounding of float32 there is nothing to see.
	const points = values.map((value, index) => ({ index: index + 1, share: Math.max(value / largest, 1e-7) }));
	const ranks = factors.map(({ rank, side }) => ({ rank, label: `rank ${rank}${SIDES[side]}` }));
	const drawn = draw((isNarrow) => ({
		height: isNarrow ? 200 : 240,
		marginLeft: 50,
		marginTop: 30,
		x: { label: "singular value, the largest first", ticks: isNarrow ? 4 : 8 },
		y: { label: "share of the largest", type: "log", grid: true, ticks: logTicks(points), tickFormat: tick },
		marks: [
			lineY(points, { x: "index", y: "share", stroke: "var(--a)", strokeWidth: 2 }),
			ruleX(ranks, { x: "rank", stroke: "var(--b)", strokeDasharray: "4 3" }),
			text(ranks, {
				x: "rank",
				text: "label",
				frameAnchor: "top",
				dy: -14,
				fill: "var(--b)",
				textAnchor: (ranks[0]?.rank ?? 0) > values.length / 2 ? "end" : "start",
			}),
		],
	}));
	const words = ranks
		.map(({ rank, label }) => `${label} of ${values.length} spans ${percent(kept(rank))} of the sum of squares`)
		.join("; ");
	return (
		<Figure title="Spectrum of the table" unit={`singular values over the largest, logarithmic; ${words}`} drawn={drawn}>
			<Table
				head={["singular value", "size", "sum of squares up to it"]}
				rows={points
					.filter(({ index }) => isShown(index, values.length))
					.map(({ index }) => [`${index}`, short(values[index - 1] ?? 0), percent(kept(index))])}
			/>
		</Figure>
	);
}

/** 1, 0.3, 0.1, … down to the least. */
function logTicks(points: readonly { readonly share: number }[]): number[] {
	const least = Math.min(...points.map(({ share }) => share));
	return [1, 0.3, 0.1, 0.03, 0.01, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7].filter((value) => value >= least);
}

/** Some forty rows are enough to read. */
function isShown(index: number, count: number): boolean {
	return index === count || index % Math.ceil(count / 40) === 1 || count <= 40;
}

const bitsText = (bits: number): string => (Number.isInteger(bits) ? `${bits}` : bits.toFixed(1));

export function BitsChart({ coding: { side, blocks } }: { coding: CodingDetails }) {
	const width = Math.max(...blocks.map((block) => block.bits.length));
	const named = blocks.map(({ rows, bits }, index) => ({ index, rows, label: `${rows} rows`, runs: runsOf(bits, width) }));
	const cells = named.flatMap(({ index, label, runs }) => runs.map((run) => ({ index, label, ...run })));
	const kinds = [...new Set(cells.map(({ bits }) => bits))].sort((a, b) => a - b);
	const colours = kinds.map((bits) => `color-mix(in srgb, var(--a) ${Math.round(100 * Math.sqrt(bits / 8))}%, var(--paper))`);
	const drawn = draw((isNarrow) => ({
		height: 50 + 24 * blocks.length,
		marginLeft: 78,
		x: { label: "column, the costliest first", domain: [0, width], ticks: isNarrow ? 4 : 8 },
		y: { label: null, domain: [0, blocks.length], reverse: true, ticks: [] },
		color: { type: "ordinal", domain: kinds, range: colours },
		marks: [
			axisY(
				named.map(({ index }) => index + 0.5),
				{ tickFormat: (_: unknown, index: number) => named[index]?.label ?? "", tickSize: 0, label: null },
			),
			rect(cells, {
				x1: "start",
				x2: "end",
				y1: ({ index }) => index + 0.06,
				y2: ({ index }) => index + 0.94,
				fill: "bits",
				title: ({ label, start, end, bits }) => `${label}, columns ${start + 1} to ${end}: ${bitsText(bits)} bits`,
			}),
		],
	}));
	const legend = kinds.map((bits, index) => ({ name: bits === 0 ? "dropped" : `${bitsText(bits)} bits`, colour: colours[index] ?? "" }));
	return (
		<Figure
			title={`Bits of each column in each block of rows${SIDES[side]}`}
			unit="bits a number; blocks of rows from the most important (top) to the least"
			drawn={drawn}
			legend={legend}
		>
			<Table
				head={["block of rows", "columns", "bits"]}
				rows={cells.map(({ label, start, end, bits }) => [label, `${start + 1} to ${end}`, bitsText(bits)])}
			/>
		</Figure>
	);
}

function runsOf(columns: readonly number[], width: number): { start: number; end: number; bits: number }[] {
	const runs: { start: number; end: number; bits: number }[] = [];
	for (let column = 0; column < width; column++) {
		const bits = columns[column] ?? 0;
		const last = runs.at(-1);
		if (last?.bits === bits) last.end = column + 1;
		else runs.push({ start: column, end: column + 1, bits });
	}
	return runs;
}

const MEASURES = {
	divergence: "KL(original ‖ result), nats per predicted token",
	crossEntropy: "cross-entropy, nats per predicted token",
	both: "mean of KL and cross-entropy by their weights, nats per predicted token",
	states: "squared difference of states, as a share of their square",
} as const;

export function TrainingCharts({ training }: { training: NonNullable<CompileReport["training"]> }) {
	const { curve, best, measures } = training;
	const validated = curve.filter(({ validation }) => validation !== undefined);
	const table = (
		<Table
			head={["step", "seconds", "phase", "training loss", "validation", "learning rate"]}
			rows={curve.map(({ step, seconds, phase, loss, validation, rate }) => [
				`${step}`,
				seconds.toFixed(1),
				phase,
				short(loss),
				validation === undefined ? "" : short(validation),
				short(rate),
			])}
		/>
	);
	return (
		<>
			<Figure
				title="Validation"
				unit={`${MEASURES[measures]}; dashed: the step that was kept`}
				drawn={curveOf(
					validated.map(({ step, validation = 0 }) => ({ step, value: validation })),
					"var(--a)",
					best.step,
				)}
			>
				{table}
			</Figure>
			<Figure
				title="Training loss"
				unit="sum of the loss's terms by their weights, mean since the point before"
				drawn={curveOf(
					curve.map(({ step, loss }) => ({ step, value: loss })),
					"var(--c)",
					best.step,
				)}
			>
				{table}
			</Figure>
		</>
	);
}

function curveOf(points: readonly { step: number; value: number }[], colour: string, best: number) {
	return draw((isNarrow) => ({
		height: isNarrow ? 180 : 200,
		marginLeft: 50,
		x: { label: "steps", ticks: isNarrow ? 4 : 8, tickFormat: "d" },
		y: { label: null, grid: true, zero: true, ticks: 4, nice: true, tickFormat: tick },
		marks: [
			ruleY([0], { strokeOpacity: 0.3 }),
			ruleX([best], { stroke: "var(--b)", strokeDasharray: "4 3" }),
			lineY(points, { x: "step", y: "value", stroke: colour, strokeWidth: 2 }),
			dot(points, { x: "step", y: "value", fill: colour, r: 3, title: ({ step, value }) => `step ${step}: ${short(value)}` }),
		],
	}));
}

export function FrequencyChart({ tokens }: { tokens: NonNullable<QualityReport["tokens"]> }) {
	const bins = BIN_NAMES.flatMap((name) => {
		const scores = tokens.bins[name];
		return scores === undefined ? [] : [{ name, scores, divergence: scores.divergence }];
	});
	const drawn = draw((isNarrow) => ({
		height: 46 + 30 * bins.length,
		marginLeft: 58,
		marginRight: 60,
		x: { label: "nats", ticks: isNarrow ? 3 : 8, grid: true, zero: true, tickFormat: tick },
		y: { label: null, domain: bins.map(({ name }) => name), padding: 0.25 },
		marks: [
			barX(bins, { x: "divergence", y: "name", fill: "var(--a)" }),
			text(bins, { x: "divergence", y: "name", text: ({ divergence }) => short(divergence), textAnchor: "start", dx: 6 }),
		],
	}));
	return (
		<Figure
			title="Divergence by the frequency of the next token"
			unit={`KL(original ‖ result), nats per predicted token; frequencies from ${tokens.counts}. The head makes up half of it, head and torso nine tenths.`}
			drawn={drawn}
		>
			<Table
				head={["frequency", "tokens", "perplexity, original", "perplexity, result", "KL", "same first choice"]}
				rows={bins.map(({ name, scores }) => [
					name,
					`${scores.positions}`,
					short(scores.teacherPerplexity),
					short(scores.studentPerplexity),
					short(scores.divergence),
					percent(scores.agreement),
				])}
			/>
		</Figure>
	);
}

export function TimeChart({ passes }: { passes: CompileReport["passes"] }) {
	const drawn = draw((isNarrow) => ({
		height: 46 + 24 * passes.length,
		marginLeft: 80,
		marginRight: 60,
		x: { label: "seconds", ticks: isNarrow ? 3 : 8, grid: true },
		y: { label: null, domain: passes.map(({ name }) => name), padding: 0.3 },
		marks: [
			barX(passes, { x: ({ milliseconds }) => milliseconds / 1000, y: "name", fill: "var(--a)" }),
			text(passes, {
				x: ({ milliseconds }) => milliseconds / 1000,
				y: "name",
				text: ({ milliseconds }) => duration(milliseconds),
				textAnchor: "start",
				dx: 6,
			}),
		],
	}));
	return (
		<Figure title="Time of each step" unit="seconds" drawn={drawn}>
			<Table head={["step", "time"]} rows={passes.map(({ name, milliseconds }) => [name, duration(milliseconds)])} />
		</Figure>
	);
}
