// Passes: the order is a matter of types, and every pass leaves a sound model.
import { describe, expect, expectTypeOf, it } from "vitest";
import { factorize } from "../passes/factorize/index.js";
import { quantize } from "../passes/quantize/index.js";
import { reconstruct } from "../passes/reconstruct/index.js";
import { addNode, createModel } from "../src/ir/edit.js";
import { type HasModels, type Pass, type PassRunner, runPass } from "../src/pass.js";
import type { Loaded, Located, Quantized } from "../src/state.js";

const runner = (): PassRunner => ({ threads: 1, seed: 0, records: [] });

describe("order of passes", () => {
	it("does_not_compile_when_it_is_wrong", () => {
		const wrong = (state: Loaded, located: Located) => [
			// @ts-expect-error factorize needs what locate found
			() => runPass(factorize({ size: { rank: 4 }, ops: "standard", allowLarger: false, keepOtherReaders: false }), state, runner()),
			// @ts-expect-error quantize needs the factors that reconstruct filled
			() => runPass(quantize({ ops: "standard" }), located, runner()),
			// @ts-expect-error reconstruct needs the placeholders of factorize
			() => runPass(reconstruct({ method: "svd" }), located, runner()),
		];
		expect(wrong).toBeTypeOf("function");
		expectTypeOf<Quantized>().toExtend<Located>();
	});
});

describe("runPass", () => {
	const model = () => createModel(8, [["", 17]]);

	it("records_name_time_log_and_warnings", async () => {
		const records: PassRunner["records"] = [];
		const pass: Pass<HasModels, HasModels> = {
			name: "idle",
			run: async (state, { log, warn }) => {
				log("nothing to do here");
				warn("there should have been");
				return state;
			},
		};
		await runPass(pass, { files: [{ model: model() }] }, { ...runner(), records });
		expect(records).toMatchObject([
			{ name: "idle", log: ["nothing to do here", "there should have been"], warnings: ["there should have been"] },
		]);
	});

	it("refuses_a_model_that_a_pass_has_broken", async () => {
		const broken = model();
		const pass: Pass<HasModels, HasModels> = {
			name: "vandal",
			run: async (state) => {
				addNode(broken.graph, { opType: "Relu", domain: "nowhere", inputs: [], outputs: ["y"] });
				return state;
			},
		};
		await expect(runPass(pass, { files: [{ model: broken }] }, runner())).rejects.toThrow(
			/no operator set is imported for domain "nowhere"/,
		);
	});

	it("checks_what_a_pass_ensures", async () => {
		const pass: Pass<HasModels, HasModels> = {
			name: "boast",
			run: async (state) => state,
			ensures: () => {
				throw new Error("not kept");
			},
		};
		await expect(runPass(pass, { files: [] }, runner())).rejects.toThrow("not kept");
	});

	it("stops_before_a_pass_when_the_caller_aborts", async () => {
		let ran = false;
		const pass: Pass<HasModels, HasModels> = {
			name: "late",
			run: async (state) => {
				ran = true;
				return state;
			},
		};
		await expect(runPass(pass, { files: [] }, { ...runner(), signal: AbortSignal.abort() })).rejects.toMatchObject({ code: "interrupted" });
		expect(ran).toBe(false);
	});
});
