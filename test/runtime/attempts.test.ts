// Inputs that the engine refuses at first: sizes baked into a graph, tables that no trace reaches.
import { describe, expect, it } from "vitest";
import { parseModel } from "../../src/ir/parse.js";
import { encodeToBytes } from "../../src/onnx/index.js";
import { type MadeRuns, runOnMadeInputs } from "../../src/runtime/attempts.js";
import { openSession } from "../../src/runtime/session.js";

async function runsOf(text: string): Promise<MadeRuns> {
	const model = parseModel(text, { seed: 1 });
	const session = await openSession(encodeToBytes(model), { threads: 1 });
	try {
		return await runOnMadeInputs(session, model, { tokenInputs: new Map(), seed: 0 });
	} finally {
		await session.close();
	}
}

const baked = (target: string) => `
	model ir 8, opset ai.onnx 17
	graph main(ids: int64[batch, length])
		table = float32[9, 4]
		shape = int64[3] ${target}
		rows = Gather(table, ids)
		y = Reshape(rows, shape)
		return y
`;

describe("runOnMadeInputs", () => {
	it("returns_outputs_and_says_at_which_sizes", async () => {
		const { runs, failures } = await runsOf(baked("{0, -1, 4}"));
		expect(failures).toEqual([]);
		expect(runs.map(({ label, outputs }) => [label, outputs.y?.dims])).toEqual([["batch 2, length 4", [2, 4, 4]]]);
	});

	it("tries_a_batch_of_one", async () => {
		expect((await runsOf(baked("{1, 4, 4}"))).runs[0]?.label).toBe("batch 1, length 4");
	});

	it("takes_a_baked_length_from_the_engine_s_message", async () => {
		const { runs } = await runsOf(baked("{-1, 7, 4}"));
		expect(runs[0]?.outputs.y?.dims.slice(1)).toEqual([7, 4]);
		expect(runs[0]?.label).toContain("length 7");
	});

	it("lowers_numbers_to_the_range_that_the_engine_names", async () => {
		const { runs } = await runsOf(`
			model ir 8, opset ai.onnx 17
			graph main(steps: int64[batch, length])
				table = float32[3, 4]
				three = int64[] {3}
				thrice = Mul(steps, three)
				rows = Gather(table, thrice)
				return rows
		`);
		expect(runs[0]?.feeds.steps?.dims).toEqual([2, 4]);
	});

	it("starts_the_next_variant_with_what_worked", async () => {
		const { runs, failures } = await runsOf(`
			model ir 8, opset ai.onnx 17
			graph main(ids: int64[batch, length], flag: bool[])
				table = float32[9, 4]
				shape = int64[3] {1, 4, 4}
				rows = Gather(table, ids)
				y = Reshape(rows, shape)
				f = Cast<to=1>(flag)
				z = Mul(y, f)
				return z
		`);
		expect(failures).toEqual([]);
		expect(runs.map(({ label }) => label)).toEqual(["batch 1, length 4, flag off", "batch 1, length 4, flag on"]);
		expect(Array.from(runs[0]?.outputs.z?.data ?? [], Number).every((element) => element === 0)).toBe(true);
		expect(Array.from(runs[1]?.outputs.z?.data ?? [], Number).some((element) => element !== 0)).toBe(true);
	});

	it("gives_up_with_the_engine_s_first_reason", async () => {
		const { runs, failures } = await runsOf(baked("{-1, 4999, 4}"));
		expect(runs).toEqual([]);
		expect(failures).toHaveLength(1);
		expect(failures[0]?.reason).toMatch(/Reshape.*4999/);
	});
});
