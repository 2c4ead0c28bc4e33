// Feeds from a manifest's recipe, seeded.

import { normal, seedFor, uniform } from "../../src/random.js";
import { tensorOf } from "../../src/runtime/numbers.js";
import type { EngineTensor, EngineType, Feeds } from "../../src/runtime/session.js";
import type { RecipeInput } from "./manifest.js";

/** One tensor per input, as the recipe's `kind` says; see the zoo's README. */
export function feedsOf(inputs: readonly RecipeInput[], seed = 0): Feeds {
	return Object.fromEntries(inputs.map((input) => [input.name, tensorFor(input, seedFor(seed, input.name))]));
}

function tensorFor(input: RecipeInput, seed: number): EngineTensor {
	const { shape, kind } = input;
	const last = shape.at(-1) ?? 1;
	const random = uniform(seed);
	const noise = normal(seed);
	const from = input.from ?? 0;
	const integer = () => from + Math.floor(random() * ((input.below ?? 2) - from));
	const element = (index: number): number => {
		if (input.values !== undefined) return input.values[index] ?? 0;
		if (input.value !== undefined) return Number(input.value);
		if (kind.includes("token") || kind === "ints") return integer();
		if (kind.startsWith("ones")) return 1;
		if (kind.startsWith("zero") || kind.includes("bool")) return 0;
		if (kind.startsWith("position")) return (input.start ?? 0) + (index % last);
		return noise() * (input.scale ?? 1);
	};
	return tensorOf(input.dtype as EngineType, shape, element);
}
