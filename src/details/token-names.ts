// Rows of a vocabulary as people read them.
import type { TextTokenizer } from "../data/tokenizer.js";
import type { TokenName } from "../report/details.js";

export type NameOf = (id: number) => TokenName;

/** Marks of a leading space: of byte-level tokenizers, and of SentencePiece. */
const SPACE = /^[Ġ▁]/u;

/** The text of a token, with `␣` for a leading space; the tokenizer's own name for what is no text (special tokens, parts of characters). */
export function tokenNames(tokenizer: TextTokenizer | undefined): NameOf {
	return (id) => {
		const name = tokenizer?.name(id);
		if (tokenizer === undefined || name === undefined) return { id };
		const text = tokenizer.decode([id]).trimStart();
		const isText = text !== "" && !text.includes("�");
		if (!isText) return { id, text: name.replace(SPACE, "␣") };
		return { id, text: SPACE.test(name) ? `␣${text}` : text };
	};
}
