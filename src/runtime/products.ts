// The dense products of linalg/, computed by onnxruntime: one small graph per kind of product, kept until close().
import { availableParallelism } from "node:os";
import type { InferenceSession } from "onnxruntime-node";
import { DistembError } from "../errors.js";
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
import { type DirectGraph, encodeDirect } from "../onnx/direct.js";
import { type Engine, engineError, loadEngine, tensorsOf } from "./engine.js";
import {
	type FloatName,
	gemmGraph,
	gramGraph,
	overlapsGraph,
	polarGraph,
	reflectGraph,
	reluGraph,
	residualsGraph,
} from "./products/graphs.js";
import { addPanel, diagonalSum, type FilledPanel, panelBounds, panelsOf } from "./products/panels.js";
import type { EngineTensor, Feeds } from "./session.js";

export interface ProductsOptions {
	/** Threads of the engine (`intraOpNumThreads`); results repeat to the bit for one number of threads. */
	readonly threads?: number | undefined;
}

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
		const key = `gram ${precision} ${cols} ${rowFactors === undefined}`;
		const parts = rows % this.threads === 0 ? this.threads : 1;
		const feeds: Record<string, EngineTensor> = { x: tensorOn(values, [parts, rows / parts, cols]) };
		if (rowFactors !== undefined) feeds.factors = tensorOn(rowFactors, [parts, rows / parts, 1]);
		const panels =
			this.panels.get(key) ??
			panelsOf(panelBounds(cols)).map((panel) => ({ ...panel, values: arrayOf(precision, panel.height * panel.width) }));
		this.panels.set(key, panels);
		const fetches = Object.fromEntries(panels.map(({ name, values: array, height, width }) => [name, tensorOn(array, [height, width])]));
		await this.run(key, () => gramGraph(precision, cols, rowFactors !== undefined), feeds, fetches);
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

	async polarStep(rows: Float64Array, count: number, size: number, overlaps: Float64Array, next: Float64Array): Promise<void> {
		const fetches = { overlaps: tensorOn(overlaps, [count, count]), next: tensorOn(next, [count, size]) };
		await this.run("polar", polarGraph, { x: tensorOn(rows, [count, size]) }, fetches);
	}

	async groupOverlaps(rows: Float64Array, group: number, size: number): Promise<Float64Array> {
		const groups = rows.length / (group * size);
		const overlaps = new Float64Array(groups * group * group);
		const feeds = { v: tensorOn(rows, [groups, group, size]) };
		await this.run("overlaps", overlapsGraph, feeds, { overlaps: tensorOn(overlaps, [groups, group, group]) });
		return overlaps;
	}

	async reflect(
		rows: Float64Array,
		reflectors: Float64Array,
		couplings: Float64Array,
		{ count, size, group }: { readonly count: number; readonly size: number; readonly group: number },
		out: Float64Array,
	): Promise<void> {
		const groups = reflectors.length / (group * size);
		const feeds: Record<string, EngineTensor> = { z0: tensorOn(rows, [count, size]) };
		for (let index = 0; index < groups; index++) {
			feeds[`v${index}`] = tensorOn(reflectors.subarray(index * group * size), [group, size]);
			feeds[`s${index}`] = tensorOn(couplings.subarray(index * group * group), [group, group]);
		}
		await this.run(`reflect ${groups}`, () => reflectGraph(groups), feeds, { [`z${groups}`]: tensorOn(out, [count, size]) });
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

	private async run(key: string, graph: () => DirectGraph, feeds: Feeds, fetches: Feeds): Promise<void> {
		this.engine ??= await loadEngine();
		const { engine } = this;
		const session = this.sessions.get(key) ?? this.open(engine, key, graph());
		this.sessions.set(key, session);
		try {
			await (await session).run(tensorsOf(feeds, engine), tensorsOf(fetches, engine));
		} catch (cause) {
			throw engineError(`the engine failed on a matrix product (${key})`, cause);
		}
	}

	private open(engine: Engine, key: string, graph: DirectGraph): Promise<InferenceSession> {
		return engine.InferenceSession.create(encodeDirect(graph), {
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
