// The dense products of linalg/, computed by onnxruntime: one small graph per kind of product, kept until close().
import { availableParallelism } from "node:os";
import type { InferenceSession } from "onnxruntime-node";
import { DistembError } from "../errors.js";
import { parseModel } from "../ir/parse.js";
import {
	type DenseProducts,
	type FloatArray,
	GRAM_RANGE,
	type GramBlock,
	type ProductShape,
	type ReluBatch,
	type ReluGradients,
	type RowSums,
} from "../linalg/products.js";
import { encodeToBytes } from "../onnx/encode.js";
import { type Engine, engineError, loadEngine, tensorsOf } from "./engine.js";
import type { EngineTensor, Feeds } from "./session.js";

export interface ProductsOptions {
	/** Threads of the engine (`intraOpNumThreads`); results repeat to the bit for one number of threads. */
	readonly threads?: number | undefined;
}

type FloatName = "float32" | "float64";

/** Width of the Gram matrix' panels: narrow ones waste less on the diagonal, wide ones are multiplied faster. */
const PANEL_WIDTH = 128;

const OPSET = "model ir 8, opset ai.onnx 17";

/** Products for linalg/, computed by onnxruntime on the CPU. Close them when done. */
export function engineProducts(options: ProductsOptions = {}): DenseProducts {
	return new EngineProducts(options);
}

class EngineProducts implements DenseProducts {
	private engine: Engine | undefined;
	private readonly sessions = new Map<string, Promise<InferenceSession>>();
	private readonly buffers = new Map<string, Float32Array>();
	private readonly panels = new Map<string, readonly FilledPanel[]>();

	private readonly threads: number;

	constructor({ threads }: ProductsOptions) {
		this.threads = threads ?? availableParallelism();
	}

	async multiply<A extends FloatArray>(a: A, b: A, shape: ProductShape, out: A): Promise<A> {
		const { rows, inner, columns, transposeA = false, transposeB = false } = shape;
		if (a.length < rows * inner || b.length < inner * columns || out.length < rows * columns) {
			throw new DistembError("internal", `a product of ${rows}×${inner} and ${inner}×${columns} does not fit its arrays`);
		}
		if (rows === 0 || columns === 0) return out;
		const type = nameOf(a);
		const key = `gemm ${type} ${transposeA} ${transposeB}`;
		const left = tensorOn(a, transposeA ? [inner, rows] : [rows, inner]);
		const right = tensorOn(b, transposeB ? [columns, inner] : [inner, columns]);
		await this.run(key, () => gemmGraph(type, transposeA, transposeB), { a: left, b: right }, { c: tensorOn(out, [rows, columns]) });
		return out;
	}

	async addGram(block: GramBlock, gram: Float64Array, factor: number): Promise<boolean> {
		const { values, rows, cols, rowFactors, precision } = block;
		const bounds = panelBounds(cols);
		const key = `gram ${precision} ${cols} ${rowFactors === undefined}`;
		const parts = rows % this.threads === 0 ? this.threads : 1;
		const feeds: Record<string, EngineTensor> = { x: tensorOn(values, [parts, rows / parts, cols]) };
		if (rowFactors !== undefined) feeds.factors = tensorOn(rowFactors, [parts, rows / parts, 1]);
		const panels =
			this.panels.get(key) ?? panelsOf(bounds).map((panel) => ({ ...panel, values: arrayOf(precision, panel.height * panel.width) }));
		this.panels.set(key, panels);
		const fetches = Object.fromEntries(panels.map(({ name, values: array, height, width }) => [name, tensorOn(array, [height, width])]));
		await this.run(key, () => gramGraph(precision, bounds, rowFactors !== undefined), feeds, fetches);
		let trace = 0;
		for (const panel of panels) if (panel.row === panel.column) trace += diagonalSum(panel);
		if (!(trace >= GRAM_RANGE.least && trace <= GRAM_RANGE.most)) return false;
		for (const panel of panels) addPanel(panel, gram, cols, factor);
		return true;
	}

