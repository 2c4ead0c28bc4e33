// The graph around a table, before and after, as SVG.
import { type FlowReport, type GraphReport, groupedFlows, type OperatorCount, opsText, type StepReport } from "../flow.js";
import { formatBytes } from "../format.js";
import { visible } from "../visible.js";
import { Table } from "./parts.js";

export function GraphSection({ graph }: { graph: GraphReport }) {
	return (
		<>
			<h3>{visible(graph.vocabulary)}</h3>
			<p class="muted">
				After: {visible(graph.note)}. Solid boxes read the table or its factors, dashed ones are small; orange is stored in the file.
			</p>
			{groupedFlows(graph).map(({ before, after, alike }, index) => (
				<div key={index}>
					<p>
						{before.side === "lookup" ? "Lookup" : "Projection"} ({before.pattern}) in <code>{visible(before.file)}</code>
						{before.scope === "main" ? "" : ` (${visible(before.scope)})`}
						{alike === 0 ? "" : `, and ${alike} more of the same structure`}
					</p>
					<div class="flows">
						<Flow title="before" flow={before} />
						{after === undefined ? null : <Flow title="after" flow={after} />}
					</div>
				</div>
			))}
		</>
	);
}

function Flow({ title, flow }: { title: string; flow: FlowReport }) {
	const drawing = layOut(flow);
	return (
		<figure class="flow">
			<figcaption>{title}</figcaption>
			<svg viewBox={`0 0 ${WIDTH} ${drawing.height}`} role="img" aria-label={`${flow.side} ${title}: ${wordsOf(flow)}`}>
				{drawing.shapes}
			</svg>
			<details>
				<summary>As a table</summary>
				<Table
					head={["nodes", "first node", "reads"]}
					rows={flow.steps.map((step) => [visible(opsText(step.ops)), <code>{visible(step.node)}</code>, readsOf(step)])}
				/>
			</details>
		</figure>
	);
}

function wordsOf({ from, steps, to }: FlowReport): string {
	return [visible(from.name), ...steps.map(({ ops }) => visible(opsText(ops))), visible(to.name)].join(", then ");
}

function readsOf({ tensors, constants }: StepReport) {
	const through = constants.length === 0 ? "" : ` through ${opsText(constants)}`;
	return visible(`${tensors.map(({ name, type, bytes }) => `${name} ${type} (${formatBytes(bytes)})`).join("; ")}${through}`);
}

// Sizes in units of the drawing; a letter of the fixed-width font is 6.6 wide.
const WIDTH = 380;
const STEP = { x: 1, width: 168 } as const;
const TENSOR = { x: 203, width: 176 } as const;
const LINE = 15;
const PAD = 7;
const GAP = 18;
const LETTER = 6.65;

interface Line {
	readonly text: string;
	/** Shown when pointed at. */
	readonly full?: string;
	readonly kind?: string;
}

function layOut({ from, steps, to }: FlowReport) {
	const shapes = [];
	let y = 1;
	const centre = STEP.x + STEP.width / 2;
	const value = ({ name, type }: { name: string; type?: string }): Line[] => [
		line(name, TENSOR.x + TENSOR.width, "strong"),
		...(type === undefined ? [] : [line(type, TENSOR.x + TENSOR.width, "soft")]),
	];
	const write = (lines: readonly Line[], x: number, top: number) =>
		lines.map(({ text, full, kind }, index) => (
			<text key={`${top} ${index}`} x={x} y={top + (index + 0.75) * LINE} class={kind}>
				{full === undefined ? null : <title>{full}</title>}
				{text}
			</text>
		));
	const wire = (top: number, bottom: number) => (
		<g key={`wire ${top}`}>
			<path class="wire" d={`M${centre},${top}V${bottom - 5}`} />
			<path class="tip" d={`M${centre - 4},${bottom - 6}h8l-4,6z`} />
		</g>
	);
	const first = value(from);
	shapes.push(write(first, STEP.x, y));
	y += first.length * LINE + 3;
	for (const [index, step] of steps.entries()) {
		shapes.push(wire(y, y + GAP));
		y += GAP;
		const [own, read] = [stepLines(step), tensorLines(step)];
		const [ownHeight, readHeight] = [own.length * LINE + 2 * PAD, read.length * LINE + 2 * PAD];
		shapes.push(
			<g key={`step ${index}`}>
				<rect class={step.minor ? "minor" : "step"} x={STEP.x} y={y} width={STEP.width} height={ownHeight} rx={6} />
				{write(own, STEP.x + PAD, y + PAD)}
				{read.length === 0 ? null : (
					<>
						<rect class="tensor" x={TENSOR.x} y={y} width={TENSOR.width} height={readHeight} rx={2} />
						{write(read, TENSOR.x + PAD, y + PAD)}
						<path class="wire" d={`M${TENSOR.x},${y + 15}H${STEP.x + STEP.width + 5}`} />
						<path class="tip" d={`M${STEP.x + STEP.width + 7},${y + 11}v8l-6,-4z`} />
					</>
				)}
			</g>,
		);
		// The wire goes on from the box, beside the tensors if they are taller.
		const height = Math.max(ownHeight, readHeight * (read.length === 0 ? 0 : 1));
		if (height > ownHeight) shapes.push(<path key={`rest ${index}`} class="wire" d={`M${centre},${y + ownHeight}V${y + height}`} />);
		y += height;
	}
	shapes.push(wire(y, y + GAP));
	y += GAP + 2;
	const last = [...value(to), ...(to.readers.length === 0 ? [] : [line(`→ ${opsText(to.readers)}`, TENSOR.x + TENSOR.width, "soft")])];
	shapes.push(write(last, STEP.x, y));
	return { shapes, height: y + last.length * LINE + 4 };
}

/** A name that fits the width: its end tells more than its middle. */
function line(name: string, width: number, kind?: string): Line {
	const text = visible(name);
	const most = Math.floor(width / LETTER);
	const shown = text.length <= most ? text : `${text.slice(0, Math.floor((most - 1) * 0.4))}…${text.slice(-Math.ceil((most - 1) * 0.6))}`;
	return { text: shown, ...(shown === text ? {} : { full: text }), ...(kind === undefined ? {} : { kind }) };
}

const countOf = (ops: readonly OperatorCount[]): number => ops.reduce((sum, { count }) => sum + count, 0);

function stepLines({ ops, node }: StepReport): Line[] {
	const width = STEP.width - 2 * PAD;
	if (ops.length === 1) return [line(opsText(ops), width, "strong"), line(node, width, "soft")];
	return [line(`${countOf(ops)} nodes`, width, "strong"), line(opsText(ops), width, "soft")];
}

/** Tensors that are drawn; the table below has all. */
const DRAWN = 3;

function tensorLines({ tensors, constants }: StepReport): Line[] {
	const width = TENSOR.width - 2 * PAD;
	const shown = tensors
		.slice(0, DRAWN)
		.flatMap(({ name, type, bytes }) => [line(name, width, "strong"), line(type, width, "soft"), line(formatBytes(bytes), width, "soft")]);
	if (shown.length === 0) return [];
	const rest = tensors.length > DRAWN ? [line(`and ${tensors.length - DRAWN} more`, width, "soft")] : [];
	const through =
		constants.length === 0
			? []
			: [line(`through ${countOf(constants) > 2 ? `${countOf(constants)} nodes` : opsText(constants)}`, width, "soft")];
	return [...shown, ...rest, ...through];
}
