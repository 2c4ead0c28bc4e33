// Reverse mode: walks from a scalar loss back to the parameters and adds the nodes that compute their gradients.
import { DistembError } from "../errors.js";
import { isFloat } from "../ir/dtype.js";
import { removeNode } from "../ir/edit.js";
import type { Node, Value } from "../ir/graph.js";
import { nodeLabel } from "../ir/walk.js";
import { addRows, isRows, readBy, unbroadcast } from "./accumulate.js";
import { sizeOf } from "./facts.js";
import type { Ops } from "./ops.js";
import { type Gradient, type Lazy, type RowGradient, type Rule, RuleContext, type Stop, Unsupported } from "./rule.js";
import { operatorOf, RULES, type Rules } from "./rules.js";

export interface SweepOptions {
	/** Parameters whose reads by Gather along axis 0 stay rows instead of being added into a tensor of the whole size. */
	readonly keepRows?: ReadonlySet<Value>;
	/** Another table of rules, for tests. */
	readonly rules?: Rules;
}

/** Gradient of one parameter: the sum of `dense`, if there, and of all `rows`. */
export interface ParameterGradient {
	readonly dense: Value | undefined;
	readonly rows: readonly RowGradient[];
	/** Operators without a rule that other paths to this parameter pass through: the gradient lacks their part. */
	readonly lacks: readonly MissingRule[];
}

/** An operator without a rule between a parameter and the loss. */
export interface MissingRule {
	/** As messages name the node. */
	readonly node: string;
	readonly operator: string;
	readonly why: string;
}

export interface Untrainable {
	readonly parameter: Value;
	/** Empty: the loss does not depend on the parameter, or only through operators that stop gradients on purpose. */
	readonly because: readonly MissingRule[];
}

export interface SweepResult {
	readonly gradients: ReadonlyMap<Value, ParameterGradient>;
	readonly untrainable: readonly Untrainable[];
	/** Operators without a rule on the way, in graph order. */
	readonly missing: readonly MissingRule[];
}

/**
 * Adds the gradient of `loss` (one element) with respect to `parameters` to the graph of `ops`.
 * Parameters are graph inputs or any other values of the graph. The gradient of value `x` is called `x_grad`.
 * An operator without a rule never fails: its part of the gradient is missing, and the result says so.
 */
export function differentiate(ops: Ops, loss: Value, parameters: readonly Value[], options: SweepOptions = {}): SweepResult {
	if (sizeOf(ops.dims(loss)) !== 1)
		throw new DistembError("internal", `the loss "${loss.name}" has [${ops.dims(loss).join(", ")}] elements`);
	return new Sweep(ops, parameters, options).run(loss);
}

class Sweep {
	private readonly dependent: ReadonlySet<Value>;
	private readonly arrived = new Map<Value, Gradient[]>();
	/** Per value: the missing operators between it and the loss. */
	private readonly lacks = new Map<Value, Set<MissingRule>>();
	private readonly missing: MissingRule[] = [];
	/** Gradients that have their name → the value that they are called after; values of the graph itself → undefined. */
	private readonly named = new Map<Value, Value | undefined>();
	private readonly rules: Rules;

	constructor(
		private readonly ops: Ops,
		private readonly parameters: readonly Value[],
		private readonly options: SweepOptions,
	) {
		this.rules = options.rules ?? RULES;
		this.dependent = this.dependents();
	}

	run(loss: Value): SweepResult {
		const forward = [...this.ops.graph.nodes];
		for (const node of forward) for (const value of node.outputs) if (value !== undefined) this.named.set(value, undefined);
		const one = this.ops.at(`${loss.name}_grad`);
		if (this.dependent.has(loss)) this.arrived.set(loss, [one.filled(this.ops.dims(loss), this.ops.dtype(loss), 1)]);
		for (const node of forward.toReversed()) this.visit(node);
		const results = this.results();
		this.prune(forward.length, results.gradients);
		return results;
	}

	/** Float values that depend on a parameter other than through a stop. */
	private dependents(): Set<Value> {
		const found = new Set(this.parameters);
		for (const node of this.ops.graph.nodes) {
			for (const output of node.outputs) {
				if (output === undefined || found.has(output)) continue;
				const byHand = this.ops.handGradientOf(output);
				const sources = byHand?.inputs ?? (this.entry(node)?.kind === "stop" ? [] : readBy(node));
				if (sources.some((value) => found.has(value)) && this.mayBeFloat(output)) found.add(output);
			}
		}
		return found;
	}

