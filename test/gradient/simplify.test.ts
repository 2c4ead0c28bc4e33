// Cheaper forms of training graphs compute the same, and graphs that only look alike stay as they are.
import { describe, expect, it } from "vitest";
import { simplify } from "../../src/gradient/simplify.js";
import { checkModel } from "../../src/ir/check.js";
import { tensorOf } from "../../src/runtime/numbers.js";
import { compute, written } from "./help.js";

const x = tensorOf("float32", [4, 8], (index) => index / 4 - 4);

/** Operators before and after, and the last value computed by both. */
async function simplified(text: string) {
	const [before, after] = [await written(text, { x }), await written(text, { x })];
	simplify(after.ops);
	checkModel(after.model);
	const [expected] = await compute(before.model, [before.value("y")], { x });
	const [found] = await compute(after.model, [after.value("y")], { x });
	const operators = after.model.graph.nodes.map(({ opType }) => opType);
	return { operators, differences: [...(found ?? [])].map((value, index) => Math.abs(value - (expected?.[index] ?? Number.NaN))) };
}

const chain = (cubic: number, cube: string, end: string) => `
	main(x: float32[4, 8])
		cubic = Constant<value=float32[] {${cubic}}>()
		scale = float32[] {0.7978845608}
		one = float32[] {1}
		half = float32[] {0.5}
		three = float32[] {3}
		${cube}
		c = Mul(cubic, p)
		s = Add(x, c)
		u = Mul(s, scale)
		t = Tanh(u)
		a = Add(t, one)
		${end}
		return y: float32[4, 8]
`;

const lines = (...all: string[]) => all.join("\n\t\t");
const POWER = "p = Pow(x, three)";
const PRODUCT = lines("q = Mul(x, x)", "p = Mul(q, x)");
const HALF_FIRST = lines("h = Mul(x, half)", "y = Mul(h, a)");

describe("simplify", () => {
	it.each([
		["half_of_x_times", POWER, HALF_FIRST],
		["x_times_then_half", POWER, lines("m = Mul(x, a)", "y = Mul(half, m)")],
		["half_then_x_times", POWER, lines("m = Mul(half, a)", "y = Mul(m, x)")],
		["products_for_the_cube", PRODUCT, HALF_FIRST],
	])("makes_one_node_of_the_tanh_gelu_written_with_%s", async (_, cube, end) => {
		const { operators, differences } = await simplified(chain(0.044715, cube, end));
		expect(operators.filter((operator) => operator !== "Constant")).toEqual(["FastGelu"]);
		expect(Math.max(...differences)).toBeLessThan(1e-6);
	});

	it.each([
		["another_constant", chain(0.05, POWER, HALF_FIRST)],
		["another_factor", chain(0.044715, POWER, lines("h = Mul(one, x)", "y = Mul(h, a)"))],
		["another_power", chain(0.044715, "p = Pow(x, one)", HALF_FIRST)],
	])("leaves_a_chain_with_%s", async (_, text) => {
		const { operators, differences } = await simplified(text);
		expect(operators).toContain("Tanh");
		expect(Math.max(...differences)).toBe(0);
	});

	it("takes_the_only_part_of_a_join_that_has_elements", async () => {
		const joined = await simplified(`
			main(x: float32[4, 8])
				shape = int64[2] {0, 8}
				past = ConstantOfShape(shape)
				y = Concat<axis=-2>(past, x)
				return y: float32[4, 8]
		`);
		expect(joined.operators).toEqual(["Identity"]);
		expect(joined.differences).toEqual(joined.differences.map(() => 0));
		const { operators } = await simplified("main(x: float32[4, 8])\n\ty = Concat<axis=0>(x, x)\n\treturn y: float32[8, 8]");
		expect(operators).toEqual(["Concat"]);
	});
});
