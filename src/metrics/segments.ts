// Segments as sacreBLEU sees them: tokenisation, Python's notion of white space, n-gram counts.
import { DistembError } from "../errors.js";

/** sacreBLEU's tokenizers that need no word list. `13a` is the field's default (mteval-v13a). */
export type BleuTokenizer = "13a" | "intl" | "char" | "none";

/** Python's `str.isspace`; unlike JavaScript's \s it has the separators U+001C to U+001F and U+0085, and not U+FEFF. */
const SPACE = "\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000";
const SPACES = new RegExp(`[${SPACE}]+`, "u");
const SPACES_AT_END = new RegExp(`[${SPACE}]+$`, "u");

/** Python's `str.split()`. */
export function words(text: string): string[] {
	return text.split(SPACES).filter((word) => word !== "");
}

/** Python's `str.rstrip()`. */
export function withoutTrailingSpace(text: string): string {
	return text.replace(SPACES_AT_END, "");
}

/** sacreBLEU's tokenisation of one segment, as words. */
export const TOKENIZERS: Readonly<Record<BleuTokenizer, (segment: string) => string[]>> = {
	"13a": tokenize13a,
	intl: tokenizeInternational,
	char: (segment) => words([...segment].join(" ")),
	none: words,
};

/** mteval-v13a as in sacreBLEU's tokenizer_13a.py and tokenizer_re.py. */
function tokenize13a(segment: string): string[] {
	let line = segment.replaceAll("<skipped>", "").replaceAll("-\n", "").replaceAll("\n", " ");
	// In this order: "&amp;lt;" becomes "<", as it does there.
	line = line.replaceAll("&quot;", '"').replaceAll("&amp;", "&").replaceAll("&lt;", "<").replaceAll("&gt;", ">");
	const separated = ` ${line} `
		.replace(/[{-~[-` -&(-+:-@/]/gu, " $& ")
		// Period and comma, unless preceded, then unless followed by a digit; a dash after a digit.
		.replace(/([^0-9])([.,])/gu, "$1 $2 ")
		.replace(/([.,])([^0-9])/gu, " $1 $2")
		.replace(/([0-9])(-)/gu, "$1 $2 ");
	return words(separated);
}

/** mteval-v14 `--international-tokenization` as in sacreBLEU's tokenizer_intl.py. */
function tokenizeInternational(segment: string): string[] {
	const separated = segment
		.replace(/(\P{N})(\p{P})/gu, "$1 $2 ")
		.replace(/(\p{P})(\P{N})/gu, " $1 $2")
		.replace(/\p{S}/gu, " $& ");
	return words(separated);
}

/** How often each n-gram occurs in `items`; `joint` goes between its items and must not occur in them, or they are single characters. */
export function ngramCounts(items: readonly string[], order: number, joint: string): Map<string, number> {
	const counts = new Map<string, number>();
	for (let start = 0; start + order <= items.length; start++) {
		const ngram = items.slice(start, start + order).join(joint);
		counts.set(ngram, (counts.get(ngram) ?? 0) + 1);
	}
	return counts;
}

/** Sum over n-grams of min(count here, count there). */
export function matches(counts: ReadonlyMap<string, number>, others: ReadonlyMap<string, number>): number {
	let sum = 0;
	for (const [ngram, count] of counts) sum += Math.min(count, others.get(ngram) ?? 0);
	return sum;
}

export function total(counts: ReadonlyMap<string, number>): number {
	let sum = 0;
	for (const count of counts.values()) sum += count;
	return sum;
}

/**
 * The references of each hypothesis.
 * @param references one list per translator, each as long as the hypotheses (sacreBLEU's "streams")
 * @throws DistembError `input` if there is nothing to score or the lengths differ
 */
export function referencesOf(hypotheses: readonly string[], references: readonly (readonly string[])[]): string[][] {
	if (hypotheses.length === 0) throw new DistembError("input", "there is no translation to score");
	if (references.length === 0) throw new DistembError("input", "there is no reference to score the translations against");
	for (const stream of references) {
		if (stream.length === hypotheses.length) continue;
		throw new DistembError("input", `${hypotheses.length} translations stand against ${stream.length} references`, {
			hint: "give one reference for each translation, in the same order",
		});
	}
	return hypotheses.map((_, index) => references.map((stream) => stream[index] ?? ""));
}
