// Two language models on the same tokens, batch by batch: only one batch of logits is held at a time.
import { NO_LABEL, nextTokens, type Sequences, tokenBatches } from "../data/batches.js";
import type { Data, Piece } from "../data/data.js";
import { DistembError } from "../errors.js";
import type { FrequencyBins } from "../metrics/bins.js";
import { type BinnedComparison, Comparer } from "../metrics/comparison.js";
import { uniform } from "../random.js";
import type { Positions } from "../runtime/decode/logits.js";
import type { TextModel } from "../runtime/decode/model.js";

export interface TokenRun {
	readonly window: number;
	readonly batch: number;
	/** Each document from its own start; otherwise windows over the stream, an incomplete last one left out. */
	readonly documents: boolean;
	/** Tokens read at most. */
	readonly limit: number;
	readonly pad: number;
	readonly signal?: AbortSignal | undefined;
	readonly progress?: ((fraction: number) => void) | undefined;
}

export interface TokensRead {
	/** Tokens that the models read. */
	readonly tokens: number;
	readonly windows: number;
	/** Stopped because as much as was asked for has been read. */
	readonly limited: boolean;
}

/** A masked language model hides tokens instead of predicting the next one. */
export interface Masking {
	readonly id: number;
	readonly seed: number;
}

/** Share of tokens that are hidden: BERT's (Devlin et al., 2019). */
export const MASKED_SHARE = 0.15;

/**
 * Perplexity, divergence and agreement at every predicted position.
 * @throws DistembError `input` if the data is too short to predict anything, or the vocabularies differ
 */
export async function compareTokens(
	[teacher, student]: readonly [TextModel, TextModel],
	data: Data<Piece>,
	bins: FrequencyBins,
	run: TokenRun & { readonly masking?: Masking | undefined },
): Promise<BinnedComparison & TokensRead> {
	const comparer = new Comparer(bins);
	const random = run.masking === undefined ? undefined : uniform(run.masking.seed);
	const read = await eachBatch([teacher, student], data, run, async (batch) => {
		const { ids, labels } =
			run.masking === undefined || random === undefined
				? { ids: batch.ids, labels: nextTokens(batch) }
				: masked(batch, run.masking.id, random);
		const input = { ...batch, ids };
		const [own, other] = [await teacher.forward(input), await student.forward(input)];
		for (const [position, label] of labels.entries()) if (label !== NO_LABEL) comparer.add(own.at(position), other.at(position), label);
	});
	return { ...comparer.result(), ...read };
}

function masked({ ids, mask, rows, length }: Batch, id: number, random: () => number): { ids: Int32Array; labels: Int32Array } {
	const labels = new Int32Array(ids.length).fill(NO_LABEL);
	for (const [at, token] of ids.subarray(0, rows * length).entries()) if (mask[at] === 1 && random() < MASKED_SHARE) labels[at] = token;
	return { ids: ids.map((token, at) => (labels[at] === NO_LABEL ? token : id)), labels };
}

export interface StateComparison {
	readonly positions: number;
	/** ‖student − teacher‖ / ‖teacher‖ over all states. */
	readonly relativeError: number;
	/** Mean cosine of the angle between both states of a token. */
	readonly cosine: number;
}

/** States of two encoders without a head, token by token. */
export async function compareStates(
	[teacher, student]: readonly [TextModel, TextModel],
	data: Data<Piece>,
	run: TokenRun,
): Promise<StateComparison & TokensRead> {
	let [positions, squares, differences, cosines] = [0, 0, 0, 0];
	const add = (own: Positions, other: Positions, { mask, rows, length }: Batch) => {
		for (let at = 0; at < rows * length; at++) {
			if (mask[at] === 0) continue;
			const [a, b] = [own.at(at), other.at(at)];
			let [aa, bb, ab, dd] = [0, 0, 0, 0];
			for (let index = 0; index < a.length; index++) {
				const [x, y] = [a[index] ?? 0, b[index] ?? 0];
				aa += x * x;
				bb += y * y;
				ab += x * y;
				dd += (x - y) ** 2;
			}
			positions++;
			squares += aa;
			differences += dd;
			cosines += ab / Math.sqrt(aa * bb || 1);
		}
	};
	const read = await eachBatch([teacher, student], data, run, async (batch) =>
		add(await teacher.forward(batch), await student.forward(batch), batch),
	);
	return { positions, relativeError: Math.sqrt(differences / squares), cosine: cosines / positions, ...read };
}

/** A batch of which the first `rows` rows are data; others stand there because a graph fixes their number. */
type Batch = Sequences & { readonly rows: number };

/** Hands over batches as both models take them, until the limit is reached. */
async function eachBatch(
	models: readonly TextModel[],
	data: Data<Piece>,
	run: TokenRun,
	use: (batch: Batch) => Promise<void>,
): Promise<TokensRead> {
	const { window: length, batch, documents, limit, pad, signal, progress } = run;
	const keepsRows = models.some(({ fixed }) => fixed.batch !== undefined);
	const keepsLength = models.some(({ fixed }) => fixed.length !== undefined);
	const layout = documents ? "separate" : "packed";
	let [tokens, windows] = [0, 0];
	// Windows are full, so that all predict alike; of data that fills none, the short ones are taken.
	for (const fullOnly of documents ? [false] : [true, false]) {
		for await (const full of tokenBatches(data, { batch, length, pad, layout, fullOnly, signal })) {
			const room = Math.ceil((limit - tokens) / length);
			const rows = documents ? full.rows : Math.min(full.rows, room);
			await use(cropped(full, rows, { keepsRows, keepsLength }));
			tokens += total(full.mask.subarray(0, rows * length));
			windows += rows;
			progress?.(Math.min(1, tokens / limit));
			if (tokens >= limit) return { tokens, windows, limited: true };
		}
		if (windows > 0) return { tokens, windows, limited: false };
	}
	throw new DistembError("input", "there is nothing to measure", { hint: "give more data" });
}

const total = (mask: Uint8Array): number => mask.reduce((sum, shown) => sum + shown, 0);

/** The first `rows` rows without the columns that are padding in all of them, unless the graph fixes its sizes. */
function cropped(full: Sequences, rows: number, { keepsRows, keepsLength }: { keepsRows: boolean; keepsLength: boolean }): Batch {
	const batch = keepsRows ? full.batch : rows;
	const lengths = Array.from({ length: rows }, (_, row) => total(full.mask.subarray(row * full.length, (row + 1) * full.length)));
	const length = keepsLength ? full.length : Math.max(...lengths);
	const ids = new Int32Array(batch * length);
	const mask = new Uint8Array(batch * length);
	for (let row = 0; row < batch; row++) {
		ids.set(full.ids.subarray(row * full.length, row * full.length + length), row * length);
		const shown = row < rows ? full.mask.subarray(row * full.length, row * full.length + length) : [1];
		mask.set(shown, row * length);
	}
	return { batch, length, ids, mask, rows };
}
