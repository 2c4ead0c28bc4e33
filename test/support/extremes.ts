// Tables on which arithmetic goes wrong: zeros, denormals, huge and tiny numbers, rows that repeat, fewer rows than columns.
import { writeElements } from "../../src/ir/elements.js";
import { parseModel } from "../../src/ir/parse.js";
import { encodeToBytes } from "../../src/onnx/index.js";
import { normal } from "../../src/random.js";

export interface Extreme {
	readonly rows: number;
	readonly cols: number;
	/** Row-major. */
	readonly values: Float32Array;
}

const ROWS = 96;
const COLS = 16;

function made(value: (row: number, column: number, random: number) => number, rows = ROWS, cols = COLS): Extreme {
	const random = normal(7);
	const values = Float32Array.from({ length: rows * cols }, (_, index) => value(Math.floor(index / cols), index % cols, random()));
	return { rows, cols, values };
}

/** A product of two random matrices of this inner size. */
function ofRank(rank: number, scale = 1): Extreme {
	const random = normal(3);
	const left = Float32Array.from({ length: ROWS * rank }, random);
	const right = Float32Array.from({ length: rank * COLS }, random);
	return made((row, column) => {
		let sum = 0;
		for (let k = 0; k < rank; k++) sum += (left[row * rank + k] ?? 0) * (right[k * COLS + column] ?? 0);
		return scale * sum;
	});
}

/** float32 tables by name, all finite. */
export const EXTREMES = {
	ordinary: made((_row, _column, random) => random),
	zero: made(() => 0),
	"denormal numbers": made((_row, _column, random) => random * 1e-40),
	"some denormal rows": made((row, _column, random) => (row % 3 === 0 ? random * 1e-40 : random)),
	"1e-20": made((_row, _column, random) => random * 1e-20),
	"1e20": made((_row, _column, random) => random * 1e20),
	"the largest numbers": made((_row, _column, random) => Math.max(-1, Math.min(1, random)) * 3e38),
	"rows from 1e-6 to 1e6": made((row, _column, random) => random * 10 ** ((row % 13) - 6)),
	"columns from 1e-6 to 1e6": made((_row, column, random) => random * 10 ** ((column % 13) - 6)),
	"one huge number": made((row, column, random) => (row === 5 && column === 3 ? 1e5 : random)),
	"rows that repeat": made((row, column) => Math.sin(1 + (row % 4) * 3 + column * 2)),
	"equal rows": made((_row, column) => column - 3),
	"constant rows": made((row) => row - 40),
	"one constant": made(() => 0.7),
	"rank 1": ofRank(1),
	"rank 5": ofRank(5),
	"zero rows and columns": made((row, column, random) => (row % 4 === 1 || column % 5 === 2 ? 0 : random)),
	"one row that is not zero": made((row, _column, random) => (row === 17 ? random : 0)),
	"fewer rows than columns": made((_row, _column, random) => random, 10, 24),
	"one column": made((_row, _column, random) => random, 64, 2),
} as const satisfies Readonly<Record<string, Extreme>>;

/** Ids look up rows of the table, hidden states are multiplied by it. Stored as `dtype`. */
export function modelOn({ rows, cols, values }: Extreme, dtype: "float32" | "float16" = "float32"): Uint8Array {
	const text = `
	model ir 8, opset ai.onnx 17
	graph main(input_ids: int64[batch, length], hidden: ${dtype}[tokens, ${cols}])
		table = ${dtype}[${rows}, ${cols}]
		rows = Gather(table, input_ids)
		logits = Gemm<transB=1>(hidden, table)
		return rows: ${dtype}[batch, length, ${cols}], logits: ${dtype}[tokens, ${rows}]
	`;
	return encodeToBytes(parseModel(text, { values: { table: values } }));
}

/** `values` as float16 stores them. */
export function asHalves({ rows, cols, values }: Extreme): Extreme {
	const view = new DataView(writeElements("float16", values).buffer);
	return { rows, cols, values: Float32Array.from(values, (_, index) => halfAt(view, index)) };
}

function halfAt(view: DataView, index: number): number {
	const bits = view.getUint16(index * 2, true);
	const exponent = (bits >> 10) & 31;
	const fraction = bits & 1023;
	const size = exponent === 0 ? fraction * 2 ** -24 : (1 + fraction / 1024) * 2 ** (exponent - 15);
	return bits & 0x8000 ? -size : size;
}
