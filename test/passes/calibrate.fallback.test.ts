// What calibration does where it cannot know everything: operators without a gradient, models that give no prediction per token.
import path from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { calibrate } from "../../passes/calibrate/index.js";
import { kept } from "../../passes/calibrate/kept.js";
import { locate } from "../../passes/locate/index.js";
import { type Bundle, openBundle } from "../../src/onnx/index.js";
import { type PassContext, runPass } from "../../src/pass.js";
import { normal, uniform } from "../../src/random.js";
import type { Calibration, Vocabulary } from "../../src/state.js";
import type { Corpus } from "../../src/training/corpus.js";
import { loadedFrom } from "../../src/workspace.js";
import { writeModel } from "../support/bigrams.js";
import { temporaryFolder } from "../support/models.js";
import { runner, tableOf } from "./support.js";

const [V, D] = [60, 6];
const draw = normal(3);
const table = Float32Array.from({ length: V * D }, () => draw());

/** `operator` stands between the rows and the hidden states; `last` chooses what is projected. */
function modelOf(operator: string, last = "Identity(mixed)"): string {
	return `
		model ir 8, opset ai.onnx 17
		graph tiny(input_ids: int64[batch, length])
			table = float32[${V}, ${D}]
			one = int64[] {1}
			end = int64[1] {-1}
			x = Gather(table, input_ids)
			sum = CumSum(x, one)
			mixed = ${operator}(sum)
			hidden = ${last}
			head = Transpose<perm=[1, 0]>(table)
			logits = MatMul(hidden, head)
			return logits: float32[batch, ${last.startsWith("Identity") ? "length" : "1"}, ${V}]`;
}

const EMPTY = { tokens: 0, counted: 0, frequency: undefined, gradientMoment: undefined, spread: undefined, hiddenMoment: undefined };

const bundles: Bundle[] = [];
afterAll(() => {
	for (const bundle of bundles) bundle.close();
});

interface Outcome {
	readonly calibration: Calibration | undefined;
	readonly log: readonly string[];
	readonly warnings: readonly string[];
}

/** @param folder where the calibration is kept */
async function calibrated(text: string, folder?: string): Promise<Outcome> {
	const file = writeModel(path.join(temporaryFolder(), "tiny.onnx"), text, { table });
	const bundle = openBundle(file);
	bundles.push(bundle);
	const records = runner();
	const random = uniform(1);
	const ids = Int32Array.from({ length: 400 }, () => Math.floor(V * random() ** 2));
	const data = {
		async *read() {
			yield { ids, starts: true };
		},
	};
	const special = { pad: 0, start: 0, mask: undefined, context: undefined };
	const corpus: Corpus = { kind: "tokens", train: data, validation: data, test: data, special, generated: false, from: "random ids" };
	const located = await runPass(locate({}), loadedFrom(bundle), records);
	const cache = folder === undefined ? undefined : { folder, files: [file] };
	const after = await runPass(calibrate({ corpus, length: 32, cache }), located, records);
	const { log = [], warnings = [] } = records.records.at(-1) ?? {};
	return { calibration: after.calibrations[0], log, warnings };
}

describe("calibrate", () => {
	it("takes_a_multiple_of_the_identity_where_no_gradient_reaches_a_lookup_and_names_the_operator", async () => {
		const { calibration, log } = await calibrated(modelOf("Sinh"));
		const { frequency, gradientMoment, spread, hiddenMoment } = calibration ?? {};
		expect(calibration?.source).toBe("data");
		expect(log.join("\n")).toMatch(/no gradient passes .*Sinh/);
		expect(log.join("\n")).toMatch(/no gradient reaches the lookups of "table"/);
		const scale = gradientMoment?.[0] ?? 0;
		expect(scale).toBeGreaterThan(0);
		expect(Array.from(gradientMoment ?? [])).toEqual(Array.from({ length: D * D }, (_, at) => (at % (D + 1) === 0 ? scale : 0)));
		// Both sides of the table cost the same in all.
		const row = (id: number) => table.subarray(id * D, (id + 1) * D);
		let [read, predicted] = [0, 0];
		for (let id = 0; id < V; id++)
			for (const [i, a] of row(id).entries()) {
				read += (frequency?.[id] ?? 0) * scale * a * a;
				for (const [j, b] of row(id).entries()) predicted += (spread?.[id] ?? 0) * a * b * (hiddenMoment?.[i * D + j] ?? 0);
			}
		expect(read / predicted).toBeCloseTo(1, 4);
	});

	it("warns_again_where_the_calibration_is_kept_from_an_earlier_run", async () => {
		const folder = temporaryFolder();
		const first = await calibrated(modelOf("Sinh"), folder);
		const second = await calibrated(modelOf("Sinh"), folder);
		expect(second.log[0]).toMatch(/kept from an earlier run/);
		expect(first.warnings).toEqual([expect.stringMatching(/no gradient reaches the lookups of "table"/)]);
		expect(second.warnings).toEqual(first.warnings);
		expect(second.calibration?.gradientMoment).toEqual(first.calibration?.gradientMoment);
	});

	it("keeps_of_each_vocabulary_what_it_was_calibrated_on", async () => {
		const file = writeModel(path.join(temporaryFolder(), "tiny.onnx"), modelOf("Tanh"), { table });
		const vocabularies = [0, 1].map(() => ({ table: tableOf(table, V, D) }) as Vocabulary);
		const sources = ["data", "id order"] as const;
		const measured = async (): Promise<Calibration[]> =>
			vocabularies.map((vocabulary, index) => ({ ...EMPTY, vocabulary, source: sources[index] ?? "generated" }));
		const cache = { folder: temporaryFolder(), files: [file] };
		const log: string[] = [];
		const context = { log: (line: string) => void log.push(line), warn: () => {} } as unknown as PassContext;
		for (const round of [0, 1]) {
			const found = await kept(cache, vocabularies, {}, context, measured);
			expect(found.map(({ source }) => source)).toEqual(sources);
			expect(log).toHaveLength(round);
		}
	});

	it("has_gradients_where_every_operator_has_a_rule", async () => {
		const { calibration, log } = await calibrated(modelOf("Tanh"));
		expect(log.join("\n")).not.toMatch(/no gradient/);
		expect(calibration?.gradientMoment?.[1]).not.toBe(0);
	});

	it("goes_by_the_order_of_the_ids_where_the_model_does_not_predict_at_every_token", async () => {
		const { calibration, log } = await calibrated(modelOf("Tanh", "Gather<axis=1>(mixed, end)"));
		expect(calibration?.source).toBe("id order");
		expect(log.join("\n")).toMatch(/not calibrated on the text, but by the order of the ids: /);
	});
});
