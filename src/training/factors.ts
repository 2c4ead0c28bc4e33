// The factors of a factorized model as parameters of its training graph: each once, however many files and readers share it.
import { DistembError } from "../errors.js";
import { asParameter } from "../gradient/prepare.js";
import { removeInitializer, removeNode, replaceUses } from "../ir/edit.js";
import { readElements } from "../ir/elements.js";
import type { Value } from "../ir/graph.js";
import type { FactorGroup, FactorValue } from "../state.js";
import type { Trainable } from "./trainable.js";

export interface FactorParameter {
	readonly group: FactorGroup;
	readonly factor: "left" | "right";
	/** The stored copy that it stands for: as it is or, if all copies are, transposed. */
	readonly stored: FactorValue;
	/** The graph input that all copies read now; float32 of `dims`. */
	readonly value: Value;
	readonly dims: readonly number[];
	/** Row-major; its own array. */
	readonly initial: Float32Array;
}

/**
 * Makes both factors of each group graph inputs. Copies in other files and branches become the same input, and transposed copies
 * are computed from it. A factor that the training graph does not hold is left out.
 */
export function factorParameters(trainable: Trainable, groups: readonly FactorGroup[]): FactorParameter[] {
	return groups.flatMap((group) => (["left", "right"] as const).flatMap((factor) => parameterOf(trainable, group, factor) ?? []));
}

function parameterOf(trainable: Trainable, group: FactorGroup, factor: "left" | "right"): FactorParameter | undefined {
	const { ops, training } = trainable;
	const copies = group.values.flatMap((stored) => {
		const value = stored.role.startsWith(factor) ? trainable.copyOf(stored.file, stored.value) : undefined;
		return value === undefined ? [] : [{ stored, value, turned: stored.role.endsWith("T") }];
	});
	const first = copies.find(({ turned }) => !turned) ?? copies[0];
	if (first === undefined) return undefined;
	const initial = floatsOf(first.stored.value);
	const value = asParameter(training, first.value);
	let transposed: Value | undefined;
	for (const copy of copies) {
		if (copy === first) continue;
		if (copy.turned !== first.turned) transposed ??= ops.at(`${value.name}/transposed`, ops.graph.nodes[0]).transpose(value, [1, 0]);
		replaceConstant(copy.value, copy.turned === first.turned ? value : (transposed ?? value));
	}
	return { group, factor, stored: first.stored, value, dims: ops.dims(value), initial };
}

/** Readers of a constant, or of what a constant of half precision was widened to, read `value` instead. */
function replaceConstant(constant: Value, value: Value): void {
	const { producer } = constant;
	const stored = producer === undefined ? constant : producer.inputs[0];
	replaceUses(constant, value);
	if (producer !== undefined) removeNode(producer);
	if (stored?.tensor !== undefined && stored.uses.size === 0) removeInitializer(stored);
}

function floatsOf({ name, tensor }: Value): Float32Array {
	if (tensor?.data === undefined) throw new DistembError("internal", `the factor "${name}" has no values yet`);
	const bytes = tensor.bytes();
	if (tensor.dtype === "float32") return new Float32Array(bytes.slice().buffer);
	return Float32Array.from(readElements(tensor.dtype, bytes, tensor.size), Number);
}
