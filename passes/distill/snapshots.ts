// Parameters and moments as the arrays of a checkpoint, and back.
import { DistembError } from "../../src/errors.js";
import type { Snapshot, Training } from "../../src/runtime/training/training.js";
import type { Checkpoint } from "../../src/training/checkpoint.js";

const KINDS = ["values", "mean", "square", "level"] as const;

/** What is being trained now, and as it was at its best. */
export function arraysOf(training: Pick<Training, "parameters" | "snapshot">, best: Snapshot): ReadonlyMap<string, Float32Array> {
	const arrays = new Map<string, Float32Array>();
	const names = [...training.parameters.keys()];
	for (const [prefix, { states, kept, keptFor }] of [
		["now", training.snapshot()],
		["best", best],
	] as const) {
		for (const [index, name] of names.entries())
			for (const kind of KINDS) arrays.set(`${prefix}/${kind}/${name}`, states[index]?.[kind] ?? new Float32Array(0));
		for (const [name, array] of kept) arrays.set(`${prefix}/kept/${name}`, array);
		arrays.set(`${prefix}/keptFor`, Float32Array.of(keptFor));
	}
	return arrays;
}

/** @throws DistembError `input` if the checkpoint lacks a parameter or has it in another size */
export function snapshotsOf(
	{ arrays, facts }: Checkpoint,
	training: Pick<Training, "parameters" | "kept">,
): { readonly now: Snapshot; readonly best: Snapshot } {
	const read = (prefix: string, step: number): Snapshot => {
		const of = (name: string, length: number) => {
			const array = arrays.get(`${prefix}/${name}`);
			if (array?.length !== length) throw new DistembError("input", `the checkpoint has no "${name}" of ${length} numbers`);
			return array;
		};
		return {
			step,
			states: [...training.parameters].map(([name, { length }]) => {
				const array = (kind: (typeof KINDS)[number]) => of(`${kind}/${name}`, kind === "level" ? 1 : length);
				return { values: array("values"), mean: array("mean"), square: array("square"), level: array("level") };
			}),
			kept: new Map([...training.kept].map(([name, { length }]) => [name, of(`kept/${name}`, length)])),
			keptFor: of("keptFor", 1)[0] ?? 0,
		};
	};
	return { now: read("now", facts.updates), best: read("best", facts.best.updates) };
}
