// Tables for a terminal: columns under each other, without rules.
import Table, { type Cell } from "cli-table3";

export type TableCell = Cell;

/** Every rule that the library would draw, and the space between columns. */
const RULES = {
	...{ top: "", "top-mid": "", "top-left": "", "top-right": "", bottom: "", "bottom-mid": "", "bottom-left": "", "bottom-right": "" },
	...{ left: "", "left-mid": "", mid: "", "mid-mid": "", right: "", "right-mid": "", middle: "  " },
};

/** The lines of a table: the first column to the left, figures to the right, unless `aligns` says otherwise. */
export function tableLines(rows: readonly (readonly TableCell[])[], aligns?: readonly ("left" | "right")[]): string[] {
	const others = (rows[0] ?? []).slice(1).map(() => "right" as const);
	const style = { head: [], border: [], "padding-left": 0, "padding-right": 0 };
	const table = new Table({ chars: RULES, style, colAligns: [...(aligns ?? ["left", ...others])] });
	table.push(...rows.map((row) => [...row]));
	return table
		.toString()
		.split("\n")
		.map((line) => line.trimEnd());
}
