// Names and texts that are not ours: files may hold anything.

/** Control characters, marks of writing direction and the like as �: they would move the cursor, turn the text around, or hide some of it. */
export function visible(text: string): string {
	return text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, "�");
}
