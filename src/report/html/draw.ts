// Observable Plot on the server: a chart as SVG in two widths, for wide screens and for phones.
import { type PlotOptions, plot } from "@observablehq/plot";
import { parseHTML } from "linkedom";

export interface Drawn {
	readonly wide: string;
	readonly narrow: string;
}

/** In pixels of the page. */
const WIDTHS = { wide: 860, narrow: 320 } as const;

/** Colours are variables of the page's style, so that one drawing serves light and dark. */
export const COLOURS = ["var(--a)", "var(--c)", "var(--d)", "var(--e)", "var(--b)"] as const;

export function draw(optionsFor: (isNarrow: boolean) => PlotOptions): Drawn {
	const { document } = parseHTML("<!doctype html><html><body></body></html>");
	const svg = (width: number): string => {
		const options = optionsFor(width === WIDTHS.narrow);
		const style = { background: "none", fontSize: "12px", overflow: "visible" };
		const x = { labelOffset: 36, labelAnchor: "center", labelArrow: "none", ...options.x } as const;
		return (
			plot({ width, marginBottom: 42, ...options, x, style, document: document as unknown as Document }) as unknown as { outerHTML: string }
		).outerHTML;
	};
	return { wide: svg(WIDTHS.wide), narrow: svg(WIDTHS.narrow) };
}
