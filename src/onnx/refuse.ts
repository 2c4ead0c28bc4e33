// What cannot be converted although it can be decoded: functions that call themselves, external data that nobody would move.
import { DistembError } from "../errors.js";
import type { AttributeProto, FunctionProto, GraphProto, NodeProto, SparseTensorProto, TensorProto } from "./schema.js";

/** "ai.onnx" is another spelling of the default domain. */
export const domainOf = (domain: string | undefined): string => (domain === undefined || domain === "ai.onnx" ? "" : domain);

const keyOf = (domain: string | undefined, name: string | undefined): string => `${domainOf(domain)}.${name ?? ""}`;

/** ONNX forbids functions that call themselves, directly or through others. */
export function refuseRecursion(functions: readonly FunctionProto[]): void {
	const calls = new Map(functions.map(({ domain, name, node }) => [keyOf(domain, name), calledBy(node)]));
	const done = new Set<string>();
	for (const start of calls.keys()) {
		const open = new Set<string>();
		const pending = [start];
		for (let name = pending.at(-1); name !== undefined; name = pending.at(-1)) {
			const next = done.has(name) ? undefined : [...(calls.get(name) ?? [])].find((callee) => calls.has(callee) && !done.has(callee));
			open.add(name);
			if (next === undefined) {
				done.add(name);
				pending.pop();
			} else if (open.has(next)) throw new DistembError("input", `function "${next}" calls itself`);
			else pending.push(next);
		}
	}
}

function calledBy(nodes: readonly NodeProto[]): Set<string> {
	const called = new Set<string>();
	for (const node of nodes) {
		called.add(keyOf(node.domain, node.op_type));
		for (const { g, graphs } of node.attribute) {
			for (const body of g === undefined ? graphs : [g, ...graphs]) for (const callee of calledBy(body.node)) called.add(callee);
		}
	}
	return called;
}

/**
 * Refuses external data in parts that are carried as they are: their data file would stay behind.
 * @param what what such a tensor is called in the message
 */
export function refuseExternal(tensors: Iterable<TensorProto>, what: string): void {
	for (const { data_location, name } of tensors) {
		if (data_location === 1) throw new DistembError("refused", `${what} "${name ?? ""}" has external data, which this tool does not move`);
	}
}

/** Tensors in those attribute values that the IR does not look into. */
export function* listedTensors({ tensors, sparse_tensor, sparse_tensors }: AttributeProto): Generator<TensorProto> {
	yield* tensors;
	for (const sparse of sparse_tensor === undefined ? sparse_tensors : [sparse_tensor, ...sparse_tensors]) yield* tensorsOfSparse(sparse);
}

export function* tensorsOfSparse({ values, indices }: SparseTensorProto): Generator<TensorProto> {
	if (values !== undefined) yield values;
	if (indices !== undefined) yield indices;
}

export function* tensorsOfGraph({ initializer, sparse_initializer, node }: GraphProto): Generator<TensorProto> {
	yield* initializer;
	for (const sparse of sparse_initializer) yield* tensorsOfSparse(sparse);
	for (const { attribute } of node) {
		for (const held of attribute) {
			if (held.t !== undefined) yield held.t;
			yield* listedTensors(held);
			for (const body of held.g === undefined ? held.graphs : [held.g, ...held.graphs]) yield* tensorsOfGraph(body);
		}
	}
}
