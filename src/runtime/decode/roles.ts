// What a language model's graph is for, and what each of its inputs and outputs carries from step to step.
import { DistembError } from "../../errors.js";
import type { GraphOutput, Model } from "../../ir/graph.js";
import { type InputSpec, readSignature } from "../signature.js";

/**
 * - `tokens`: ids that are read (and predicted, if the graph predicts); `mask`, `positions`: of these
 * - `source`, `sourceMask`: what a translator translates; `states`: the encoder's output
 * - `past`: what an earlier step left: keys and values, or a recurrent state
 * - `branch`: chooses the branch that reads the past
 * - `zero`: token types, num_logits_to_keep and the like: 0 everywhere
 */
export type Role = "tokens" | "mask" | "positions" | "source" | "sourceMask" | "states" | "past" | "branch" | "zero";

export interface Port extends InputSpec {
	readonly role: Role;
}

/**
 * - `encoder`: states, no logits
 * - `model`: tokens to logits (decoder-only, or a masked language model)
 * - `decoder`: tokens and an encoder's output to logits
 * - `translator`: source and tokens to logits, the whole model in one file
 */
export type GraphKind = "encoder" | "model" | "decoder" | "translator";

export interface GraphRoles {
	readonly kind: GraphKind;
	readonly ports: readonly Port[];
	/** Output with the logits, or an encoder's states. */
	readonly output: string;
	/** Outputs other than {@link output}, in order. */
	readonly others: readonly string[];
	/** Declared size of the output's last axis, if it is fixed: rows of the vocabulary, or the width of the states. */
	readonly width: number | undefined;
	/** Ids and logits are [length, batch, …], as recurrent layers have them by default; see {@link asTimeMajor}. */
	readonly timeMajor: boolean;
}

/**
 * Reads the roles off a graph: kinds of inputs by structure (see signature.ts), their purpose by the names that exporters use.
 * @throws DistembError `refused`, naming the input, for graphs that are no language model, encoder or translator
 */
export function readRoles(model: Model): GraphRoles {
	const specs = readSignature(model, new Map());
	const ids = specs.filter(isIds);
	if (ids.length === 0) throw refusal("no input holds token ids");
	if (ids.length > 2) throw refusal(`the inputs ${ids.map(({ name }) => `"${name}"`).join(", ")} all look like token ids`);
	const tokens = ids.length === 1 ? ids[0] : (ids.find(({ name }) => TARGET.test(name)) ?? ids[1]);
	const source = ids.find((spec) => spec !== tokens);
	const ports = specs.map((spec) => ({ ...spec, role: roleOf(spec, tokens, source) }));
	const { output, isLogits } = mainOutput(model.graph.outputs);
	const has = (role: Role) => ports.some((port) => port.role === role);
	const shape = output.info.type?.shape ?? output.value.type?.shape;
	const last = shape?.at(-1);
	const isDecoder = has("states") || ports.some(({ role, name }) => (role === "past" || role === "sourceMask") && ENCODER.test(name));
	return {
		kind: !isLogits ? "encoder" : source !== undefined ? "translator" : isDecoder ? "decoder" : "model",
		ports,
		output: output.value.name,
		others: model.graph.outputs.map(({ value }) => value.name).filter((name) => name !== output.value.name),
		width: typeof last === "number" && last > 0 ? last : undefined,
		timeMajor: false,
	};
}

const TARGET = /dec|target|tgt|trg/i;
const ENCODER = /encoder|memory|cross|source|src/i;
const TYPES = /token_?type|segment|lang/i;

const refusal = (reason: string) =>
	new DistembError("refused", reason, { hint: "only language models, encoders and translators can be run on data" });

function isIds({ name, kind, axes, dtype }: InputSpec): boolean {
	if (TYPES.test(name)) return false;
	if (kind === "ids") return true;
	// Ids that no table bounds, for instance because they are one-hot encoded.
	return kind === "mask" && axes.length === 2 && dtype.startsWith("int") && /ids$|tokens/i.test(name) && !/mask|pos/i.test(name);
}

function roleOf(spec: InputSpec, tokens: InputSpec | undefined, source: InputSpec | undefined): Role {
	const { name, kind, axes } = spec;
	if (spec === tokens) return "tokens";
	if (spec === source) return "source";
	switch (kind) {
		case "positions":
		case "past":
			return kind;
		case "flag":
			return "branch";
		case "ids":
			return "zero";
		case "mask":
			if (TYPES.test(name)) return "zero";
			if (axes.length > 2) break;
			return ENCODER.test(name) || (source !== undefined && !TARGET.test(name)) ? "sourceMask" : "mask";
		case "setting":
			if (/logits_to_keep/i.test(name)) return "zero";
			break;
		case "noise":
			if (axes.length === 3 && ENCODER.test(name)) return "states";
			// The state of a recurrent layer: [layers, batch, size].
			if (axes.length === 3 || /^[hc]_?\d*$|state|cell/i.test(name)) return "past";
			break;
		case "lengths":
		case "offsets":
			break;
	}
	throw refusal(`input "${name}" is not understood`);
}

/** The state of a recurrent layer is [layers, batch, size]. */
export function isRecurrentState({ role, kind, axes }: Port): boolean {
	return role === "past" && kind !== "past" && axes.length === 3;
}

const STATES = /hidden|states?$|embedding|pool|memory/i;
const CARRIED = /present|past|cache|^[hc]n?_?\d*$/i;

/** The output that predicts, else the first that holds one vector per token. */
function mainOutput(outputs: readonly GraphOutput[]): { output: GraphOutput; isLogits: boolean } {
	const floats = outputs.filter(({ value, info }) => (info.type ?? value.type)?.dtype?.startsWith("float") !== false);
	const named = floats.find(({ value }) => /logits/i.test(value.name));
	if (named !== undefined) return { output: named, isLogits: true };
	const free = floats.filter(({ value }) => !CARRIED.test(value.name));
	const logits = free.find(({ value }) => !STATES.test(value.name));
	const states = free.find(({ value }) => /last_hidden|encoder/i.test(value.name)) ?? free[0];
	// A model that names its states gives no logits, whatever else it gives (a pooled vector, for instance).
	const output = states !== undefined && /last_hidden/i.test(states.value.name) ? states : (logits ?? states);
	if (output === undefined) throw refusal("no output holds logits or states");
	return { output, isLogits: output === logits };
}

/**
 * For each past input of `reader` the output of `writer` that continues it: by name (`past_key_values.0.key` by `present.0.key`),
 * or else, within one graph, by order. Inputs without such an output are absent.
 */
export function continuations(writer: GraphRoles, reader: GraphRoles): ReadonlyMap<string, string> {
	const pasts = reader.ports.filter(({ role }) => role === "past").map(({ name }) => name);
	const byKey = new Map(writer.others.map((name) => [keyOf(name), name]));
	const found = new Map<string, string>();
	for (const past of pasts) {
		const output = byKey.get(keyOf(past));
		if (output !== undefined && output !== past) found.set(past, output);
	}
	if (found.size > 0 || writer !== reader || writer.others.length !== pasts.length) return found;
	return new Map(pasts.map((past, index) => [past, writer.others[index] ?? ""]));
}

/** What remains of a name without the words for before and after. */
function keyOf(name: string): string {
	return name.toLowerCase().replace(/(past|present|cache)(_key_values|_kv|_states?)?(_in|_out)?/, "");
}
