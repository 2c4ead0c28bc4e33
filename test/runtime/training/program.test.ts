// Training programs without anything that loss and gradients do not need.
import { describe, expect, it } from "vitest";
import { checkModel } from "../../../src/ir/check.js";
import { parseModel } from "../../../src/ir/parse.js";
import { printModel } from "../../../src/ir/print.js";
import { tensorOf } from "../../../src/runtime/numbers.js";
import { modelOf, type TrainingProgram } from "../../../src/runtime/training/program.js";
import { openTraining } from "../../../src/runtime/training/training.js";
import { valueNamed } from "../../passes/support.js";

/** Loss Σ (w − x)² / 2, whose gradient w − x is computed in a body that reads `difference` from outside. */
const WRITTEN = `
model ir 10, opset ai.onnx 18
graph main(w: float32[2], x: float32[2], flag: bool[])
	unused = float32[2] {1, 2}
	idle = Mul(w, unused)
	difference = Sub(w, x)
	half = float32[] {0.5}
	squares = ReduceSumSquare<keepdims=0>(difference)
	loss = Mul(squares, half)
	w_grad = If(flag) "inner"
		then_branch:
		graph rows()
			g = Identity(difference)
			return g: float32[2]
		else_branch:
		graph other()
			g = Neg(difference)
			return g: float32[2]
	return idle: float32[2]
`;

function program(): TrainingProgram {
	const model = parseModel(WRITTEN);
	const value = (name: string) => valueNamed(model, name);
	const initial = Float32Array.of(1, -1);
	const parameters = [{ value: value("w"), gradient: value("w_grad"), dims: [2], initial, decays: true }];
	return { graph: model.graph, loss: value("loss"), parameters };
}

const batch = { x: tensorOf("float32", [2], (index) => index), flag: tensorOf("bool", [], () => 1) };
const options = { threads: 1 };

describe("modelOf", () => {
	it("keeps_what_bodies_read_and_leaves_out_what_nobody_needs", () => {
		const whole = program();
		const before = printModel(whole.graph.model);
		const model = modelOf(whole);
		checkModel(parseModel(printModel(model)));
		expect(model.graph.nodes.map(({ opType }) => opType)).toEqual(["Sub", "ReduceSumSquare", "Mul", "If"]);
		expect(model.graph.initializers.map(({ name }) => name)).toEqual(["half"]);
		expect(model.graph.outputs.map(({ value }) => value.name)).toEqual(["loss", "w_grad"]);
		expect(printModel(whole.graph.model)).toBe(before);
	});
});

describe("openTraining", () => {
	it("walks_down_to_the_minimum_and_leaves_the_initial_values_alone", async () => {
		const whole = program();
		const training = await openTraining(whole, options);
		try {
			expect(await training.step(batch, 0.1)).toEqual({ loss: 2.5, gradientNorm: Math.sqrt(5), applied: true });
			for (let step = 1; step < 100; step++) await training.step(batch, 0.1 * (1 - step / 100));
			const [first = 1, second = 0] = training.parameters.get("w") ?? [];
			// It began √5 = 2.2 away.
			expect(Math.hypot(first, second - 1)).toBeLessThan(0.1);
			expect([...(whole.parameters[0]?.initial ?? [])]).toEqual([1, -1]);
		} finally {
			await training.close();
		}
	});

	it("cannot_step_after_close", async () => {
		const training = await openTraining(program(), options);
		await training.close();
		await training.close();
		await expect(training.step(batch, 0.1)).rejects.toThrow("a closed session was run");
	});
});
