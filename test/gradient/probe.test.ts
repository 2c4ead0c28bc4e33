// The probe: what one run tells about the values of a graph.
import { describe, expect, it } from "vitest";
import { parseModel } from "../../src/ir/parse.js";
import { printModel } from "../../src/ir/print.js";
import { tensorOf } from "../../src/runtime/numbers.js";
import { probe } from "../../src/runtime/probe.js";
import { doubles, integers, valueNamed } from "./help.js";

const TEXT = `
model ir 10, opset ai.onnx 18
graph main(x: float64[batch, 3], n: int64[1], flag: bool[])
	table = float64[5, 3]
	two = float64[] {2}
	y = Mul(x, two)
	s = Shape(y)
	first = Gather(s, n)
	rows = Gather(table, n)
	off = Not(flag)
	parts = SplitToSequence<axis=1>(y)
	length = SequenceLength(parts)
	return y: float64[batch, 3]
`;

const FEEDS = { x: doubles([2, 3], () => 1), n: integers([1], [1]), flag: tensorOf("bool", [], () => 1) };

describe("probe", () => {
	it("knows_type_and_sizes_of_every_tensor_and_leaves_the_model_alone", async () => {
		const model = parseModel(TEXT, { seed: 1 });
		const before = printModel(model);
		const facts = await probe(model, FEEDS, { threads: 1 });
		expect(printModel(model)).toBe(before);
		const known = Object.fromEntries([...facts].map(([{ name }, { dtype, dims }]) => [name, `${dtype}[${dims.join(", ")}]`]));
		expect(known).toEqual({
			x: "float64[2, 3]",
			n: "int64[1]",
			flag: "bool[]",
			table: "float64[5, 3]",
			two: "float64[]",
			y: "float64[2, 3]",
			s: "int64[2]",
			first: "int64[1]",
			rows: "float64[1, 3]",
			off: "bool[]",
			length: "int64[]",
		});
	});

	it("keeps_elements_that_do_not_depend_on_data", async () => {
		const model = parseModel(TEXT, { seed: 1 });
		const values = async (fixed: readonly string[]) => {
			const facts = await probe(model, FEEDS, { threads: 1, fixed: new Set(fixed) });
			return ["two", "s", "first", "off", "n", "table"].map((name) => facts.get(valueNamed(model, name))?.values);
		};
		expect(await values([])).toEqual([[2], [2, 3], undefined, undefined, undefined, expect.any(Array)]);
		expect(await values(["n", "flag"])).toEqual([[2], [2, 3], [3], [0], [1], expect.any(Array)]);
	});

	it("says_what_the_engine_says_when_the_model_does_not_run", async () => {
		const model = parseModel(TEXT, { seed: 1 });
		const wrong = probe(model, { ...FEEDS, n: integers([1], [9]) }, { threads: 1, at: "odd.onnx" });
		await expect(wrong).rejects.toMatchObject({ code: "engine", at: "odd.onnx" });
	});
});
