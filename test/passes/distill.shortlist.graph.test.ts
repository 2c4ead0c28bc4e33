// Training graphs that look at a shortlist, on a real language model: with all tokens in it they learn what others learn.
import path from "node:path";
import { describe, expect, it } from "vitest";
import { INPUTS } from "../../passes/distill/objective.js";
import { Shortlist } from "../../passes/distill/shortlist.js";
import { tensorOf } from "../../src/runtime/numbers.js";
import { openTraining } from "../../src/runtime/training/training.js";
import { openStudent, windowsOf } from "../runtime/training/support.js";

const FOLDER = path.resolve(import.meta.dirname, "../../fixtures/sotu-lm");
const SHAPE = { batch: 2, length: 16 };
const VOCABULARY = 6144;

/** Loss, and all gradients one after the other, of one batch; `average` over so many shortlists. */
async function learned(shortlist: number | undefined, average = 1) {
	const setup = { folder: FOLDER, rank: 16, threads: 2, ...SHAPE, crossEntropy: 0.5, ...(shortlist === undefined ? {} : { shortlist }) };
	const student = await openStudent(setup);
	const training = await openTraining(student.distillation, { threads: 2 });
	const rows = windowsOf(path.join(FOLDER, "test.npy"), SHAPE, 3)();
	const labels = Int32Array.from(rows.ids, (_, at) => rows.ids[at + 1] ?? -1);
	const drawn = new Shortlist(Float64Array.from({ length: VOCABULARY }, (_, id) => VOCABULARY - id));
	let loss = 0;
	let gradients = new Float64Array(0);
	for (let seed = 0; seed < average; seed++) {
		const own =
			shortlist === undefined
				? { [INPUTS.labels]: tensorOf("int64", [SHAPE.batch, SHAPE.length], (at) => labels[at] ?? -1) }
				: drawn.feeds(shortlist, labels, seed);
		loss += (await training.measure(await student.feedsOf(rows, own))) / average;
		const all = [...training.gradients.values()].flatMap((gradient) => [...gradient]);
		gradients = Float64Array.from(all, (element, at) => (gradients[at] ?? 0) + element / average);
	}
	await training.close();
	await student.close();
	return { loss, gradients, program: student.distillation };
}

function relativeError(found: Float64Array, wanted: Float64Array): number {
	let [error, size] = [0, 0];
	for (const [at, element] of wanted.entries()) {
		error += (element - (found[at] ?? Number.NaN)) ** 2;
		size += element ** 2;
	}
	return Math.sqrt(error / size);
}

describe("training graphs with a shortlist", () => {
	it("learn_the_same_when_it_holds_all_tokens", async () => {
		const [all, listed] = [await learned(undefined), await learned(VOCABULARY)];
		expect(listed.program.shortlist).toBe(VOCABULARY);
		expect(listed.loss / all.loss).toBeCloseTo(1, 5);
		expect(relativeError(listed.gradients, all.gradients)).toBeLessThan(1e-4);
	});

	it("learn_nearly_the_same_on_average_when_it_holds_most", async () => {
		const [all, one, several] = [await learned(undefined), await learned(5000), await learned(5000, 12)];
		expect(Math.abs(several.loss / all.loss - 1)).toBeLessThan(0.1);
		const [error, averaged] = [one, several].map(({ gradients }) => relativeError(gradients, all.gradients));
		expect(averaged).toBeLessThan(0.5);
		expect(averaged).toBeLessThan(error ?? 0);
	});

	it("compute_less", async () => {
		const [all, listed] = [await learned(undefined), await learned(1024)];
		expect(listed.program.activationBytes).toBeLessThan(all.program.activationBytes - 4 * SHAPE.batch * SHAPE.length * 4096);
	});
});
