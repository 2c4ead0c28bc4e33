// Gradients past quantized activations equal those of the products that were quantized.
import { describe, expect, it } from "vitest";
import { passQuantizers } from "../../src/gradient/straight-through.js";
import { differentiate } from "../../src/gradient/sweep.js";
import { tensorOf } from "../../src/runtime/numbers.js";
import { compute, written } from "./help.js";

const x = tensorOf("float32", [2, 3], (index) => Math.sin(index + 1));

describe("passQuantizers", () => {
	it("leads_gradients_past_dynamic_quantization_to_the_dequantized_weights", async () => {
		const { model, ops, value } = await written(
			`main(x: float32[2, 3])
			w = uint8[3, 2] {10, 20, 30, 40, 50, 60}
			zero = uint8[] {30}
			sw = float32[] {0.5}
			q, s, z = DynamicQuantizeLinear(x)
			i = MatMulInteger(q, w, z, zero)
			f = Cast<to=1>(i)
			both = Mul(s, sw)
			y = Mul(f, both)
			loss = ReduceSum<keepdims=0>(y)
			return loss`,
			{ x },
		);
		passQuantizers(ops);
		const { gradients, missing } = differentiate(ops, value("loss"), [value("x")]);
		expect(missing).toEqual([]);
		const { dense } = gradients.get(value("x")) ?? {};
		const [found] = await compute(model, dense === undefined ? [] : [dense], { x });
		const rows = [(10 + 20 - 60) / 2, (30 + 40 - 60) / 2, (50 + 60 - 60) / 2];
		expect([...(found ?? [])].map((element) => Number(element.toFixed(4)))).toEqual([...rows, ...rows]);
	});

	it("leads_gradients_past_a_pair_of_quantize_and_dequantize", async () => {
		const { model, ops, value } = await written(
			`main(x: float32[2, 3])
			s = float32[] {0.01}
			z = uint8[] {128}
			q = QuantizeLinear(x, s, z)
			d = DequantizeLinear(q, s, z)
			y = Mul(d, d)
			loss = ReduceSum<keepdims=0>(y)
			return loss`,
			{ x },
		);
		passQuantizers(ops);
		const { dense } = differentiate(ops, value("loss"), [value("x")]).gradients.get(value("x")) ?? {};
		const [found] = await compute(model, dense === undefined ? [] : [dense], { x });
		for (const [index, element] of (found ?? []).entries()) expect(element).toBeCloseTo(2 * Math.sin(index + 1), 1);
		expect(found).toHaveLength(6);
	});

	for (const fused of [
		"y = com.microsoft.DynamicQuantizeMatMul(x, w, sw, zero)",
		"y = com.microsoft.MatMulIntegerToFloat(q, w, s, sw, z, zero)",
	]) {
		it(`leads_gradients_past_${fused.split(/[.(]/)[2]}`, async () => {
			const { model, ops, value } = await written(
				`main(x: float32[2, 3])
				w = uint8[3, 2] {10, 20, 30, 40, 50, 60}
				zero = uint8[] {30}
				sw = float32[] {0.5}
				q, s, z = DynamicQuantizeLinear(x)
				${fused}
				loss = ReduceSum<keepdims=0>(y)
				return loss`,
				{ x },
			);
			passQuantizers(ops);
			const { dense } = differentiate(ops, value("loss"), [value("x")]).gradients.get(value("x")) ?? {};
			const [found] = await compute(model, dense === undefined ? [] : [dense], { x });
			expect([...(found ?? [])]).toEqual([-15, 5, 25, -15, 5, 25]);
		});
	}

	it("does_nothing_where_the_use_is_another", async () => {
		const { ops, value } = await written(
			`main(x: float32[2, 3])
			q, s, z = DynamicQuantizeLinear(x)
			f = Cast<to=1>(q)
			loss = ReduceSum<keepdims=0>(f)
			return loss`,
			{ x },
		);
		passQuantizers(ops);
		const { untrainable, missing } = differentiate(ops, value("loss"), [value("x")]);
		expect(missing).toEqual([]);
		expect(untrainable.map(({ because }) => because)).toEqual([[]]);
	});
});