	async residuals(table: Float32Array, left: Float32Array, right: Float32Array, shape: ProductShape, into: RowSums): Promise<void> {
		const { rows, inner, columns } = shape;
		const feeds = { x: tensorOn(table, [rows, columns]), u: tensorOn(left, [rows, inner]), w: tensorOn(right, [inner, columns]) };
		await this.run("residuals", residualsGraph, feeds, { errors: tensorOn(into.errors, [rows]), norms: tensorOn(into.norms, [rows]) });
	}

	async reluGradients(batch: ReluBatch): Promise<ReluGradients> {
		const { rows, cols, rank } = batch;
		const loss = this.buffer("loss", 1);
		const left = this.buffer("left", rows * rank);
		const right = this.buffer("right", rank * cols);
		await this.run(
			"relu",
			reluGraph,
			{ target: tensorOn(batch.target, [rows, cols]), u: tensorOn(batch.left, [rows, rank]), w: tensorOn(batch.right, [rank, cols]) },
			{ loss: tensorOn(loss, []), u_grad: tensorOn(left, [rows, rank]), w_grad: tensorOn(right, [rank, cols]) },
		);
		return { loss: loss[0] ?? Number.NaN, left: left.subarray(0, rows * rank), right: right.subarray(0, rank * cols) };
	}

	async close(): Promise<void> {
		const open = [...this.sessions.values()];
		this.sessions.clear();
		this.buffers.clear();
		this.panels.clear();
		// Who asked for a session that could not be opened was told so.
		for (const opened of await Promise.allSettled(open)) if (opened.status === "fulfilled") await opened.value.release();
	}

	private buffer(name: string, size: number): Float32Array {
		const held = this.buffers.get(name);
		if (held !== undefined && held.length >= size) return held;
		const fresh = new Float32Array(size);
		this.buffers.set(name, fresh);
		return fresh;
	}

	private async run(key: string, text: () => string, feeds: Feeds, fetches: Feeds): Promise<void> {
		this.engine ??= await loadEngine();
		const { engine } = this;
		const session = this.sessions.get(key) ?? this.open(engine, key, text());
		this.sessions.set(key, session);
		try {
			await (await session).run(tensorsOf(feeds, engine), tensorsOf(fetches, engine));
		} catch (cause) {
			throw engineError(`the engine failed on a matrix product (${key})`, cause);
		}
	}

	private open(engine: Engine, key: string, text: string): Promise<InferenceSession> {
		return engine.InferenceSession.create(encodeToBytes(parseModel(text)), {
			intraOpNumThreads: this.threads,
			interOpNumThreads: 1,
			executionMode: "sequential",
			logSeverityLevel: 3,
			// Several small sessions take turns: a pool that spins after its turn would slow the next one's. A Gram matrix is many products in
			// one run: there threads wait for each other spinning, until the run ends.
			extra: { session: key.startsWith("gram") ? { force_spinning_stop: "1" } : { intra_op: { allow_spinning: "0" } } },
		});
	}
}

function nameOf(array: FloatArray): FloatName {
	return array instanceof Float32Array ? "float32" : "float64";
}

function arrayOf(type: FloatName, size: number): FloatArray {
	return type === "float32" ? new Float32Array(size) : new Float64Array(size);
}

/** A tensor on the first elements of `array`, which is not copied. */
function tensorOn(array: FloatArray, dims: readonly number[]): EngineTensor {
	const size = dims.reduce((count, dim) => count * dim, 1);
	return { dtype: nameOf(array), dims, data: array.subarray(0, size) };
}

// --- graphs ------------------------------------------------------------------

function gemmGraph(type: FloatName, transposeA: boolean, transposeB: boolean): string {
	return `
		${OPSET}
		graph product(a: ${type}[m, k], b: ${type}[n, l])
			c = Gemm<transA=${Number(transposeA)}, transB=${Number(transposeB)}>(a, b)
			return c: ${type}[p, q]`;
}

function residualsGraph(): string {
	return `
		${OPSET}
		graph residuals(x: float32[b, d], u: float32[b, r], w: float32[r, d])
			difference = Gemm<beta=-1.0>(u, w, x)
			errors = ReduceSumSquare<axes=[1], keepdims=0>(difference)
			norms = ReduceSumSquare<axes=[1], keepdims=0>(x)
			return errors: float32[b], norms: float32[b]`;
}