	private mayBeFloat(value: Value): boolean {
		return !this.ops.knows(value) || isFloat(this.ops.dtype(value));
	}

	private entry(node: Node): Rule | Stop | undefined {
		const operator = operatorOf(node);
		return Object.hasOwn(this.rules, operator) ? this.rules[operator] : undefined;
	}

	private visit(node: Node): void {
		this.visitByHand(node);
		const reached = node.outputs.map((output) => output !== undefined && this.dependent.has(output) && !this.isByHand(output));
		const outputs = node.outputs.map((output, index) => (output !== undefined && reached[index] ? this.denseOf(output) : undefined));
		this.passLacks(node, reached);
		if (outputs.every((gradient) => gradient === undefined)) return;
		const entry = this.entry(node);
		if (entry?.kind === "stop") return;
		const unusable = outputs.findIndex((gradient, index) => gradient !== undefined && !covers(entry, index));
		if (entry === undefined) this.report(node, this.ops.whyKept(node) ?? `there is no rule for ${operatorOf(node)}`);
		else if (unusable >= 0) this.report(node, `the rule for ${operatorOf(node)} takes no gradient of output ${unusable}`);
		else this.apply(node, entry, outputs);
	}

	private apply(node: Node, { backward }: Rule, outputs: readonly (Value | undefined)[]): void {
		const base = node.outputs.find((_, index) => outputs[index] !== undefined)?.name ?? node.name;
		const context = new RuleContext(node, this.ops.at(`${base}_grad`), outputs);
		try {
			const lazies = backward(context);
			const gradients = node.inputs.map((input, index) => this.evaluate(input, lazies[index]));
			for (const [index, input] of node.inputs.entries()) {
				const gradient = gradients[index];
				if (input === undefined || !this.dependent.has(input)) continue;
				if (gradient !== undefined) this.give(input, gradient, node);
				else if (lazies[index] === undefined)
					this.report(node, `the rule for ${operatorOf(node)} has no gradient of input ${index}`, [input]);
			}
		} catch (error) {
			if (!(error instanceof Unsupported)) throw error;
			this.report(node, error.message);
		}
	}

	private evaluate(input: Value | undefined, lazy: Lazy | "none" | undefined): Gradient | undefined {
		return input === undefined || !this.dependent.has(input) || lazy === "none" ? undefined : lazy?.();
	}

	private visitByHand(node: Node): void {
		for (const output of node.outputs) {
			const byHand = output === undefined ? undefined : this.ops.handGradientOf(output);
			if (output === undefined || byHand === undefined || !this.dependent.has(output)) continue;
			for (const input of byHand.inputs) this.addLacks(input, this.lacks.get(output) ?? []);
			const gradient = this.denseOf(output);
			if (gradient === undefined) continue;
			for (const [index, value] of byHand.backward(gradient).entries()) {
				const input = byHand.inputs[index];
				if (input !== undefined && value !== undefined && this.dependent.has(input)) this.give(input, value, node);
			}
		}
	}

	private isByHand(value: Value): boolean {
		return this.ops.handGradientOf(value) !== undefined;
	}

	// --- contributions ---------------------------------------------------------

	/** Notes one contribution to the gradient of `input`, checked and brought to its sizes. */
	private give(input: Value, gradient: Gradient, from: Node): void {
		const ops = this.ops.at(`${input.name}_grad`);
		const fitted = isRows(gradient)
			? gradient
			: unbroadcast(ops, gradient, ops.dims(input), `${nodeLabel(from)}: the gradient of "${input.name}"`);
		const values = isRows(fitted) ? fitted.rows : fitted;
		if (ops.dtype(values) !== ops.dtype(input)) {
			throw new DistembError("internal", `${nodeLabel(from)}: the gradient of "${input.name}" is ${ops.dtype(values)}`);
		}
		const list = this.arrived.get(input);
		if (list === undefined) this.arrived.set(input, [fitted]);
		else list.push(fitted);
	}

	/** The whole gradient of `value` as one tensor; undefined if none arrived. */
	private denseOf(value: Value): Value | undefined {
		const list = this.arrived.get(value);
		if (list === undefined) return undefined;
		const ops = this.ops.at(`${value.name}_grad`);
		const tensors = list.filter((gradient): gradient is Value => !isRows(gradient));
		let total = tensors.length > 0 ? ops.addAll(tensors) : undefined;
		for (const gradient of list) if (isRows(gradient)) total = addRows(ops, gradient, total, value);
		if (total === undefined) return undefined;
		this.arrived.set(value, [total]);
		return this.name(total, value);
	}

