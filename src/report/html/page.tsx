// The page about a run. Everything on it comes from the report; what the report lacks is left out, or says why.
import type { ComponentChildren } from "preact";
import { render } from "preact-render-to-string";
import type { Known, TableDetails } from "../details.js";
import { formatBytes } from "../format.js";
import type { CompileReport } from "../report.js";
import { BitsChart, BytesChart, FrequencyChart, SpectrumChart, TimeChart, TrainingCharts } from "./charts.js";
import { GraphSection } from "./graph.js";
import { change, percent, short } from "./numbers.js";
import { Foreign, Missing, Section, Table } from "./parts.js";
import { STYLE } from "./style.js";
import { Neighbours, Samples, WorstTokens } from "./texts.js";

/** The whole document: no scripts, nothing fetched, which its own policy enforces. */
export function renderPage(report: CompileReport): string {
	return `<!doctype html>\n${render(<Page report={report} />)}\n`;
}

const POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'";

function Page({ report }: { report: CompileReport }) {
	const { input, output, tool } = report;
	return (
		<html lang="en">
			<head>
				<meta charset="utf-8" />
				<meta name="viewport" content="width=device-width, initial-scale=1" />
				<meta http-equiv="Content-Security-Policy" content={POLICY} />
				<meta name="color-scheme" content="light dark" />
				<title>{`${fileName(input.path)} → ${fileName(output?.path ?? "")}`}</title>
				<style dangerouslySetInnerHTML={{ __html: STYLE }} />
			</head>
			<body>
				<header>
					<h1 class="path">
						<Foreign text={fileName(input.path)} /> → <Foreign text={fileName(output?.path ?? "")} />
					</h1>
					<p class="muted">
						{tool.name} {tool.version}
					</p>
					<Tiles report={report} />
					<Warnings lines={report.warnings} />
				</header>
				<main>
					<Sections report={report} />
					<footer>Made by {`${tool.name} ${tool.version}`}. This page fetches nothing and runs no scripts.</footer>
				</main>
			</body>
		</html>
	);
}

const fileName = (path: string): string =>
	path
		.replace(/[/\\]+$/, "")
		.split(/[/\\]/)
		.at(-1) ?? path;

/** The figures that people look for first. */
function Tiles({ report: { input, output, vocabularies, factors, quality } }: { report: CompileReport }) {
	const bytes = output?.bytes ?? input.bytes;
	const before = vocabularies.reduce((sum, vocabulary) => sum + vocabulary.bytes, 0);
	const after = factors.reduce((sum, factor) => sum + factor.bytes, 0);
	const all = quality?.tokens?.all;
	const translation = quality?.translation;
	return (
		<ul class="tiles">
			<Tile
				figure={`${formatBytes(input.bytes)} → ${formatBytes(bytes)}`}
				what={`all files, ${percent(1 - bytes / input.bytes)} smaller`}
			/>
			{after === 0 ? null : (
				<Tile figure={`${formatBytes(before)} → ${formatBytes(after)}`} what={`vocabulary, ${(before / after).toFixed(1)} times smaller`} />
			)}
			{all === undefined ? null : (
				<Tile
					figure={`${short(all.teacherPerplexity)} → ${short(all.studentPerplexity)}`}
					what={`perplexity on test data, ${change(all.teacherPerplexity, all.studentPerplexity)}`}
				/>
			)}
			{translation === undefined ? null : (
				<Tile figure={`${translation.teacher.bleu.toFixed(1)} → ${translation.student.bleu.toFixed(1)}`} what="BLEU on test data" />
			)}
			{all === undefined ? null : <Tile figure={percent(all.agreement)} what={`same first choice; KL ${short(all.divergence)} nats`} />}
		</ul>
	);
}

function Warnings({ lines }: { lines: readonly string[] }) {
	if (lines.length === 0) return null;
	return (
		<ul class="warnings">
			{lines.map((line) => (
				<li key={line}>
					Warning: <Foreign text={line} />
				</li>
			))}
		</ul>
	);
}

function Tile({ figure, what }: { figure: string; what: string }) {
	return (
		<li>
			<b>{figure}</b>
			<span>{what}</span>
		</li>
	);
}

function Sections({ report }: { report: CompileReport }) {
	const { details, training, quality, graph = [], factors, passes } = report;
	const tables = details?.tables ?? [];
	return (
		<>
			{details === undefined ? null : (
				<Section title="Size">
					<BytesChart parts={details.parts} />
				</Section>
			)}
			{tables.map((table) => (
				<Section key={table.vocabulary} title="The table">
					<p class="path">
						<code>
							<Foreign text={table.vocabulary} />
						</code>
						{dimensionsOf(table, report)}
					</p>
					{table.codings?.map((coding) => (
						<BitsChart key={coding.side} coding={coding} />
					))}
					{table.singularValues === undefined ? null : (
						<SpectrumChart values={table.singularValues} factors={factors.filter(({ vocabulary }) => vocabulary === table.vocabulary)} />
					)}
				</Section>
			))}
			<Section title="Training">
				{training === undefined ? <Missing why="nothing was trained" /> : <TrainingText training={training} />}
			</Section>
			<Section title="Quality">
				<QualityText quality={quality} />
			</Section>
			{details === undefined ? null : (
				<Section title="Side by side">
					<Part of={details.samples}>{(samples) => <Samples samples={samples} isTranslation={quality?.kind === "translator"} />}</Part>
				</Section>
			)}
			{tables.map((table) => (
				<Section key={table.vocabulary} title="Tokens with the largest predicted damage">
					<Part of={table.damage}>{(damage) => <WorstTokens damage={damage} />}</Part>
				</Section>
			))}
			{tables.map((table) => (
				<Section key={table.vocabulary} title="Nearest neighbours">
					<Part of={table.neighbours}>{(neighbours) => <Neighbours neighbours={neighbours} />}</Part>
				</Section>
			))}
			{graph.length === 0 ? null : (
				<Section title="The graph around the table">
					{graph.map((one) => (
						<GraphSection key={one.vocabulary} graph={one} />
					))}
				</Section>
			)}
			<Section title="Outputs compared">
				<Verification report={report} />
			</Section>
			<Section title="What was done">
				<TimeChart passes={passes} />
				<Log passes={passes} />
			</Section>
			{details === undefined ? null : (
				<Section title="Once more">
					<p>
						With onnx-distemb {report.tool.version} on Node {details.node} and {details.threads} threads of the engine; with{" "}
						<code>--steps</code>, or without training, the same bytes come out.
					</p>
					<pre>
						<code>{details.command}</code>
					</pre>
				</Section>
			)}
		</>
	);
}

