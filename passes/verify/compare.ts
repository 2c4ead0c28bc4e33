// How far two outputs are apart: largest difference, KL divergence of the distributions, agreement of the best token.
import { DistembError } from "../../src/errors.js";
import { isFloatType, isText, reader } from "../../src/runtime/numbers.js";
import type { EngineTensor } from "../../src/runtime/session.js";
import type { OutputComparison } from "../../src/state.js";

export type Difference = Omit<OutputComparison, "file" | "output" | "inputs">;

export interface CompareOptions {
	/** The last axis holds one number per token: logits, log-probabilities or probabilities. */
	readonly vocabulary: boolean;
}

/**
 * Compares an output of the result with the original's, of the same shape and type.
 *
 * Float outputs: `maxDifference` max |a − b|, `relativeDifference` max |a − b| / max |a|; NaN equals NaN and an infinity
 * equals itself, any other non-finite pair is infinitely far apart. Other outputs: `relativeDifference` is the share of
 * unequal elements. With `vocabulary`: mean KL(a ‖ b) in nats and top-1 agreement over the positions where a is a
 * distribution (a position whose logits are all −∞ or NaN is none).
 * @throws DistembError `internal` if shapes or types differ
 */
export function compareOutputs(original: EngineTensor, result: EngineTensor, options: CompareOptions): Difference {
	const describe = ({ dtype, dims }: EngineTensor) => `${dtype}[${dims.join(", ")}]`;
	if (describe(original) !== describe(result)) {
		throw new DistembError("internal", `is ${describe(result)} where the original gives ${describe(original)}`);
	}
	const shape = original.dims;
	if (!isFloatType(original.dtype)) return { shape, ...countDifferences(original, result), kl: undefined, top1Agreement: undefined };
	const a = reader(original);
	const b = reader(result);
	const differences = measureDifferences(a, b, original.data.length);
	const rows = options.vocabulary ? compareRows(a, b, original.data.length, shape.at(-1) ?? 1) : undefined;
	return { shape, ...differences, kl: rows?.kl, top1Agreement: rows?.top1Agreement };
}

type Elements = (index: number) => number;

interface Differences {
	readonly maxDifference: number;
	readonly relativeDifference: number;
}

function measureDifferences(a: Elements, b: Elements, count: number): Differences {
	let maxDifference = 0;
	let scale = 0;
	for (let index = 0; index < count; index++) {
		const x = a(index);
		const y = b(index);
		if (Number.isFinite(x)) scale = Math.max(scale, Math.abs(x));
		if (Object.is(x, y) || x === y) continue;
		const difference = Math.abs(x - y);
		maxDifference = Math.max(maxDifference, Number.isNaN(difference) ? Number.POSITIVE_INFINITY : difference);
	}
	return { maxDifference, relativeDifference: maxDifference === 0 ? 0 : maxDifference / scale };
}

function countDifferences(original: EngineTensor, result: EngineTensor): Differences {
	const count = original.data.length;
	const isString = isText(original.data);
	let unequal = 0;
	let maxDifference = 0;
	for (let index = 0; index < count; index++) {
		const x = original.data[index];
		const y = result.data[index];
		if (x === y) continue;
		unequal++;
		maxDifference = Math.max(maxDifference, isString ? 1 : Math.abs(Number(x) - Number(y)));
	}
	return { maxDifference, relativeDifference: count === 0 ? 0 : unequal / count };
}

/** KL divergence and top-1 agreement, row by row; undefined if no row is a distribution. */
function compareRows(a: Elements, b: Elements, count: number, width: number): { kl: number; top1Agreement: number } | undefined {
	let rows = 0;
	let divergence = 0;
	let agreements = 0;
	const logA = new Float64Array(width);
	const logB = new Float64Array(width);
	const normalise = isProbability(a, count, width) ? logOf : logSoftmax;
	for (let start = 0; start + width <= count && width > 0; start += width) {
		if (!normalise(a, start, logA)) continue;
		rows++;
		divergence += normalise(b, start, logB) ? klDivergence(logA, logB) : Number.POSITIVE_INFINITY;
		if (argmax(logA) === argmax(logB)) agreements++;
	}
	return rows === 0 ? undefined : { kl: divergence / rows, top1Agreement: agreements / rows };
}

/** Σ p (log p − log q) in nats. Rounding may leave a value just below zero; it is shown as zero. */
function klDivergence(logP: Float64Array, logQ: Float64Array): number {
	let sum = 0;
	for (const [index, p] of logP.entries()) if (p !== Number.NEGATIVE_INFINITY) sum += Math.exp(p) * (p - (logQ[index] ?? 0));
	return Math.max(sum, 0);
}

/** True if every row is nonnegative and sums to one: the graph ends in a softmax. */
function isProbability(a: Elements, count: number, width: number): boolean {
	for (let start = 0; start < count; start += width) {
		let sum = 0;
		for (let index = start; index < start + width; index++) {
			const value = a(index);
			if (!(value >= 0)) return false;
			sum += value;
		}
		if (Math.abs(sum - 1) > 1e-2) return false;
	}
	return true;
}

/** Writes log-softmax of a row into `into`; false if the row is no distribution (NaN, +∞, or −∞ throughout). */
function logSoftmax(row: Elements, start: number, into: Float64Array): boolean {
	let largest = Number.NEGATIVE_INFINITY;
	for (let index = 0; index < into.length; index++) {
		const value = row(start + index);
		if (Number.isNaN(value)) return false;
		into[index] = value;
		largest = Math.max(largest, value);
	}
	if (!Number.isFinite(largest)) return false;
	let sum = 0;
	for (const value of into) sum += Math.exp(value - largest);
	const shift = largest + Math.log(sum);
	for (const [index, value] of into.entries()) into[index] = value - shift;
	return true;
}

/** Writes the logarithms of a row of probabilities into `into`, normalised; false if it is no distribution. */
function logOf(row: Elements, start: number, into: Float64Array): boolean {
	return logSoftmax((index) => Math.log(row(index)), start, into);
}

/** Index of the largest element, the first one of equals. */
function argmax(values: Float64Array): number {
	let best = 0;
	for (const [index, value] of values.entries()) if (value > (values[best] ?? Number.NEGATIVE_INFINITY)) best = index;
	return best;
}