	/** Calls a gradient after its value, the first time. */
	private name(gradient: Value, value: Value): Value {
		if (!this.named.has(gradient) && gradient.producer !== undefined) this.ops.rename(gradient, `${value.name}_grad`);
		if (!this.named.has(gradient)) this.named.set(gradient, value);
		return gradient;
	}

	// --- what is missing -------------------------------------------------------

	/** Notes that no gradient passes from `node` to `inputs` (all that it reads, unless given). */
	private report(node: Node, why: string, inputs: readonly Value[] = readBy(node)): void {
		const missing = { node: nodeLabel(node), operator: operatorOf(node), why };
		this.missing.push(missing);
		for (const value of inputs) if (this.dependent.has(value)) this.addLacks(value, [missing]);
	}

	/** What the outputs' gradients lack, the inputs' gradients lack too. */
	private passLacks(node: Node, reached: readonly boolean[]): void {
		const above = node.outputs.flatMap((output, index) =>
			output !== undefined && reached[index] ? [...(this.lacks.get(output) ?? [])] : [],
		);
		if (above.length === 0 || this.entry(node)?.kind === "stop") return;
		for (const value of readBy(node)) if (this.dependent.has(value)) this.addLacks(value, above);
	}

	private addLacks(value: Value, missing: Iterable<MissingRule>): void {
		const set = this.lacks.get(value) ?? new Set();
		for (const one of missing) set.add(one);
		if (set.size > 0) this.lacks.set(value, set);
	}

	// --- results ---------------------------------------------------------------

	private results(): SweepResult {
		const gradients = new Map<Value, ParameterGradient>();
		const untrainable: Untrainable[] = [];
		for (const parameter of new Set(this.parameters)) {
			const lacks = [...(this.lacks.get(parameter) ?? [])];
			const found = this.resultOf(parameter);
			if (found === undefined) untrainable.push({ parameter, because: lacks });
			else gradients.set(parameter, { ...found, lacks });
		}
		return { gradients, untrainable, missing: this.missing.toReversed() };
	}

	private resultOf(parameter: Value): Omit<ParameterGradient, "lacks"> | undefined {
		const list = this.arrived.get(parameter);
		if (list === undefined) return undefined;
		const rows = this.options.keepRows?.has(parameter) === true ? list.filter(isRows) : [];
		if (rows.length > 0)
			this.arrived.set(
				parameter,
				list.filter((gradient) => !isRows(gradient)),
			);
		let dense = this.arrived.get(parameter)?.length === 0 ? undefined : this.denseOf(parameter);
		// One value may be the gradient of two parameters (Add) or no node's result: each parameter gets an output of its own.
		if (dense !== undefined && (this.named.get(dense) !== parameter || dense.producer === undefined)) {
			dense = this.ops.at(`${parameter.name}_grad`).identity(dense);
			this.ops.rename(dense, `${parameter.name}_grad`);
		}
		return { dense, rows: rows.map((gradient) => this.counted(gradient, parameter)) };
	}

	/** Rows with ids that count from the front. */
	private counted({ ids, rows }: RowGradient, parameter: Value): RowGradient {
		const ops = this.ops.at(`${parameter.name}_grad`);
		const front = ops.where(ops.less(ids, 0), ops.add(ids, ops.dims(parameter)[0] ?? 0), ids);
		ops.rename(front, `${parameter.name}_grad_ids`);
		const own = rows.producer === undefined || this.named.has(rows) ? ops.identity(rows) : rows;
		ops.rename(own, `${parameter.name}_grad_rows`);
		return { kind: "rows", ids: front, rows: own };
	}

	/** Removes what was added for gradients that were not needed in the end. */
	private prune(from: number, gradients: ReadonlyMap<Value, ParameterGradient>): void {
		const kept = new Set<Value | undefined>();
		for (const { dense, rows } of gradients.values()) {
			kept.add(dense);
			for (const row of rows) kept.add(row.ids).add(row.rows);
		}
		for (const node of this.ops.graph.nodes.slice(from).toReversed()) {
			if (node.outputs.every((value) => value === undefined || (value.uses.size === 0 && !kept.has(value)))) removeNode(node);
		}
	}
}

function covers(entry: Rule | undefined, output: number): boolean {
	return entry === undefined || entry.outputs === "all" || entry.outputs.includes(output);
}