function Part<T>({ of, children }: { of: Known<T>; children: (known: T) => ComponentChildren }) {
	return <div>{"known" in of ? children(of.known) : <Missing why={of.missing} />}</div>;
}

function dimensionsOf({ vocabulary }: TableDetails, { vocabularies, factors }: CompileReport): string {
	const table = vocabularies.find(({ name }) => name === vocabulary);
	const own = factors.filter((factor) => factor.vocabulary === vocabulary);
	const before = table === undefined ? "" : `: ${table.rows} × ${table.cols} ${table.stored}, ${formatBytes(table.bytes)}`;
	const after = own.map(
		({ rank, dtype, bytes, storedRelativeError }) =>
			`rank ${rank}, ${dtype}, ${formatBytes(bytes)}, relative error ${short(storedRelativeError)}`,
	);
	return `${before} → ${after.join("; ")}`;
}

const ENDS = { steps: "the last step", minutes: "the time was over", plateau: "nothing improved", diverged: "it diverged" } as const;

function TrainingText({ training }: { training: NonNullable<CompileReport["training"]> }) {
	const { curve, best, tokens, stopped, untrained } = training;
	return (
		<>
			<p>
				{curve.at(-1)?.step ?? 0} steps on {tokens} tokens, until {ENDS[stopped]};{" "}
				{best.step === 0 ? "nothing was better than the untrained factors" : `step ${best.step} was kept`}.
				{untrained.length === 0 ? "" : ` Not trained: ${untrained.join("; ")}.`}
			</p>
			<TrainingCharts training={training} />
		</>
	);
}

function QualityText({ quality }: { quality: CompileReport["quality"] }) {
	if (quality === undefined) return <Missing why="there was no data to measure on" />;
	const { data, generated, tokens, states, translation, notes } = quality;
	return (
		<>
			<p class="path">
				Measured: <Foreign text={`${data.measured}, of ${data.files.join(", ")}`} />
				{generated ? ". That is what the original writes, not what its users write." : "."}
			</p>
			{translation === undefined ? null : (
				<p>
					{translation.decoding}: BLEU {translation.teacher.bleu.toFixed(1)} → {translation.student.bleu.toFixed(1)}, chrF2{" "}
					{translation.teacher.chrf.toFixed(1)} → {translation.student.chrf.toFixed(1)}; {percent(translation.identical)} of the
					translations are the same.
				</p>
			)}
			{states === undefined ? null : (
				<p>
					States: cosine {states.cosine.toFixed(5)}, relative error {short(states.relativeError)}.
				</p>
			)}
			{tokens === undefined ? null : <FrequencyChart tokens={tokens} />}
			{notes.map((note) => (
				<p key={note} class="muted">
					{note}
				</p>
			))}
		</>
	);
}

function Verification({ report: { verification } }: { report: CompileReport }) {
	const rows = verification.flatMap(({ file, outputs }) =>
		outputs.map(({ output, inputs, maxDifference, relativeDifference, kl, top1Agreement }) => [
			<Foreign text={`${file}: ${output}`} />,
			inputs,
			short(maxDifference),
			short(relativeDifference),
			kl === undefined ? "" : short(kl),
			top1Agreement === undefined ? "" : percent(top1Agreement),
		]),
	);
	const idle = verification.filter(({ ran }) => !ran);
	return (
		<>
			<p>Original and result on made-up inputs: both run, and this is how far their outputs are apart.</p>
			{idle.map(({ file, reason }) => (
				<p key={file} class="muted">
					<Foreign text={file} />: not run: {reason ?? "for an unknown reason"}
				</p>
			))}
			{rows.length === 0 ? null : (
				<details>
					<summary>{rows.length} comparisons</summary>
					<Table head={["output", "inputs", "max |Δ|", "relative", "KL, nats", "same first choice"]} rows={rows} />
				</details>
			)}
		</>
	);
}

function Log({ passes }: { passes: CompileReport["passes"] }) {
	const told = passes.filter(({ log }) => log.length > 0);
	return (
		<details>
			<summary>Log</summary>
			{told.map(({ name, log }) => (
				<div key={name}>
					<h3>{name}</h3>
					<pre>
						{log.map((line, index) => (
							<div key={index}>
								<Foreign text={line} />
							</div>
						))}
					</pre>
				</div>
			))}
		</details>
	);
}
