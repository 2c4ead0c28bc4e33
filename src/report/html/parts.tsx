// What all sections are made of. Text is escaped by the library that renders it.
import type { ComponentChildren } from "preact";
import type { TokenName } from "../details.js";
import { visible } from "../visible.js";
import type { Drawn } from "./draw.js";

export function Section({ title, children }: { title: string; children: ComponentChildren }) {
	return (
		<section>
			<h2>{title}</h2>
			{children}
		</section>
	);
}

/** A chart with its title and units, and the same numbers as a table. */
export function Figure({ title, unit, drawn, legend, children }: FigureProps) {
	return (
		<figure>
			<figcaption>
				{title}
				<small>{unit}</small>
			</figcaption>
			{legend === undefined ? null : <Legend entries={legend} />}
			<div class="chart" role="img" aria-label={`${title}. ${unit}. The numbers are in the table below.`}>
				<Raw kind="wide" svg={drawn.wide} />
				<Raw kind="narrow" svg={drawn.narrow} />
			</div>
			<details>
				<summary>As a table</summary>
				{children}
			</details>
		</figure>
	);
}

interface FigureProps {
	readonly title: string;
	readonly unit: string;
	readonly drawn: Drawn;
	readonly legend?: readonly LegendEntry[];
	/** The table. */
	readonly children: ComponentChildren;
}

export interface LegendEntry {
	readonly name: string;
	readonly colour: string;
}

function Legend({ entries }: { entries: readonly LegendEntry[] }) {
	return (
		<ul class="legend">
			{entries.map(({ name, colour }) => (
				<li key={name}>
					<i style={`background: ${colour}`} />
					{name}
				</li>
			))}
		</ul>
	);
}

/** Plot's own SVG, whose texts are escaped already. */
function Raw({ kind, svg }: { kind: string; svg: string }) {
	return <div class={kind} dangerouslySetInnerHTML={{ __html: svg }} />;
}

/** Cells of numbers are aligned at the right. */
export function Table({ head, rows }: { head: readonly string[]; rows: readonly (readonly ComponentChildren[])[] }) {
	const isNumber = (column: number) => rows.length > 0 && rows.every((row) => NUMBER.test(String(row[column] ?? "")));
	const kinds = head.map((_, column) => (isNumber(column) ? "number" : ""));
	return (
		<div class={`scroll${rows.length > 16 ? " rows" : ""}`}>
			<table>
				<thead>
					<tr>
						{head.map((title, column) => (
							<th key={title} scope="col" class={kinds[column]}>
								{title}
							</th>
						))}
					</tr>
				</thead>
				<tbody>
					{rows.map((row, index) => (
						<tr key={index}>
							{row.map((cell, column) => (
								<td key={column} class={kinds[column]}>
									{cell}
								</td>
							))}
						</tr>
					))}
				</tbody>
			</table>
		</div>
	);
}

/** A number, perhaps with a sign and a unit. */
const NUMBER = /^$|^[+−-]?\d[\d.,e+−-]*(\s?(\p{L}{1,4}|%))?$/u;

/** Text that is not ours: in its own direction, control characters made visible. */
export function Foreign({ text }: { text: string }) {
	return <bdi>{visible(text.replaceAll("\n", "↵"))}</bdi>;
}

export function Token({ token: { id, text }, kind = "" }: { token: TokenName; kind?: string }) {
	return (
		<code class={`token ${kind}`.trim()} title={`id ${id}`}>
			<Foreign text={text ?? `${id}`} />
		</code>
	);
}

/** Why a part is not here. */
export function Missing({ why }: { why: string }) {
	return <p class="muted">Not shown: {why}.</p>;
}
