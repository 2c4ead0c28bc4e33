// Einsum equations that multiply the last axis of one operand by a matrix: "bsd,vd->bsv".

/**
 * How operand `index` of a two-operand `equation` is a table: "rows" if it is [V, d], "columns" if it is [d, V];
 * undefined if the equation is no product of the other operand's last axis with a matrix.
 */
export function contraction(equation: string, index: number): "rows" | "columns" | undefined {
	const [left = "", right] = equation.replaceAll(/\s/g, "").split("->");
	const operands = left.split(",");
	const table = operands[index];
	const hidden = operands[1 - index];
	if (operands.length !== 2 || table === undefined || hidden === undefined || table.includes(".")) return undefined;
	const result = right ?? implicitResult(operands);
	const contracted = hidden.at(-1);
	const [first, second] = table;
	if (
		table.length !== 2 ||
		first === second ||
		contracted === undefined ||
		new Set(hidden.replace("...", "")).size !== hidden.replace("...", "").length
	) {
		return undefined;
	}
	const free = first === contracted ? second : second === contracted ? first : undefined;
	if (free === undefined || result !== `${hidden.slice(0, -1)}${free}`) return undefined;
	return first === contracted ? "columns" : "rows";
}

/** Without an arrow: the letters that occur once, in alphabetical order, after the ellipsis. */
function implicitResult(operands: readonly string[]): string {
	const letters = [...operands.join("").replaceAll(".", "")];
	const once = letters.filter((letter) => letters.indexOf(letter) === letters.lastIndexOf(letter));
	return `${operands.some((operand) => operand.includes("...")) ? "..." : ""}${once.toSorted().join("")}`;
}