/** Starts of the panels of `cols` columns, and `cols` itself at the end. */
function panelBounds(cols: number): number[] {
	const count = Math.max(1, Math.ceil(cols / PANEL_WIDTH));
	return Array.from({ length: count + 1 }, (_, index) => Math.min(cols, index * PANEL_WIDTH));
}

/** A block of the lower triangle: its place among the panels, and in the matrix. */
interface Panel {
	readonly name: string;
	readonly row: number;
	readonly column: number;
	readonly top: number;
	readonly left: number;
	readonly height: number;
	readonly width: number;
}

interface FilledPanel extends Panel {
	readonly values: FloatArray;
}

/** The blocks of the lower triangle, diagonal included. */
function panelsOf(bounds: readonly number[]): Panel[] {
	const starts = bounds.slice(0, -1);
	const span = (index: number) => (bounds[index + 1] ?? 0) - (bounds[index] ?? 0);
	return starts.flatMap((top, row) =>
		starts
			.slice(0, row + 1)
			.map((left, column) => ({ name: `g${row}_${column}`, row, column, top, left, height: span(row), width: span(column) })),
	);
}

/**
 * XᵀX by panels of columns, for X in parts of equal numbers of rows. A product of parts is computed with one thread for each: that is a third
 * faster than threads that share a narrow product. The engine joins Transpose and MatMul.
 */
function gramGraph(precision: FloatName, bounds: readonly number[], weighted: boolean): string {
	const cols = bounds.at(-1) ?? 0;
	const sizes = bounds.slice(1).map((end, index) => end - (bounds[index] ?? 0));
	const panels = panelsOf(bounds);
	const lines = [
		`graph gram(x: float32[p, b, ${cols}]${weighted ? ", factors: float32[p, b, 1]" : ""})`,
		`	sizes = int64[${sizes.length}] {${sizes.join(", ")}}`,
		"	parts = int64[1] {0}",
		weighted ? "	scaled = Mul(x, factors)" : "	scaled = Identity(x)",
		precision === "float64" ? "	wide = Cast<to=11>(scaled)" : "	wide = Identity(scaled)",
		`	${sizes.map((_, index) => `x${index}`).join(", ")} = Split<axis=2>(wide, sizes)`,
		...sizes.map((_, index) => `	t${index} = Transpose<perm=[0, 2, 1]>(x${index})`),
		...panels.flatMap(({ name, row, column }) => [
			`	p${name} = MatMul(t${row}, x${column})`,
			`	${name} = ReduceSum<keepdims=0>(p${name}, parts)`,
		]),
		`	return ${panels.map(({ name, height, width }) => `${name}: ${precision}[${height}, ${width}]`).join(", ")}`,
	];
	return [OPSET, ...lines].join("\n");
}

function diagonalSum({ values, width }: FilledPanel): number {
	let sum = 0;
	for (let index = 0; index < values.length; index += width + 1) sum += values[index] as number;
	return sum;
}

function addPanel({ values, top, left, height, width }: FilledPanel, gram: Float64Array, cols: number, factor: number): void {
	for (let row = 0; row < height; row++) {
		const to = (top + row) * cols + left;
		const from = row * width;
		for (let column = 0; column < width; column++) {
			gram[to + column] = (gram[to + column] as number) + factor * (values[from + column] as number);
		}
	}
}

/** ‖E − ReLU(U)·W‖² with dU = 2·(ReLU(U)·W − E)·Wᵀ where U ≥ 0 (so that an entry at 0 can come alive), and dW = 2·ReLU(U)ᵀ·(ReLU(U)·W − E). */
function reluGraph(): string {
	return `
		${OPSET}
		graph reconstruction(target: float32[b, d], u: float32[b, r], w: float32[r, d])
			a = Relu(u)
			product = MatMul(a, w)
			error = Sub(product, target)
			loss = ReduceSumSquare<keepdims=0>(error)
			a_grad = Gemm<alpha=2.0, transB=1>(error, w)
			zero = float32[] {0}
			reached = GreaterOrEqual(u, zero)
			active = Cast<to=1>(reached)
			u_grad = Mul(a_grad, active)
			w_grad = Gemm<alpha=2.0, transA=1>(a, error)
			return loss: float32[], u_grad: float32[b, r], w_grad: float32[r, d]`;
}
