// The course of a training, with losses and validations that are given: when it goes back, slows down and ends.
import { describe, expect, it } from "vitest";
import { type LoopOptions, runLoop } from "../../passes/distill/loop.js";

/** One number is trained, one up in each step. */
function training(lossAt: (step: number) => number) {
	let value = 0;
	const rates: number[] = [];
	const snapshot = () => ({ step: value, states: [], kept: new Map<string, Float32Array>(), keptFor: 0 });
	return {
		rates,
		get steps() {
			return value;
		},
		parameters: new Map<string, Float32Array>(),
		kept: new Map<string, Float32Array>(),
		begin: () => {},
		snapshot,
		restore: ({ step }: { readonly step: number }) => {
			value = step;
		},
		step: async (_: unknown, rate: number) => {
			value += 1;
			rates.push(rate);
			const loss = lossAt(rates.length);
			return { loss, gradientNorm: 1, applied: Number.isFinite(loss) };
		},
	};
}

/** Trains with a validation after each of 24 steps, whose results are given in turn, the last for all that follow. */
async function run(validations: readonly number[], lossAt: (step: number) => number = () => 1) {
	const own = training(lossAt);
	const log: string[] = [];
	let turn = 0;
	const batch = { count: 1 } as Awaited<ReturnType<LoopOptions["phases"][number]["batches"]["next"]>>;
	const trained = await runLoop({
		training: own,
		phases: [
			{
				name: "all",
				share: 1,
				trained: new Set(),
				batches: { next: async () => batch, place: { epoch: 0, batch: 0 } },
				partOf: () => ({ feeds: {} }),
			},
		],
		partsPerStep: 1,
		validate: async () => ({ mean: validations[Math.min(turn++, validations.length - 1)] ?? Number.NaN, batches: 1 }),
		rounds: 24,
		afterStep: () => {},
		rate: () => 1,
		steps: 24,
		minutes: undefined,
		seed: 0,
		signal: undefined,
		progress: () => {},
		log: (line) => log.push(line),
		store: undefined,
		run: "a test",
		from: undefined,
	});
	return { ...trained, log, rates: own.rates, value: own.steps };
}

/** What the schedule alone gives at each of 24 steps. */
const schedule = async () => (await run(Array.from({ length: 25 }, (_, index) => 1 - index / 100))).rates;

describe("the course of a training", () => {
	it("takes_all_its_steps_at_the_rates_of_the_schedule_while_it_improves", async () => {
		const { stopped, best, log, rates, value } = await run(Array.from({ length: 25 }, (_, index) => 1 - index / 100));
		expect({ stopped, best: best.step, value, log }).toEqual({ stopped: "steps", best: 24, value: 24, log: [] });
		expect(rates).toHaveLength(24);
		expect(Math.max(...rates)).toBe(1);
	});

	it("goes_on_at_half_the_rate_where_nothing_improves_and_ends_if_that_helps_as_little", async () => {
		const { stopped, best, rates, log, value, rollbacks } = await run([1, 0.9, 1]);
		expect({ stopped, best: best.step, value, rollbacks }).toEqual({ stopped: "plateau", best: 1, value: 1, rollbacks: 0 });
		expect(log).toEqual([
			"step 5: nothing better since step 1; on at half the rate",
			"step 9: nothing better since step 1; on at half the rate",
		]);
		const plain = await schedule();
		expect(rates).toEqual(plain.slice(0, 13).map((rate, index) => rate / 2 ** Math.max(0, Math.floor((index - 1) / 4))));
	});

	it("stays_at_half_the_rate_when_that_has_helped", async () => {
		const { stopped, best, rates } = await run([1, 0.9, 1, 1, 1, 1, ...Array.from({ length: 19 }, (_, index) => 0.8 - index / 100)]);
		expect({ stopped, best: best.step }).toEqual({ stopped: "steps", best: 24 });
		const plain = await schedule();
		expect(rates).toEqual(plain.map((rate, index) => (index < 5 ? rate : rate / 2)));
	});

	it("begins_anew_at_half_the_rate_until_a_first_validation_is_better", async () => {
		const { best, rates, log, value } = await run([1, 1.1, 1.01, ...Array.from({ length: 22 }, (_, index) => 0.9 - index / 100)]);
		expect(log).toEqual([
			"step 1: nothing better since step 0; back to it at half the rate",
			"step 2: nothing better since step 0; back to it at half the rate",
		]);
		expect({ best: best.step, value }).toEqual({ best: 24, value: 22 });
		const plain = await schedule();
		expect(rates).toEqual(plain.map((rate, index) => rate / 2 ** Math.min(2, index)));
	});

	it("goes_back_at_half_the_rate_when_a_validation_is_a_quarter_worse_than_the_best", async () => {
		const { best, rates, log, rollbacks } = await run([1, 0.9, 1.2, 0.8]);
		expect(log[0]).toBe("step 2: validation 1.20; back to step 1 at half the rate");
		expect({ best: best.step, rollbacks }).toEqual({ best: 3, rollbacks: 1 });
		const plain = await schedule();
		expect(rates.slice(0, 6)).toEqual(plain.slice(0, 6).map((rate, index) => (index < 2 ? rate : rate / 2)));
	});

	it.each([
		["is_no_number", Number.NaN],
		["is_more_than_three_times_the_first_and_a_nat", 4.1],
	])("goes_back_when_a_loss_%s", async (_, loss) => {
		const { rollbacks, log } = await run([1, 0.9, 0.8], (step) => (step === 3 ? loss : 1));
		expect(rollbacks).toBe(1);
		expect(log[0]).toMatch(/^step 3: loss [\w.]+; back to step 2 at half the rate$/);
	});

	it("stays_with_a_loss_that_is_large_for_a_student_that_is_near", async () => {
		expect((await run([1, 0.9, 0.8], (step) => (step === 3 ? 0.9 : 0.01))).rollbacks).toBe(0);
	});

	it("ends_when_it_diverges_again_and_again", async () => {
		const { stopped, rollbacks, rates } = await run([1], (step) => (step === 1 ? 1 : Number.NaN));
		expect({ stopped, rollbacks, steps: rates.length }).toEqual({ stopped: "diverged", rollbacks: 8, steps: 9 });
	});
});
