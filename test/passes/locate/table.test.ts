// Tables as float32 rows, whatever the file stores; each storage against numbers written down here.
import { describe, expect, it } from "vitest";
import type { Table } from "../../../src/state.js";
import { located, numbers, transposed } from "./support.js";

/** The table behind `rows`, which the lines define. */
async function tableOf(lines: string, values: Record<string, ArrayLike<number>>, opset = "21, com.microsoft 1"): Promise<Table> {
	const text = `
model ir 10, opset ai.onnx ${opset}
graph main(ids: int64[batch, length])
${lines.trim().replaceAll(/^[ \t]*/gm, "\t")}
	return rows: float32[batch, length, width]
`;
	const { vocabularies } = await located(text, { values });
	const [vocabulary] = vocabularies;
	if (vocabulary === undefined) throw new Error("no table was found");
	return vocabulary.table;
}

const codesOf = (count: number, levels: number, offset = 0) =>
	Array.from({ length: count }, (_, index) => ((index * 7 + (index >> 3)) % levels) + offset);

const all = (table: Table): number[] => {
	const rows: number[] = [];
	for (let start = 0; start < table.rows; start += 5) rows.push(...table.read(start, Math.min(table.rows, start + 5)));
	return rows;
};

describe("Table.read", () => {
	it.each(["float32", "float64", "float16", "bfloat16"])("reads_%s", async (dtype) => {
		const exact = Array.from({ length: 96 }, (_, index) => (index - 48) / 16);
		const table = await tableOf(`table = ${dtype}[24, 4]\nsmall = Gather(table, ids)\nrows = Cast<to=1>(small)`, { table: exact });
		expect(all(table)).toEqual(exact);
		expect(table.stored).toBe(dtype);
	});

	it("reads_a_transposed_store_by_blocks_of_rows", async () => {
		const values = numbers(96);
		const table = await tableOf("store = float32[4, 24]\ntable = Transpose(store)\nrows = Gather(table, ids)", {
			store: transposed(values, 24, 4),
		});
		expect(all(table)).toEqual([...values]);
	});

	it("reads_a_flat_store", async () => {
		const values = numbers(96);
		const table = await tableOf("flat = float32[96]\nshape = int64[2] {-1, 4}\ntable = Reshape(flat, shape)\nrows = Gather(table, ids)", {
			flat: values,
		});
		expect(all(table)).toEqual([...values]);
	});

	const scales = { row: numbers(24, 3).map(Math.abs), col: numbers(4, 4).map(Math.abs) };

	it.each([
		["", "float32[] {0.5}", () => 0.5],
		["<axis=0>", "float32[24]", (row: number) => scales.row[row] ?? 0],
		["<axis=1>", "float32[4]", (_: number, col: number) => scales.col[col] ?? 0],
	] as const)("dequantizes_uint8_with_zero_points%s", async (attributes, scale, of) => {
		const codes = codesOf(96, 256);
		const size = scale.includes("{") ? "[]" : scale.slice("float32".length);
		const count = size === "[]" ? 1 : Number(size.slice(1, -1));
		const zero = codesOf(count, 200, 20);
		const lines = `table = uint8[24, 4]\nscale = ${scale}\nzero = uint8${size}\nwide = DequantizeLinear${attributes}(table, scale, zero)\nrows = Gather(wide, ids)`;
		const table = await tableOf(lines, { table: codes, zero, ...(count === 1 ? {} : { scale: count === 24 ? scales.row : scales.col }) });
		const expected = codes.map((code, index) => {
			const [row, col] = [index >> 2, index & 3];
			return Math.fround((code - (zero[count === 1 ? 0 : count === 24 ? row : col] ?? 0)) * of(row, col));
		});
		expect(all(table)).toEqual(expected);
	});

	it("dequantizes_after_a_transpose_along_the_axis_that_the_node_means", async () => {
		const codes = codesOf(96, 256, -128);
		const text = `
			model ir 8, opset ai.onnx 17
			graph main(ids: int64[batch, length])
				codes = int8[24, 4]
				scale = float32[24]
				table = float32[24, 4]
				h = Gather(table, ids)
				turned = Transpose<perm=[1, 0]>(codes)
				wide = DequantizeLinear<axis=1>(turned, scale)
				logits = MatMul(h, wide)
				return logits: float32[batch, length, 24]
		`;
		const { vocabularies } = await located(text, { values: { codes, scale: scales.row } });
		const table = vocabularies.find(({ name }) => name === "codes")?.table;
		if (table === undefined) throw new Error("no table was found");
		expect(all(table)).toEqual(codes.map((code, index) => Math.fround(code * (scales.row[index >> 2] ?? 0))));
	});

	it.each([
		["int4", 0, 3],
		["uint4", 8, 1],
	] as const)("dequantizes_packed_%s_in_blocks", async (dtype, zero, rows) => {
		// 24 x 6 numbers in blocks of 4 along the rows: the second block of a row is short.
		const codes = codesOf(144, 16, dtype === "int4" ? -8 : 0);
		const scale = numbers(48, 5).map(Math.abs);
		const zeros = Array.from({ length: 48 }, (_, index) => (zero === 0 ? 0 : (index % 5) + 6));
		const lines = `
			table = ${dtype}[24, 6]
			scale = float32[24, 2]
			zero = ${dtype}[24, 2]
			wide = DequantizeLinear<axis=1, block_size=4>(table, scale, zero)
			rows = Gather(wide, ids)
		`;
		const table = await tableOf(lines, { table: codes, scale, zero: zeros });
		const entry = (index: number) => Math.floor(index / 6) * 2 + Math.floor((index % 6) / 4);
		const expected = codes.map((code, index) => Math.fround((code - (zeros[entry(index)] ?? 0)) * (scale[entry(index)] ?? 0)));
		expect(all(table)).toEqual(expected);
		expect([...table.read(rows, rows + 1)]).toEqual(expected.slice(rows * 6, rows * 6 + 6));
	});

	it("dequantizes_blocks_along_the_vocabulary_of_a_transposed_store", async () => {
		const codes = codesOf(128, 16, -8);
		const scale = numbers(2 * 8, 6).map(Math.abs);
		const lines = `
			store = int4[8, 16]
			scale = float32[2, 16]
			wide = DequantizeLinear<axis=0, block_size=4>(store, scale)
			table = Transpose(wide)
			rows = Gather(table, ids)
		`;
		const table = await tableOf(lines, { store: codes, scale: [...scale, ...scale] });
		const expected = Array.from({ length: 128 }, (_, index) => {
			const [row, col] = [index >> 3, index & 7];
			return Math.fround((codes[col * 16 + row] ?? 0) * ([...scale, ...scale][(col >> 2) * 16 + row] ?? 0));
		});
		expect(all(table)).toEqual(expected);
	});

	it.each([
		[4, "none", 8],
		[4, "packed", 0],
		[8, "none", 128],
		[2, "none", 2],
	] as const)("reads_%d_bit_blocks_of_MatMulNBits_with_%s_zero_points", async (bits, given, byDefault) => {
		const [rows, cols, size] = [48, 24, 16];
		const codes = codesOf(rows * 32, 2 ** bits);
		const perByte = 8 / bits;
		const pack = (list: readonly number[]) =>
			Array.from({ length: Math.ceil(list.length / perByte) }, (_, at) =>
				Array.from({ length: perByte }, (_, part) => (list[at * perByte + part] ?? 0) << (part * bits)).reduce(
					(sum, value) => sum + value,
					0,
				),
			);
		const scales = numbers(rows * 2, 7).map(Math.abs);
		const zeros = codesOf(rows * 2, 2 ** bits);
		const text = `
			model ir 8, opset ai.onnx 17, com.microsoft 1
			graph main(h: float32[batch, length, ${cols}])
				packed = uint8[${rows}, 2, ${(size * bits) / 8}]
				scales = float32[${rows * 2}]
				zeros = uint8[${given === "packed" ? rows : 0}]
				logits = com.microsoft.MatMulNBits<K=${cols}, N=${rows}, bits=${bits}, block_size=${size}>(h, packed, scales${given === "packed" ? ", zeros" : ""})
				return logits: float32[batch, length, ${rows}]
		`;
		const { vocabularies } = await located(text, {
			values: { packed: pack(codes), scales, ...(given === "packed" ? { zeros: pack(zeros) } : { zeros: [] }) },
		});
		const table = vocabularies[0]?.table;
		if (table === undefined) throw new Error("no table was found");
		const expected = Array.from({ length: rows * cols }, (_, index) => {
			const [row, col] = [Math.floor(index / cols), index % cols];
			const block = row * 2 + Math.floor(col / size);
			const zero = given === "packed" ? (zeros[block] ?? 0) : byDefault;
			return Math.fround(((codes[row * 32 + col] ?? 0) - zero) * (scales[block] ?? 0));
		});
		expect(all(table)).toEqual(expected);
	});

	it("reads_the_first_of_two_codes_from_the_high_half_in_MatMulBnb4", async () => {
		const text = `
			model ir 8, opset ai.onnx 17, com.microsoft 1
			graph main(h: float32[batch, length, 16])
				packed = uint8[384]
				scales = float32[48]
				logits = com.microsoft.MatMulBnb4<K=16, N=48, block_size=16, quant_type=1>(h, packed, scales)
				return logits: float32[batch, length, 48]
		`;
		const packed = Array.from({ length: 384 }, () => 0x0f);
		const { vocabularies } = await located(text, { values: { packed, scales: Array.from({ length: 48 }, () => 2) } });
		expect([...(vocabularies[0]?.table.read(7, 8) ?? [])]).toEqual(Array.from({ length: 8 }, () => [-2, 2]).flat());
	});

	it("hashes_equal_contents_equally_in_both_orientations", async () => {
		const values = numbers(96);
		const plain = await tableOf("table = float32[24, 4]\nrows = Gather(table, ids)", { table: values });
		const turned = await tableOf("store = float32[4, 24]\ntable = Transpose(store)\nrows = Gather(table, ids)", {
			store: transposed(values, 24, 4),
		});
		const other = await tableOf("table = float32[24, 4]\nrows = Gather(table, ids)", { table: numbers(96, 2) });
		expect(turned.hash).toBe(plain.hash);
		expect(other.hash).not.toBe(plain.hash);
	});
});
