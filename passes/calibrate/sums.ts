// Adds up what the calibrating graphs give, batch by batch, and makes means of it.
import { DistembError } from "../../src/errors.js";
import type { EngineTensor } from "../../src/runtime/session.js";
import type { TrainingBatch } from "../../src/training/batches.js";
import { NOTHING_COUNTED, type Stream, type StreamCounts, type Tally } from "./counts.js";
import type { CalibrationGraph, TableMoments } from "./graph.js";
import type { Sites } from "./sites.js";

/** Means of one table per predicted token; undefined where it has no such side, or nothing is known of it. */
export interface Means {
	/** Reads of each row, [V]. */
	readonly frequency: Float64Array | undefined;
	/** Tokens whose reads `frequency` tells. */
	readonly counted: number;
	/** d×d, per read. */
	readonly gradientMoment: Float64Array | undefined;
	/** [V] */
	readonly spread: Float64Array | undefined;
	/** d×d */
	readonly hiddenMoment: Float64Array | undefined;
}

type Results = Readonly<Record<string, EngineTensor>>;

/** Sums in float64; within a batch the engine's are float32. Batches may come from graphs of different shapes. */
export class MomentSums {
	/** Predicted tokens so far. */
	tokens = 0;
	private readonly spread: Float64Array;
	private readonly tables: readonly TableSums[];

	/** @param predicted rows of the vocabulary that is predicted */
	constructor(tables: readonly Sites[], predicted: number) {
		this.spread = new Float64Array(predicted);
		this.tables = tables.map((sites) => new TableSums(sites));
	}

	add({ spread, tables }: CalibrationGraph, results: Results, batch: TrainingBatch): void {
		if (spread !== undefined) addTo(this.spread, floats(results, spread.name));
		for (const [index, moments] of tables.entries()) this.tables[index]?.add(moments, results, batch);
		this.tokens += batch.count;
	}

	/** @param counts how often the whole training part has each token, where that is known */
	means(counts: StreamCounts = NOTHING_COUNTED): Means[] {
		return this.tables.map((table) => table.means(this.tokens, this.spread, counts));
	}
}

class TableSums {
	/** One per lookup. */
	private readonly tallies: Tally[];
	private readonly gradient: Float64Array;
	private readonly hidden: Float64Array;
	private readsWithGradient = 0;
	private projects = false;

	constructor(private readonly sites: Sites) {
		const { rows, cols } = sites;
		this.tallies = sites.lookups.map(() => ({ reads: new Float64Array(rows), stream: undefined }));
		[this.gradient, this.hidden] = [new Float64Array(cols * cols), new Float64Array(cols * cols)];
	}

	add({ lookups, hidden }: TableMoments, results: Results, batch: TrainingBatch): void {
		for (const [index, { ids, gradient }] of lookups.entries()) {
			const tally = this.tallies[index];
			if (tally === undefined) continue;
			const tokens = integers(results, ids.name);
			const stream = streamOf(batch, tokens);
			tally.stream = stream;
			// Padding, and what no prediction depends on, has no gradient: that is no read.
			const norms = gradient && floats(results, gradient.norms.name);
			const counts = norms ?? shown(batch, stream, tokens.length);
			for (const [place, id] of tokens.entries()) if (counts[place] !== 0) this.count(tally, id);
			if (gradient === undefined || norms === undefined) continue;
			addTo(this.gradient, floats(results, gradient.moment.name));
			this.readsWithGradient += norms.reduce((count, norm) => count + Number(norm !== 0), 0);
		}
		if (hidden === undefined) return;
		addTo(this.hidden, floats(results, hidden.name));
		this.projects = true;
	}

	/** Negative ids count from the end, as in ONNX's Gather. */
	private count({ reads }: Tally, id: bigint): void {
		const row = Number(id) + (id < 0n ? this.sites.rows : 0);
		reads[row] = (reads[row] ?? 0) + 1;
	}

	means(tokens: number, spread: Float64Array, counts: StreamCounts): Means {
		const per = (sum: Float64Array, count: number) => sum.map((value) => value / count);
		const { frequency, counted } = counts.frequencyOf(this.tallies, this.sites.rows, tokens);
		return {
			frequency,
			counted,
			gradientMoment: this.readsWithGradient > 0 ? per(this.gradient, this.readsWithGradient) : undefined,
			spread: this.projects ? counts.spreadOf(spread, this.sites.rows, tokens) : undefined,
			hiddenMoment: this.projects ? per(this.hidden, tokens) : undefined,
		};
	}
}

/** Whether a lookup reads the source or the target, by its ids. */
function streamOf({ tokens, source }: TrainingBatch, ids: BigInt64Array): Stream | undefined {
	const reads = (each: TrainingBatch["source"]) =>
		each?.ids.length === ids.length && each.ids.every((id, place) => BigInt(id) === ids[place]);
	if (reads(tokens)) return "tokens";
	return reads(source) ? "source" : undefined;
}

/** 1 where a token stands, for a lookup that no gradient reaches. */
function shown(batch: TrainingBatch, stream: Stream | undefined, count: number): ArrayLike<number> {
	return (stream && batch[stream]?.mask) ?? new Uint8Array(count).fill(1);
}

function addTo(sums: Float64Array, values: Float32Array): void {
	for (const [index, value] of values.entries()) sums[index] = (sums[index] ?? 0) + value;
}

function floats(results: Results, name: string): Float32Array {
	const data = results[name]?.data;
	if (data instanceof Float32Array) return data;
	throw new DistembError("internal", `the engine gave no numbers for "${name}"`);
}

function integers(results: Results, name: string): BigInt64Array {
	const data = results[name]?.data;
	if (data instanceof BigInt64Array) return data;
	throw new DistembError("internal", `the engine gave no ids for "${name}"`);
}
