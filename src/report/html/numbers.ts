// Numbers as the page writes them.

/** Three digits; with an exponent where they are far from one. */
export function short(value: number): string {
	if (value === 0) return "0";
	const size = Math.abs(value);
	const text =
		size < 1e-3 || size >= 1e5 ? value.toExponential(2) : size >= 100 ? value.toFixed(size >= 1000 ? 0 : 1) : value.toPrecision(3);
	return text.replace("-", "−");
}

/** For axes: no more digits than it takes. */
export function tick(value: number): string {
	return `${Number(value.toPrecision(3))}`.replace("-", "−");
}

export function percent(share: number): string {
	return `${(100 * share).toFixed(1).replace("-", "−")}\u00a0%`;
}

/** With its sign. */
export function change(before: number, after: number): string {
	const text = percent(after / before - 1);
	return text.startsWith("−") ? text : `+${text}`;
}

export function duration(milliseconds: number): string {
	if (milliseconds < 1000) return `${Math.round(milliseconds)} ms`;
	return milliseconds < 120_000 ? `${(milliseconds / 1000).toFixed(1)} s` : `${(milliseconds / 60_000).toFixed(1)} min`;
}
