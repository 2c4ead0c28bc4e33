// What became of the original: both models measured on the test part of the data, and the gates on it.
import { type AnySample, measure } from "./compare/measure.js";
import type { Usage } from "./data/usage.js";
import { samplesOf } from "./details/samples.js";
import { DistembError } from "./errors.js";
import type { GateOptions } from "./options.js";
import type { PassContext, Progress } from "./pass.js";
import type { Known, SamplesReport } from "./report/details.js";
import type { QualityReport } from "./report/report.js";
import { openTextModel, type TextModelKind } from "./runtime/decode/model.js";
import type { Corpus } from "./training/corpus.js";

/** Measured at most, so that it takes seconds to a minute; of large vocabularies fewer tokens, because every logit is compared. */
const MOST = { tokens: 50_000, logits: 4e8, pairs: 200 } as const;

/**
 * Perplexity, divergence, agreement (by frequency in the training part), BLEU and chrF2 of translators, on the test part.
 * @param models paths of the original and of the result
 * @param withSamples have both write a few texts
 */
export async function evaluate(
	[original, result]: readonly [string, string],
	{ corpus, usage }: { readonly corpus: Corpus; readonly usage: Usage },
	{ signal, threads, progress }: PassContext,
	withSamples: boolean,
): Promise<{ readonly quality: QualityReport; readonly samples: Known<SamplesReport> | undefined }> {
	const teacher = await openTextModel(original, { threads });
	try {
		const student = await openTextModel(result, { threads });
		try {
			const onProgress = ({ pass, fraction }: Progress) => progress(fraction, pass === "measure" ? undefined : pass);
			const tokens = Math.min(MOST.tokens, Math.ceil(MOST.logits / teacher.width));
			const most = { tokens, pairs: MOST.pairs };
			const { figures } = await measure([teacher, student], usage, sampleOf(corpus), { ...most, signal, onProgress });
			const samples = withSamples ? await samplesOf([teacher, student], corpus, usage, signal) : undefined;
			return { quality: { kind: teacher.kind, ...figures, generated: corpus.generated }, samples };
		} finally {
			await student.close();
		}
	} finally {
		await teacher.close();
	}
}

function sampleOf(corpus: Corpus): AnySample {
	const files = [`${corpus.from} (test part)`];
	const from = "the training part";
	return corpus.kind === "pairs"
		? { kind: "pairs", data: corpus.test, files, counts: { data: corpus.train, from } }
		: { kind: "tokens", data: corpus.test, files, counts: { data: corpus.train, from } };
}

/**
 * @throws DistembError `gate` with the measured figure if the result is worse than allowed; `usage` for a gate on a model that
 * predicts no tokens (see {@link refuseGates}, which says so before the work)
 */
export function checkGates(quality: QualityReport | undefined, { maxPerplexityIncrease, maxKl }: GateOptions): void {
	if (maxPerplexityIncrease === undefined && maxKl === undefined) return;
	const tokens = quality?.tokens;
	if (tokens === undefined) throw noPerplexity();
	const { teacherPerplexity, studentPerplexity, divergence } = tokens.all;
	const increase = studentPerplexity / teacherPerplexity - 1;
	const hint = "nothing was written; give a higher rank, more data or more minutes";
	if (maxPerplexityIncrease !== undefined && !(increase <= maxPerplexityIncrease)) {
		const figures = `from ${teacherPerplexity.toPrecision(4)} to ${studentPerplexity.toPrecision(4)}`;
		throw new DistembError("gate", `perplexity rose by ${percent(increase)} (${figures}), more than ${percent(maxPerplexityIncrease)}`, {
			hint,
		});
	}
	if (maxKl !== undefined && !(divergence <= maxKl))
		throw new DistembError("gate", `KL(original ‖ result) is ${divergence.toPrecision(3)} nats, more than ${maxKl}`, { hint });
}

/** @throws DistembError `usage` if a gate is asked for that a model of this kind has no figure for */
export function refuseGates(kind: TextModelKind, { maxPerplexityIncrease, maxKl }: GateOptions): void {
	if (kind === "encoder" && (maxPerplexityIncrease ?? maxKl) !== undefined) throw noPerplexity();
}

function noPerplexity(): DistembError {
	return new DistembError("usage", "an encoder predicts no tokens and has no perplexity", {
		hint: "leave --max-perplexity-increase and --max-kl out",
	});
}

const percent = (share: number): string => `${Number((100 * share).toPrecision(3))} %`;
