// The graph around a table: for each lookup and projection the nodes between what it reads and what it gives, and their tensors.
import type { DType } from "../ir/dtype.js";
import { type Graph, Node, type Value } from "../ir/graph.js";
import { printType } from "../ir/print.js";
import { scopePath } from "../ir/walk.js";
import type { Lookup, Projection, Vocabulary } from "../state.js";

/** A stored tensor that nodes read, directly or through nodes on constants. */
export interface TensorReport {
	readonly name: string;
	/** Element type and shape. */
	readonly type: string;
	readonly bytes: number;
}

/** One node, or several of a kind beside each other, or small ones in a row. */
export interface StepReport {
	/** Operators with the number of their nodes. */
	readonly ops: readonly OperatorCount[];
	/** Name of the first node. */
	readonly node: string;
	/** Bookkeeping: none of these nodes reads the table or its factors. */
	readonly minor: boolean;
	readonly tensors: readonly TensorReport[];
	/** Nodes on constants between the tensors and these nodes: a runtime may compute them once. */
	readonly constants: readonly OperatorCount[];
}

/** Nodes of one kind beside each other. */
export interface OperatorCount {
	readonly op: string;
	readonly count: number;
}

/** From ids to rows, or from hidden states to logits, in order of execution. */
export interface FlowReport {
	readonly file: string;
	readonly scope: string;
	readonly side: "lookup" | "projection";
	readonly pattern: string;
	readonly from: { readonly name: string; readonly type?: string };
	readonly steps: readonly StepReport[];
	readonly to: { readonly name: string; readonly type?: string; readonly readers: readonly OperatorCount[] };
}

/** The flows of one vocabulary before and after the rewrite, in the same order. */
export interface GraphReport {
	readonly vocabulary: string;
	readonly before: readonly FlowReport[];
	/** Absent where nothing was rewritten. */
	readonly after?: readonly FlowReport[];
	/** What the rewrite was, or why there is none. */
	readonly note: string;
}

/** Where a flow begins and ends: values that a rewrite leaves in place. */
export interface FlowEnds extends Pick<FlowReport, "file" | "scope" | "side" | "pattern"> {
	readonly from: End;
	readonly to: End;
}

/** `type` is what is known of it if the file declares nothing. */
interface End {
	readonly value: Value;
	readonly type: string | undefined;
}

/** To be taken before the graph is rewritten. */
export function flowEnds({ lookups, projections, table }: Vocabulary): FlowEnds[] {
	const place = (site: Lookup | Projection) => ({ file: site.file.name, scope: scopePath(site.graph), pattern: site.pattern });
	const end = (value: Value, dtype?: DType, width?: number): End => ({ value, type: dtype && `${dtype}[…, ${width}]` });
	return [
		...lookups.flatMap((site) => {
			const to = site.output ?? site.node.outputs[0];
			if (to === undefined) return [];
			return [{ ...place(site), side: "lookup" as const, from: end(site.ids), to: end(to, site.dtype, table.cols) }];
		}),
		...projections.map((site) => {
			const { hidden, output, dtype } = site;
			return { ...place(site), side: "projection" as const, from: end(hidden, dtype, table.cols), to: end(output, dtype, table.rows) };
		}),
	];
}

/** More steps than these are too many to look at: those that read no `major` value are then taken together. */
const MOST_STEPS = 4;

/** The nodes that stand between the ends now. @param major the values that hold the table or its factors */
export function flowReport({ from, to, ...place }: FlowEnds, major: ReadonlySet<Value>): FlowReport {
	const path = pathBetween(from.value, to.value);
	const [onPath, known] = [new Set(path), new Map<Value, boolean>()];
	const read = path.map((node) => ({ node, ...constantsOf(node, onPath, known) }));
	const steps = read.map(({ node, tensors, through }): Found => {
		const isMajor = [...tensors].some((value) => major.has(value));
		return { nodes: [node], tensors, through, minor: !isMajor };
	});
	const merged = steps.length <= MOST_STEPS ? steps : steps.reduce<Found[]>(merge, []);
	return { ...place, from: described(from), steps: merged.map(stepReport), to: { ...described(to), readers: readersOf(to.value) } };
}

interface Found {
	readonly nodes: readonly Node[];
	readonly tensors: ReadonlySet<Value>;
	readonly through: ReadonlySet<Node>;
	readonly minor: boolean;
}

/** Small nodes in a row; nodes of one operator on the same tensors, block by block. */
function isAlike(last: Found, next: Found): boolean {
	if (last.minor || next.minor) return last.minor && next.minor;
	return last.nodes[0]?.opType === next.nodes[0]?.opType && [...next.tensors].some((value) => last.tensors.has(value));
}

function merge(steps: readonly Found[], next: Found): Found[] {
	const last = steps.at(-1);
	if (last === undefined || !isAlike(last, next)) return [...steps, next];
	const joined = {
		nodes: [...last.nodes, ...next.nodes],
		tensors: new Set([...last.tensors, ...next.tensors]),
		through: new Set([...last.through, ...next.through]),
		minor: next.minor,
	};
	return [...steps.slice(0, -1), joined];
}

