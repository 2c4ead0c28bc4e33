// Scalar quantizers of least squared error for normally distributed numbers.
// Their values are placed freely, or equally spaced, as engines multiply by them.

/** How the values of a quantizer lie: each where it fits best, or at whole multiples of a step. */
export type Spacing = "fitted" | "equal";

/** Numbers rounded to one of a few values. */
export interface Quantizer {
	/** Number of values. */
	readonly count: number;
	/** The values, ascending, for numbers of variance 1. */
	readonly values: Float64Array;
	/** Expected squared error for a normal distribution of variance 1. */
	readonly distortion: number;
	/** Code of the value nearest to `number`. */
	encode(number: number): number;
	readonly search: Search;
}

/** Tables that find the nearest value: the numbers from `low` on in bins of equal width, `perUnit` of them in a unit. */
export interface Search {
	readonly low: number;
	readonly perUnit: number;
	/** Code of the value nearest to where each bin begins. */
	readonly start: Uint8Array;
	/** Up to where the value of each code is the nearest; infinite for the last. */
	readonly ends: Float64Array;
}

/** Code of the value nearest to `number`. */
export function codeOf(number: number, low: number, perUnit: number, start: Uint8Array, ends: Float64Array): number {
	const at = (number - low) * perUnit;
	let code = start[at > 0 ? (at < BINS ? at | 0 : BINS - 1) : 0] as number;
	while (number > (ends[code] as number)) code++;
	return code;
}

/** Points of the discretised normal density, over ±RANGE standard deviations. */
const POINTS = 1 << 15;
const RANGE = 6;
const ROUNDS = 60;
/** Bins from which a search for the nearest value starts. */
const BINS = 2048;

const known: Readonly<Record<Spacing, Map<number, Quantizer>>> = { fitted: new Map(), equal: new Map() };

/** The quantizer with `count` values; computed once. Method: Lloyd 1957, Max 1960, on a grid of the density. */
export function quantizerOf(count: number, spacing: Spacing = "fitted"): Quantizer {
	const held = known[spacing].get(count) ?? (spacing === "fitted" ? lloydMax(count) : equallySpaced(count));
	known[spacing].set(count, held);
	return held;
}

function lloydMax(count: number): Quantizer {
	const sums = prefixSums();
	let values = startingValues(count, sums.mass);
	for (let round = 0; round < ROUNDS; round++) values = centroids(values, sums.mass, sums.moment);
	return quantizer(values, sums);
}

/** Bits of a float16's significand. */
const HALF_BITS = 11;
const LEAST_STEP = 2 ** -6;

/**
 * Whole multiples of a step, from −count/2 on: 0 is among them. The step has so few bits that all multiples are exact in float16; of these
 * steps it is the one of least error.
 */
function equallySpaced(count: number): Quantizer {
	const sums = prefixSums();
	const fractions = 2 ** Math.max(0, HALF_BITS - Math.log2(count) - 1);
	let best: Quantizer | undefined;
	for (let power = LEAST_STEP; power <= 1; power *= 2)
		for (let part = fractions; part < 2 * fractions; part++) {
			const step = (power * part) / fractions;
			const found = quantizer(
				Float64Array.from({ length: count }, (_, code) => (code - count / 2) * step),
				sums,
			);
			if (best === undefined || found.distortion < best.distortion) best = found;
		}
	return best as Quantizer;
}

function quantizer(values: Float64Array, { mass, moment, square }: Sums): Quantizer {
	const count = values.length;
	let distortion = square;
	const edges = edgesOf(values);
	for (let code = 0; code < count; code++) {
		const [from, to] = [edges[code] as number, edges[code + 1] as number];
		const weight = (mass[to] as number) - (mass[from] as number);
		const sum = (moment[to] as number) - (moment[from] as number);
		const value = values[code] as number;
		distortion += value * value * weight - 2 * value * sum;
	}
	const search = searchOf(values);
	const encode = (number: number) => codeOf(number, search.low, search.perUnit, search.start, search.ends);
	return { count, values, distortion, encode, search };
}

function pointAt(index: number): number {
	return ((index + 0.5) / POINTS) * 2 * RANGE - RANGE;
}

interface Sums {
	readonly mass: Float64Array;
	readonly moment: Float64Array;
	readonly square: number;
}

/** Of the normal density up to each point: its mass, its first moment; and its variance. */
function prefixSums(): Sums {
	const mass = new Float64Array(POINTS + 1);
	const moment = new Float64Array(POINTS + 1);
	let square = 0;
	for (let index = 0; index < POINTS; index++) {
		const x = pointAt(index);
		const density = Math.exp((-x * x) / 2);
		mass[index + 1] = (mass[index] as number) + density;
		moment[index + 1] = (moment[index] as number) + density * x;
		square += density * x * x;
	}
	const total = mass[POINTS] as number;
	for (let index = 0; index <= POINTS; index++) {
		mass[index] = (mass[index] as number) / total;
		moment[index] = (moment[index] as number) / total;
	}
	return { mass, moment, square: square / total };
}

/** Quantiles of the density's cube root, a normal of variance 3: where the best values of many levels lie (Panter and Dite 1951). */
function startingValues(count: number, mass: Float64Array): Float64Array {
	const values = new Float64Array(count);
	let index = 0;
	for (let code = 0; code < count; code++) {
		while ((mass[index + 1] as number) < (code + 0.5) / count) index++;
		values[code] = Math.max(-RANGE, Math.min(RANGE, pointAt(index) * Math.sqrt(3)));
	}
	return values;
}

/** Grid indices between which each value is the nearest. */
function edgesOf(values: Float64Array): Int32Array {
	const edges = new Int32Array(values.length + 1);
	for (let code = 1; code < values.length; code++) {
		const middle = ((values[code - 1] as number) + (values[code] as number)) / 2;
		edges[code] = Math.max(0, Math.min(POINTS, Math.round(((middle + RANGE) / (2 * RANGE)) * POINTS)));
	}
	edges[values.length] = POINTS;
	return edges;
}

function centroids(values: Float64Array, mass: Float64Array, moment: Float64Array): Float64Array {
	const edges = edgesOf(values);
	return values.map((value, code) => {
		const [from, to] = [edges[code] as number, edges[code + 1] as number];
		const weight = (mass[to] as number) - (mass[from] as number);
		return weight > 0 ? ((moment[to] as number) - (moment[from] as number)) / weight : value;
	});
}

function searchOf(values: Float64Array): Search {
	const last = values.length - 1;
	const ends = values.map((value, code) => (code < last ? (value + (values[code + 1] as number)) / 2 : Number.POSITIVE_INFINITY));
	const low = values[0] as number;
	const perUnit = BINS / ((values[last] as number) - low);
	const start = new Uint8Array(BINS);
	for (let bin = 0, code = 0; bin < BINS; bin++) {
		while (low + bin / perUnit > (ends[code] as number)) code++;
		start[bin] = code;
	}
	return { low, perUnit, start, ends };
}
