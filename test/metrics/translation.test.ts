// BLEU and chrF against sacreBLEU's own figures (fixtures/make/metrics.py), and properties that hold for any text.
import { readFileSync } from "node:fs";
import path from "node:path";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { DistembError } from "../../src/errors.js";
import { type Bleu, corpusBleu, sentenceBleu } from "../../src/metrics/bleu.js";
import { corpusChrf, sentenceChrf } from "../../src/metrics/chrf.js";
import { type BleuTokenizer, TOKENIZERS } from "../../src/metrics/segments.js";

type BleuFigures = Omit<Bleu, "signature">;
interface Figures {
	readonly bleu: Readonly<
		Record<
			BleuTokenizer,
			{ readonly corpus: BleuFigures; readonly sentences: readonly BleuFigures[]; readonly sentencesOfFullOrder: readonly number[] }
		>
	>;
	readonly chrf: Readonly<Record<"0" | "2", { readonly corpus: number; readonly sentences: readonly number[] }>>;
}
interface Sentence {
	readonly about: string;
	readonly hypothesis: string;
	readonly references: readonly [string, string];
}

const FOLDER = path.resolve(import.meta.dirname, "../../fixtures/metrics");
const read = (name: string): unknown => JSON.parse(readFileSync(path.join(FOLDER, name), "utf8"));
const SENTENCES = read("sentences.json") as readonly Sentence[];
const FIGURES = read("figures.json") as Readonly<Record<"oneReference" | "twoReferences", Figures>>;
const HYPOTHESES = SENTENCES.map(({ hypothesis }) => hypothesis);
const STREAMS = [0, 1].map((number) => SENTENCES.map(({ references }) => references[number] ?? ""));
const TOLERANCE = 1e-9;

function expectClose(actual: number, expected: number, about: string): void {
	expect(Math.abs(actual - expected), `${about}: ${actual} against sacreBLEU's ${expected}`).toBeLessThanOrEqual(TOLERANCE);
}

function expectBleu(actual: Bleu, expected: BleuFigures, about: string): void {
	expectClose(actual.score, expected.score, about);
	expectClose(actual.brevityPenalty, expected.brevityPenalty, `${about}, brevity penalty`);
	for (const [index, precision] of expected.precisions.entries())
		expectClose(actual.precisions[index] ?? Number.NaN, precision, `${about}, order ${index + 1}`);
	const { counts, totals, translationLength, referenceLength } = expected;
	expect(actual, about).toMatchObject({ counts, totals, translationLength, referenceLength });
}

describe.each([
	["oneReference", 1],
	["twoReferences", 2],
] as const)("equality with sacreBLEU, %s", (key, count) => {
	const figures = FIGURES[key];
	const streams = STREAMS.slice(0, count);

	it.each(Object.keys(TOKENIZERS) as BleuTokenizer[])("corpus_and_sentence_bleu_with_%s_equal_sacrebleu", (tokenizer) => {
		const { corpus, sentences, sentencesOfFullOrder } = figures.bleu[tokenizer];
		expectBleu(corpusBleu(HYPOTHESES, streams, { tokenizer }), corpus, "corpus");
		for (const [index, { about, hypothesis, references }] of SENTENCES.entries()) {
			const own = references.slice(0, count);
			const expected = sentences[index];
			if (expected === undefined) throw new Error(`no figures for "${about}"`);
			expectBleu(sentenceBleu(hypothesis, own, { tokenizer }), expected, about);
			const full = sentenceBleu(hypothesis, own, { tokenizer, effectiveOrder: false });
			expectClose(full.score, sentencesOfFullOrder[index] ?? Number.NaN, `${about}, full order`);
		}
		expect(sentences.length).toBe(SENTENCES.length);
	});

	it.each([0, 2] as const)("corpus_and_sentence_chrf_of_word_order_%i_equal_sacrebleu", (wordOrder) => {
		const { corpus, sentences } = figures.chrf[wordOrder === 0 ? "0" : "2"];
		expectClose(corpusChrf(HYPOTHESES, streams, { wordOrder }).score, corpus, "corpus");
		for (const [index, { about, hypothesis, references }] of SENTENCES.entries()) {
			const actual = sentenceChrf(hypothesis, references.slice(0, count), { wordOrder });
			expectClose(actual.score, sentences[index] ?? Number.NaN, about);
		}
	});
});

describe("the sample", () => {
	it("tells_the_tokenizers_the_references_and_the_word_orders_apart", () => {
		const scores = (["oneReference", "twoReferences"] as const).flatMap((key) => [
			...Object.values(FIGURES[key].bleu).map(({ corpus }) => corpus.score.toFixed(6)),
			...Object.values(FIGURES[key].chrf).map(({ corpus }) => corpus.toFixed(6)),
		]);
		expect(new Set(scores).size).toBe(12);
	});

	it("has_sentences_that_only_smoothing_and_the_brevity_penalty_score_right", () => {
		const { sentences } = FIGURES.oneReference.bleu["13a"];
		expect(sentences.some(({ counts, score }) => score > 0 && counts.includes(0))).toBe(true);
		expect(sentences.some(({ brevityPenalty }) => brevityPenalty > 0 && brevityPenalty < 1)).toBe(true);
	});
});

describe("signatures", () => {
	it("say_how_the_score_was_computed", () => {
		expect(corpusBleu(["a"], [["a"]]).signature).toBe("nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp");
		expect(corpusChrf(["a"], [["a"]], { wordOrder: 2 }).signature).toBe("nrefs:1|case:mixed|eff:yes|nc:6|nw:2|space:no");
	});
});

describe("refusals", () => {
	it.each([
		["nothing_to_score", [], [[]]],
		["no_references", ["a"], []],
		["fewer_references_than_translations", ["a", "b"], [["a"]]],
	])("%s_is_an_input_error", (_, hypotheses, references) => {
		for (const score of [corpusBleu, corpusChrf]) {
			expect(() => score(hypotheses, references)).toThrow(DistembError);
		}
	});
});

describe("properties", () => {
	const text = fc.string({ unit: "grapheme", maxLength: 40 });

	it("a_sentence_of_four_words_scores_100_against_itself", () => {
		const word = fc.constantFrom("one", "two", "3,5", "é", "(x)", "😀");
		fc.assert(
			fc.property(fc.array(word, { minLength: 4, maxLength: 12 }), (list) => {
				const sentence = list.join(" ");
				expect(sentenceBleu(sentence, [sentence]).score).toBeCloseTo(100, 9);
				expect(sentenceChrf(sentence, [sentence], { wordOrder: 2 }).score).toBeCloseTo(100, 9);
			}),
		);
	});

	it("scores_lie_between_0_and_100_and_a_second_reference_never_lowers_chrf", () => {
		fc.assert(
			fc.property(text, text, text, (hypothesis, first, second) => {
				const bleu = sentenceBleu(hypothesis, [first, second]).score;
				const one = sentenceChrf(hypothesis, [first], { wordOrder: 2 }).score;
				const two = sentenceChrf(hypothesis, [first, second], { wordOrder: 2 }).score;
				for (const score of [bleu, one, two]) {
					expect(score).toBeGreaterThanOrEqual(0);
					expect(score).toBeLessThanOrEqual(100 + TOLERANCE);
				}
				expect(two).toBeGreaterThanOrEqual(one);
			}),
		);
	});
});
