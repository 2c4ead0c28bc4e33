// Learns from text what an error of each row and direction of a vocabulary costs: frequencies and second moments, math.md §3.
import { DistembError } from "../../src/errors.js";
import { gramMatrix } from "../../src/linalg/gram.js";
import type { Pass, PassContext } from "../../src/pass.js";
import { engineProducts } from "../../src/runtime/products.js";
import type { Calibrated, Calibration, Located, Vocabulary } from "../../src/state.js";
import type { Corpus } from "../../src/training/corpus.js";
import { wholeOf } from "../../src/training/whole.js";
import { idOrder } from "./id-order.js";
import { type CalibrationCache, kept } from "./kept.js";
import { type MeasureOptions, measure } from "./measure.js";
import type { Means } from "./sums.js";

export interface CalibrateOptions extends Partial<MeasureOptions> {
	/** Undefined: weights fall with the id, and all directions count alike. */
	readonly corpus: Corpus | undefined;
	/** Keeps what was measured; without it every run measures. */
	readonly cache?: CalibrationCache | undefined;
}

export const CALIBRATE_DEFAULTS = { tokens: 24_576, length: 256, logits: 2 ** 24 } as const satisfies MeasureOptions;

/**
 * Large models see fewer tokens, unless told otherwise: parameters times tokens stay below `work` (some minutes of two cores), down to `least`.
 * On the shared language model of V = 12,288, d = 256, 8,192 tokens lead to factors 2 % worse (KL) than 32,768 do.
 */
const BUDGET = { work: 1e12, least: 8192 } as const;

/**
 * Runs the original, before anything is changed, on some ten thousand tokens, forward and backward. A model that cannot be run on data
 * is calibrated by the order of its ids; where operators without a gradient stand between a lookup and the predictions, M is a multiple of
 * the identity. The log says so.
 * @throws DistembError `input` for a corpus that does not fit the model
 */
export function calibrate(options: CalibrateOptions): Pass<Located, Calibrated> {
	return {
		name: "calibrate",
		run: async (state, context) => ({ ...state, calibrations: await calibrations(state, options, context) }),
	};
}

async function calibrations(state: Located, options: CalibrateOptions, context: PassContext): Promise<readonly Calibration[]> {
	const { corpus, cache, tokens = tokensFor(state), length, logits } = { ...CALIBRATE_DEFAULTS, tokens: undefined, ...options };
	const settings = { tokens, length, logits };
	const { vocabularies } = state;
	if (cache === undefined || corpus === undefined || vocabularies.length === 0) return await measured(state, corpus, settings, context);
	const facts = { ...settings, seed: context.seed, generated: corpus.generated };
	return await kept(cache, vocabularies, facts, context, (own) => measured(state, corpus, settings, own));
}

function tokensFor({ files }: Located): number {
	const parameters = files.flatMap(({ model }) => model.graph.initializers.map(({ tensor }) => tensor));
	const size = [...new Set(parameters)].reduce((sum, tensor) => sum + (tensor?.size ?? 0), 0);
	return Math.round(Math.min(CALIBRATE_DEFAULTS.tokens, Math.max(BUDGET.least, BUDGET.work / Math.max(1, size))));
}

async function measured(
	state: Located,
	corpus: Corpus | undefined,
	settings: MeasureOptions,
	context: PassContext,
): Promise<readonly Calibration[]> {
	const { vocabularies, files } = state;
	if (vocabularies.length === 0) return [];
	if (corpus === undefined) {
		context.log("weights by the order of the ids: there is no text to calibrate on");
		return vocabularies.map(idOrder);
	}
	const byIds = (why: string) => {
		context.warn(`not calibrated on the text, but by the order of the ids: ${why}`);
		return vocabularies.map(idOrder);
	};
	try {
		const whole = await wholeOf(files, context);
		const { means, tokens, missing } = await measure(whole, corpus, vocabularies, settings, context);
		if (tokens === 0) return byIds("the text has no predictions");
		context.log(`${tokens} predictions (${corpus.from})`);
		for (const one of missing) context.log(`no gradient passes ${one}`);
		const source = corpus.generated ? "generated" : "data";
		const found: Calibration[] = [];
		for (const [index, vocabulary] of vocabularies.entries()) {
			const mean = means[index];
			const known = mean !== undefined && (mean.frequency ?? mean.spread) !== undefined;
			if (!known) context.warn(`"${vocabulary.name}" takes no part in the predictions: calibrated by the order of the ids`);
			found.push(known ? { vocabulary, ...(await completed(vocabulary, mean, context)), tokens, source } : idOrder(vocabulary));
		}
		return found;
	} catch (error) {
		if (!(error instanceof DistembError && error.code === "refused")) throw error;
		return byIds(error.message);
	}
}

/** A multiple of the identity in the place of a gradient's moment that is not known: by it both sides cost the same in all. */
async function completed(vocabulary: Vocabulary, means: Means, { threads, signal, warn }: PassContext): Promise<Means> {
	const { frequency, gradientMoment, spread, hiddenMoment } = means;
	if (frequency === undefined || gradientMoment !== undefined) return means;
	warn(`no gradient reaches the lookups of "${vocabulary.name}": all directions of a row count alike there`);
	if (spread === undefined || hiddenMoment === undefined) return means;
	const { table } = vocabulary;
	const products = engineProducts({ threads });
	try {
		const gramOf = (weights: Float64Array) => gramMatrix(table, products, { rowWeights: Float32Array.from(weights), signal });
		const [read, predicted] = [await gramOf(frequency), await gramOf(spread)];
		const cost = predicted.reduce((sum, value, index) => sum + value * (hiddenMoment[index] ?? 0), 0);
		let size = 0;
		for (let at = 0; at < read.length; at += table.cols + 1) size += read[at] ?? 0;
		const scale = size > 0 && cost > 0 ? cost / size : 1;
		const moment = new Float64Array(table.cols ** 2);
		for (let at = 0; at < moment.length; at += table.cols + 1) moment[at] = scale;
		return { ...means, gradientMoment: moment };
	} finally {
		await products.close();
	}
}
