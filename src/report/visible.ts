// Names and texts that are not ours: files may hold anything.

/** Control characters, marks of writing direction and the like as �: they would move the cursor, turn the text around, or hide some of it. */
export function visible(text: string): string {
	return text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, "�");
}

/** `value` with every text in it made {@link visible}: a report, before it is printed to a terminal. */
export function visibleThroughout<T>(value: T): T {
	// The shape stays as it is: only texts are replaced, by texts.
	if (typeof value === "string") return visible(value) as T;
	if (Array.isArray(value)) return value.map(visibleThroughout) as T;
	if (typeof value !== "object" || value === null) return value;
	return Object.fromEntries(Object.entries(value).map(([key, part]) => [key, visibleThroughout(part)])) as T;
}
