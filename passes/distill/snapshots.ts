// Parameters and moments as the arrays of a checkpoint, and back.
import { DistembError } from "../../src/errors.js";
import type { Snapshot, Training } from "../../src/runtime/training/training.js";
import type { Checkpoint } from "../../src/training/checkpoint.js";

const KINDS = ["values", "mean", "square"] as const;

/** What is being trained now, and as it was at its best. */
export function arraysOf(training: Training, best: Snapshot): ReadonlyMap<string, Float32Array> {
	const arrays = new Map<string, Float32Array>();
	for (const [prefix, { states }] of [
		["now", training.snapshot()],
		["best", best],
	] as const)
		for (const [index, name] of [...training.parameters.keys()].entries())
			for (const kind of KINDS) arrays.set(`${prefix}/${kind}/${name}`, states[index]?.[kind] ?? new Float32Array(0));
	return arrays;
}

/** @throws DistembError `input` if the checkpoint lacks a parameter or has it in another size */
export function snapshotsOf({ arrays, facts }: Checkpoint, training: Training): { readonly now: Snapshot; readonly best: Snapshot } {
	const read = (prefix: string, step: number): Snapshot => ({
		step,
		states: [...training.parameters].map(([name, { length }]) => {
			const of = (kind: (typeof KINDS)[number]) => {
				const array = arrays.get(`${prefix}/${kind}/${name}`);
				if (array?.length !== length) throw new DistembError("input", `the checkpoint has no "${name}" of ${length} numbers`);
				return array;
			};
			return { values: of("values"), mean: of("mean"), square: of("square") };
		}),
	});
	return { now: read("now", facts.updates), best: read("best", facts.best.updates) };
}