/** Nodes by which `to` depends on `from`, in order of execution. */
function pathBetween(from: Value, to: Value): Node[] {
	const depending = new Set([from]);
	return nodesBefore(to, depending).filter(({ inputs, outputs }) => {
		const depends = inputs.some((input) => input !== undefined && depending.has(input));
		if (depends) for (const output of outputs) if (output !== undefined) depending.add(output);
		return depends;
	});
}

/** Nodes by which `value` is computed from `known` and what no node computes, each after those that it reads. By no recursion: graphs are long. */
function nodesBefore(value: Value, known: { has(value: Value): boolean }): Node[] {
	const order: Node[] = [];
	const seen = new Set<Node>();
	const pending: (Value | Node | undefined)[] = [value];
	while (pending.length > 0) {
		const next = pending.pop();
		if (next instanceof Node) order.push(next);
		else if (next?.producer !== undefined && !known.has(next) && !seen.has(next.producer)) {
			seen.add(next.producer);
			pending.push(next.producer);
			for (const input of next.producer.inputs.toReversed()) pending.push(input);
		}
	}
	return order;
}

/** The stored tensors that `node` reads beside the path, and the nodes between. */
function constantsOf(node: Node, path: ReadonlySet<Node>, known: Map<Value, boolean>) {
	const tensors = new Set<Value>();
	const through = new Set<Node>();
	const pending = [...node.inputs].reverse();
	while (pending.length > 0) {
		const value = pending.pop();
		const producer = value?.producer;
		if (value === undefined || (producer !== undefined && (path.has(producer) || through.has(producer)))) continue;
		if (value.tensor !== undefined || producer?.is("Constant") === true) tensors.add(value);
		else if (producer !== undefined && isConstant(value, known)) {
			through.add(producer);
			for (const input of producer.inputs.toReversed()) pending.push(input);
		}
	}
	return { tensors, through };
}

/** Computed from stored tensors alone. @param known what was found out before; grows */
function isConstant(value: Value, known: Map<Value, boolean>): boolean {
	for (const { inputs, outputs } of nodesBefore(value, known)) {
		const constant = inputs.every((input) => input === undefined || input.tensor !== undefined || known.get(input) === true);
		for (const output of outputs) if (output !== undefined) known.set(output, constant);
	}
	return value.tensor !== undefined || known.get(value) === true;
}

/** Smaller tensors are axes, shapes and starts. */
const LEAST_ELEMENTS = 64;

function stepReport({ nodes, tensors, through, minor }: Found): StepReport {
	const shown = [...tensors].map(tensorReport).filter(({ elements }) => elements >= LEAST_ELEMENTS);
	return {
		ops: countedOps(nodes),
		node: nodes[0]?.name ?? "",
		minor,
		tensors: shown.sort((a, b) => b.bytes - a.bytes).map(({ name, type, bytes }) => ({ name, type, bytes })),
		constants: countedOps([...through]),
	};
}

function tensorReport(value: Value) {
	const attribute = value.producer?.attributes.get("value");
	const tensor = value.tensor ?? (attribute?.kind === "tensor" ? attribute.value : undefined);
	const { name } = value;
	if (tensor === undefined) return { name, type: "", bytes: 0, elements: 0 };
	return { name, type: printType({ dtype: tensor.dtype, shape: tensor.dims }), bytes: tensor.byteLength, elements: tensor.size };
}

const operator = ({ domain, opType }: Node): string => (domain === "" ? opType : `${domain}.${opType}`);

/** In the order in which they are first met. */
function countedOps(nodes: readonly Node[]): OperatorCount[] {
	const ops = nodes.map(operator);
	return [...new Set(ops)].map((op) => ({ op, count: ops.filter((other) => other === op).length }));
}

function described({ value, type }: End): { name: string; type?: string } {
	const known = value.type === undefined ? type : printType(value.type);
	return known === undefined ? { name: value.name } : { name: value.name, type: known };
}

function readersOf(value: Value): OperatorCount[] {
	const uses = [...value.uses];
	const outputs = uses.filter((use) => use.kind === "output" && isMain(use.graph)).length;
	const nodes = uses.flatMap((use) => (use.kind === "node" ? [use.node] : []));
	return [...countedOps(nodes), ...(outputs === 0 ? [] : [{ op: "output of the model", count: 1 }])];
}

const isMain = ({ owner }: Graph): boolean => owner === undefined;

/** `Gather, Cast ×3` */
export function opsText(ops: readonly OperatorCount[]): string {
	return ops.map(({ op, count }) => (count === 1 ? op : `${op} ×${count}`)).join(", ");
}

/** A flow before and after, and how many more have the same structure. */
export interface FlowGroup {
	readonly before: FlowReport;
	readonly after: FlowReport | undefined;
	readonly alike: number;
}

/** Flows of one structure count once. */
export function groupedFlows({ before, after }: GraphReport): FlowGroup[] {
	const groups = new Map<string, FlowGroup>();
	for (const [index, flow] of before.entries()) {
		const key = JSON.stringify([flow.side, structureOf(flow), structureOf(after?.[index])]);
		const held = groups.get(key);
		groups.set(key, held === undefined ? { before: flow, after: after?.[index], alike: 0 } : { ...held, alike: held.alike + 1 });
	}
	return [...groups.values()];
}

function structureOf(flow: FlowReport | undefined): unknown {
	return flow?.steps.map(({ ops, tensors, constants }) => [ops, tensors.map(({ type }) => type), constants]);
}
