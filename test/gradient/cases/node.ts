// Short ways to write a case of one node.
import type { GradientCase } from "../check.js";

export const f32 = { precision: "float32" } as const;

/** A graph with one node: `inputs` as declared ("" is left out), `outputs` by name, those that start with `_` left out. */
export function node(
	about: string,
	operator: string,
	inputs: readonly string[],
	outputs: string,
	more: Partial<GradientCase> = {},
): GradientCase {
	const names = inputs.map((input) => (input === "" ? "_" : (input.split(":")[0] ?? "")));
	const declared = inputs.filter((input) => input !== "").join(", ");
	const results = outputs.split(", ").filter((output) => output !== "_");
	return { about, graph: `main(${declared})\n${outputs} = ${operator}(${names.join(", ")})\nreturn ${results.join(", ")}`, ...more };
}
