// The rule of Einsum: the gradient of an operand is an Einsum of the result's gradient with the other operands.
import { stringOf } from "../../ir/attributes.js";
import type { Dims } from "../facts.js";
import { type RuleContext, rule } from "../rule.js";

interface Equation {
	readonly operands: readonly string[];
	readonly result: string;
}

/** The letters of each operand and of the result as numpy reads them; an ellipsis becomes letters of its own. */
function readEquation(equation: string, shapes: readonly Dims[]): Equation {
	const [left = "", right] = equation.replaceAll(" ", "").split("->");
	const written = left.split(",");
	const named = new Set(equation.replace(/[^A-Za-z]/g, ""));
	const spare = [..."ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"].filter((letter) => !named.has(letter));
	const counts = written.map((letters, index) => (letters.includes("...") ? (shapes[index]?.length ?? 0) - letters.length + 3 : 0));
	const widest = Math.max(...counts);
	// Ellipses are aligned at their last axis.
	const filler = (count: number) => spare.slice(widest - count, widest).join("");
	const operands = written.map((letters, index) => letters.replace("...", filler(counts[index] ?? 0)));
	const all = [...operands.join("")];
	const once = [...new Set(all)].filter((letter) => named.has(letter) && all.indexOf(letter) === all.lastIndexOf(letter)).sort();
	return { operands, result: right === undefined ? filler(widest) + once.join("") : right.replace("...", filler(widest)) };
}

/** y = einsum(x₁, x₂, …): dxᵢ = einsum(g, the other operands) with the letters of xᵢ as result. */
function einsum({ ops, g, x, dims, node, unsupported }: RuleContext) {
	const { operands, result } = readEquation(
		stringOf(node, "equation", ""),
		node.inputs.map((_, index) => dims(index)),
	);
	if ([...operands, result].some((letters) => new Set(letters).size !== letters.length)) unsupported("Einsum with a repeated letter");
	const sizes = new Map<string, number>();
	for (const [index, letters] of operands.entries()) {
		for (const [axis, letter] of [...letters].entries()) {
			const size = dims(index)[axis] ?? 1;
			if ((sizes.get(letter) ?? size) !== size) unsupported("Einsum that repeats an axis of size one");
			sizes.set(letter, size);
		}
	}
	return operands.map((letters, index) => () => {
		const others = operands.flatMap((other, at) => (at === index ? [] : [{ letters: other, value: x(at) }]));
		const isPresent = (letter: string) => result.includes(letter) || others.some((other) => other.letters.includes(letter));
		const present = [...letters].filter(isPresent);
		const equation = `${[result, ...others.map((other) => other.letters)].join(",")}->${present.join("")}`;
		const shape = present.map((letter) => sizes.get(letter) ?? 1);
		const gradient = ops.einsum(equation, [g, ...others.map(({ value }) => value)], shape);
		// A letter that only this operand has was summed away: the same gradient for its whole axis.
		return ops.reshape(
			gradient,
			[...letters].map((letter) => (isPresent(letter) ? (sizes.get(letter) ?? 1) : 1)),
		);
	});
}

export const einsums = {
	Einsum: rule(einsum),
};
