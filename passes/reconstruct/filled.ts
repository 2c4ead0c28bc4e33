// The arrays behind the initializers of a group's factors.
import { setTensor } from "../../src/ir/edit.js";
import { dataOf, Tensor, type TensorData } from "../../src/ir/tensor.js";
import type { FactorGroup, FactorValue } from "../../src/state.js";

type Role = FactorValue["role"];

/** The arrays behind a group's initializers, each role stored once however many files share it. */
export class FilledFactors {
	readonly #group: FactorGroup;
	readonly #arrays = new Map<Role, Float32Array>();

	constructor(group: FactorGroup, right: Float32Array) {
		this.#group = group;
		const { rows, cols } = group.vocabulary.table;
		for (const { role } of group.values) {
			if (this.#arrays.has(role)) continue;
			this.#arrays.set(role, role.startsWith("left") ? new Float32Array(rows * group.rank) : rightOf(role, right, group.rank, cols));
		}
	}

	/** Copies rows [start, end) of U to where they belong. */
	setLeft(start: number, end: number, block: Float32Array): void {
		const { rank, vocabulary } = this.#group;
		const { rows } = vocabulary.table;
		this.#arrays.get("left")?.set(block.subarray(0, (end - start) * rank), start * rank);
		const leftT = this.#arrays.get("leftT");
		if (leftT === undefined) return;
		for (let row = start; row < end; row++)
			for (let k = 0; k < rank; k++) leftT[k * rows + row] = block[(row - start) * rank + k] as number;
	}

	/** Puts the arrays under their initializers. */
	store(): void {
		const data = new Map<Role, TensorData>();
		for (const [role, array] of this.#arrays) data.set(role, dataOf(new Uint8Array(array.buffer, array.byteOffset, array.byteLength)));
		for (const { value, role } of this.#group.values) {
			const placeholder = value.tensor;
			if (placeholder !== undefined) setTensor(value, new Tensor("float32", placeholder.dims, data.get(role), placeholder.placement));
		}
	}
}

function rightOf(role: Role, right: Float32Array, rank: number, cols: number): Float32Array {
	if (role === "right") return right;
	const transposed = new Float32Array(right.length);
	for (let k = 0; k < rank; k++)
		for (let column = 0; column < cols; column++) transposed[column * rank + k] = right[k * cols + column] ?? 0;
	return transposed;
}
