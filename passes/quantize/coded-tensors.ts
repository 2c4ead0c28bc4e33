// The tensors that a coded table is stored in: codes, scales, and where the code of each column stands.
import type { DType } from "../../src/ir/dtype.js";
import { writeElements } from "../../src/ir/elements.js";
import { dataOf } from "../../src/ir/tensor.js";
import { numbersOf, packedNumbers } from "../../src/linalg/coding.js";
import type { CodedGroup } from "./coded.js";
import { type Contents, contentsOf } from "./encode.js";

/** The tensors of a coded table; every file of the model refers to the same contents. */
export interface CodedTensors {
	/** Codes, uint8 [all bytes]. */
	readonly codes: Contents;
	/** uint8 [V], by place: which of the grid's scales a row has; float16 [256]. */
	readonly scales: Contents;
	readonly grid: Contents;
	/** float16 [kinds · 256]. */
	readonly values: Contents;
	/** W, float16 or int8: r×d and d×r; and float32 [r], what whole numbers are multiplied by. */
	readonly right: Contents;
	readonly rightT: Contents;
	readonly rightScales: Contents | undefined;
	/** uint8: the block of each id, as {@link packedNumbers} has it; undefined: ids are places. */
	readonly numbers: Contents | undefined;
	/** uint16 and uint8 [blocks, r]: byte and kind of each column. */
	readonly bytes: Contents;
	readonly kinds: Contents;
	/** int64 [blocks, 1]: bytes of a row, and where the row of place 0 would begin; int64 and float32 [blocks − 1]: ends of blocks, ones. */
	readonly rowBytes: Contents;
	readonly starts: Contents;
	readonly ends: Contents;
	readonly ones: Contents;
}

function integers(dtype: DType, values: readonly number[], dims: readonly number[]): Contents {
	return { dtype, dims, data: dataOf(writeElements(dtype, values)) };
}

/** Blocks are counted from the last: the number of ends that a place lies before is then its block. */
export function codedTensors({ group, coding, layout, codes, scales, grid, values, factor }: CodedGroup): CodedTensors {
	const { rows, cols } = group.vocabulary.table;
	const { rank } = group;
	const reversed = [...layout.blocks].reverse();
	const count = reversed.length;
	const { positions } = coding;
	const numbers = positions && packedNumbers(numbersOf(layout.blocks, positions), count);
	const { values: right, steps } = factor;
	const rightT = right.slice();
	for (let k = 0; k < rank; k++) for (let j = 0; j < cols; j++) rightT[j * rank + k] = right[k * cols + j] ?? 0;
	const rightType = right instanceof Int8Array ? "int8" : "float16";
	return {
		codes: { dtype: "uint8", dims: [codes.length], data: contentsOf(codes) },
		scales: { dtype: "uint8", dims: [rows], data: contentsOf(scales) },
		grid: { dtype: "float16", dims: [grid.length], data: contentsOf(grid) },
		values: { dtype: "float16", dims: [values.length], data: contentsOf(values) },
		right: { dtype: rightType, dims: [rank, cols], data: contentsOf(right) },
		rightT: { dtype: rightType, dims: [cols, rank], data: contentsOf(rightT) },
		rightScales: steps && { dtype: "float32", dims: [rank], data: contentsOf(steps) },
		numbers: numbers && { dtype: "uint8", dims: [numbers.length], data: contentsOf(numbers) },
		bytes: integers(
			"uint16",
			reversed.flatMap(({ byteOf }) => [...byteOf]),
			[count, rank],
		),
		kinds: integers(
			"uint8",
			reversed.flatMap(({ kindOf }) => [...kindOf]),
			[count, rank],
		),
		rowBytes: integers(
			"int64",
			reversed.map(({ rowBytes }) => rowBytes),
			[count, 1],
		),
		starts: integers(
			"int64",
			reversed.map(({ start, first, rowBytes }) => start - first * rowBytes),
			[count, 1],
		),
		ends: integers(
			"int64",
			layout.blocks.slice(0, -1).map(({ first, rows: held }) => first + held),
			[count - 1],
		),
		ones: integers(
			"float32",
			layout.blocks.slice(1).map(() => 1),
			[count - 1],
		),
	};
}
