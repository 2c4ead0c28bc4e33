// Every rule against central differences; every rule has a case; wrong rules are caught.
import { describe, expect, it } from "vitest";
import { rule } from "../../src/gradient/rule.js";
import { RULES } from "../../src/gradient/rules.js";
import { setInput } from "../../src/ir/edit.js";
import { CASES } from "./cases.js";
import { checkGradients, type GradientCase, TOLERANCE } from "./check.js";

function toleranceOf({ tolerance, precision = "float64" }: GradientCase): number {
	return tolerance ?? TOLERANCE[precision];
}

/** Largest error of a result of the training graph: other orders of sums, and scales that the engine holds in float32. */
const RESULTS = { float64: 1e-7, float32: 2e-6 };

describe("every rule agrees with central differences", () => {
	for (const [operator, cases] of Object.entries(CASES)) {
		for (const given of cases) {
			it(`${operator}: ${given.about}`, async () => {
				const { parameters, outputs, result } = await checkGradients(given);
				expect(result.missing).toEqual([]);
				expect(result.untrainable).toEqual([]);
				expect(parameters.length).toBeGreaterThan(0);
				const wrong = parameters.filter(({ error }) => !(error <= toleranceOf(given)));
				expect(wrong).toEqual([]);
				expect(outputs.filter(({ error }) => !(error <= RESULTS[given.precision ?? "float64"]))).toEqual([]);
			});
		}
	}
});

describe("the table", () => {
	it("has_a_case_for_every_rule", () => {
		const rules = Object.entries(RULES).filter(([, { kind }]) => kind === "rule");
		expect(
			rules.map(([operator]) => operator).filter((operator) => (CASES as Record<string, readonly GradientCase[]>)[operator] === undefined),
		).toEqual([]);
		expect(rules.length).toBeGreaterThan(60);
	});
});

describe("the checker", () => {
	const product: GradientCase = { about: "product", graph: "main(a: T[2, 3], b: T[3, 3])\ny = MatMul(a, b)\nreturn y" };

	it("finds_a_wrong_factor", async () => {
		const MatMul = rule(({ ops, g, x }) => [
			() => ops.mul(ops.gemm(g, x(1), { transB: true }), 1.00001),
			() => ops.gemm(x(0), g, { transA: true }),
		]);
		const { parameters } = await checkGradients(product, { rules: { ...RULES, MatMul } });
		const errors = Object.fromEntries(parameters.map(({ name, error }) => [name, error]));
		expect(errors.a).toBeGreaterThan(TOLERANCE.float64);
		expect(errors.b).toBeLessThan(TOLERANCE.float64);
	});

	it("finds_a_gradient_that_is_zero", async () => {
		const MatMul = rule(({ ops, g, x }) => [() => ops.sub(g, g), () => ops.gemm(x(0), g, { transA: true })]);
		const { parameters } = await checkGradients(product, { rules: { ...RULES, MatMul } });
		expect(parameters.find(({ name }) => name === "a")?.error).toBe(1);
	});

	it("finds_a_result_that_is_another", async () => {
		const difference: GradientCase = { about: "difference", graph: "main(a: T[2, 3], b: T[2, 3])\ny = Sub(a, b)\nreturn y" };
		const { outputs } = await checkGradients(difference, {
			change: ({ graph }) => {
				const [node] = graph.nodes;
				if (node !== undefined) setInput(node, 1, node.inputs[0]);
			},
		});
		expect(outputs).toEqual([{ name: "y", error: 1 }]);
	});

	it("refuses_a_gradient_of_other_sizes", async () => {
		const MatMul = rule(({ ops, g, x }) => [() => ops.transpose(g, [1, 0]), () => ops.gemm(x(0), g, { transA: true })]);
		await expect(checkGradients(product, { rules: { ...RULES, MatMul } })).rejects.toThrow(/do not broadcast/);
	});
});
