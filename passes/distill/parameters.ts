// What is trained: the factors, and as far as asked for the norms, biases and weights that states pass through.
import { asParameter } from "../../src/gradient/prepare.js";
import { addInput, replaceUses, setInput } from "../../src/ir/edit.js";
import type { Node, Value } from "../../src/ir/graph.js";
import type { FactorGroup, ModelFile } from "../../src/state.js";
import { type FactorParameter, factorParameters } from "../../src/training/factors.js";
import type { Trainable } from "../../src/training/trainable.js";
import { balance } from "./balance.js";
import type { Recipe, TrainedSet } from "./options.js";
import { floatsOf } from "./write.js";

/** A stored tensor outside the vocabulary. */
export interface BodyTensor {
	readonly file: ModelFile;
	readonly value: Value;
}

/** A parameter of the training graph, and the tensors of the files that it stands for. */
export interface Parameter {
	/** Input of the training graph. */
	readonly value: Value;
	readonly dims: readonly number[];
	/** Row-major; its own array. */
	readonly initial: Float32Array;
	/** Learning rate as a multiple of the factors'. */
	readonly rate: number;
	readonly decays: boolean;
	readonly stored: FactorParameter | BodyTensor;
	/** Of a coded factor: what each column of U was multiplied by. */
	readonly scales?: Float64Array | undefined;
}

/** A factor as losses read it: through the ReLU, if there is one. */
export interface Factor extends FactorParameter {
	readonly active: Value;
	/** Of a coded group: what each column of U was multiplied by, and row of W divided by. */
	readonly scales: Float64Array | undefined;
}

/** Makes the factors inputs of the training graph; with `relu` everything reads ReLU(U) in place of U. Their scales are balanced. */
export function factorInputs(trainable: Trainable, groups: readonly FactorGroup[], relu: boolean): Factor[] {
	const { ops } = trainable;
	const found = factorParameters(trainable, groups);
	const known = new Map<FactorGroup, Float64Array>();
	for (const group of groups) {
		const [left, right] = ["left", "right"].map((side) => found.find((one) => one.group === group && one.factor === side));
		if (left === undefined || right === undefined) continue;
		const isCoded = group.coding !== undefined;
		const scales = balance(left, right, group.rank, isCoded);
		if (isCoded) known.set(group, scales);
	}
	return found.map((own) => {
		const factor = { ...own, scales: known.get(own.group) };
		if (!relu || factor.factor === "right") return { ...factor, active: factor.value };
		const active = ops.at(`${factor.value.name}/active`, ops.graph.nodes[0]).unary("Relu", factor.value);
		replaceUses(factor.value, active);
		if (active.producer !== undefined) setInput(active.producer, 0, factor.value);
		return { ...factor, active };
	});
}

/** Operators whose vectors are norms and biases. */
const VECTOR_READERS: ReadonlySet<string> = new Set([
	...["Add", "Sub", "Mul", "Sum", "PRelu", "Gemm", "Conv", "LSTM", "GRU", "RNN"],
	...["LayerNormalization", "RMSNormalization", "SimplifiedLayerNormalization", "BatchNormalization", "InstanceNormalization"],
]);

/** Operators whose matrices are weights. */
const MATRIX_READERS: ReadonlySet<string> = new Set(["MatMul", "Gemm", "FusedMatMul", "Einsum", "Conv", "LSTM", "GRU", "RNN"]);

/** Operators that hand a constant on in another shape. */
const CARRIERS: ReadonlySet<string> = new Set(["Transpose", "Identity", "Cast", "Reshape", "Unsqueeze", "Squeeze", "Expand"]);

/**
 * Float constants of the body that act on states which depend on the factors. Sinusoids, rotary frequencies, masks, scales and
 * epsilons meet no such state as a weight, a norm or a bias, and stay as they are.
 */
export function bodyTensors(trainable: Trainable, factors: readonly Factor[], set: TrainedSet): BodyTensor[] {
	if (set === "factors" || set === "head") return [];
	const dependent = dependents(trainable, factors);
	const taken = new Set<Value>();
	return trainable.whole.files.flatMap((file) =>
		file.model.graph.initializers
			.filter((value) => {
				const copy = trainable.copyOf(file, value);
				if (copy === undefined || taken.has(copy) || !isStoredFloat(value) || !isConstant(copy)) return false;
				const { dims } = trainable.ops.facts(copy);
				const long = dims.filter((size) => size > 1).length;
				if (long === 0 || (long > 1 && set !== "all")) return false;
				const wanted = long === 1 ? VECTOR_READERS : MATRIX_READERS;
				const readers = readersOf(copy);
				const acts = (node: Node) => wanted.has(node.opType) && node.inputs.some((input) => input !== undefined && dependent.has(input));
				if (!readers.every(acts) || readers.length === 0) return false;
				taken.add(copy);
				return true;
			})
			.map((value) => ({ file, value })),
	);
}

/** Makes the tensors inputs of the training graph. */
export function bodyParameters(trainable: Trainable, tensors: readonly BodyTensor[], { normRate, weightRate }: Recipe): Parameter[] {
	return tensors.flatMap((stored): Parameter[] => {
		const copy = trainable.copyOf(stored.file, stored.value);
		if (copy === undefined) return [];
		const value = asParameter(trainable.training, copy);
		const dims = trainable.ops.dims(value);
		const isVector = dims.filter((size) => size > 1).length === 1;
		return [{ value, dims, initial: floatsOf(stored.value), rate: isVector ? normRate : weightRate, decays: !isVector, stored }];
	});
}

function dependents({ ops }: Trainable, factors: readonly Factor[]): ReadonlySet<Value> {
	const found = new Set<Value>(factors.map(({ value }) => value));
	for (const node of ops.graph.nodes) {
		if (node.inputs.some((input) => input !== undefined && found.has(input)))
			for (const output of node.outputs) if (output !== undefined) found.add(output);
	}
	return found;
}

/** Nodes that read a constant, directly or in another shape. */
function readersOf(value: Value): Node[] {
	return [...value.uses].flatMap((use) => {
		if (use.kind !== "node") return [];
		const { node, index } = use;
		const [output] = node.outputs;
		return index === 0 && CARRIERS.has(node.opType) && output !== undefined ? readersOf(output) : [node];
	});
}

/** An initializer, or what one of half precision was widened to. */
function isConstant({ tensor, producer }: Value): boolean {
	return tensor !== undefined || (producer?.is("Cast") === true && producer.inputs[0]?.tensor !== undefined);
}

function isStoredFloat({ tensor }: Value): boolean {
	return (tensor?.dtype === "float32" || tensor?.dtype === "float16") && tensor.data !== undefined;
}

/** A new input of the training graph. */
export function addFeed({ ops }: Trainable, name: string, dtype: "float32" | "int64", dims: readonly number[]): Value {
	return ops.learn(addInput(ops.graph, name, { type: { dtype, shape: dims }, carried: undefined }), { dtype, dims });
}
