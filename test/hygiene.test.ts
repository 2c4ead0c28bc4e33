// Tables on which arithmetic goes wrong, through whole conversions by every method and in every precision: close to the original, or refused.
import { readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { Matrix, SingularValueDecomposition } from "ml-matrix";
import { beforeAll, describe, expect, it } from "vitest";
import { type CompileOptions, compile, DistembError } from "../src/index.js";
import { reader } from "../src/runtime/numbers.js";
import { type EngineTensor, openSession } from "../src/runtime/session.js";
import { asHalves, EXTREMES, type Extreme, modelOn } from "./support/extremes.js";
import { FIXTURES, temporaryFolder } from "./support/models.js";

const folder = temporaryFolder();
const input = path.join(folder, "model.onnx");
const output = path.join(folder, "small.onnx");

const COMMON = { allowLarger: true, overwrite: true, threads: 1, embedding: "table" } as const;

/** What is asked for, and the most that an entry may be off at full rank, as a share of the largest. */
const FORMS: Readonly<Record<string, { readonly options: CompileOptions; readonly tolerance: number }>> = {
	"svd float32": { options: { method: "svd", dtype: "float32" }, tolerance: 1e-6 },
	"svd float16": { options: { method: "svd", dtype: "float16" }, tolerance: 2e-3 },
	"svd int8": { options: { method: "svd", dtype: "int8" }, tolerance: 2e-2 },
	"svd int8 onnxruntime": { options: { method: "svd", dtype: "int8", ops: "onnxruntime" }, tolerance: 3e-2 },
	"svd mixed": { options: { method: "svd", dtype: "mixed" }, tolerance: 0.05 },
	"svd mixed onnxruntime": { options: { method: "svd", dtype: "mixed", ops: "onnxruntime" }, tolerance: 0.05 },
	"distemb float32": { options: { method: "distemb", distill: false, dtype: "float32" }, tolerance: 1e-6 },
	"distemb float16": { options: { method: "distemb", distill: false, dtype: "float16" }, tolerance: 2e-3 },
	"distemb int8": { options: { method: "distemb", distill: false, dtype: "int8" }, tolerance: 2e-2 },
	"distemb int8 onnxruntime": { options: { method: "distemb", distill: false, dtype: "int8", ops: "onnxruntime" }, tolerance: 3e-2 },
	"distemb mixed": { options: { method: "distemb", distill: false, dtype: "mixed" }, tolerance: 0.05 },
};

const PAPER: Readonly<Record<string, { readonly options: CompileOptions; readonly tolerance: number }>> = {
	float32: { options: { method: "paper", distill: false, dtype: "float32" }, tolerance: 1e-4 },
	float16: { options: { method: "paper", distill: false, dtype: "float16" }, tolerance: 2e-3 },
};

/** Forms that store nothing in float16 alone. */
const isWide = (form: string) => form.includes("float32") || form.includes("int8");

/** Too large or too small for products of float16 factors, whatever the gauge. */
const BEYOND_HALVES: ReadonlySet<string> = new Set(["denormal numbers", "1e-20", "1e20", "the largest numbers"]);

/** So near the end of float32 that sums of products pass it. */
const BEYOND_FLOATS = "the largest numbers";

/** Some of what is smaller the engine takes for zero. */
const SMALLEST = 2 ** -126;

/** Every row by its id, and every product with a unit vector: the table, twice. */
async function tableIn(file: string, { rows, cols }: Extreme): Promise<{ lookedUp: Float64Array; multiplied: Float64Array }> {
	const session = await openSession(file, { threads: 1 });
	try {
		const hidden = session.inputs.find(({ name }) => name === "hidden")?.dtype ?? "float32";
		const unit = Float32Array.from({ length: cols * cols }, (_, index) => (index % (cols + 1) === 0 ? 1 : 0));
		const feeds = {
			input_ids: { dtype: "int64", dims: [1, rows], data: BigInt64Array.from({ length: rows }, (_, id) => BigInt(id)) },
			hidden: { dtype: hidden, dims: [cols, cols], data: hidden === "float16" ? Uint16Array.from(unit, (one) => one * 0x3c00) : unit },
		} as const;
		const results = await session.run(feeds);
		const numbers = (tensor: EngineTensor | undefined, at: (row: number, column: number) => number) => {
			const read = tensor === undefined ? () => Number.NaN : reader(tensor);
			return Float64Array.from({ length: rows * cols }, (_, index) => read(at(Math.floor(index / cols), index % cols)));
		};
		return {
			lookedUp: numbers(results.rows, (row, column) => row * cols + column),
			multiplied: numbers(results.logits, (row, column) => column * rows + row),
		};
	} finally {
		await session.close();
	}
}

const largest = (values: ArrayLike<number>) => Array.from(values).reduce((most, value) => Math.max(most, Math.abs(value)), 0);

/** The largest |a − b|; infinite if anything is not finite. */
function distance(a: Float64Array, b: Float32Array): number {
	let most = 0;
	for (const [index, value] of a.entries()) {
		const difference = Math.abs(value - (b[index] ?? Number.NaN));
		if (!(difference <= most)) most = Number.isNaN(difference) ? Number.POSITIVE_INFINITY : difference;
	}
	return most;
}

async function converted(options: CompileOptions): Promise<DistembError | undefined> {
	try {
		await compile(input, output, { ...COMMON, ...options });
		return undefined;
	} catch (error) {
		if (error instanceof DistembError) return error;
		throw error;
	}
}

async function expectClose(table: Extreme, tolerance: number, form: string): Promise<void> {
	const { lookedUp, multiplied } = await tableIn(output, table);
	const allowed = tolerance * largest(table.values) + SMALLEST;
	expect(distance(lookedUp, table.values), `${form}, looked up`).toBeLessThanOrEqual(allowed);
	expect(distance(multiplied, table.values), `${form}, multiplied`).toBeLessThanOrEqual(allowed);
}

describe.each(Object.entries(EXTREMES))("a table of %s", (name, table) => {
	beforeAll(() => writeFileSync(input, modelOn(table)));
	const fullRank = Math.min(table.rows, table.cols);

	it("is_close_to_itself_at_full_rank_by_every_method_and_precision_or_refused_for_a_reason", async () => {
		for (const [form, { options, tolerance }] of Object.entries(FORMS)) {
			// More bytes than the codes need: the nodes of their blocks count too.
			const size = options.dtype === "mixed" ? { targetSize: 100_000 } : { rank: fullRank };
			const refused = await converted({ ...options, ...size });
			if (name === BEYOND_FLOATS || (BEYOND_HALVES.has(name) && !isWide(form))) {
				expect(refused?.code, form).toBe("refused");
				expect(refused?.message, form).toMatch(isWide(form) ? /holds NaN or infinity where the original's is finite/ : /range of float16/);
			} else {
				expect(refused?.toLine(), form).toBeUndefined();
				await expectClose(table, tolerance, form);
			}
		}
	});

	it("is_as_close_by_the_papers_method_as_the_best_of_one_rank_less", async () => {
		for (const [form, { options, tolerance }] of Object.entries(PAPER)) {
			const refused = await converted({ ...options, rank: fullRank });
			if (name === BEYOND_FLOATS || (BEYOND_HALVES.has(name) && form === "float16")) {
				expect(refused?.code, form).toBe("refused");
				continue;
			}
			expect(refused?.toLine(), form).toBeUndefined();
			const { lookedUp, multiplied } = await tableIn(output, table);
			// ReLU(U)·W of rank r reaches whatever has rank r − 1 (math.md §2); at rank 1 it reaches one sign of a single direction.
			const scale = largest(table.values) || 1;
			const allowed = (fullRank > 1 ? tail(table, fullRank - 1, scale) : scale) + tolerance * Math.sqrt(table.values.length) * scale;
			for (const result of [lookedUp, multiplied])
				expect(frobenius(result, table.values, scale) * scale, form).toBeLessThanOrEqual(allowed + SMALLEST);
		}
	});

	it("is_finite_at_rank_1", async () => {
		if (name === BEYOND_FLOATS) return;
		for (const method of ["svd", "paper"] as const) {
			expect(
				(await converted({ method, rank: 1, dtype: "float32", ...(method === "svd" ? {} : { distill: false }) }))?.toLine(),
			).toBeUndefined();
			const { lookedUp, multiplied } = await tableIn(output, table);
			expect([...lookedUp, ...multiplied].every(Number.isFinite)).toBe(true);
		}
	});
});

/** The error of the best approximation of rank `rank`, by an independent library. */
function tail({ rows, cols, values }: Extreme, rank: number, scale: number): number {
	const matrix = new Matrix(rows, cols);
	for (let row = 0; row < rows; row++)
		for (let column = 0; column < cols; column++) matrix.set(row, column, (values[row * cols + column] ?? 0) / scale);
	const { diagonal } = new SingularValueDecomposition(rows < cols ? matrix.transpose() : matrix);
	return scale * Math.sqrt(diagonal.slice(rank).reduce((sum, value) => sum + value * value, 0));
}

function frobenius(a: Float64Array, b: Float32Array, scale: number): number {
	return Math.sqrt(a.reduce((sum, value, index) => sum + ((value - (b[index] ?? 0)) / scale) ** 2, 0));
}

describe("a table that is stored in float16", () => {
	const halves = (values: (index: number) => number): Extreme =>
		asHalves({ rows: 96, cols: 16, values: Float32Array.from({ length: 1536 }, (_, index) => values(index)) });
	const wave = (index: number) => Math.sin(index * 1.3 + Math.floor(index / 16));
	const SIZES: Readonly<Record<string, Extreme>> = {
		"up to the largest half": halves((index) => 65504 * wave(index)),
		"of subnormal halves": halves((index) => 5e-5 * wave(index)),
		"of the smallest halves": halves((index) => (index % 3) * 2 ** -24),
		"of rows from 1e-6 to 6e4": halves((index) => 10 ** ((Math.floor(index / 16) % 11) - 6) * 6 * wave(index)),
	};

	it.each(Object.entries(SIZES))("%s is_close_to_itself_as_float16", async (_name, table) => {
		writeFileSync(input, modelOn(table, "float16"));
		expect((await converted({ method: "svd", rank: 16 }))?.toLine()).toBeUndefined();
		await expectClose(table, 2e-3, "svd float16");
	});
});

describe("a number that is none", () => {
	it.each([
		["NaN", Number.NaN, 5, /"table" holds NaN in row 5/],
		["infinity", Number.POSITIVE_INFINITY, 95, /"table" holds Infinity in row 95/],
		["minus infinity", Number.NEGATIVE_INFINITY, 0, /"table" holds -Infinity in row 0/],
	])("%s in the table is_named_with_tensor_and_row", async (_name, value, row, message) => {
		const { rows, cols, values } = EXTREMES.ordinary;
		for (const dtype of ["float32", "float16"] as const) {
			const changed = Float32Array.from(values);
			changed[row * cols + 3] = value;
			writeFileSync(input, modelOn({ rows, cols, values: changed }, dtype));
			const refused = await converted({ method: "svd", rank: 4 });
			expect(refused?.code).toBe("input");
			expect(refused?.message).toMatch(message);
		}
	});

	it("in_the_data_is_named_with_file_line_and_place", async () => {
		writeFileSync(input, readFileSync(path.join(FIXTURES, "patterns/p02-transpose.onnx")));
		const data = path.join(folder, "data.jsonl");
		const options = { method: "distemb", distill: false, rank: 4, data: [data], embedding: undefined } as const;
		writeFileSync(data, "[1, 2, 3]\n[4, NaN]\n");
		expect((await converted(options))?.toLine()).toMatch(/data\.jsonl:2: is no JSON/);
		writeFileSync(data, "[1, 2, 3]\n[4, null, 1e999]\n");
		expect((await converted(options))?.toLine()).toMatch(/data\.jsonl:2: null at position 1 is no token id/);
	});
});
