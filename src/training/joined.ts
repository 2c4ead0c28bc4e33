// Encoder and decoder as one graph: the encoder's output is what the decoder reads as its states.
import { DistembError } from "../errors.js";
import { flatCopy } from "../gradient/copy.js";
import { raiseOpset, TRAINING_OPSET } from "../gradient/raise.js";
import type { Model, Value } from "../ir/graph.js";
import { joinModels } from "../ir/join.js";
import type { GraphRoles, Port, Role } from "../runtime/decode/roles.js";
import type { AxisSize, SizeRole } from "../runtime/signature.js";

export interface Part {
	readonly model: Model;
	readonly roles: GraphRoles;
}

export interface JoinedParts {
	readonly model: Model;
	readonly roles: GraphRoles;
	/** Values of both parts → values of the joined model. */
	readonly valueOf: (value: Value) => Value | undefined;
}

/**
 * Joins the two; neither is changed. A mask of the source that both read is one input afterwards.
 * @throws DistembError `refused` if their operator sets differ in more than the version of the standard one
 */
export function joinParts(encoder: Part, decoder: Part): JoinedParts {
	const opsets = [encoder.model.opset, decoder.model.opset];
	const opset = new Set(opsets).size === 1 ? undefined : Math.max(TRAINING_OPSET, ...opsets);
	const first = copied(encoder.model, opset);
	const second = copied(decoder.model, opset);
	const states = inputOf(decoder, "states");
	const output = encoder.model.graph.outputs.find(({ value }) => value.name === encoder.roles.output)?.value;
	if (states === undefined || output === undefined) throw new DistembError("refused", "the decoder does not read the encoder's output");
	const wires = new Map([[second.valueOf(states), first.valueOf(output)]]);
	const [mask, sourceMask] = [inputOf(encoder, "mask"), inputOf(decoder, "sourceMask")];
	if (mask !== undefined && sourceMask !== undefined) wires.set(second.valueOf(sourceMask), first.valueOf(mask));
	const pairs = [...wires].flatMap(([to, from]) => (to === undefined || from === undefined ? [] : [[to, from] as const]));
	const { model, values } = joinModels(first.model, second.model, new Map(pairs));
	const placeOf = (value: Value) => {
		const copy = first.valueOf(value) ?? second.valueOf(value);
		return copy === undefined ? undefined : values.get(copy);
	};
	return { model, valueOf: placeOf, roles: rolesOf(encoder, decoder, placeOf) };
}

interface Copied {
	readonly model: Model;
	readonly valueOf: (value: Value) => Value | undefined;
}

/** A copy without functions, at operator set `opset` if that is given. */
function copied(model: Model, opset: number | undefined): Copied {
	const flat = flatCopy(model);
	const [left] = flat.model.functions;
	if (left !== undefined) throw new DistembError("refused", `function "${left.name}" has operator sets of its own`);
	if (opset === undefined) return { model: flat.model, valueOf: (value) => flat.values.get(value) };
	const raised = raiseOpset(flat.model, undefined, opset);
	return {
		model: raised.model,
		valueOf: (value) => {
			const copy = flat.values.get(value);
			return copy === undefined ? undefined : raised.values.get(copy);
		},
	};
}

function inputOf({ model, roles }: Part, role: Role): Value | undefined {
	const port = roles.ports.find((candidate) => candidate.role === role);
	return port === undefined ? undefined : model.graph.inputs.find(({ name }) => name === port.name);
}

function rolesOf(encoder: Part, decoder: Part, placeOf: JoinedParts["valueOf"]): GraphRoles {
	const ports: Port[] = [];
	for (const [part, turn] of [
		[encoder, asSource],
		[decoder, (port: Port) => port],
	] as const) {
		for (const port of part.roles.ports) {
			const input = part.model.graph.inputs.find(({ name }) => name === port.name);
			const name = input === undefined ? undefined : placeOf(input);
			// What is wired is no input any more, or one that is listed already.
			if (name?.source.kind === "input" && !ports.some((other) => other.name === name.name)) ports.push({ ...turn(port), name: name.name });
		}
	}
	const nameOf = (output: string) => {
		const value = decoder.model.graph.outputs.find((other) => other.value.name === output)?.value;
		return (value === undefined ? undefined : placeOf(value)?.name) ?? output;
	};
	const { output, others, width } = decoder.roles;
	return { kind: "translator", ports, output: nameOf(output), others: others.map(nameOf), width, timeMajor: false };
}

const SOURCE_ROLES: Readonly<Partial<Record<Role, Role>>> = { tokens: "source", mask: "sourceMask" };

/** What an encoder reads of its tokens, the joined model reads of its source. */
function asSource(port: Port): Port {
	return { ...port, role: SOURCE_ROLES[port.role] ?? port.role, axes: port.axes.map(ofSource) };
}

function ofSource(size: AxisSize): AxisSize {
	if (typeof size === "number") return size;
	if (typeof size === "string") return termOfSource(size);
	return size.map((term) => (typeof term === "number" ? term : termOfSource(term)));
}

function termOfSource(role: SizeRole): SizeRole {
	return role === "sequence" || role === "total" ? "encoder" : role;
}
