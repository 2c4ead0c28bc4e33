// Side by side: what the original and the result make of a few texts of the test part, greedily.
import { translate } from "../compare/translation.js";
import type { Data, Pair, Piece } from "../data/data.js";
import type { Usage } from "../data/usage.js";
import type { Known, SampleReport, SamplesReport } from "../report/details.js";
import type { TextModel } from "../runtime/decode/model.js";
import { greedySearch } from "../runtime/decode/search.js";
import type { Corpus } from "../training/corpus.js";

type Models = readonly [original: TextModel, result: TextModel];

/** Texts that are shown. */
const SHOWN = 5;

/** Tokens that a language model reads, and that it writes. */
const PROMPT = 24;
const WRITTEN = 40;

/** Tokens of a source, with its end. */
const SOURCE = { least: 6, most: 48 } as const;

/** Logits held at a time at most. */
const LOGITS = 2 ** 22;

export async function samplesOf(
	models: Models,
	corpus: Corpus,
	usage: Usage,
	signal: AbortSignal | undefined,
): Promise<Known<SamplesReport>> {
	const [original, result] = models;
	if (original.kind === "encoder" || original.kind === "masked") return { missing: `${KINDS[original.kind]} writes no text` };
	if (!original.decodes || !result.decodes) return { missing: "the model takes inputs of a fixed size, with which nothing can be written" };
	const text = (ids: Iterable<number>) => {
		const shown = [...ids].filter((id) => !usage.ends.has(id));
		return usage.tokenizer?.decode(shown) ?? shown.join(" ");
	};
	const of = corpus.generated ? "what the original wrote" : "the test part of the data";
	if (corpus.kind === "pairs") {
		const samples = await translations(models, await fewPairs(corpus.test), usage, text, signal);
		return {
			known: {
				how: `the first ${samples.length} sentences of ${of} with ${SOURCE.least} to ${SOURCE.most} tokens, translated greedily`,
				samples,
			},
		};
	}
	const prompts = await fewPrompts(corpus.test);
	if (prompts.length === 0) return { missing: `no text in ${of} is longer than ${PROMPT} tokens` };
	const samples: SampleReport[] = [];
	for (const { prompt, rest } of prompts) {
		const [own, other] = [await continued(original, prompt, usage, signal), await continued(result, prompt, usage, signal)];
		samples.push({ input: text(prompt), reference: text(rest), original: text(own), result: text(other) });
	}
	return { known: { how: `${prompts.length} texts of ${of}: ${PROMPT} tokens, and ${WRITTEN} that follow, greedily`, samples } };
}

const KINDS = { encoder: "an encoder", masked: "a masked language model" } as const;

async function continued(model: TextModel, prompt: Int32Array, usage: Usage, signal: AbortSignal | undefined): Promise<number[]> {
	const { start, ends, never } = usage;
	const [found] = await greedySearch(model.begin(), [WRITTEN], { start, prompts: [prompt], ends, never, signal });
	return found ?? [];
}

async function fewPrompts(data: Data<Piece>): Promise<{ prompt: Int32Array; rest: Int32Array }[]> {
	const found: { prompt: Int32Array; rest: Int32Array }[] = [];
	for await (const { ids } of data.read()) {
		if (ids.length <= PROMPT) continue;
		// Of one long text, places far from each other.
		const places = ids.length > 2 * SHOWN * (PROMPT + WRITTEN) ? SHOWN : 1;
		for (let place = 0; place < places && found.length < SHOWN; place++) {
			const start = Math.floor((place * ids.length) / places);
			found.push({ prompt: ids.slice(start, start + PROMPT), rest: ids.slice(start + PROMPT, start + PROMPT + WRITTEN) });
		}
		if (found.length === SHOWN) break;
	}
	return found;
}

async function fewPairs(data: Data<Pair>): Promise<Pair[]> {
	const found: Pair[] = [];
	for await (const pair of data.read()) {
		const { length } = pair.source;
		if (length >= SOURCE.least && length <= SOURCE.most) found.push(pair);
		if (found.length === SHOWN) break;
	}
	return found;
}

async function translations(
	[original, result]: Models,
	pairs: readonly Pair[],
	usage: Usage,
	text: (ids: Iterable<number>) => string,
	signal: AbortSignal | undefined,
): Promise<SampleReport[]> {
	const run = { usage, batch: SHOWN, logits: LOGITS, beam: 1, maxLength: undefined, signal };
	const [own, other] = [await translate(original, pairs, run), await translate(result, pairs, run)];
	return pairs.map(({ source, target, text: reference }, index) => ({
		input: text(source),
		reference: reference ?? text(target),
		original: text(own[index] ?? []),
		result: text(other[index] ?? []),
	}));
}
