// Vector quantizers of least squared error for normally distributed numbers: a byte stands for one of 256 vectors of several numbers.
// Between them and as many scalar quantizers lie half a decibel (2 and 8 numbers a byte) to 1.2 (3 numbers).
import { normal } from "../random.js";
import { NearestSearch, PAIRS } from "./nearest.js";

export interface Codebook {
	/** Numbers in a byte. */
	readonly width: number;
	/** Number `digit` of what `byte` stands for, at byte · width + digit; bytes 2p and 2p + 1 are each other's negatives. */
	readonly values: Float64Array;
	/** Squared error of a number of variance 1, measured. */
	readonly distortion: number;
}

const SAMPLES = 24_576;
const ROUNDS = 16;
const SEED = 1;

const known = new Map<number, Codebook>();

/** The codebook for vectors of `width` independent numbers; computed once. Method: Linde, Buzo and Gray 1980, on a sample; symmetric around 0. */
export function codebookOf(width: number): Codebook {
	const held = known.get(width) ?? trained(width);
	known.set(width, held);
	return held;
}

function trained(width: number): Codebook {
	const search = new NearestSearch(width);
	const draw = normal(SEED + width);
	const sample = Float32Array.from({ length: SAMPLES * width }, () => draw());
	let vectors = Float64Array.from(sample.subarray(0, PAIRS * width), (value) => value * Math.sqrt((width + 2) / width));
	for (let round = 0; round < ROUNDS; round++) {
		const sums = new Float64Array(PAIRS * width);
		const counts = new Uint32Array(PAIRS);
		eachNearest(search, vectors, sample, (code, at) => {
			const pair = code >> 1;
			const sign = code % 2 === 0 ? 1 : -1;
			counts[pair] = (counts[pair] as number) + 1;
			for (let digit = 0; digit < width; digit++)
				sums[pair * width + digit] = (sums[pair * width + digit] as number) + sign * (sample[at + digit] as number);
		});
		vectors = vectors.map((value, at) => {
			const count = counts[Math.floor(at / width)] as number;
			return count > 0 ? (sums[at] as number) / count : value;
		});
	}
	const values = new Float64Array(2 * PAIRS * width);
	for (let pair = 0; pair < PAIRS; pair++)
		for (let digit = 0; digit < width; digit++) {
			values[2 * pair * width + digit] = vectors[pair * width + digit] as number;
			values[(2 * pair + 1) * width + digit] = -(vectors[pair * width + digit] as number);
		}
	let error = 0;
	const others = Float32Array.from({ length: SAMPLES * width }, () => draw());
	eachNearest(search, vectors, others, (code, at) => {
		for (let digit = 0; digit < width; digit++) error += ((others[at + digit] as number) - (values[code * width + digit] as number)) ** 2;
	});
	return { width, values, distortion: error / others.length };
}

function eachNearest(search: NearestSearch, vectors: Float64Array, sample: Float32Array, use: (code: number, at: number) => void): void {
	const { width, batch, queries } = search;
	const codes = new Uint8Array(batch);
	search.setVectors(vectors);
	search.setWeights(new Float64Array(width).fill(1));
	for (let at = 0; at < sample.length; at += batch * width) {
		const part = sample.subarray(at, at + batch * width);
		queries.set(part);
		const count = part.length / width;
		search.find(count, codes);
		for (let index = 0; index < count; index++) use(codes[index] as number, at + index * width);
	}
}
