// What becomes of a training: values back into the files, errors measured anew, lines for the log.
import { factorError } from "../../src/linalg/error.js";
import type { PassContext } from "../../src/pass.js";
import { engineProducts } from "../../src/runtime/products.js";
import type { Distillation, Reconstructed, Reconstruction } from "../../src/state.js";
import { unscaled } from "./coded.js";
import type { StudentProgram } from "./graph.js";
import type { DistillOptions, Recipe } from "./options.js";
import type { Plan } from "./plan.js";
import type { Sharing } from "./sharing.js";
import type { Student } from "./student.js";
import { zeroRows } from "./tables.js";
import { floatsOf, transposed, writeBack } from "./write.js";

/** Stores what was trained in every file that has it. */
export function writeAll({ parameters }: StudentProgram, { training }: Student, sharing: Sharing, { relu }: Recipe): void {
	for (const parameter of parameters) {
		const values = training.parameters.get(parameter.value.name);
		if (values !== undefined) writeBack(parameter, unscaled(parameter, values), sharing, relu);
	}
}

/** Puts rows that are zero in the original back to zero. */
export function keepZeros({ parameters }: StudentProgram, { training }: Student): () => void {
	const fixed = parameters.flatMap(({ stored, value }) => {
		const values = training.parameters.get(value.name);
		if (values === undefined || !("group" in stored) || stored.factor !== "left") return [];
		const { table } = stored.group.vocabulary;
		return [{ values, zero: zeroRows(table), rows: table.rows, rank: values.length / table.rows, turned: stored.stored.role === "leftT" }];
	});
	return () => {
		for (const { values, zero, rows, rank, turned } of fixed)
			for (const row of zero)
				if (turned) for (let k = 0; k < rank; k++) values[k * rows + row] = 0;
				else values.fill(0, row * rank, (row + 1) * rank);
	};
}

/** Tells runs apart: what is trained, how, and on what. */
export function nameOf(
	{ parameters, shape }: StudentProgram,
	{ recipe, phases }: Pick<Plan, "recipe" | "phases">,
	{ steps, minutes, corpus }: DistillOptions,
	{ seed }: PassContext,
): string {
	const tensors = parameters.map(({ value, dims }) => [value.name, ...dims]);
	return JSON.stringify({ tensors, shape, recipe, phases, steps, minutes, seed, data: corpus?.from });
}

export function report(
	{ curve, best, stopped, rollbacks, untrained, tokens }: Distillation,
	tooLong: number,
	{ log, warn }: PassContext,
): void {
	const [start] = curve;
	const kept = best.step === 0 ? "the untrained factors are kept: nothing was better" : `step ${best.step} is kept`;
	log(
		`validation ${start?.validation?.toPrecision(3)} → ${best.validation.toPrecision(3)} in ${curve.at(-1)?.step} steps of ${tokens} tokens, stopped by ${stopped}; ${kept}`,
	);
	if (rollbacks > 0) log(`${rollbacks} times back to the best at half the rate`);
	if (tooLong > 0) warn(`${tooLong} pairs were longer than a batch and left out`);
	for (const line of untrained) warn(`not trained: ${line}`);
}

/** The factors' errors as they are now. */
export async function measured({ reconstructions }: Reconstructed, { threads, signal }: PassContext): Promise<Reconstruction[]> {
	const products = engineProducts({ threads });
	try {
		const result: Reconstruction[] = [];
		for (const old of reconstructions) {
			const { vocabulary, rank, values } = old.group;
			const { table } = vocabulary;
			const of = (role: "left" | "right", height: number, width: number) => {
				const plain = values.find((factor) => factor.role === role);
				const turned = values.find((factor) => factor.role === `${role}T`);
				return plain !== undefined
					? floatsOf(plain.value)
					: transposed(turned === undefined ? new Float32Array(height * width) : floatsOf(turned.value), width, height);
			};
			const [left, right] = [of("left", table.rows, rank), of("right", rank, table.cols)];
			const factors = { rank, right, left: (start: number, end: number) => left.subarray(start * rank, end * rank) };
			const { relative } = await factorError(table, factors, products, { signal });
			result.push({ ...old, relativeError: relative, bins: [] });
		}
		return result;
	} finally {
		await products.close();
	}
}
