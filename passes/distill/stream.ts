// Training batches without end: epoch after epoch, each in an order of its own, from any place on.
import { seedFor, uniform } from "../../src/random.js";
import type { TextModelKind } from "../../src/runtime/decode/model.js";
import { type BatchShape, type TrainingBatch, trainingBatches } from "../../src/training/batches.js";
import type { Corpus } from "../../src/training/corpus.js";

export interface StreamOptions {
	readonly kind: TextModelKind;
	readonly corpus: Corpus;
	readonly shapes: readonly BatchShape[];
	readonly seed: number;
	readonly signal?: AbortSignal | undefined;
}

export class BatchStream {
	private batches: AsyncGenerator<TrainingBatch> | undefined;
	private leftOut = 0;

	constructor(
		private readonly options: StreamOptions,
		/** Passes over the data that are finished, and batches taken of the one under way. */
		private epoch = 0,
		private taken = 0,
	) {}

	get place(): { readonly epoch: number; readonly batch: number } {
		return { epoch: this.epoch, batch: this.taken };
	}

	/** Pairs that were longer than every shape, in all passes. */
	get tooLong(): number {
		return this.leftOut;
	}

	async next(): Promise<TrainingBatch> {
		for (;;) {
			this.batches ??= await this.begin();
			const { value, done } = await this.batches.next();
			if (done === true) {
				this.batches = undefined;
				this.epoch++;
				this.taken = 0;
				continue;
			}
			this.taken++;
			// A part of a text too short to predict anything.
			if (value.count > 0) return value;
		}
	}

	private async begin(): Promise<AsyncGenerator<TrainingBatch>> {
		const { kind, corpus, shapes, seed, signal } = this.options;
		const batches = trainingBatches(kind, corpus, {
			part: "train",
			shapes,
			seed: seedFor(seed, `epoch ${this.epoch}`),
			signal,
			onTooLong: () => this.leftOut++,
		});
		for (let skipped = 0; skipped < this.taken; skipped++) await batches.next();
		return batches;
	}

	async close(): Promise<void> {
		await this.batches?.return(undefined);
	}
}

/** Tokens whose states are kept in memory: 37 MB at 576 numbers each. */
const KEPT_TOKENS = 16_384;

/** The beginning of a stream again and again, each time in another order: what is known of a batch can be kept. */
export class RepeatedStream {
	private readonly kept: TrainingBatch[] = [];
	private order: readonly number[] = [];

	constructor(
		private readonly stream: BatchStream,
		private readonly seed: number,
		private epoch = 0,
		private taken = 0,
	) {}

	get place(): { readonly epoch: number; readonly batch: number } {
		return { epoch: this.epoch, batch: this.taken };
	}

	get tooLong(): number {
		return this.stream.tooLong;
	}

	async next(): Promise<TrainingBatch> {
		if (this.kept.length === 0) await this.fill();
		if (this.taken >= this.kept.length) {
			this.epoch++;
			this.taken = 0;
		}
		if (this.taken === 0 || this.order.length === 0) this.order = this.orderOf(this.epoch);
		const batch = this.kept[this.order[this.taken++] ?? 0];
		return batch ?? (await this.stream.next());
	}

	/** Never more than one pass over the data. */
	private async fill(): Promise<void> {
		for (let tokens = 0; tokens < KEPT_TOKENS; ) {
			const batch = await this.stream.next();
			if (this.stream.place.epoch > 0 && this.kept.length > 0) return;
			this.kept.push(batch);
			tokens += batch.tokens.ids.length;
		}
	}

	private orderOf(epoch: number): number[] {
		const random = uniform(seedFor(this.seed, `order ${epoch}`));
		const keys = this.kept.map(() => random());
		return this.kept.map((_, index) => index).sort((a, b) => (keys[a] ?? 0) - (keys[b] ?? 0));
	}

	async close(): Promise<void> {
		await this.stream.close();
	}
}

/** The same batches each time: the beginning of the validation part, in its own order, of at least so many positions if there are. */
export async function validationBatches({ kind, corpus, shapes, seed, signal }: StreamOptions, least: number): Promise<TrainingBatch[]> {
	const found: TrainingBatch[] = [];
	let positions = 0;
	for await (const batch of trainingBatches(kind, corpus, {
		part: "validation",
		shapes,
		seed: seedFor(seed, "validation"),
		shuffle: false,
		signal,
	})) {
		found.push(batch);
		positions += batch.count;
		if (positions >= least) break;
	}
	return found;
}
