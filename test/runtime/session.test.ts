// Sessions: what goes in and comes out, and how the engine's failures look.
import { afterEach, describe, expect, it } from "vitest";
import { DistembError } from "../../src/errors.js";
import { fromFloat16, toFloat16 } from "../../src/ir/elements.js";
import { parseModel } from "../../src/ir/parse.js";
import { encodeToBytes } from "../../src/onnx/index.js";
import { openSession, type Session } from "../../src/runtime/session.js";

const DOUBLES = `
model ir 8, opset ai.onnx 17
graph main(x: float32[rows, 2])
	two = float32[1] {2}
	y = Mul(x, two)
	n = Size(x)
	return y: float32[rows, 2], n: int64[]
`;

const open: Session[] = [];
afterEach(async () => {
	for (const session of open.splice(0)) await session.close();
});

async function sessionOf(text: string): Promise<Session> {
	const session = await openSession(encodeToBytes(parseModel(text)), { threads: 1, at: "test.onnx" });
	open.push(session);
	return session;
}

async function failureOf(work: Promise<unknown>): Promise<DistembError> {
	try {
		await work;
	} catch (error) {
		if (error instanceof DistembError) return error;
		throw error;
	}
	throw new Error("nothing was thrown");
}

const x = { dtype: "float32", dims: [2, 2], data: Float32Array.of(1, 2, 3, 4) } as const;

describe("openSession", () => {
	it("knows_names_types_and_symbols_of_inputs_and_outputs", async () => {
		const session = await sessionOf(DOUBLES);
		expect(session.inputs).toEqual([{ name: "x", dtype: "float32", shape: ["rows", 2] }]);
		expect(session.outputs.map(({ name, dtype }) => [name, dtype])).toEqual([
			["y", "float32"],
			["n", "int64"],
		]);
	});

	it("returns_every_output_or_only_those_asked_for", async () => {
		const session = await sessionOf(DOUBLES);
		const all = await session.run({ x });
		expect(all.y).toEqual({ dtype: "float32", dims: [2, 2], data: Float32Array.of(2, 4, 6, 8) });
		expect(all.n?.data).toEqual(BigInt64Array.of(4n));
		expect(Object.keys(await session.run({ x }, ["n"]))).toEqual(["n"]);
	});

	it("writes_into_tensors_given_for_outputs", async () => {
		const session = await sessionOf(DOUBLES);
		const y = { dtype: "float32", dims: [2, 2], data: new Float32Array(4) } as const;
		const found = await session.run({ x }, { y });
		expect(found.y).toBe(y);
		expect([...y.data]).toEqual([2, 4, 6, 8]);
	});

	it("hands_out_results_that_outlive_the_session", async () => {
		const session = await sessionOf(DOUBLES);
		const { y } = await session.run({ x });
		await session.close();
		await session.close();
		expect(y?.data).toEqual(Float32Array.of(2, 4, 6, 8));
	});

	it("takes_and_gives_float16_as_bits", async () => {
		const session = await sessionOf(`
			model ir 8, opset ai.onnx 17
			graph main(x: float16[3])
				y = Neg(x)
				return y: float16[3]
		`);
		const data = Uint16Array.of(toFloat16(1.5), toFloat16(-0.25), toFloat16(65504));
		const { y } = await session.run({ x: { dtype: "float16", dims: [3], data } });
		expect(y?.data).toBeInstanceOf(Uint16Array);
		expect(Array.from(y?.data as Uint16Array, fromFloat16)).toEqual([-1.5, 0.25, -65504]);
	});
});

describe("engine errors", () => {
	it("name_the_model_in_one_line_when_it_does_not_load", async () => {
		const error = await failureOf(openSession(Uint8Array.of(1, 2, 3), { threads: 1, at: "broken.onnx" }));
		expect(error.code).toBe("engine");
		expect(error.toLine()).toMatch(/^broken\.onnx: onnxruntime cannot load the model: .+/);
		expect(error.message).not.toContain("\n");
	});

	it("say_that_a_file_is_missing", async () => {
		const error = await failureOf(openSession("/no/such/model.onnx", { threads: 1 }));
		expect(error.code).toBe("engine");
		expect(error.at).toBe("/no/such/model.onnx");
		expect(error.message).toMatch(/File doesn't exist/);
	});

	it("leave_out_places_in_the_source_code_of_the_engine", async () => {
		const error = await failureOf(
			sessionOf("model ir 8, opset ai.onnx 99\ngraph main(x: float32[1])\n\ty = Neg(x)\n\treturn y: float32[1]"),
		);
		expect(error.message).toMatch(/Opset 99/);
		expect(error.message).not.toMatch(/onnxruntime_src|::/);
	});

	it("name_the_node_that_fails", async () => {
		const session = await sessionOf(`
			model ir 8, opset ai.onnx 17
			graph main(ids: int64[n])
				table = float32[3, 2] {1, 2, 3, 4, 5, 6}
				rows = Gather(table, ids) "embed"
				return rows: float32[n, 2]
		`);
		const error = await failureOf(session.run({ ids: { dtype: "int64", dims: [1], data: BigInt64Array.of(3n) } }));
		expect(error.code).toBe("engine");
		expect(error.message).toMatch(/Name:'embed'.*\[-3,2\]/);
	});

	it("cover_tensors_that_do_not_fit_their_own_sizes", async () => {
		const session = await sessionOf(DOUBLES);
		const error = await failureOf(session.run({ x: { ...x, dims: [3, 2] } }));
		expect(error.code).toBe("engine");
	});

	it("are_internal_when_a_closed_session_runs", async () => {
		const session = await sessionOf(DOUBLES);
		await session.close();
		expect((await failureOf(session.run({ x }))).code).toBe("internal");
	});
});
