// The graph around a table, before and after, for a terminal.
import {
	type FlowGroup,
	type FlowReport,
	type GraphReport,
	groupedFlows,
	type OperatorCount,
	opsText,
	type StepReport,
	type TensorReport,
} from "./flow.js";
import { formatBytes } from "./format.js";
import { visible } from "./visible.js";

/** Longer names lose their middle. */
const LONGEST_NAME = 48;

function plain(name: string): string {
	const shown = visible(name);
	if (shown.length <= LONGEST_NAME) return shown;
	const half = Math.floor((LONGEST_NAME - 1) / 2);
	return `${shown.slice(0, half)}…${shown.slice(-half)}`;
}

const plainOps = (ops: readonly OperatorCount[]): string => visible(opsText(ops));

/** Lines for `inspect`. */
export function graphText(report: GraphReport): string[] {
	return ["", `graph around "${plain(report.vocabulary)}"; after: ${report.note}`, ...groupedFlows(report).flatMap(groupLines)];
}

function groupLines({ before, after, alike }: FlowGroup): string[] {
	const { side, pattern, file, scope } = before;
	const place = `${plain(file)}${scope === "main" ? "" : ` in ${plain(scope)}`}${alike === 0 ? "" : ` and ${alike} more like it`}`;
	const lines = [`  ${side} (${pattern}) in ${place}`, ...flowLines("before", before)];
	return after === undefined ? lines : [...lines, ...flowLines("after ", after)];
}

function flowLines(label: string, { from, steps, to }: FlowReport): string[] {
	const value = ({ name, type }: { name: string; type?: string }) => `${plain(name)}${type === undefined ? "" : `  ${plain(type)}`}`;
	const readers = to.readers.length === 0 ? "" : ` → ${plainOps(to.readers)}`;
	return [
		`    ${label} ${value(from)}`,
		...steps.flatMap(stepLines).map((line) => `           │ ${line}`),
		`           ▼ ${value(to)}${readers}`,
	];
}

function stepLines({ ops, tensors, constants }: StepReport): string[] {
	const through = constants.length === 0 ? "" : ` (through ${nodesText(constants)} on constants)`;
	const [first, ...rest] = tensors.map(tensorText);
	const head = first === undefined ? plainOps(ops) : `${plainOps(ops)} ◀── ${first}${rest.length === 0 ? through : ""}`;
	const indent = " ".repeat(plainOps(ops).length + 1);
	return [head, ...rest.map((line, index) => `${indent}◀── ${line}${index === rest.length - 1 ? through : ""}`)];
}

function nodesText(ops: StepReport["constants"]): string {
	const count = ops.reduce((sum, each) => sum + each.count, 0);
	return count <= 3 ? plainOps(ops) : `${count} nodes`;
}

function tensorText({ name, type, bytes }: TensorReport): string {
	return `${plain(name)}  ${visible(type)}, ${formatBytes(bytes)}`;
}
